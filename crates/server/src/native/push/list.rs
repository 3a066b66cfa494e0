//! `GET /v1/push`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::PushView;
use crate::access::Role;
use crate::engine::Engine;
use crate::native::cursor;
use crate::native::endpoint::{Answer, Call, Endpoint, Nothing, Outcome, within};
use crate::native::route::{Method, Route, Tag};

/// `GET /v1/push`
pub(crate) struct List;

/// Which push targets are listed.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListPush {
    /// What the names of their queues start with. Default: anything.
    prefix: Option<String>,
    /// How many at most, from 1 to 1 000. Default 100.
    #[schemars(range(min = 1, max = 1_000))]
    limit: Option<u64>,
    /// Where the last page ended.
    cursor: Option<String>,
}

/// A page of push targets, in the order of the names of their queues.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct PushPage {
    /// The push targets.
    targets: Vec<PushView>,
    /// For the next page; absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<String>,
}

/// How many queues are looked at in one go.
const STEP: usize = 1_000;

impl Endpoint for List {
    const ROUTE: Route = Route::new(
        Method::Get,
        "/v1/push",
        "list_push",
        Tag::Push,
        Role::Read,
        "Queues with a URL behind them, and how these stand",
    )
    .about("How a URL stands that subscribed to a topic is told with its subscription.");
    type Query = ListPush;
    type Request<'a> = Nothing;
    type Response = PushPage;

    async fn run<E: Engine>(call: Call<'_, E>, query: ListPush, _: Nothing) -> Outcome<PushPage> {
        let limit = within("limit", query.limit.unwrap_or(100), 1, 1_000)? as usize;
        let mut after = query.cursor.as_deref().map(cursor::read).transpose()?;
        let prefix = query.prefix.as_deref().unwrap_or_default();
        let mut targets = Vec::new();
        loop {
            let queues = call.app.engine.list(call.caller.namespace, prefix, after.as_deref(), STEP);
            for queue in &queues {
                let Some(view) = call.push_of_queue(queue)? else { continue };
                if targets.len() == limit {
                    return Ok(Answer::Of(PushPage { targets, cursor: after.as_deref().map(cursor::write) }));
                }
                targets.push(view);
                after = Some(queue.name.clone());
            }
            match queues.last() {
                Some(last) if queues.len() == STEP => after = Some(last.name.clone()),
                _ => return Ok(Answer::Of(PushPage { targets, cursor: None })),
            }
        }
    }
}
