//! All that is known of one job.

use super::extras::{Failed, failures_kept};
use super::{Answer, Engine, Stop, prepare_each, shared, spec_row};
use crate::api::job::{Attempt, Extra, Job, JobRef};
use crate::api::{Error, LIST_MAX, QueueId, Reply};
use crate::codec::Unreadable;
use crate::engine::send::within;
use crate::head::{Head, State as Standing};
use crate::keys::{self, extra};
use crate::kv::View;
use crate::queue::QueueState;
use crate::spec::Spec;

impl Engine {
    /// The job as it stands now, if it is there.
    pub(super) fn describe<S: View>(&self, state: &S, id: QueueId, job: u64) -> Result<Option<Job>, Stop> {
        let Some(queue) = self.queues.get(&id) else { return Ok(None) };
        let Some(bytes) = state.get(&queue.space.message(job), 0)? else { return Ok(None) };
        let head = Head::read(bytes)?;
        let spec = spec_row::read(state, queue.space, job, &head)?;
        let namespace = queue.space.namespace;
        let mut history = Vec::new();
        prepare_each(failures_kept(&head.extras), |number| {
            let bytes = state.get(&keys::extra(namespace, job, extra::ATTEMPT, number), 0)?;
            let bytes = bytes.ok_or(Unreadable::Damaged { what: "a job: an attempt of its history is missing" })?;
            let Failed { grant, kind, at, is_explained } = Failed::read(bytes)?;
            let failure = is_explained.then(|| keys::extra(namespace, job, extra::FAILURE, number).to_key());
            history.push(Attempt { grant, kind, at, failure: failure.map(Extra::Stored) });
            Ok(())
        })?;
        let extra = |which| keys::extra(namespace, job, which, 0).to_key();
        Ok(Some(Job {
            body: Some(shared::body(namespace, job, &head).to_key()),
            progress: head.extras.progress.then(|| extra(extra::PROGRESS)),
            result: head.extras.result.then(|| Extra::Stored(extra(extra::RESULT))),
            history,
            ..known(queue, job, &head, spec.as_ref())
        }))
    }

    pub(super) fn job_logs<S: View>(
        &self,
        state: &S,
        id: QueueId,
        job: JobRef,
        from: u64,
        max: u32,
    ) -> Result<Answer, Stop> {
        let queue = match self.queue(id) {
            Ok(queue) => queue,
            Err(error) => return Ok(Err(error)),
        };
        if let Err(error) = within("lines of a page", LIST_MAX as u64, u64::from(max)) {
            return Ok(Err(error));
        }
        let Some((id, head)) = self.find_job(state, queue, job)? else { return Ok(Err(Error::JobNotFound)) };
        let (first, total) = (head.extras.logs_from, head.extras.logs_next);
        let from = from.clamp(first, total);
        let to = from.saturating_add(u64::from(max.max(1))).min(total);
        let lines = (from..to).map(|line| keys::extra(queue.space.namespace, id, extra::LOG, line).to_key());
        Ok(Ok(Reply::Logs { from, lines: lines.collect(), total }))
    }
}

/// What head and options tell of a job, without what is stored of it in other rows.
pub(super) fn known(queue: &QueueState, id: u64, head: &Head, spec: Option<&Spec>) -> Job {
    let is_finished = matches!(head.state, Standing::Completed | Standing::Failed);
    let has_end = matches!(head.state, Standing::Delayed | Standing::Leased);
    Job {
        queue: queue.id(),
        id,
        state: head.state.of_job(),
        body: None,
        priority: head.priority,
        lifo: head.lifo,
        lane: head.lane,
        sent_at: head.sent_at,
        due: has_end.then_some(head.due),
        started_at: head.started_at,
        finished_at: is_finished.then_some(head.due),
        expires_at: head.expires_at,
        timeout_ms: spec.and_then(|spec| spec.timeout_ms).or(queue.config().timeout_ms),
        grants: head.receives,
        starts: head.starts(),
        failures: head.failures,
        stalls: head.stalls,
        retry: spec.and_then(|spec| spec.retry.as_ref()).unwrap_or(&queue.config().retry).clone(),
        cancel_requested: head.cancel,
        failed: head.failed,
        progress: None,
        result: None,
        history: Vec::new(),
        logs: head.extras.logs_next,
        logs_from: head.extras.logs_from,
        parent: spec.and_then(|spec| spec.parent),
        children: spec.and_then(|spec| spec.children),
        origin: head.origin,
    }
}
