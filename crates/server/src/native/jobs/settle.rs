//! `POST /v1/queues/{queue}/settle`, and settling as a part of other requests.

use rand::random;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use smallvec::SmallVec;
use weir_aws::sqs::receipt;
use weir_core::api::job::{
    Again, FAILURE_BYTES_MAX, JobState, LOG_BYTES_MAX, PROGRESS_BYTES_MAX, PauseKeys, RESULT_BYTES_MAX, Settled,
    Settlement, Settlements,
};
use weir_core::api::{BATCH_MAX, Command, Error, Queue, Reply as EngineReply};

use super::super::Problem;
use super::super::bounds::LONGEST_MS;
use super::super::endpoint::{Answer, Call, Endpoint, Nothing, Outcome, within};
use super::super::route::{Method, Route, Tag};
use super::super::text::Text;
use super::data::push_number;
use crate::access::Role;
use crate::engine::Engine;

/// `POST /v1/queues/{queue}/settle`
pub(crate) struct Settle;

/// Leases and what becomes of them.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(rename = "SettleRequest")]
#[serde(deny_unknown_fields)]
pub(crate) struct Request<'a> {
    /// Up to 1 000, each settled on its own.
    #[serde(borrow)]
    settle: Vec<Entry<'a>>,
}

/// A lease and what becomes of it.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[schemars(rename = "Settlement")]
#[serde(deny_unknown_fields)]
pub(crate) struct Entry<'a> {
    /// The lease, as the answer that brought the job has it.
    #[serde(borrow)]
    lease: Text<'a>,
    /// What becomes of it. Default `complete`.
    #[serde(default)]
    action: Action,
    /// `complete`: what came of the work, any JSON; up to 16 MiB.
    #[serde(borrow)]
    result: Option<&'a RawValue>,
    /// `fail`: why, any JSON; up to 64 KiB.
    #[serde(borrow)]
    error: Option<&'a RawValue>,
    /// `fail`: whether the job is tried again as its policy says (default), or the failure is final.
    retry: Option<bool>,
    /// `fail`: it is tried again after so long, in place of its backoff. `release`: it is ready after so long; default 0.
    delay_ms: Option<u64>,
    /// `release`: who is to be left alone for a while, as after a 429 with Retry-After. The job costs no attempt.
    pause: Option<Pause>,
    /// `extend`: the new length of the lease from now. Default: that of the queue.
    lease_ms: Option<u64>,
    /// `extend`: replaces the progress, any JSON; up to 64 KiB.
    #[serde(borrow)]
    progress: Option<&'a RawValue>,
    /// `extend`: lines for the job's log, up to 64 KiB each.
    #[serde(default)]
    logs: Vec<String>,
}

/// What becomes of a lease.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[schemars(rename = "SettlementAction")]
#[serde(rename_all = "snake_case")]
enum Action {
    /// The work is done.
    #[default]
    Complete,
    /// The work failed.
    Fail,
    /// The work was not begun, or cannot go on now. No attempt is counted.
    Release,
    /// The work goes on: a heartbeat, which may bring progress and lines of log. Its answer tells whether the job is to
    /// be cancelled.
    Extend,
    /// The work goes on when the job's children are done. No attempt is counted.
    WaitForChildren,
}

/// Who is to be left alone.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(rename = "SettlementPause")]
#[serde(deny_unknown_fields)]
struct Pause {
    /// For how long.
    for_ms: u64,
    /// Name of the limiter whose key is paused, one of the queue's. Default: those of its limiters that have a key for
    /// the job; all where none has; the queue itself where it has no limiter.
    limiter: Option<String>,
}

/// What became of the leases.
#[derive(Debug, Serialize, JsonSchema)]
#[allow(dead_code, reason = "it describes what is written by hand")]
pub(crate) struct SettledJobs {
    /// One for each entry of the request, in its order.
    settled: Vec<SettledJob>,
}

/// What became of a lease: a `state`, or a `code` and a `detail` where nothing was changed.
#[derive(Debug, Serialize, JsonSchema)]
#[allow(dead_code, reason = "it describes what is written by hand")]
pub(crate) struct SettledJob {
    /// Where the job stands now.
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<StateView>,
    /// When its lease, its delay or its backoff ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    due_at_ms: Option<u64>,
    /// There, and true, where the job is to be cancelled: stop, and fail or complete it.
    #[serde(skip_serializing_if = "Option::is_none")]
    cancel_requested: Option<bool>,
    /// Why it was refused: `lease.lost`, `lease.invalid`, ….
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<String>,
    /// The same for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
}

