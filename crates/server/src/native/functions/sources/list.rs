//! `GET /v1/functions/{function}/sources` and `GET /v1/sources`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::view::SourceView;
use crate::access::Role;
use crate::engine::Engine;
use crate::event_sources::{self, Mapped};
use crate::native::Problem;
use crate::native::cursor;
use crate::native::endpoint::{Answer, Call, Endpoint, Nothing, Outcome, within};
use crate::native::route::{Method, Route, Tag};

/// `GET /v1/functions/{function}/sources`
pub(crate) struct ListOfFunction;

/// How many sources are listed.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListFunctionSources {
    /// How many at most, from 1 to 1 000. Default 100.
    #[schemars(range(min = 1, max = 1_000))]
    limit: Option<u64>,
    /// Where the last page ended.
    cursor: Option<String>,
}

/// A page of sources, in the order of the names of their queues, and of their functions where these are the same.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct SourcePage {
    /// The sources.
    sources: Vec<SourceView>,
    /// For the next page; absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<String>,
}

impl Endpoint for ListOfFunction {
    const ROUTE: Route = Route::new(
        Method::Get,
        "/v1/functions/{function}/sources",
        "list_function_sources",
        Tag::Functions,
        Role::Read,
        "The queues whose messages are handed to a function",
    )
    .about("A source stays when its function is deleted, and is listed as long as it is there.")
    .errors(&["function.not_found"]);
    type Query = ListFunctionSources;
    type Request<'a> = Nothing;
    type Response = SourcePage;

    async fn run<E: Engine>(call: Call<'_, E>, query: ListFunctionSources, _: Nothing) -> Outcome<SourcePage> {
        let name = call.params.get("function");
        let mut found = event_sources::list(&call.app.engine, call.caller.namespace);
        found.retain(|(_, mapping)| mapping.function == name);
        if found.is_empty() {
            call.function()?;
        }
        page(&call, found, query.limit, query.cursor.as_deref())
    }
}

/// `GET /v1/sources`
pub(crate) struct List;

/// Which sources are listed.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListSources {
    /// Name of a queue: only where its messages go. Default: all.
    queue: Option<String>,
    /// How many at most, from 1 to 1 000. Default 100.
    #[schemars(range(min = 1, max = 1_000))]
    limit: Option<u64>,
    /// Where the last page ended.
    cursor: Option<String>,
}

impl Endpoint for List {
    const ROUTE: Route = Route::new(
        Method::Get,
        "/v1/sources",
        "list_sources",
        Tag::Functions,
        Role::Read,
        "All queues whose messages are handed to functions",
    )
    .about("With `queue`, the functions that get messages of that queue.");
    type Query = ListSources;
    type Request<'a> = Nothing;
    type Response = SourcePage;

    async fn run<E: Engine>(call: Call<'_, E>, query: ListSources, _: Nothing) -> Outcome<SourcePage> {
        let mut found = event_sources::list(&call.app.engine, call.caller.namespace);
        found.retain(|(queue, _)| query.queue.as_ref().is_none_or(|name| queue.name == *name));
        page(&call, found, query.limit, query.cursor.as_deref())
    }
}

/// A page of what was found.
fn page<E: Engine>(
    call: &Call<'_, E>,
    mut found: Vec<Mapped>,
    limit: Option<u64>,
    cursor: Option<&str>,
) -> Outcome<SourcePage> {
    let limit = within("limit", limit.unwrap_or(100), 1, 1_000)? as usize;
    let after = cursor.map(read).transpose()?;
    found.retain(|mapped| after.as_ref().is_none_or(|(queue, function)| key(mapped) > (queue, function)));
    found.sort_unstable_by(|a, b| key(a).cmp(&key(b)));
    let more = found.len() > limit;
    found.truncate(limit);
    let cursor = found.last().filter(|_| more).map(write);
    let sources = found.iter().map(|(queue, mapping)| SourceView::new(call.app, queue, mapping));
    Ok(Answer::Of(SourcePage { sources: sources.collect::<Result<_, _>>()?, cursor }))
}

/// What a source stands in the order by.
fn key((queue, mapping): &Mapped) -> (&str, &str) {
    (&queue.name, &mapping.function)
}

/// Names have no control characters.
const BETWEEN: char = '\0';

fn write(mapped: &Mapped) -> String {
    let (queue, function) = key(mapped);
    cursor::write(&format!("{queue}{BETWEEN}{function}"))
}

fn read(cursor: &str) -> Result<(String, String), Problem> {
    let key = cursor::read(cursor)?;
    let (queue, function) =
        key.split_once(BETWEEN).ok_or_else(|| Problem::field("cursor", "it is none that this server gave"))?;
    Ok((queue.to_owned(), function.to_owned()))
}
