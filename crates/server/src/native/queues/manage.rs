//! One queue: looking at it, changing, deleting and emptying it.

use weir_core::api::{Command, Error};

use super::{Problem, QueueView, Settings, TRIES};
use crate::access::Role;
use crate::engine::Engine;
use crate::native::endpoint::{Answer, Call, Endpoint, Nothing, Outcome};
use crate::native::route::{Method, Route, Tag};

/// `GET /v1/queues/{queue}`
pub(crate) struct Get;

impl Endpoint for Get {
    const ROUTE: Route = Route::new(
        Method::Get,
        "/v1/queues/{queue}",
        "get_queue",
        Tag::Queues,
        Role::Read,
        "A queue with its counters",
    )
    .errors(&["queue.not_found"]);
    type Query = Nothing;
    type Request<'a> = Nothing;
    type Response = QueueView;

    async fn run<E: Engine>(call: Call<'_, E>, _: Nothing, _: Nothing) -> Outcome<QueueView> {
        let queue = call.queue()?;
        call.view(&queue).await.map(Answer::Of)
    }
}

/// `PATCH /v1/queues/{queue}`
pub(crate) struct Change;

impl Endpoint for Change {
    const ROUTE: Route = Route::new(
        Method::Patch,
        "/v1/queues/{queue}",
        "change_queue",
        Tag::Queues,
        Role::Admin,
        "Change the configuration of a queue",
    )
    .example(r#"{"limiters": [{"limiter": "provider", "key": "data.customer"}]}"#)
    .about("What the request does not name stays as it is. The change is in force for the next job at once.")
    .errors(&["queue.not_found", "redrive.not_allowed", "limit.exceeded", "queue.stale"]);
    type Query = Nothing;
    type Request<'a> = Settings;
    type Response = QueueView;

    async fn run<E: Engine>(call: Call<'_, E>, _: Nothing, settings: Settings) -> Outcome<QueueView> {
        for _ in 0..TRIES {
            let queue = call.queue()?;
            let mut config = queue.config.clone();
            settings.apply(&mut config, queue.kind, &call.app.config.limits)?;
            if let Some(queue) = call.configure(&queue, config).await? {
                let queue = call.tag(queue, &settings).await?;
                return call.view(&queue).await.map(Answer::Of);
            }
        }
        Err(Problem::of_error(&Error::Stale { version: 0 }))
    }
}

/// `DELETE /v1/queues/{queue}`
pub(crate) struct Delete;

impl Endpoint for Delete {
    const ROUTE: Route = Route::new(
        Method::Delete,
        "/v1/queues/{queue}",
        "delete_queue",
        Tag::Queues,
        Role::Admin,
        "Delete a queue with its jobs",
    )
    .errors(&["queue.not_found"]);
    type Query = Nothing;
    type Request<'a> = Nothing;
    type Response = Nothing;

    async fn run<E: Engine>(call: Call<'_, E>, _: Nothing, _: Nothing) -> Outcome<Nothing> {
        let queue = call.queue()?;
        call.command(Command::DeleteQueue { queue: queue.id }).await?;
        Ok(Answer::Of(Nothing {}))
    }
}

/// `POST /v1/queues/{queue}/purge`
pub(crate) struct Purge;

impl Endpoint for Purge {
    const ROUTE: Route = Route::new(
        Method::Post,
        "/v1/queues/{queue}/purge",
        "purge_queue",
        Tag::Queues,
        Role::Admin,
        "Delete all jobs of a queue",
    )
    .about("Those that workers hold too: their leases are worth nothing afterwards. Costs the same for any number.")
    .errors(&["queue.not_found"]);
    type Query = Nothing;
    type Request<'a> = Nothing;
    type Response = Nothing;

    async fn run<E: Engine>(call: Call<'_, E>, _: Nothing, _: Nothing) -> Outcome<Nothing> {
        let queue = call.queue()?;
        call.command(Command::PurgeQueue { queue: queue.id }).await?;
        Ok(Answer::Of(Nothing {}))
    }
}
