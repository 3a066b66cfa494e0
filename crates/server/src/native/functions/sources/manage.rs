//! One source: making it, looking at it, changing it, taking it away.

use schemars::JsonSchema;
use serde::Serialize;
use weir_core::api::Error;

use super::settings::{SourceSettings, problem};
use super::view::SourceView;
use crate::access::Role;
use crate::engine::Engine;
use crate::event_sources::{self, MAPPINGS_MAX, Refusal, Settings, Which};
use crate::native::Problem;
use crate::native::endpoint::{Answer, Call, Endpoint, Nothing, Outcome};
use crate::native::queues::TRIES;
use crate::native::route::{Method, Route, Tag};

/// `PUT /v1/functions/{function}/sources/{queue}`
pub(crate) struct Put;

/// A source that was asked for.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct PutSource {
    /// Whether it is new.
    created: bool,
    /// The source.
    source: SourceView,
}

impl Endpoint for Put {
    const ROUTE: Route = Route::new(
        Method::Put,
        "/v1/functions/{function}/sources/{queue}",
        "put_source",
        Tag::Functions,
        Role::Admin,
        "Hand the messages of a queue to a function, or replace how",
    )
    .example(
        r#"{"batch": {"count": 100, "wait_ms": 2000}, "concurrency": 5, "filters": [{"body": {"size": [{"numeric": [">", 1000]}]}}], "partial_failures": true}"#,
    )
    .about(
        "Each batch is one call of the function, with the event that AWS Lambda makes of messages of SQS. What was handled \
         is deleted; what was not is seen again when its lease would have ended, and is a dead letter after as many \
         receives as the queue says. A queue may have 20 sources of functions; each message goes to one of them. \
         What the request does not name has its default afterwards, except `enabled`, which stays. See docs/functions.md.",
    )
    .errors(&["function.not_found", "queue.not_found", "queue.owned", "queue.stale", "limit.exceeded"]);
    type Query = Nothing;
    type Request<'a> = SourceSettings;
    type Response = PutSource;

    async fn run<E: Engine>(call: Call<'_, E>, _: Nothing, settings: SourceSettings) -> Outcome<PutSource> {
        let (engine, namespace, asked) = (&call.app.engine, call.caller.namespace, settings.change());
        let Which::Between { queue, function } = call.which() else { return Err(Problem::internal()) };
        for _ in 0..TRIES {
            let replaced = event_sources::change(engine, namespace, call.which(), Some(function), |before, queue| {
                asked.apply(&Settings { enabled: before.enabled, ..Settings::default() }, queue.kind)
            });
            let (put, created) = match replaced.await {
                Err(Refusal::NoMapping) => {
                    (event_sources::create(engine, namespace, queue, function, &asked).await, true)
                }
                replaced => (replaced, false),
            };
            match put {
                Err(Refusal::Exists(_)) => {}
                Err(refusal) => return Err(call.refused(refusal)),
                Ok((queue, mapping)) => {
                    let source = SourceView::new(call.app, &queue, &mapping)?;
                    return Ok(Answer::Of(PutSource { created, source }));
                }
            }
        }
        Err(Problem::of_error(&Error::Stale { version: 0 }))
    }
}

/// `PATCH /v1/functions/{function}/sources/{queue}`
pub(crate) struct Change;

impl Endpoint for Change {
    const ROUTE: Route = Route::new(
        Method::Patch,
        "/v1/functions/{function}/sources/{queue}",
        "change_source",
        Tag::Functions,
        Role::Admin,
        "Change how the messages of a queue are handed to a function",
    )
    .example(r#"{"enabled": false}"#)
    .about("What the request does not name stays as it is. It is in force for the next batch.")
    .errors(&["source.not_found", "queue.stale"]);
    type Query = Nothing;
    type Request<'a> = SourceSettings;
    type Response = SourceView;

    async fn run<E: Engine>(call: Call<'_, E>, _: Nothing, settings: SourceSettings) -> Outcome<SourceView> {
        let (engine, asked) = (&call.app.engine, settings.change());
        let changed = event_sources::change(engine, call.caller.namespace, call.which(), None, |before, queue| {
            asked.apply(before, queue.kind)
        });
        let (queue, mapping) = changed.await.map_err(|refusal| call.refused(refusal))?;
        SourceView::new(call.app, &queue, &mapping).map(Answer::Of)
    }
}

/// `GET /v1/functions/{function}/sources/{queue}`
pub(crate) struct Get;

impl Endpoint for Get {
    const ROUTE: Route = Route::new(
        Method::Get,
        "/v1/functions/{function}/sources/{queue}",
        "get_source",
        Tag::Functions,
        Role::Read,
        "How the messages of a queue are handed to a function, and how that stands",
    )
    .errors(&["source.not_found"]);
    type Query = Nothing;
    type Request<'a> = Nothing;
    type Response = SourceView;

    async fn run<E: Engine>(call: Call<'_, E>, _: Nothing, _: Nothing) -> Outcome<SourceView> {
        let found = call.which().find(&call.app.engine, call.caller.namespace)?;
        let (queue, mapping) = found.ok_or_else(|| call.refused(Refusal::NoMapping))?;
        SourceView::new(call.app, &queue, &mapping).map(Answer::Of)
    }
}

/// `DELETE /v1/functions/{function}/sources/{queue}`
pub(crate) struct Delete;

impl Endpoint for Delete {
    const ROUTE: Route = Route::new(
        Method::Delete,
        "/v1/functions/{function}/sources/{queue}",
        "delete_source",
        Tag::Functions,
        Role::Admin,
        "Hand no more messages of a queue to a function",
    )
    .about("Messages stay in the queue. Batches that are under way end, and are settled.")
    .errors(&["source.not_found", "queue.stale"]);
    type Query = Nothing;
    type Request<'a> = Nothing;
    type Response = Nothing;

    async fn run<E: Engine>(call: Call<'_, E>, _: Nothing, _: Nothing) -> Outcome<Nothing> {
        let deleted = event_sources::delete(&call.app.engine, call.caller.namespace, call.which()).await;
        deleted.map_err(|refusal| call.refused(refusal))?;
        Ok(Answer::Of(Nothing {}))
    }
}

impl<E: Engine> Call<'_, E> {
    /// The source that the address names.
    fn which(&self) -> Which<'_> {
        Which::Between { queue: self.params.get("queue"), function: self.params.get("function") }
    }

    /// A refusal in the words of the native API.
    fn refused(&self, refusal: Refusal) -> Problem {
        let (queue, function) = (self.params.get("queue"), self.params.get("function"));
        match refusal {
            Refusal::NoQueue => Problem::no_queue(queue),
            Refusal::NoFunction => Problem::no_function(function),
            Refusal::NoMapping => {
                let text = format!("messages of the queue {queue} are not handed to a function called {function}");
                Problem::new("source.not_found", &text)
            }
            Refusal::FunctionQueue => {
                Problem::field("queue", &format!("{queue} is the queue of a function, whose calls it takes"))
            }
            Refusal::OwnedQueue => Problem::of_error(&Error::QueueOwned),
            // Somebody else was first.
            Refusal::Exists(_) => Problem::of_error(&Error::Stale { version: 0 }),
            Refusal::TooMany => {
                let text =
                    format!("a queue may be a source of {MAPPINGS_MAX} functions, and {queue} is one of so many");
                Problem::new("limit.exceeded", &text)
            }
            Refusal::Unfit(unfit) => problem(&unfit),
            Refusal::Other(problem) => problem,
        }
    }
}
