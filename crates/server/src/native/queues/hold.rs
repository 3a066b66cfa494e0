//! Holding a queue back, and doing away with it.

use schemars::JsonSchema;
use serde::Deserialize;
use weir_core::api::{Command, Reply as EngineReply};

use super::{Problem, QueueView};
use crate::access::Role;
use crate::engine::Engine;
use crate::native::endpoint::{Answer, Call, Endpoint, Nothing, Outcome, within};
use crate::native::route::{Method, Route, Tag};

/// `POST /v1/queues/{queue}/pause`
pub(crate) struct Pause;

/// For how long.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PauseRequest {
    /// It goes on by itself after so long. Default: it waits until it is resumed.
    for_ms: Option<u64>,
}

const YEAR_MS: u64 = 366 * 86_400_000;

impl Endpoint for Pause {
    const ROUTE: Route =
        Route::new(Method::Post, "/v1/queues/{queue}/pause", "pause_queue", Tag::Queues, Role::Admin, "Pause a queue")
            .example(r#"{"for_ms": 600000}"#)
            .about("Nothing of it is leased until it is resumed; what is leased already goes on.")
            .errors(&["queue.not_found"]);
    type Query = Nothing;
    type Request<'a> = PauseRequest;
    type Response = QueueView;

    async fn run<E: Engine>(call: Call<'_, E>, _: Nothing, request: PauseRequest) -> Outcome<QueueView> {
        let for_ms = request.for_ms.map(|ms| within("for_ms", ms, 1, YEAR_MS)).transpose()?;
        hold(&call, for_ms.unwrap_or(u64::MAX)).await
    }
}

/// `POST /v1/queues/{queue}/resume`
pub(crate) struct Resume;

impl Endpoint for Resume {
    const ROUTE: Route = Route::new(
        Method::Post,
        "/v1/queues/{queue}/resume",
        "resume_queue",
        Tag::Queues,
        Role::Admin,
        "Let a paused queue go on",
    )
    .errors(&["queue.not_found"]);
    type Query = Nothing;
    type Request<'a> = Nothing;
    type Response = QueueView;

    async fn run<E: Engine>(call: Call<'_, E>, _: Nothing, _: Nothing) -> Outcome<QueueView> {
        hold(&call, 0).await
    }
}

async fn hold<E: Engine>(call: &Call<'_, E>, for_ms: u64) -> Outcome<QueueView> {
    let queue = call.queue()?;
    call.command(Command::PauseQueue { queue: queue.id, for_ms }).await?;
    call.view(&queue).await.map(Answer::Of)
}

/// `POST /v1/queues/{queue}/obliterate`
pub(crate) struct Obliterate;

/// Whether work that goes on counts.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ObliterateRequest {
    /// Whether the queue is deleted although workers hold jobs of it. Default no.
    #[serde(default)]
    force: bool,
}

impl Endpoint for Obliterate {
    const ROUTE: Route = Route::new(
        Method::Post,
        "/v1/queues/{queue}/obliterate",
        "obliterate_queue",
        Tag::Queues,
        Role::Admin,
        "Delete a queue unless it is being worked on",
    )
    .about("As deleting it, but refused while workers hold jobs of it, unless it is forced.")
    .errors(&["queue.not_found", "queue.active"]);
    type Query = Nothing;
    type Request<'a> = ObliterateRequest;
    type Response = Nothing;

    async fn run<E: Engine>(call: Call<'_, E>, _: Nothing, request: ObliterateRequest) -> Outcome<Nothing> {
        let queue = call.queue()?;
        if !request.force {
            let EngineReply::Stats { counters, .. } = call.command(Command::QueueStats { queue: queue.id }).await?
            else {
                return Err(Problem::internal());
            };
            if counters.leased > 0 {
                let detail = format!("workers hold {} jobs of the queue; `force` deletes it anyway", counters.leased);
                return Err(Problem::new("queue.active", &detail));
            }
        }
        call.command(Command::DeleteQueue { queue: queue.id }).await?;
        Ok(Answer::Of(Nothing {}))
    }
}
