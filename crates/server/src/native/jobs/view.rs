//! A job as it is shown.

use std::sync::Arc;

use bytes::Bytes;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::value::RawValue;
use weir_aws::sqs::Deduplication;
use weir_aws::sqs::payload::{Attribute, Payload};
use weir_core::api::job::{Extra, FailureKind, Job, JobState};
use weir_core::api::{Listed, Queue, QueueId};

use super::super::Problem;
use super::attributes::Shown;
use super::data::{CUSTOM_ID, NAME, data, own, raw};
use super::options::RetrySettings;
use super::settle::StateView;

/// All that is known of a job.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Job")]
pub(crate) struct JobView {
    #[serde(flatten)]
    common: Common,
    /// It fails as expired if it has not been started by then.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at_ms: Option<u64>,
    /// How long one attempt may take, however often its lease is extended.
    #[serde(skip_serializing_if = "Option::is_none")]
    timeout_ms: Option<u64>,
    /// The deduplication id that its sender gave it.
    #[serde(skip_serializing_if = "Option::is_none")]
    deduplication_id: Option<String>,
    /// How often work on it was started, leases that were released included, where that is more often than `leases`.
    #[serde(skip_serializing_if = "Option::is_none")]
    starts: Option<u32>,
    /// Workers lost so far.
    stalls: u32,
    /// Whether it goes before others of its priority.
    lifo: bool,
    /// How it is tried again.
    retry: RetrySettings,
    /// Whether it is to be cancelled: its worker is told with its next heartbeat.
    cancel_requested: bool,
    /// Why it failed for good.
    #[serde(skip_serializing_if = "Option::is_none")]
    failed: Option<FailureView>,
    /// Its progress, as its worker gave it.
    #[serde(skip_serializing_if = "Option::is_none")]
    progress: Option<Box<RawValue>>,
    /// What came of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<Box<RawValue>>,
    /// Attempts that failed, the oldest first: the last 32.
    history: Vec<AttemptView>,
    /// How many lines its log has.
    log_lines: u64,
    /// The job that waits for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    parent: Option<JobPlace>,
    /// Its children.
    #[serde(skip_serializing_if = "Option::is_none")]
    children: Option<ChildCounts>,
}

/// What listings show of a job, too.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ListedJob")]
pub(crate) struct Common {
    /// Its id.
    id: String,
    /// Its queue.
    queue: String,
    /// Where it stands.
    state: StateView,
    /// Its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// The id that its sender chose.
    #[serde(skip_serializing_if = "Option::is_none")]
    custom_id: Option<String>,
    /// Its message group.
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<String>,
    /// Its data.
    data: Box<RawValue>,
    /// Its attributes.
    #[serde(skip_serializing_if = "Option::is_none")]
    attributes: Option<Box<RawValue>>,
    /// Its priority.
    priority: u32,
    /// How often it was leased.
    leases: u32,
    /// Failures so far.
    failures: u32,
    /// When it was added.
    added_at_ms: u64,
    /// When the newest attempt began.
    #[serde(skip_serializing_if = "Option::is_none")]
    started_at_ms: Option<u64>,
    /// When its delay, backoff or lease ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    due_at_ms: Option<u64>,
    /// When it finished.
    #[serde(skip_serializing_if = "Option::is_none")]
    finished_at_ms: Option<u64>,
    /// The queue that it was moved from as a dead letter.
    #[serde(skip_serializing_if = "Option::is_none")]
    dead_letter_of: Option<String>,
}

/// A job of some queue.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct JobPlace {
    /// Its queue. Absent where that is deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    queue: Option<String>,
    /// Its id.
    id: String,
}

/// How many children a job has.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ChildCounts {
    /// Those that it still waits for.
    unfinished: u64,
    /// All of them.
    total: u64,
}

/// An attempt that failed.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "FailedAttempt")]
pub(crate) struct AttemptView {
    /// Which lease it was, from 1.
    lease: u32,
    /// How it ended.
    kind: FailureView,
    /// When it ended.
    at_ms: u64,
    /// What the worker said, if it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Box<RawValue>>,
}

/// How an attempt or a job failed.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
#[schemars(rename = "FailureKind")]
#[serde(rename_all = "snake_case")]
pub(crate) enum FailureView {
    /// A worker said so.
    Reported,
    /// An attempt took too long.
    TimedOut,
    /// The worker was lost too often.
    Stalled,
    /// It was cancelled.
    Cancelled,
    /// It was not started in time.
    Expired,
    /// A child failed.
    ChildFailed,
}

impl FailureView {
    pub(in crate::native) fn of(kind: FailureKind) -> Self {
        match kind {
            FailureKind::Reported => Self::Reported,
            FailureKind::TimedOut => Self::TimedOut,
            FailureKind::Stalled => Self::Stalled,
            FailureKind::Cancelled => Self::Cancelled,
            FailureKind::Expired => Self::Expired,
            FailureKind::ChildFailed => Self::ChildFailed,
        }
    }
}

