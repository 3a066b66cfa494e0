//! `GET /v1/functions`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::view::FunctionView;
use crate::access::Role;
use crate::engine::Engine;
use crate::functions::{self, Note};
use crate::native::cursor;
use crate::native::endpoint::{Answer, Call, Endpoint, Nothing, Outcome, within};
use crate::native::route::{Method, Route, Tag};

/// `GET /v1/functions`
pub(crate) struct List;

/// Which functions are listed.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListFunctions {
    /// What their names start with. Default: anything.
    prefix: Option<String>,
    /// How many at most, from 1 to 1 000. Default 100.
    #[schemars(range(min = 1, max = 1_000))]
    limit: Option<u64>,
    /// Where the last page ended.
    cursor: Option<String>,
}

/// A page of functions, in the order of their names.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct FunctionPage {
    /// The functions.
    functions: Vec<FunctionView>,
    /// For the next page; absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<String>,
}

impl Endpoint for List {
    const ROUTE: Route =
        Route::new(Method::Get, "/v1/functions", "list_functions", Tag::Functions, Role::Read, "Functions by name");
    type Query = ListFunctions;
    type Request<'a> = Nothing;
    type Response = FunctionPage;

    async fn run<E: Engine>(call: Call<'_, E>, query: ListFunctions, _: Nothing) -> Outcome<FunctionPage> {
        let limit = within("limit", query.limit.unwrap_or(100), 1, 1_000)? as usize;
        let after = query.cursor.as_deref().map(cursor::read).transpose()?;
        let prefix = query.prefix.as_deref().unwrap_or_default();
        let namespace = call.caller.namespace;
        let (found, more) = functions::list(&call.app.engine, namespace, prefix, after.as_deref(), limit);
        let cursor = found.last().filter(|_| more).map(|queue| cursor::write(&queue.name));
        let mut functions = Vec::with_capacity(found.len());
        for queue in found {
            let note = Note::of(&queue.config).map_err(|error| functions::unreadable(&queue.name, &error))?;
            if let Some(note) = note {
                functions.push(FunctionView::new(call.app, &queue, &note)?);
            }
        }
        Ok(Answer::Of(FunctionPage { functions, cursor }))
    }
}
