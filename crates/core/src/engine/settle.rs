//! Settling the leases of workers: only who still holds one may.

use std::hash::Hasher;
use std::sync::Arc;

use siphasher::sip::SipHasher13;
use smallvec::SmallVec;

use super::delete::Gone;
use super::extras::Rows;
use super::fail::Failure;
use super::send::within;
use super::{Answer, Engine, Stop, prepare_each};
use crate::api::job::{
    FAILURE_BYTES_MAX, FailureKind, JobEventKind, JobState, LOG_BYTES_MAX, LOGS_KEPT, PROGRESS_BYTES_MAX,
    RESULT_BYTES_MAX, Settled, Settlement,
};
use crate::api::{Error, Handle, QueueId, Reply};
use crate::head::{Head, State as Standing};
use crate::kv::State;

impl Engine {
    pub(super) fn settle<S: State>(
        &mut self,
        state: &mut S,
        id: QueueId,
        entries: &[(Handle, Settlement)],
        seed: u64,
    ) -> Result<Answer, Stop> {
        if let Err(error) = self.prepare_all(state, id, entries.iter().map(|(handle, _)| handle))? {
            return Ok(Err(error));
        }
        prepare_each(entries.iter(), |(handle, settlement)| match settlement {
            Settlement::Release { pause: Some(pause), .. } => self.prepare_pause(state, id, handle, pause),
            _ => Ok(()),
        })?;
        let mut settled = SmallVec::new();
        let mut gone = Gone::new();
        for (handle, settlement) in entries {
            settled.push(self.settle_one(state, id, handle, settlement, seed, &mut gone)?);
        }
        Ok(Ok(Reply::JobsSettled(settled)))
    }

    fn settle_one<S: State>(
        &mut self,
        state: &mut S,
        id: QueueId,
        handle: &Handle,
        settlement: &Settlement,
        seed: u64,
        gone: &mut Gone,
    ) -> Result<Result<Settled, Error>, Stop> {
        let message = handle.message;
        let head = match self.find(state, id, handle, gone)? {
            Ok(head) if self.is_held(handle, &head) => head,
            Ok(_) | Err(Error::MessageNotFound) => return Ok(Err(Error::LeaseLost)),
            Err(error) => return Ok(Err(error)),
        };
        if let Err(error) = check(settlement) {
            return Ok(Err(error));
        }
        let (left_as, after) = match settlement {
            Settlement::Complete { result } => {
                (JobState::Completed, self.complete(state, id, message, &head, result.as_deref())?)
            }
            Settlement::Fail { failure, again } => {
                let failure = Failure { kind: FailureKind::Reported, said: Some(failure) };
                let luck = luck(seed, message);
                (JobState::Failed, self.fail_attempt(state, id, message, &head, failure, *again, luck)?)
            }
            Settlement::Release { delay_ms, pause } => {
                if let Some(pause) = pause
                    && let Err(error) = self.pause_for(state, id, &head, pause)?
                {
                    return Ok(Err(error));
                }
                (JobState::Failed, self.put_back(state, id, message, &head, *delay_ms)?)
            }
            Settlement::Extend { lease_ms, progress, logs } => {
                let heartbeat = Heartbeat { lease_ms: *lease_ms, progress: progress.as_deref(), logs };
                (JobState::Leased, Some(self.extend(state, id, message, &head, heartbeat)?))
            }
            Settlement::WaitForChildren => (JobState::Failed, self.wait_for_children(state, id, message, &head)?),
        };
        Ok(Ok(if let Some(head) = after {
            settled(&head)
        } else {
            gone.push(message);
            Settled { state: left_as, due: None, cancel_requested: head.cancel }
        }))
    }

    /// Whether the handle is that of a lease that has not ended: that of its successor is of another grant.
    fn is_held(&self, handle: &Handle, head: &Head) -> bool {
        head.state == Standing::Leased && head.grants == handle.grant && head.due > self.now
    }

    /// The work was not begun, or cannot go on: nothing is counted.
    fn put_back<S: State>(
        &mut self,
        state: &mut S,
        id: QueueId,
        message: u64,
        before: &Head,
        delay_ms: u64,
    ) -> Result<Option<Head>, Stop> {
        let receives = before.receives.saturating_sub(1);
        if before.cancel {
            return self.end_cancelled(state, id, message, before, before.clone());
        }
        let head = self.delayed(Head { receives, ..before.clone() }.without_lease(), delay_ms);
        self.restand(state, id, message, before, &head)?;
        self.waits_now(id, message, &head);
        Ok(Some(head))
    }

    /// A heartbeat. The attempt ends when its time is over, whatever the worker says.
    fn extend<S: State>(
        &mut self,
        state: &mut S,
        id: QueueId,
        message: u64,
        before: &Head,
        Heartbeat { lease_ms, progress, logs }: Heartbeat<'_>,
    ) -> Result<Head, Stop> {
        let queue = self.queues.get(&id).expect("the handle was found in this queue");
        let rows = Rows { namespace: queue.space.namespace, job: message };
        let due = self.lease_end(lease_ms.unwrap_or(queue.config().visibility_ms));
        let mut head = before.clone();
        head.due = head.timeout_at.map_or(due, |timeout_at| timeout_at.min(due));
        if let Some(progress) = progress {
            rows.set_progress(state, &mut head.extras, progress);
            self.happened(id, message, || JobEventKind::Progress(Arc::from(progress)));
        }
        rows.add_logs(state, &mut head.extras, logs);
        self.restand(state, id, message, before, &head)?;
        Ok(head)
    }
}

/// What a worker says while it goes on.
struct Heartbeat<'a> {
    lease_ms: Option<u64>,
    progress: Option<&'a [u8]>,
    logs: &'a [Vec<u8>],
}

/// How a job stands for who has just settled it.
fn settled(head: &Head) -> Settled {
    let due = matches!(head.state, Standing::Delayed | Standing::Leased).then_some(head.due);
    Settled { state: head.state.of_job(), due, cancel_requested: head.cancel }
}

/// Refuses what is too long.
fn check(settlement: &Settlement) -> Result<(), Error> {
    match settlement {
        Settlement::Complete { result: Some(result) } => {
            within("bytes of a result", RESULT_BYTES_MAX, result.len() as u64)
        }
        Settlement::Fail { failure, .. } => within("bytes of a failure", FAILURE_BYTES_MAX, failure.len() as u64),
        Settlement::Extend { progress, logs, .. } => check_report(progress.as_deref(), logs),
        Settlement::Complete { result: None } | Settlement::Release { .. } | Settlement::WaitForChildren => Ok(()),
    }
}

/// Refuses progress and lines of a log that are too long, or too many.
pub(super) fn check_report(progress: Option<&[u8]>, logs: &[Vec<u8>]) -> Result<(), Error> {
    within("bytes of progress", PROGRESS_BYTES_MAX, progress.map_or(0, <[u8]>::len) as u64)?;
    within("lines for a log", LOGS_KEPT, logs.len() as u64)?;
    let longest = logs.iter().map(Vec::len).max().unwrap_or_default();
    within("bytes of a line of a log", LOG_BYTES_MAX, longest as u64)
}

/// A number that is like drawn for this job, from what was drawn for the command.
pub(super) fn luck(seed: u64, message: u64) -> u64 {
    let mut hasher = SipHasher13::new_with_keys(seed, message);
    hasher.write_u64(message);
    hasher.finish()
}
