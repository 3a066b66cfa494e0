//! One job: all about it, its log, its children, and why it waits.

use std::sync::Arc;

use bytes::Bytes;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use weir_aws::sqs::payload::Payload;
use weir_core::api::job::{Explanation, Hold, JobRef, JobState};
use weir_core::api::limit::LimitKey;
use weir_core::api::{Command, LIST_MAX, Queue, QueueId, Reply as EngineReply};
use weir_core::limiter::What;

use super::super::Problem;
use super::super::bounds::WAIT_MS_MAX;
use super::super::endpoint::{Answer, Call, Endpoint, Nothing, Outcome, within};
use super::super::route::{Method, Route, Tag};
use super::data::raw;
use super::job_ref::job_ref;
use super::settle::StateView;
use super::view::{JobPlace, JobView};
use crate::access::Role;
use crate::engine::{self, Engine};
use crate::limits::{self, Seen};

const NOT_FOUND: &[&str] = &["queue.not_found", "job.not_found"];

/// `GET /v1/queues/{queue}/jobs/{id}`
pub(crate) struct Get;

/// How long to wait.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wait {
    /// Answers when the job has finished, or after so many milliseconds as it stands then. Up to an hour.
    wait_ms: Option<u64>,
    /// The same in seconds.
    wait: Option<f64>,
}

impl Wait {
    fn ms(&self) -> Result<u64, Problem> {
        match (self.wait_ms, self.wait) {
            (Some(_), Some(_)) => Err(Problem::field("wait", "stands beside wait_ms, and only one of them can hold")),
            (None, Some(seconds)) => {
                if !(0.0..=3_600.0).contains(&seconds) {
                    return Err(Problem::field("wait", &format!("must be from 0 to 3600, found {seconds}")));
                }
                #[expect(clippy::cast_sign_loss, reason = "it was just found not to be negative")]
                let ms = (seconds * 1_000.0) as u64;
                Ok(ms)
            }
            (ms, None) => within("wait_ms", ms.unwrap_or_default(), 0, WAIT_MS_MAX),
        }
    }
}

impl Endpoint for Get {
    const ROUTE: Route = Route::new(
        Method::Get,
        "/v1/queues/{queue}/jobs/{id}",
        "get_job",
        Tag::Jobs,
        Role::Read,
        "A job, at once or when it has finished",
    )
    .about(
        "`id` is the server's, or the one that its sender chose. With `wait` the answer comes when the job has finished, \
         with its result; a job that was removed meanwhile has the state `removed`.",
    )
    .errors(NOT_FOUND);
    type Query = Wait;
    type Request<'a> = Nothing;
    type Response = JobView;

    async fn run<E: Engine>(call: Call<'_, E>, query: Wait, _: Nothing) -> Outcome<JobView> {
        let queue = call.queue()?;
        let job = job_ref(call.params.get("id"));
        let wait_ms = query.ms()?;
        let command = Command::DescribeJob { queue: queue.id, job, wait_ms };
        let answered = call.app.receive(queue.id, command, wait_ms > 0).await.map_err(Problem::of)?;
        let EngineReply::Job(job) = &answered.reply else { return Err(Problem::internal()) };
        let queues = if job.parent.is_some() { call.app.engine.all() } else { Vec::new() };
        JobView::new(&queue, job, &answered.payloads, &queues).map(Answer::Of)
    }
}

/// `GET /v1/queues/{queue}/jobs/{id}/logs`
pub(crate) struct Logs;

/// Which lines.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LogPage {
    /// Number of the first line, from 0. Default: the first one that is kept.
    from: Option<u64>,
    /// How many at most, from 1 to 256. Default 100.
    #[schemars(range(min = 1, max = 256))]
    limit: Option<u64>,
}

/// Lines of a log.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct LogLines {
    /// The lines, the oldest first.
    lines: Vec<String>,
    /// Number of the first of them.
    from: u64,
    /// How many lines were ever written; the last 1 000 are kept.
    total: u64,
}

