//! An attempt has failed: the job is tried again after its backoff, goes to the dead-letter queue, or has failed for good.

use std::time::Duration;

use super::extras::Rows;
use super::finish::{End, Ending};
use super::settle::luck;
use super::{Engine, Stop};
use crate::api::QueueId;
use crate::api::job::{Again, FailureKind, JobEventKind};
use crate::head::{Head, State as Standing};
use crate::kv::State;
use crate::retry::backoff_ms;

/// How an attempt failed, and what its worker said.
#[derive(Clone, Copy, Debug)]
pub(super) struct Failure<'a> {
    pub(super) kind: FailureKind,
    pub(super) said: Option<&'a [u8]>,
}

impl Engine {
    /// An attempt has failed. Says how the job stands then: nothing where it left the queue. `luck` decides the jitter.
    #[expect(clippy::too_many_arguments, reason = "all that is known of a failure")]
    pub(super) fn fail_attempt<S: State>(
        &mut self,
        state: &mut S,
        id: QueueId,
        message: u64,
        before: &Head,
        failure: Failure<'_>,
        again: Again,
        luck: u64,
    ) -> Result<Option<Head>, Stop> {
        let spec = self.spec_of(state, id, message, before)?;
        let Some(queue) = self.queues.get(&id) else { return Ok(None) };
        let retry = spec.as_ref().and_then(|spec| spec.retry.as_ref()).unwrap_or(&queue.config().retry);
        let failures = before.failures.saturating_add(1);
        let head = Head { failures, ..before.clone() };
        let is_last = before.cancel
            || again == Again::Never
            || failures >= retry.attempts_max
            || self.dead_letter_queue(queue, before).is_some();
        if is_last {
            let ending = Ending { queue: id, job: message, before, spec: spec.as_ref() };
            return self.fail_for_good(state, ending, head, failure);
        }
        let delay_ms = match again {
            Again::After(delay_ms) => delay_ms,
            Again::ByPolicy | Again::Never => backoff_ms(retry, failures, luck),
        };
        let rows = Rows { namespace: queue.space.namespace, job: message };
        let mut head = self.delayed(head.without_lease(), delay_ms);
        // It was started, whatever comes.
        head.expires_at = None;
        rows.add_failed(state, &mut head.extras, (before.grants, failure.kind, self.now), failure.said);
        self.restand(state, id, message, before, &head)?;
        let said = failure.said.unwrap_or_default();
        self.happened(id, message, || JobEventKind::AttemptFailed(failure.kind, said.into()));
        self.waits_now(id, message, &head);
        Ok(Some(head))
    }

    /// The lease of a worker has ended by itself: its attempt took too long, or nobody heard of it any more.
    pub(super) fn end_worker_lease<S: State>(
        &mut self,
        state: &mut S,
        id: QueueId,
        message: u64,
        head: &Head,
    ) -> Result<(), Stop> {
        if head.timeout_at.is_some_and(|timeout_at| timeout_at <= head.due) {
            let failure = Failure { kind: FailureKind::TimedOut, said: None };
            // Nobody draws numbers here; what is drawn from the time differs from job to job and from try to try.
            let luck = luck(self.now.0 ^ u64::from(head.grants), message);
            self.fail_attempt(state, id, message, head, failure, Again::ByPolicy, luck)?;
        } else {
            self.lose_worker(state, id, message, head)?;
        }
        Ok(())
    }

    /// A worker was lost, which is nobody's failure until it happens too often.
    pub(super) fn lose_worker<S: State>(
        &mut self,
        state: &mut S,
        id: QueueId,
        message: u64,
        before: &Head,
    ) -> Result<Option<Head>, Stop> {
        let Some(queue) = self.queues.get(&id) else { return Ok(None) };
        let stalls = before.stalls.saturating_add(1);
        let head = Head { stalls, ..before.clone() };
        let failure = Failure { kind: FailureKind::Stalled, said: None };
        let is_last =
            before.cancel || stalls > queue.config().stalls_max || self.dead_letter_queue(queue, before).is_some();
        if is_last {
            let spec = self.spec_of(state, id, message, before)?;
            let ending = Ending { queue: id, job: message, before, spec: spec.as_ref() };
            return self.fail_for_good(state, ending, head, failure);
        }
        let rows = Rows { namespace: queue.space.namespace, job: message };
        let mut head = Head { state: Standing::Ready, due: self.now, expires_at: None, ..head.without_lease() };
        rows.add_failed(state, &mut head.extras, (before.grants, failure.kind, self.now), None);
        self.restand(state, id, message, before, &head)?;
        self.happened(id, message, || JobEventKind::Stalled);
        Ok(Some(head))
    }

    /// A job will not be tried again: `head` is what is known of it by now. What workers could not do goes to the
    /// dead-letter queue, if there is one; what was cancelled, or came too late, does not.
    pub(super) fn fail_for_good<S: State>(
        &mut self,
        state: &mut S,
        ending: Ending<'_>,
        mut head: Head,
        failure: Failure<'_>,
    ) -> Result<Option<Head>, Stop> {
        let Ending { queue: id, job: message, before, spec } = ending;
        let Some(queue) = self.queues.get(&id) else { return Ok(None) };
        let kind = if before.cancel { FailureKind::Cancelled } else { failure.kind };
        let by_worker = matches!(kind, FailureKind::Reported | FailureKind::TimedOut | FailureKind::Stalled);
        if let Some(target) = self.redrive_target(queue).filter(|_| by_worker) {
            let rows = Rows { namespace: queue.space.namespace, job: message };
            rows.add_failed(state, &mut head.extras, (before.grants, kind, self.now), failure.said);
            if let Some(spec) = spec {
                self.tell_finished(state, id, message, spec, End::Failed(kind, failure.said))?;
            }
            let end = End::Failed(kind, failure.said);
            self.ended(id, message, &head, spec, Some(end));
            self.happened(id, message, || end.event());
            self.carry_dead_letter(state, id, target, message, before, head)?;
            return Ok(None);
        }
        self.finish(state, ending, head, End::Failed(kind, failure.said))
    }

    /// A job that was cancelled is not worked on any more: that is its end.
    pub(super) fn end_cancelled<S: State>(
        &mut self,
        state: &mut S,
        id: QueueId,
        message: u64,
        before: &Head,
        head: Head,
    ) -> Result<Option<Head>, Stop> {
        let spec = self.spec_of(state, id, message, before)?;
        let failure = Failure { kind: FailureKind::Cancelled, said: None };
        let ending = Ending { queue: id, job: message, before, spec: spec.as_ref() };
        self.fail_for_good(state, ending, head, failure)
    }

    /// The head of a message that is ready after so many milliseconds.
    pub(super) fn delayed(&self, head: Head, delay_ms: u64) -> Head {
        if delay_ms == 0 {
            Head { state: Standing::Ready, due: self.now, ..head }
        } else {
            Head { state: Standing::Delayed, due: self.now.after(Duration::from_millis(delay_ms)), ..head }
        }
    }
}
