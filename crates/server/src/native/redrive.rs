//! `POST /v1/queues/{queue}/redrive`: moves waiting messages that a filter picks to another queue, or back to where they
//! were dead letters of. Works through the queue slice by slice; the answer carries a cursor for the next request.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep_until};
use weir_aws::sqs::payload::{Payload, Value};
use weir_core::api::{Command, LIST_MAX, Listed, Queue, QueueId, Reply as EngineReply, States};

use super::Problem;
use super::endpoint::{Answer, Call, Endpoint, Nothing, Outcome};
use super::route::{Method, Route, Tag};
use crate::access::Role;
use crate::app::App;
use crate::engine::{Engine, call};
use crate::filter::{self, Filter, Message};

/// How long one request works before it answers with a cursor.
const WORK: Duration = Duration::from_secs(5);
/// Most bytes of payload in memory at once, for a request.
const PAYLOAD_BYTES_MAX: u64 = 8 << 20;
/// How many messages an answer shows.
const SAMPLE: usize = 10;
/// How much of a body it shows, in characters.
const SAMPLE_CHARACTERS: usize = 200;

/// Which messages are moved, and where to.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(rename = "RedriveRequest")]
#[serde(deny_unknown_fields)]
pub(crate) struct Request {
    /// Name of the queue to move to. Without it each message goes back to the queue that it was a dead letter of.
    destination: Option<String>,
    /// Which messages; all where it is absent.
    ///
    /// A filter compares with `=`, `!=`, `<`, `<=`, `>`, `>=`, `contains`, `exists`, and joins comparisons with `not`,
    /// `and`, `or` and parentheses: `attributes.kind = "mail" and receives > 3`. It knows `attributes.NAME`, `body`,
    /// `body.json.PATH`, `group`, `receives`, and `sent before` or `sent after` a moment.
    filter: Option<String>,
    /// Whether nothing is moved.
    #[serde(default)]
    dry_run: bool,
    /// Most messages a second, evenly spread.
    rate_per_second: Option<NonZeroU32>,
    /// Most messages to move, or to find in a dry run.
    max: Option<u64>,
    /// Where the last answer ended.
    cursor: Option<String>,
}

/// What one request came by.
#[derive(Debug, Default, Serialize, JsonSchema)]
#[schemars(rename = "Redriven")]
pub(crate) struct Redriven {
    /// Messages that were looked at.
    examined: u64,
    /// Those that the filter picked and that have a queue to go to.
    matched: u64,
    /// Those that were moved.
    moved: u64,
    /// Those that the filter picked, and that have no queue to go to.
    homeless: u64,
    /// For the next request; absent once all is done.
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<String>,
    /// Whether the end of the queue, or the `max`, is reached.
    done: bool,
    /// Some of what the filter picked.
    sample: Vec<Shown>,
}

/// A message that the filter picked.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "RedriveSample")]
struct Shown {
    message_id: String,
    sent_at: String,
    receives: u32,
    body: String,
}

/// `POST /v1/queues/{queue}/redrive`
pub(crate) struct Redrive;

impl Endpoint for Redrive {
    const ROUTE: Route = Route::new(
        Method::Post,
        "/v1/queues/{queue}/redrive",
        "redrive",
        Tag::Queues,
        Role::Admin,
        "Move waiting messages that a filter picks",
    )
    .example(r#"{"filter": "attributes.kind = \"mail\"", "dry_run": true}"#).about(
        "Moves them to another queue, or each back to the queue that it was a dead letter of. A request works for up to \
         five seconds; `cursor` goes on where it ended. With `dry_run` nothing is moved.",
    )
    .errors(&["queue.not_found"]);
    type Query = Nothing;
    type Request<'a> = Request;
    type Response = Redriven;

    async fn run<E: Engine>(call: Call<'_, E>, _: Nothing, request: Request) -> Outcome<Redriven> {
        let queue = call.queue()?;
        run(call.app, &queue, &request).await.map(Answer::Of)
    }
}

async fn run<E: Engine>(app: &App<E>, queue: &Queue, request: &Request) -> Result<Redriven, Problem> {
    let filter = request.filter.as_deref().map(filter::parse).transpose();
    let filter = filter.map_err(|error| Problem::field("filter", &error.to_string()))?;
    let after = request.cursor.as_deref().map_or(Ok(0), str::parse);
    let after = after.map_err(|_| Problem::field("cursor", "it is none that this server gave"))?;
    let destination = match &request.destination {
        Some(name) => {
            let found = app.engine.find(queue.namespace, name);
            let found = found
                .ok_or_else(|| Problem::new("queue.not_found", &format!("destination: no queue is called {name}")))?;
            if found.id == queue.id {
                return Err(Problem::field("destination", "messages cannot be moved to the queue that they are in"));
            }
            if found.kind != queue.kind {
                return Err(Problem::field("destination", "a standard and a FIFO queue cannot exchange messages"));
            }
            Some(found)
        }
        None => None,
    };
    Work { app, queue, destination, filter, request }.run(after).await
}

struct Work<'a, E> {
    app: &'a App<E>,
    queue: &'a Queue,
    destination: Option<Arc<Queue>>,
    filter: Option<Filter>,
    request: &'a Request,
}

