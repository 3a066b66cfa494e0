//! `GET /v1/queues`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::QueueView;
use crate::access::Role;
use crate::engine::Engine;
use crate::native::cursor;
use crate::native::endpoint::{Answer, Call, Endpoint, Nothing, Outcome, within};
use crate::native::route::{Method, Route, Tag};

/// `GET /v1/queues`
pub(crate) struct List;

/// Which queues are listed.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListQueues {
    /// What their names start with. Default: anything.
    prefix: Option<String>,
    /// How many at most, from 1 to 1 000. Default 100.
    #[schemars(range(min = 1, max = 1_000))]
    limit: Option<u64>,
    /// Where the last page ended.
    cursor: Option<String>,
}

/// A page of queues, in the order of their names.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct QueuePage {
    /// The queues.
    queues: Vec<QueueView>,
    /// For the next page; absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<String>,
}

const LIMIT: u64 = 100;
const LIMIT_MAX: u64 = 1_000;

impl Endpoint for List {
    const ROUTE: Route =
        Route::new(Method::Get, "/v1/queues", "list_queues", Tag::Queues, Role::Read, "Queues with their counters");
    type Query = ListQueues;
    type Request<'a> = Nothing;
    type Response = QueuePage;

    async fn run<E: Engine>(call: Call<'_, E>, query: ListQueues, _: Nothing) -> Outcome<QueuePage> {
        let limit = within("limit", query.limit.unwrap_or(LIMIT), 1, LIMIT_MAX)? as usize;
        let after = query.cursor.as_deref().map(cursor::read).transpose()?;
        let prefix = query.prefix.as_deref().unwrap_or_default();
        let mut found = call.app.engine.list(call.caller.namespace, prefix, after.as_deref(), limit + 1);
        let more = found.len() > limit;
        found.truncate(limit);
        let cursor = found.last().filter(|_| more).map(|queue| cursor::write(&queue.name));
        let mut queues = Vec::with_capacity(found.len());
        for queue in &found {
            match call.view(queue).await {
                Ok(view) => queues.push(view),
                // It was deleted meanwhile.
                Err(problem) if problem.code() == "queue.not_found" => {}
                Err(problem) => return Err(problem),
            }
        }
        Ok(Answer::Of(QueuePage { queues, cursor }))
    }
}
