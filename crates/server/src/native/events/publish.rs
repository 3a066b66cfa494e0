//! `POST /v1/queues/{queue}/events`: what a program has to say to those who watch a queue.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use weir_core::Time;

use super::super::Problem;
use super::super::endpoint::{Answer, Call, Endpoint, Nothing, Outcome};
use super::super::route::{Method, Route, Tag};
use crate::access::Role;
use crate::engine::Engine;
use crate::fresh::now_ms;
use crate::hub::Published;

/// Longest name of an event in bytes.
const NAME_BYTES_MAX: usize = 256;
/// Longest data of an event in bytes: those of a job's progress.
const DATA_BYTES_MAX: usize = 64 << 10;

/// `POST /v1/queues/{queue}/events`
pub(crate) struct Publish;

/// An event of a program's own.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(rename = "NewEvent")]
#[serde(deny_unknown_fields)]
pub(crate) struct NewEvent<'a> {
    /// Its name, up to 256 bytes.
    name: String,
    /// What it says: any JSON, up to 64 KiB. Default `null`.
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

/// An event that was taken in.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "PublishedEvent")]
pub(crate) struct PublishedEvent {
    /// Its id in the stream of events; absent where nobody watches the queue, or did within the last minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
}

impl Endpoint for Publish {
    const ROUTE: Route = Route::new(
        Method::Post,
        "/v1/queues/{queue}/events",
        "publish_event",
        Tag::Events,
        Role::Write,
        "Tell those who watch a queue something",
    )
    .example(r#"{"name": "import-done", "data": {"rows": 7}}"#)
    .about(
        "Those who watch the queue see an event `published`, in its order among the others. Events are not stored: who \
         does not watch is told nothing.",
    )
    .errors(&["queue.not_found"]);
    type Query = Nothing;
    type Request<'a> = NewEvent<'a>;
    type Response = PublishedEvent;

    async fn run<'a, E: Engine>(call: Call<'a, E>, _: Nothing, request: NewEvent<'a>) -> Outcome<PublishedEvent> {
        let queue = call.queue()?.id;
        let NewEvent { name, data } = request;
        if name.is_empty() || name.len() > NAME_BYTES_MAX {
            let text = format!("must have from 1 to {NAME_BYTES_MAX} bytes, found {}", name.len());
            return Err(Problem::field("name", &text));
        }
        let data = data.map_or("null", RawValue::get).as_bytes();
        if data.len() > DATA_BYTES_MAX {
            let text = format!("must have at most {DATA_BYTES_MAX} bytes, found {}", data.len());
            return Err(Problem::field("data", &text));
        }
        let published = Published { at: Time(now_ms()), name: name.into(), data: data.into() };
        let number = call.app.hub.publish(queue, published);
        Ok(Answer::Of(PublishedEvent { id: number.map(|number| call.app.hub.id(number)) }))
    }
}