impl<E: Engine> Work<'_, E> {
    async fn run(&self, after: u64) -> Result<Redriven, Problem> {
        let until = Instant::now() + WORK;
        let mut answer = Redriven::default();
        let mut after = after;
        // When the next messages may be moved, for a rate.
        let mut free_at = Instant::now();
        loop {
            let left = self.request.max.map_or(u64::MAX, |max| max.saturating_sub(self.counted(&answer)));
            if left == 0 {
                answer.done = true;
                return Ok(answer);
            }
            let slice = self.slice_len(left);
            let command = Command::List {
                queue: self.queue.id,
                states: States::WAITING,
                after,
                max: slice,
                payload_bytes_max: Some(PAYLOAD_BYTES_MAX),
            };
            let answered = call(&self.app.engine, command).await.map_err(Problem::of)?;
            let EngineReply::Listed { messages, next, .. } = answered.reply else { return Err(Problem::internal()) };
            let moves = self.pick(&messages, &answered.payloads, &mut answer);
            if !self.request.dry_run && !moves.is_empty() {
                sleep_until(free_at).await;
                let done = self.carry_out(moves).await?;
                answer.moved += done;
                if let Some(rate) = self.request.rate_per_second {
                    free_at = Instant::now() + Duration::from_secs(done) / rate.get();
                }
            }
            match next {
                None => {
                    answer.done = true;
                    return Ok(answer);
                }
                Some(next) => after = next,
            }
            if Instant::now() >= until || free_at >= until {
                // Whoever asks again at once keeps to the rate too.
                sleep_until(free_at).await;
                answer.cursor = Some(after.to_string());
                return Ok(answer);
            }
        }
    }

    /// How many messages are looked at together: a tenth of a second's worth where there is a rate.
    fn slice_len(&self, left: u64) -> u32 {
        let rate = self.request.rate_per_second.map_or(u32::MAX, |rate| (rate.get() / 10).max(1));
        let left = u32::try_from(left).unwrap_or(u32::MAX);
        rate.min(left).min(LIST_MAX as u32)
    }

    fn counted(&self, answer: &Redriven) -> u64 {
        if self.request.dry_run { answer.matched } else { answer.moved }
    }

    /// The ids of the messages that the filter picks, by the queue that they go to.
    fn pick(&self, messages: &[Listed], payloads: &[Bytes], answer: &mut Redriven) -> BTreeMap<u64, Vec<u64>> {
        let mut moves: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
        for (listed, payload) in messages.iter().zip(payloads) {
            answer.examined += 1;
            let Ok(payload) = Payload::decode(payload) else {
                tracing::error!(queue = self.queue.name, message = listed.id, "a stored message cannot be read");
                continue;
            };
            if !self.filter.as_ref().is_none_or(|filter| matches(filter, listed, &payload)) {
                continue;
            }
            let Some(to) = self.target(listed) else {
                answer.homeless += 1;
                continue;
            };
            answer.matched += 1;
            if answer.sample.len() < SAMPLE {
                answer.sample.push(shown(listed, &payload));
            }
            moves.entry(to.0).or_default().push(listed.id);
        }
        moves
    }

    /// Where a message goes.
    fn target(&self, listed: &Listed) -> Option<QueueId> {
        if let Some(destination) = &self.destination {
            return Some(destination.id);
        }
        let source = self.app.engine.find(self.queue.namespace, listed.dead_letter_source.as_deref()?)?;
        (source.kind == self.queue.kind && source.id != self.queue.id).then_some(source.id)
    }

    async fn carry_out(&self, picked: BTreeMap<u64, Vec<u64>>) -> Result<u64, Problem> {
        let mut moved = 0;
        for (to, ids) in picked {
            let command = Command::Move { queue: self.queue.id, to: QueueId(to), ids };
            match call(&self.app.engine, command).await.map_err(Problem::of)?.reply {
                // Who was received or deleted meanwhile stays where it is.
                EngineReply::Settled(outcomes) => {
                    moved += outcomes.iter().filter(|outcome| outcome.is_ok()).count() as u64;
                }
                _ => return Err(Problem::internal()),
            }
        }
        Ok(moved)
    }
}

pub(super) fn matches(filter: &Filter, listed: &Listed, payload: &Payload<'_>) -> bool {
    let binary: Vec<String> = payload
        .attributes
        .iter()
        .map(|attribute| match &attribute.value {
            Value::Text(_) => String::new(),
            Value::Binary(bytes) => STANDARD.encode(bytes),
        })
        .collect();
    let attributes: Vec<(&str, &str)> = payload
        .attributes
        .iter()
        .zip(&binary)
        .map(|(attribute, binary)| match attribute.value {
            Value::Text(text) => (attribute.name, text),
            Value::Binary(_) => (attribute.name, binary.as_str()),
        })
        .collect();
    filter.matches(&Message {
        body: payload.body,
        attributes: &attributes,
        group: payload.group_id,
        receives: u64::from(listed.receives),
        sent_ms: i64::try_from(listed.sent_at.0).unwrap_or(i64::MAX),
    })
}

fn shown(listed: &Listed, payload: &Payload<'_>) -> Shown {
    let sent_ms = i64::try_from(listed.sent_at.0).unwrap_or(i64::MAX);
    Shown {
        message_id: weir_aws::uuid_text(&payload.uuid),
        sent_at: Timestamp::from_millisecond(sent_ms).map_or_else(|_| String::new(), |at| at.to_string()),
        receives: listed.receives,
        body: payload.body.chars().take(SAMPLE_CHARACTERS).collect(),
    }
}