impl Endpoint for Logs {
    const ROUTE: Route = Route::new(
        Method::Get,
        "/v1/queues/{queue}/jobs/{id}/logs",
        "get_job_logs",
        Tag::Jobs,
        Role::Read,
        "Lines of a job's log",
    )
    .errors(NOT_FOUND);
    type Query = LogPage;
    type Request<'a> = Nothing;
    type Response = LogLines;

    async fn run<E: Engine>(call: Call<'_, E>, query: LogPage, _: Nothing) -> Outcome<LogLines> {
        let queue = call.queue()?.id;
        let job = job_ref(call.params.get("id"));
        let max = within("limit", query.limit.unwrap_or(100), 1, LIST_MAX as u64)? as u32;
        let command = Command::JobLogs { queue, job, from: query.from.unwrap_or_default(), max };
        let answered = engine::call(&call.app.engine, command).await.map_err(Problem::of)?;
        let EngineReply::Logs { from, total, .. } = answered.reply else { return Err(Problem::internal()) };
        let lines = answered.payloads.iter().map(|line| String::from_utf8_lossy(line).into_owned()).collect();
        Ok(Answer::Of(LogLines { lines, from, total }))
    }
}

/// `GET /v1/queues/{queue}/jobs/{id}/children`
pub(crate) struct Children;

/// Which children.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChildPage {
    /// How many at most, from 1 to 256. Default 100.
    #[schemars(range(min = 1, max = 256))]
    limit: Option<u64>,
    /// Where the last page ended.
    cursor: Option<String>,
}

/// A page of a job's children.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ChildList {
    /// The children.
    children: Vec<ChildView>,
    /// For the next page; absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<String>,
}

/// A child of a job, as its parent sees it.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Child")]
pub(crate) struct ChildView {
    #[serde(flatten)]
    place: JobPlace,
    /// Where it stands, as far as its parent was told: `waiting` for one that has not finished.
    state: StateView,
    /// What came of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<Box<RawValue>>,
}

impl Endpoint for Children {
    const ROUTE: Route = Route::new(
        Method::Get,
        "/v1/queues/{queue}/jobs/{id}/children",
        "get_job_children",
        Tag::Jobs,
        Role::Read,
        "The children of a job, with their results",
    )
    .errors(NOT_FOUND);
    type Query = ChildPage;
    type Request<'a> = Nothing;
    type Response = ChildList;

    async fn run<E: Engine>(call: Call<'_, E>, query: ChildPage, _: Nothing) -> Outcome<ChildList> {
        let queue = call.queue()?.id;
        let job = job_ref(call.params.get("id"));
        let max = within("limit", query.limit.unwrap_or(100), 1, LIST_MAX as u64)? as u32;
        let after = query.cursor.as_deref().map(child_of).transpose()?;
        let answered = engine::call(&call.app.engine, Command::JobChildren { queue, job, after, max }).await;
        let answered = answered.map_err(Problem::of)?;
        let EngineReply::Children { children, more } = answered.reply else { return Err(Problem::internal()) };
        let queues = call.app.engine.all();
        let cursor = children.last().filter(|_| more).map(|child| format!("{}.{}", child.queue.0, child.id));
        let mut results = answered.payloads.iter();
        let children = children.iter().map(|child| ChildView {
            place: JobPlace::new(&queues, child.queue, child.id),
            state: StateView::of(child.state),
            result: child.result.as_ref().and_then(|_| results.next()).map(|bytes| raw(bytes)),
        });
        Ok(Answer::Of(ChildList { children: children.collect(), cursor }))
    }
}

fn child_of(cursor: &str) -> Result<(QueueId, u64), Problem> {
    let parts = cursor.split_once('.').and_then(|(queue, id)| Some((queue.parse().ok()?, id.parse().ok()?)));
    let (queue, id) = parts.ok_or_else(|| Problem::field("cursor", "it is none that this server gave"))?;
    Ok((QueueId(queue), id))
}

