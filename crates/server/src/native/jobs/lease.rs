//! `POST /v1/queues/{queue}/lease`: settles many and leases more in one round trip.

use bytes::Bytes;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use weir_aws::sqs::payload::Payload;
use weir_aws::sqs::{RECEIVE_BYTES_MAX, receipt};
use weir_core::api::{BATCH_MAX, Command, Delivery, Queue, Reply as EngineReply};

use super::super::Problem;
use super::super::bounds::{LONGEST_MS, WAIT_MS_MAX};
use super::super::endpoint::{Answer, Call, Endpoint, Nothing, Outcome, within};
use super::super::route::{Method, Route, Tag};
use super::attributes::Shown;
use super::data::{CUSTOM_ID, NAME, own, push_data, push_number, push_string};
use super::settle::{Entry, Prepared, SettledJob};
use crate::access::Role;
use crate::engine::{self, Engine};

/// `POST /v1/queues/{queue}/lease`
pub(crate) struct Lease;

/// What a worker wants, and what became of what it had.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[schemars(rename = "LeaseRequest")]
#[serde(deny_unknown_fields)]
pub(crate) struct Request<'a> {
    /// How many jobs at most, from 0 to 1 000. Default 1.
    #[schemars(range(min = 0, max = 1_000))]
    max: Option<u64>,
    /// How long to wait for the first one, up to an hour. Default 0.
    wait_ms: Option<u64>,
    /// Length of the leases. Default: that of the queue.
    lease_ms: Option<u64>,
    /// How many bytes at most; the first job comes whatever its length. Default, and most, 17 MiB.
    bytes_max: Option<u64>,
    /// How long to wait for the batch to become full, from when there is a first job. Default 0: what there is. Nothing
    /// is leased while it fills. Ready jobs count whether a limiter holds them back or not: under one that is at its
    /// bound a batch may come before its time with fewer than `max`.
    linger_ms: Option<u64>,
    /// Whether all jobs of the batch are to be of one group.
    #[serde(default)]
    one_group: bool,
    /// Leases to be settled first.
    #[serde(borrow, default)]
    settle: Vec<Entry<'a>>,
}

/// Jobs that were leased.
#[derive(Debug, Serialize, JsonSchema)]
#[allow(dead_code, reason = "it describes what is written by hand")]
pub(crate) struct LeasedJobs {
    /// The jobs, in the order in which they are to run.
    jobs: Vec<LeasedJob>,
    /// What became of each entry of `settle`, in its order. Absent where there were none.
    #[serde(skip_serializing_if = "Option::is_none")]
    settled: Option<Vec<SettledJob>>,
}

/// A job under a lease.
#[derive(Debug, Serialize, JsonSchema)]
#[allow(dead_code, reason = "it describes what is written by hand")]
pub(crate) struct LeasedJob {
    /// Its id.
    id: String,
    /// The lease: what it is settled with.
    lease: String,
    /// Its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// Its data. A message that was sent over SQS is an object or a list if its body is one in JSON, and otherwise a
    /// string.
    data: Box<RawValue>,
    /// Which attempt this is, from 1: failures so far, and one.
    attempt: u64,
    /// How often it was leased, this time included. A lease that nobody got to see, because the connection ended before the
    /// answer was written, is taken back and does not count.
    leases: u64,
    /// How often work on it was started, leases that were released included, where that is more often.
    #[serde(skip_serializing_if = "Option::is_none")]
    starts: Option<u64>,
    /// How often its worker was lost, if ever.
    #[serde(skip_serializing_if = "Option::is_none")]
    stalls: Option<u64>,
    /// Its priority.
    priority: u32,
    /// When it was added.
    added_at_ms: u64,
    /// When the lease ends unless it is extended.
    lease_until_ms: u64,
    /// When the attempt has to end, however often its lease is extended.
    #[serde(skip_serializing_if = "Option::is_none")]
    timeout_at_ms: Option<u64>,
    /// The id that its sender chose.
    #[serde(skip_serializing_if = "Option::is_none")]
    custom_id: Option<String>,
    /// Its message group.
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<String>,
    /// Its attributes.
    #[serde(skip_serializing_if = "Option::is_none")]
    attributes: Option<Shown<'static>>,
    /// The queue that it was moved from as a dead letter.
    #[serde(skip_serializing_if = "Option::is_none")]
    dead_letter_of: Option<String>,
    /// The publication that it is a delivery of, where it came by a topic.
    #[serde(skip_serializing_if = "Option::is_none")]
    publication: Option<String>,
    /// The subscription that it came by.
    #[serde(skip_serializing_if = "Option::is_none")]
    subscription: Option<String>,
}

impl Endpoint for Lease {
    const ROUTE: Route = Route::new(
        Method::Post,
        "/v1/queues/{queue}/lease",
        "lease_jobs",
        Tag::Work,
        Role::Write,
        "Lease jobs, and settle those that are done",
    )
    .example(r#"{"max": 100, "wait_ms": 20000, "settle": [{"lease": "AQ...", "result": {"sent": true}}]}"#).about(
        "Waits up to `wait_ms` for the first job. A job is leased only when it may run: throttling never costs an attempt. \
         Leases that cannot be handed over, because the connection ended, return at once. With `settle` a worker settles \
         what it has done and gets more in one round trip, both answered together; with `max` 0 it only settles.",
    )
    .errors(&["queue.not_found", "limit.exceeded"]);
    type Query = Nothing;
    type Request<'a> = Request<'a>;
    type Response = LeasedJobs;

