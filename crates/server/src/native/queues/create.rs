//! `POST /v1/queues` and `PUT /v1/queues/{queue}`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use weir_core::api::Config;

use super::{Problem, QueueView, Settings, default_config};
use crate::access::Role;
use crate::engine::Engine;
use crate::native::endpoint::{Answer, Call, Endpoint, Nothing, Outcome};
use crate::native::route::{Method, Route, Tag};

/// A queue that was asked for.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct CreatedQueue {
    /// Whether it is new.
    created: bool,
    /// The queue.
    queue: QueueView,
}

/// `POST /v1/queues`
pub(crate) struct Create;

/// A queue to be created.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewQueue {
    /// Its name: 1 to 256 bytes of UTF-8 without control characters. A name that ends in `.fifo` makes a FIFO queue.
    /// Only names of at most 80 letters, digits, hyphens and underscores can be used over SQS.
    name: String,
    /// Its configuration. What is absent has its default.
    #[serde(default)]
    settings: Settings,
}

impl Endpoint for Create {
    const ROUTE: Route =
        Route::new(Method::Post, "/v1/queues", "create_queue", Tag::Queues, Role::Admin, "Create a queue")
            .example(r#"{"name": "mail", "settings": {"retry": {"attempts_max": 5}}}"#)
            .about("Finds the queue of this name where it has what is asked for. A queue that differs is refused.")
            .errors(&["queue.exists", "redrive.not_allowed", "limit.exceeded"]);
    type Query = Nothing;
    type Request<'a> = NewQueue;
    type Response = CreatedQueue;

    async fn run<E: Engine>(call: Call<'_, E>, _: Nothing, request: NewQueue) -> Outcome<CreatedQueue> {
        let NewQueue { name, settings } = request;
        let limits = &call.app.config.limits;
        let found = |queue: &weir_core::api::Queue| {
            let mut asked = queue.config.clone();
            settings.apply(&mut asked, queue.kind, limits)?;
            if asked == queue.config {
                return Ok(asked);
            }
            let detail = format!("the queue {} exists with another configuration; PATCH changes it", queue.name);
            Err(Problem::new("queue.exists", &detail))
        };
        let (queue, created) = call.create_or(&name, &settings, found).await?;
        Ok(Answer::Of(CreatedQueue { created, queue: call.view(&queue).await? }))
    }
}

/// `PUT /v1/queues/{queue}`
pub(crate) struct Put;

impl Endpoint for Put {
    const ROUTE: Route = Route::new(
        Method::Put,
        "/v1/queues/{queue}",
        "put_queue",
        Tag::Queues,
        Role::Admin,
        "Create a queue, or replace its configuration",
    )
    .example(r#"{"retry": {"attempts_max": 5, "backoff": {"list_ms": [1000, 60000]}}}"#)
    .about("What the request does not name has its default afterwards. Jobs stay. Repeating it changes nothing.")
    .errors(&["redrive.not_allowed", "limit.exceeded", "queue.stale"]);
    type Query = Nothing;
    type Request<'a> = Settings;
    type Response = CreatedQueue;

    async fn run<E: Engine>(call: Call<'_, E>, _: Nothing, settings: Settings) -> Outcome<CreatedQueue> {
        let limits = &call.app.config.limits;
        let replaced = |queue: &weir_core::api::Queue| {
            // What other doors keep with the queue is not this one's to take away.
            let mut config = Config { notes: queue.config.notes.clone(), ..default_config() };
            settings.apply(&mut config, queue.kind, limits)?;
            Ok(config)
        };
        let (queue, created) = call.create_or(call.params.get("queue"), &settings, replaced).await?;
        let queue = call.tag(queue, &settings).await?;
        Ok(Answer::Of(CreatedQueue { created, queue: call.view(&queue).await? }))
    }
}