/// `GET /v1/queues/{queue}/jobs/{id}/explain`
pub(crate) struct Explain;

/// Why a job does not run.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Explanation")]
pub(crate) struct ExplanationView {
    /// Where it stands.
    state: StateView,
    /// All that holds it back, what comes first foremost. Empty for a finished job.
    holds: Vec<HoldView>,
    /// It does not run before. Absent where that depends on what nobody can foresee: then `unknown` says on what.
    #[serde(skip_serializing_if = "Option::is_none")]
    not_before_ms: Option<u64>,
    /// Why nobody can say when it runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    unknown: Option<String>,
}

/// What holds a job back.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Hold")]
pub(crate) struct HoldView {
    /// What it is.
    by: HoldKind,
    /// The same as a sentence.
    text: String,
    /// When it ends, if that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    until_ms: Option<u64>,
    /// The limiter.
    #[serde(skip_serializing_if = "Option::is_none")]
    limiter: Option<String>,
    /// The job's key for it. Absent where it has none of its own, and where the queue finds keys elsewhere by now.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    /// How many: jobs before it, or children that are not finished.
    #[serde(skip_serializing_if = "Option::is_none")]
    count: Option<u64>,
    /// The job that it waits for.
    #[serde(skip_serializing_if = "Option::is_none")]
    job: Option<String>,
}

/// What holds jobs back.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum HoldKind {
    /// Its delay or backoff.
    Delay,
    /// A worker has it.
    Lease,
    /// The queue is paused.
    QueuePaused,
    /// Another job of its group.
    Group,
    /// A limiter.
    Limiter,
    /// Jobs before it.
    Position,
    /// No worker waits for jobs of the queue.
    NoWorker,
    /// Its children.
    Children,
}

impl Endpoint for Explain {
    const ROUTE: Route = Route::new(
        Method::Get,
        "/v1/queues/{queue}/jobs/{id}/explain",
        "explain_job",
        Tag::Jobs,
        Role::Read,
        "Why a job does not run yet",
    )
    .about(
        "What holds it back, and when it is expected to run: never earlier than `not_before_ms`, or `unknown` with the \
         reason.",
    )
    .errors(NOT_FOUND);
    type Query = Nothing;
    type Request<'a> = Nothing;
    type Response = ExplanationView;

    async fn run<E: Engine>(call: Call<'_, E>, _: Nothing, _: Nothing) -> Outcome<ExplanationView> {
        let queue: Arc<Queue> = call.queue()?;
        let job = job_ref(call.params.get("id"));
        match call.command(Command::Explain { queue: queue.id, job }).await? {
            EngineReply::Explained(explanation) => {
                let has_key = |hold: &Hold| matches!(hold, Hold::Limiter { key: Some(_), .. });
                let has_keys = explanation.holds.iter().any(has_key);
                let payload = if has_keys { payload(&call, &queue, job).await } else { None };
                let payload = payload.as_ref().and_then(|payload| Payload::decode(payload).ok());
                let seen = payload.as_ref().map(|payload| Seen {
                    body: payload.body,
                    attributes: &payload.attributes,
                    group: payload.group_id,
                });
                let key_text = |limiter: &str, key| limits::key_text(&queue.config, limiter, key, seen.as_ref()?);
                Ok(Answer::Of(ExplanationView::of(&explanation, &key_text)))
            }
            _ => Err(Problem::internal()),
        }
    }
}

/// What a job carries, unless it is gone by now.
async fn payload<E: Engine>(call: &Call<'_, E>, queue: &Queue, job: JobRef) -> Option<Bytes> {
    let command = Command::DescribeJob { queue: queue.id, job, wait_ms: 0 };
    let answered = engine::call(&call.app.engine, command).await.ok()?;
    let EngineReply::Job(job) = &answered.reply else { return None };
    job.body.as_ref().and(answered.payloads.into_iter().next())
}