/// Where a job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "JobState")]
#[serde(rename_all = "snake_case")]
pub(crate) enum StateView {
    /// It could run, or is held back only by limiters, its group or a pause.
    Ready,
    /// Its delay or backoff has not ended.
    Delayed,
    /// A worker has it.
    Leased,
    /// It waits for its children.
    Waiting,
    /// Done.
    Completed,
    /// Failed for good, cancelled or expired.
    Failed,
    /// It is not there any more.
    Removed,
}

impl StateView {
    pub(in crate::native) fn of(state: JobState) -> Self {
        match state {
            JobState::Ready => Self::Ready,
            JobState::Delayed => Self::Delayed,
            JobState::Leased => Self::Leased,
            JobState::Waiting => Self::Waiting,
            JobState::Completed => Self::Completed,
            JobState::Failed => Self::Failed,
            JobState::Removed => Self::Removed,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Delayed => "delayed",
            Self::Leased => "leased",
            Self::Waiting => "waiting",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Removed => "removed",
        }
    }
}

impl Endpoint for Settle {
    const ROUTE: Route = Route::new(
        Method::Post,
        "/v1/queues/{queue}/settle",
        "settle_jobs",
        Tag::Work,
        Role::Write,
        "Complete, fail, release or extend leases",
    )
    .example(r#"{"settle": [{"lease": "AQ...", "action": "fail", "error": "mailbox full"}, {"lease": "AQ...", "action": "extend", "progress": 0.5}]}"#).about(
        "Each entry is settled on its own: one whose lease was lost does not keep the others from being settled. A stale \
         worker changes nothing.",
    )
    .errors(&["queue.not_found", "limit.exceeded"]);
    type Query = Nothing;
    type Request<'a> = Request<'a>;
    type Response = SettledJobs;

    async fn run<'a, E: Engine>(call: Call<'a, E>, _: Nothing, request: Request<'a>) -> Outcome<SettledJobs> {
        let queue = call.queue()?;
        let mut prepared = Prepared::new(&queue, &request.settle)?;
        let reply = match prepared.command(&queue) {
            Some(command) => Some(call.command(command).await?),
            None => None,
        };
        let mut out = Vec::with_capacity(16 + 24 * request.settle.len());
        out.extend_from_slice(b"{\"settled\":");
        prepared.push_outcomes(&mut out, reply)?;
        out.push(b'}');
        Ok(Answer::Written(out.into()))
    }
}

/// Settlements on their way to the engine. Those whose lease cannot be read do not get there.
pub(super) struct Prepared {
    entries: Settlements,
    /// The places of those that cannot be read.
    unread: Vec<usize>,
    count: usize,
}