impl JobPlace {
    pub(super) fn new(queues: &[Arc<Queue>], queue: QueueId, id: u64) -> Self {
        let found = queues.iter().find(|found| found.id == queue);
        Self { queue: found.map(|queue| queue.name.clone()), id: id.to_string() }
    }
}

impl JobView {
    /// The view of `job`, of which `payloads` are the stored parts. Queues are looked up among `queues`.
    pub(super) fn new(queue: &Queue, job: &Job, payloads: &[Bytes], queues: &[Arc<Queue>]) -> Result<Self, Problem> {
        let mut parts = payloads.iter();
        let mut stored = |is_there: bool| is_there.then(|| parts.next()).flatten();
        let body = stored(job.body.is_some());
        let progress = stored(job.progress.is_some()).map(|bytes| raw(bytes));
        let mut extra = |extra: &Option<Extra>| match extra {
            Some(Extra::Stored(_)) => stored(true).map(|bytes| raw(bytes)),
            Some(Extra::Inline(bytes)) => Some(raw(bytes)),
            None => None,
        };
        let result = extra(&job.result);
        let history = job.history.iter().map(|attempt| AttemptView {
            lease: attempt.grant,
            kind: FailureView::of(attempt.kind),
            at_ms: attempt.at.0,
            error: extra(&attempt.failure),
        });
        let history = history.collect();
        // Of a job that was removed nothing is known but how it ended.
        let payload = body.map_or(Ok(GONE), |body| decode(queue, job.id, body))?;
        let common = Common {
            id: job.id.to_string(),
            queue: queue.name.clone(),
            state: StateView::of(job.state),
            priority: job.priority,
            leases: job.grants,
            failures: job.failures,
            added_at_ms: job.sent_at.0,
            started_at_ms: job.started_at.map(|at| at.0),
            due_at_ms: job.due.map(|at| at.0),
            finished_at_ms: job.finished_at.map(|at| at.0),
            dead_letter_of: None,
            ..Common::of_payload(&payload)
        };
        Ok(Self {
            common,
            expires_at_ms: job.expires_at.map(|at| at.0),
            timeout_ms: job.timeout_ms,
            deduplication_id: match payload.deduplication {
                Some(Deduplication::Id(id)) => Some(id.to_owned()),
                _ => None,
            },
            starts: (job.starts != job.grants).then_some(job.starts),
            stalls: job.stalls,
            lifo: job.lifo,
            retry: RetrySettings::of(&job.retry),
            cancel_requested: job.cancel_requested,
            failed: job.failed.map(FailureView::of),
            progress,
            result,
            history,
            log_lines: job.logs,
            parent: job.parent.map(|(queue, id)| JobPlace::new(queues, queue, id)),
            children: job.children.map(|(unfinished, total)| ChildCounts { unfinished, total }),
        })
    }
}

impl Common {
    pub(super) fn of_listed(queue: &Queue, state: JobState, listed: &Listed, payload: &Payload<'_>) -> Self {
        // A finished job has in this place when that was.
        let at = listed.due.map(|at| at.0);
        let is_finished = matches!(state, JobState::Completed | JobState::Failed);
        let (due, finished) = if is_finished { (None, at) } else { (at, None) };
        Self {
            id: listed.id.to_string(),
            queue: queue.name.clone(),
            state: StateView::of(state),
            priority: listed.priority,
            leases: listed.receives,
            failures: listed.failures,
            added_at_ms: listed.sent_at.0,
            started_at_ms: listed.started_at.map(|at| at.0),
            due_at_ms: due,
            finished_at_ms: finished,
            dead_letter_of: listed.dead_letter_source.as_deref().map(str::to_owned),
            ..Self::of_payload(payload)
        }
    }

    fn of_payload(payload: &Payload<'_>) -> Self {
        let text = |name| own(&payload.attributes, name).map(str::to_owned);
        Self {
            id: String::new(),
            queue: String::new(),
            state: StateView::Ready,
            name: text(NAME),
            custom_id: text(CUSTOM_ID),
            group: payload.group_id.map(str::to_owned),
            data: data(payload),
            attributes: shown(&payload.attributes),
            priority: 0,
            leases: 0,
            failures: 0,
            added_at_ms: 0,
            started_at_ms: None,
            due_at_ms: None,
            finished_at_ms: None,
            dead_letter_of: None,
        }
    }
}

fn shown(attributes: &[Attribute<'_>]) -> Option<Box<RawValue>> {
    let shown = Shown::of(attributes)?;
    serde_json::value::to_raw_value(&shown).ok()
}

/// The payload of a job that is not there any more.
const GONE: Payload<'static> = Payload {
    uuid: [0; 16],
    group_id: None,
    deduplication: None,
    trace_header: None,
    attributes: Vec::new(),
    body: "",
    is_json: false,
    publication: None,
};

/// The payload of a job.
pub(super) fn decode<'a>(queue: &Queue, id: u64, bytes: &'a [u8]) -> Result<Payload<'a>, Problem> {
    Payload::decode(bytes).map_err(|error| {
        tracing::error!(queue = queue.name, message = id, %error, "a stored message cannot be read");
        Problem::internal()
    })
}