/// The text of a key of a limiter.
type KeyText<'a> = &'a dyn Fn(&str, LimitKey) -> Option<String>;

impl ExplanationView {
    fn of(explanation: &Explanation, key_text: KeyText<'_>) -> Self {
        let holds: Vec<HoldView> = explanation.holds.iter().map(|hold| HoldView::of(hold, key_text)).collect();
        let finished = matches!(explanation.state, JobState::Completed | JobState::Failed | JobState::Removed);
        let unknown = match explanation.not_before {
            None if explanation.state == JobState::Leased => {
                Some("it is being worked on: whether it runs again depends on how that ends".to_owned())
            }
            None if !finished => {
                let open = holds.iter().find(|hold| hold.until_ms.is_none());
                let reason = open.map_or("what it waits for has no time", |hold| hold.text.as_str());
                Some(reason.to_owned())
            }
            _ => None,
        };
        Self {
            state: StateView::of(explanation.state),
            holds,
            not_before_ms: explanation.not_before.map(|at| at.0),
            unknown,
        }
    }
}

impl HoldView {
    fn of(hold: &Hold, key_text: KeyText<'_>) -> Self {
        let plain =
            |by, text: String| Self { by, text, until_ms: None, limiter: None, key: None, count: None, job: None };
        match hold {
            Hold::Delayed { until } => Self {
                until_ms: Some(until.0),
                ..plain(HoldKind::Delay, "its delay or backoff has not ended".to_owned())
            },
            Hold::Leased { until } => {
                Self { until_ms: Some(until.0), ..plain(HoldKind::Lease, "a worker has it".to_owned()) }
            }
            Hold::QueuePaused { until } => {
                let until_ms = until.map(|at| at.0);
                Self { until_ms, ..plain(HoldKind::QueuePaused, "the queue is paused".to_owned()) }
            }
            Hold::Group { job: Some(job) } => Self {
                job: Some(job.to_string()),
                ..plain(HoldKind::Group, format!("job {job} of its group comes first"))
            },
            Hold::Group { job: None } => plain(HoldKind::Group, "another job of its group comes first".to_owned()),
            Hold::Limiter { name, key, blocked } => {
                let of_key = if key.is_some() { "of its key " } else { "" };
                let text = format!("limiter {name}: {of_key}{}", told(blocked.by));
                let until_ms = blocked.until.map(|at| at.0);
                let key = key.and_then(|key| key_text(name, key));
                Self { until_ms, limiter: Some(name.clone()), key, ..plain(HoldKind::Limiter, text) }
            }
            Hold::Behind { jobs, or_more } => {
                let more = if *or_more { " or more" } else { "" };
                let text = format!("{jobs}{more} jobs stand before it");
                Self { count: Some(*jobs), ..plain(HoldKind::Position, text) }
            }
            Hold::NoWorker => plain(HoldKind::NoWorker, "no worker waits for jobs of the queue".to_owned()),
            Hold::Children { unfinished } => {
                let text = format!("{unfinished} of its children have not finished");
                Self { count: Some(*unfinished), ..plain(HoldKind::Children, text) }
            }
        }
    }
}

/// What of a limiter holds a start back.
pub(in crate::native) fn told(what: What) -> String {
    match what {
        What::Paused => "it is paused".to_owned(),
        What::SlowStart => "it was paused, and starts slowly".to_owned(),
        What::Pacing => "the last start was too short a time ago".to_owned(),
        What::Window(at) => format!("window {at} is full"),
        What::Reserved(at) => format!("what is left of window {at} is kept for more urgent starts"),
        What::UnknownPast(at) => format!("window {at} became longer, and starts before that may fill it"),
        What::Concurrency => "as many run as may".to_owned(),
        What::ReservedConcurrency => "as many run as may of this priority".to_owned(),
        What::TooCostly(at) => format!("a start costs more than window {at} ever has"),
        What::Behind => "others wait for it already, and come first".to_owned(),
    }
}