impl Prepared {
    pub(super) fn new(queue: &Queue, entries: &[Entry<'_>]) -> Result<Self, Problem> {
        if entries.len() > BATCH_MAX {
            let text = format!("may have {BATCH_MAX} entries, found {}", entries.len());
            return Err(Problem::field("settle", &text));
        }
        let mut prepared =
            Self { entries: SmallVec::with_capacity(entries.len()), unread: Vec::new(), count: entries.len() };
        for (at, entry) in entries.iter().enumerate() {
            let settlement = entry.settlement().map_err(|problem| problem.under(&format!("settle[{at}]")))?;
            match receipt::read(queue.id, &entry.lease) {
                Some(handle) => prepared.entries.push((handle, settlement)),
                None => prepared.unread.push(at),
            }
        }
        Ok(prepared)
    }

    /// What is to be carried out, if there is anything. Asked once: results are not copied.
    pub(super) fn command(&mut self, queue: &Queue) -> Option<Command> {
        let entries = std::mem::take(&mut self.entries);
        (!entries.is_empty()).then(|| Command::Settle { queue: queue.id, entries, seed: random() })
    }

    /// Appends what became of each, in the order of the request.
    pub(super) fn push_outcomes(&self, out: &mut Vec<u8>, reply: Option<EngineReply>) -> Result<(), Problem> {
        let outcomes = match reply {
            Some(EngineReply::JobsSettled(outcomes)) => outcomes,
            None => SmallVec::new(),
            Some(_) => return Err(Problem::internal()),
        };
        let mut outcomes = outcomes.into_iter();
        out.push(b'[');
        for at in 0..self.count {
            if at > 0 {
                out.push(b',');
            }
            if self.unread.contains(&at) {
                push_refusal(out, &Error::HandleInvalid)?;
                continue;
            }
            match outcomes.next().ok_or_else(Problem::internal)? {
                Ok(settled) => push_settled(out, &settled),
                Err(error) => push_refusal(out, &error)?,
            }
        }
        out.push(b']');
        Ok(())
    }
}

fn push_settled(out: &mut Vec<u8>, settled: &Settled) {
    out.extend_from_slice(b"{\"state\":\"");
    out.extend_from_slice(StateView::of(settled.state).name().as_bytes());
    out.push(b'"');
    if let Some(due) = settled.due {
        out.extend_from_slice(b",\"due_at_ms\":");
        push_number(out, due.0);
    }
    if settled.cancel_requested {
        out.extend_from_slice(b",\"cancel_requested\":true");
    }
    out.push(b'}');
}

fn push_refusal(out: &mut Vec<u8>, error: &Error) -> Result<(), Problem> {
    let problem = match error {
        // The engine says so of what every door calls otherwise.
        Error::HandleInvalid => Problem::new(error.code(), "this is not a lease of this queue"),
        error => Problem::of_error(error),
    };
    serde_json::to_writer(out, &problem.item()).map_err(|_| Problem::internal())
}

impl Entry<'_> {
    fn settlement(&self) -> Result<Settlement, Problem> {
        self.check_members()?;
        Ok(match self.action {
            Action::Complete => Settlement::Complete { result: bytes("result", self.result, RESULT_BYTES_MAX)? },
            Action::Fail => Settlement::Fail {
                failure: bytes("error", self.error, FAILURE_BYTES_MAX)?.unwrap_or_else(|| b"null".to_vec()),
                again: match (self.retry.unwrap_or(true), self.delay_ms) {
                    (false, Some(_)) => {
                        let text = "stands beside `retry: false`, and only one of them can hold";
                        return Err(Problem::field("delay_ms", text));
                    }
                    (false, None) => Again::Never,
                    (true, Some(ms)) => Again::After(within("delay_ms", ms, 0, LONGEST_MS)?),
                    (true, None) => Again::ByPolicy,
                },
            },
            Action::Release => Settlement::Release {
                delay_ms: within("delay_ms", self.delay_ms.unwrap_or_default(), 0, LONGEST_MS)?,
                pause: match &self.pause {
                    Some(Pause { for_ms, limiter }) => {
                        let for_ms = within("pause.for_ms", *for_ms, 1, LONGEST_MS)?;
                        Some(PauseKeys { limiter: limiter.clone(), for_ms })
                    }
                    None => None,
                },
            },
            Action::Extend => {
                if let Some(line) = self.logs.iter().find(|line| line.len() as u64 > LOG_BYTES_MAX) {
                    let text = format!("each must have at most {LOG_BYTES_MAX} bytes, found {}", line.len());
                    return Err(Problem::field("logs", &text));
                }
                Settlement::Extend {
                    lease_ms: self.lease_ms.map(|ms| within("lease_ms", ms, 1, LONGEST_MS)).transpose()?,
                    progress: bytes("progress", self.progress, PROGRESS_BYTES_MAX)?,
                    logs: self.logs.iter().map(|line| line.clone().into_bytes()).collect(),
                }
            }
            Action::WaitForChildren => Settlement::WaitForChildren,
        })
    }

    /// Refuses members that mean nothing with the action: a mistake there would be lost otherwise.
    fn check_members(&self) -> Result<(), Problem> {
        let members: [(&str, bool, &[Action]); 8] = [
            ("result", self.result.is_some(), &[Action::Complete]),
            ("error", self.error.is_some(), &[Action::Fail]),
            ("retry", self.retry.is_some(), &[Action::Fail]),
            ("delay_ms", self.delay_ms.is_some(), &[Action::Fail, Action::Release]),
            ("pause", self.pause.is_some(), &[Action::Release]),
            ("lease_ms", self.lease_ms.is_some(), &[Action::Extend]),
            ("progress", self.progress.is_some(), &[Action::Extend]),
            ("logs", !self.logs.is_empty(), &[Action::Extend]),
        ];
        for (name, is_there, actions) in members {
            if is_there && !actions.contains(&self.action) {
                return Err(Problem::field(name, "means nothing with this action"));
            }
        }
        Ok(())
    }
}

/// JSON as bytes to be stored.
pub(in crate::native) fn bytes(field: &str, json: Option<&RawValue>, most: u64) -> Result<Option<Vec<u8>>, Problem> {
    let Some(json) = json else { return Ok(None) };
    let found = json.get().len() as u64;
    if found > most {
        return Err(Problem::field(field, &format!("must have at most {most} bytes, found {found}")));
    }
    Ok(Some(json.get().as_bytes().to_vec()))
}