    async fn run<'a, E: Engine>(call: Call<'a, E>, _: Nothing, request: Request<'a>) -> Outcome<LeasedJobs> {
        let queue = call.queue()?;
        let max = within("max", request.max.unwrap_or(1), 0, BATCH_MAX as u64)?;
        let wait_ms = within("wait_ms", request.wait_ms.unwrap_or_default(), 0, WAIT_MS_MAX)?;
        let linger_ms = within("linger_ms", request.linger_ms.unwrap_or_default(), 0, WAIT_MS_MAX)?;
        let bytes_max = within("bytes_max", request.bytes_max.unwrap_or(RECEIVE_BYTES_MAX), 1, RECEIVE_BYTES_MAX)?;
        let lease_ms = request.lease_ms.map(|ms| within("lease_ms", ms, 1, LONGEST_MS)).transpose()?;
        let mut settling = Prepared::new(&queue, &request.settle)?;
        let settlements = settling.command(&queue);
        let leasing = Command::Lease {
            queue: queue.id,
            max: max as u32,
            bytes_max,
            lease_ms,
            wait_ms,
            linger_ms,
            one_lane: request.one_group,
        };
        let waits = wait_ms > 0 || linger_ms > 0;
        let answered = match (settlements, max) {
            (None, 0) => Ok((None, None)),
            (Some(settle), 0) => engine::call(&call.app.engine, settle).await.map(|settled| (Some(settled), None)),
            (None, _) => call.app.receive(queue.id, leasing, waits).await.map(|leased| (None, Some(leased))),
            (Some(settle), _) => {
                let both = call.app.call_and_receive(settle, queue.id, leasing, waits).await;
                both.map(|(settled, leased)| (Some(settled), Some(leased)))
            }
        };
        let (settled, leased) = answered.map_err(Problem::of)?;
        let (deliveries, payloads) = match leased.map(|answered| (answered.reply, answered.payloads)) {
            Some((EngineReply::Received(deliveries), payloads)) => (deliveries, payloads),
            None => (Vec::new(), Vec::new()),
            Some(_) => return Err(Problem::internal()),
        };
        let bytes: usize = payloads.iter().map(Bytes::len).sum();
        let mut out = Vec::with_capacity(64 + bytes + 320 * deliveries.len() + 24 * request.settle.len());
        out.extend_from_slice(b"{\"jobs\":[");
        push_jobs(&mut out, &queue, &deliveries, &payloads);
        out.push(b']');
        if !request.settle.is_empty() {
            out.extend_from_slice(b",\"settled\":");
            settling.push_outcomes(&mut out, settled.map(|answered| answered.reply))?;
        }
        out.push(b'}');
        Ok(Answer::Written(call.app.delivering(out, &queue, &deliveries)))
    }
}

fn push_jobs(out: &mut Vec<u8>, queue: &Queue, deliveries: &[Delivery], payloads: &[Bytes]) {
    let mut first = true;
    for (delivery, payload) in deliveries.iter().zip(payloads) {
        let payload = match Payload::decode(payload) {
            Ok(payload) => payload,
            Err(error) => {
                // It stays under its lease: the others can be handed over, and this one is found in the log.
                let message = delivery.handle.message;
                tracing::error!(queue = queue.name, message, %error, "a stored message cannot be read");
                continue;
            }
        };
        if !std::mem::take(&mut first) {
            out.push(b',');
        }
        push_job(out, queue, delivery, &payload);
    }
}

fn push_job(out: &mut Vec<u8>, queue: &Queue, delivery: &Delivery, payload: &Payload<'_>) {
    out.extend_from_slice(b"{\"id\":\"");
    push_number(out, delivery.handle.message);
    out.extend_from_slice(b"\",\"lease\":\"");
    receipt::push(out, queue.id, &delivery.handle);
    out.push(b'"');
    let text = |out: &mut Vec<u8>, name: &[u8], value: Option<&str>| {
        if let Some(value) = value {
            out.extend_from_slice(name);
            push_string(out, value);
        }
    };
    text(out, b",\"name\":", own(&payload.attributes, NAME));
    text(out, b",\"custom_id\":", own(&payload.attributes, CUSTOM_ID));
    text(out, b",\"group\":", payload.group_id);
    text(out, b",\"dead_letter_of\":", delivery.dead_letter_source.as_deref());
    out.extend_from_slice(b",\"data\":");
    push_data(out, payload);
    let stalls = (delivery.stalls > 0).then_some(u64::from(delivery.stalls));
    let starts = (delivery.starts != delivery.grants).then_some(u64::from(delivery.starts));
    let numbers: [(&[u8], Option<u64>); 8] = [
        (b",\"attempt\":", Some(u64::from(delivery.failures) + 1)),
        (b",\"leases\":", Some(u64::from(delivery.grants))),
        (b",\"starts\":", starts),
        (b",\"stalls\":", stalls),
        (b",\"priority\":", Some(u64::from(delivery.priority))),
        (b",\"added_at_ms\":", Some(delivery.sent_at.0)),
        (b",\"lease_until_ms\":", Some(delivery.deadline.0)),
        (b",\"timeout_at_ms\":", delivery.timeout_at.map(|at| at.0)),
    ];
    for (name, number) in numbers {
        if let Some(number) = number {
            out.extend_from_slice(name);
            push_number(out, number);
        }
    }
    if let Some(origin) = delivery.origin {
        out.extend_from_slice(b",\"publication\":\"");
        push_number(out, origin.publication);
        out.extend_from_slice(b"\",\"subscription\":\"");
        push_number(out, origin.subscription.0);
        out.push(b'"');
    }
    if let Some(attributes) = Shown::of(&payload.attributes) {
        out.extend_from_slice(b",\"attributes\":");
        serde_json::to_writer(&mut *out, &attributes).expect("texts and numbers are JSON");
    }
    out.push(b'}');
}
