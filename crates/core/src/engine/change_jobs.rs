//! Changing jobs that nobody works on, each on its own: their place, their time, their payload, their end.

use std::collections::BTreeMap;

use smallvec::SmallVec;

use super::delete::Gone;
use super::fail::Failure;
use super::finish::Ending;
use super::flow_tasks::How;
use super::message::prepare_lane;
use super::send::within;
use super::{Answer, Engine, Stop, prepare_each, shared};
use crate::api::job::{FailureKind, JobChange, JobRef};
use crate::api::{Error, Kind, LIST_MAX, Lane, QueueId, Reply};
use crate::head::{Head, State as Standing};
use crate::keys;
use crate::kv::{State, View};
use crate::time::Time;

impl Engine {
    pub(super) fn change_jobs<S: State>(
        &mut self,
        state: &mut S,
        id: QueueId,
        jobs: &[JobRef],
        change: &JobChange,
    ) -> Result<Answer, Stop> {
        let queue = match self.queue(id) {
            Ok(queue) => queue,
            Err(error) => return Ok(Err(error)),
        };
        if let Err(error) = within("jobs of a command", LIST_MAX as u64, jobs.len() as u64) {
            return Ok(Err(error));
        }
        if let (JobChange::Priority { lifo: true, .. }, Kind::Fifo) = (change, queue.public.kind) {
            let reason = "a FIFO queue keeps the order of its groups";
            return Ok(Err(Error::Invalid { field: "lifo", reason }));
        }
        let mut ids: Vec<Option<u64>> = Vec::with_capacity(jobs.len());
        prepare_each(jobs.iter(), |&job| {
            ids.push(self.resolve(state, queue, job)?);
            Ok(())
        })?;
        let known: Vec<(QueueId, u64)> = ids.iter().flatten().map(|&job| (id, job)).collect();
        self.prepare_jobs(state, &known)?;
        let mut changed = SmallVec::new();
        let mut gone = Gone::new();
        for job in ids {
            changed.push(match job.filter(|job| !gone.contains(job)) {
                Some(job) => self.change_job(state, id, job, change, &mut gone)?,
                None => Err(Error::JobNotFound),
            });
        }
        Ok(Ok(Reply::Settled(changed)))
    }

    /// Heads of jobs, having read all that any change of all of them may read.
    pub(super) fn prepare_jobs<S: View>(&self, state: &S, jobs: &[(QueueId, u64)]) -> Result<Vec<Option<Head>>, Stop> {
        let mut heads = Vec::with_capacity(jobs.len());
        let mut lanes = BTreeMap::<(QueueId, Lane), usize>::new();
        prepare_each(jobs.iter(), |&(id, job)| {
            let Some(queue) = self.queues.get(&id) else {
                heads.push(None);
                return Ok(());
            };
            let head = self.prepare_message(state, queue.space, job, 0)?;
            if let Some(lane) = head.as_ref().and_then(|head| head.lane_on(queue.public.kind)) {
                *lanes.entry((id, lane)).or_default() += 1;
            }
            heads.push(head);
            Ok(())
        })?;
        prepare_each(lanes.into_iter(), |((id, lane), count)| match self.queues.get(&id) {
            // When all of them have left from its front, the lane is led by the one behind.
            Some(queue) => prepare_lane(state, queue, lane, count + 1),
            None => Ok(()),
        })?;
        Ok(heads)
    }

    fn change_job<S: State>(
        &mut self,
        state: &mut S,
        id: QueueId,
        job: u64,
        change: &JobChange,
        gone: &mut Gone,
    ) -> Result<Result<(), Error>, Stop> {
        let Some(queue) = self.queues.get(&id) else { return Ok(Err(Error::QueueNotFound)) };
        let (space, retention_ms) = (queue.space, queue.config().retention_ms);
        let Some(bytes) = state.get(&space.message(job), 0)? else { return Ok(Err(Error::JobNotFound)) };
        let head = Head::read(bytes)?;
        let refused = Ok(Err(Error::JobState { state: head.state.of_job() }));
        let waits = matches!(head.state, Standing::Ready | Standing::Delayed | Standing::Waiting);
        let after = match change {
            JobChange::Priority { priority, lifo } if waits => {
                Head { priority: *priority, lifo: *lifo, ..head.clone() }
            }
            JobChange::RunAt(at) if waits && head.state != Standing::Waiting => {
                let delay_ms = at.0.saturating_sub(head.sent_at.0);
                if let Err(error) =
                    within("milliseconds of delay, within the queue's retention", retention_ms, delay_ms)
                {
                    return Ok(Err(error));
                }
                self.ready_at(&head, *at)
            }
            JobChange::Promote if head.state == Standing::Delayed => self.ready_at(&head, self.now),
            JobChange::Retry { reset, reset_starts }
                if matches!(head.state, Standing::Completed | Standing::Failed) =>
            {
                return self.retry_job(state, id, job, &head, (*reset, *reset_starts)).map(Ok);
            }
            JobChange::Cancel => return self.cancel_job(state, id, job, &head, gone),
            JobChange::Remove if head.state != Standing::Leased => {
                self.remove_with_children(state, id, job, &head)?;
                gone.push(job);
                return Ok(Ok(()));
            }
            JobChange::RemoveAlone if head.state != Standing::Leased => {
                // The rows of its children go with it.
                self.remove(state, id, job, &head)?;
                gone.push(job);
                return Ok(Ok(()));
            }
            JobChange::LeaveParent => return self.leave_parent(state, id, job, &head),
            JobChange::Payload(payload) => {
                shared::drop_body(state, space.namespace, job, &head)?;
                state.insert_bulk(&keys::body(space.namespace, job), &[payload]);
                let head = Head { bytes: payload.len() as u64, shares: false, ..head };
                state.put(&space.message(job), head.write().finish());
                return Ok(Ok(()));
            }
            _ => return refused,
        };
        if after == head {
            // It may have come to its place by this very command, and nobody read what stands behind that.
            return Ok(Ok(()));
        }
        self.restand(state, id, job, &head, &after)?;
        if after.state != head.state || after.due != head.due {
            self.waits_now(id, job, &after);
        }
        Ok(Ok(()))
    }

    /// A job that becomes ready then.
    fn ready_at(&self, head: &Head, at: Time) -> Head {
        let state = if at > self.now { Standing::Delayed } else { Standing::Ready };
        Head { state, due: at.max(self.now), ..head.clone() }
    }

    /// A finished job is tried again. One whose children have not all finished waits for them first.
    fn retry_job<S: State>(
        &mut self,
        state: &mut S,
        id: QueueId,
        job: u64,
        head: &Head,
        (reset, reset_starts): (bool, bool),
    ) -> Result<(), Stop> {
        let spec = self.spec_of(state, id, job, head)?;
        let unfinished = spec.as_ref().and_then(|spec| spec.children).map_or(0, |(unfinished, _)| unfinished);
        let mut after = Head {
            state: if unfinished > 0 { Standing::Waiting } else { Standing::Ready },
            due: self.now,
            failed: None,
            cancel: false,
            expires_at: None,
            stalls: 0,
            ..head.clone()
        };
        if reset {
            after.failures = 0;
        }
        if reset_starts {
            (after.receives, after.receives_before) = (0, 0);
            after.starts_before = head.grants;
        }
        self.restand(state, id, job, head, &after)?;
        self.waits_now(id, job, &after);
        if let Some(mut spec) = spec {
            let Some(namespace) = self.queues.get(&id).map(|queue| queue.space.namespace) else { return Ok(()) };
            self.tell_parent(state, namespace, &spec, job, (How::Again, None));
            if let Some(dedup) = &spec.dedup {
                self.remember_again(state, id, dedup, job)?;
            }
            if std::mem::take(&mut spec.child_failed)
                && let Some(queue) = self.queues.get(&id)
            {
                state.put(&queue.space.spec(job), spec.write().finish());
            }
        }
        Ok(())
    }

    /// A job that waits has failed; whoever works on one learns that it is to stop.
    fn cancel_job<S: State>(
        &mut self,
        state: &mut S,
        id: QueueId,
        job: u64,
        head: &Head,
        gone: &mut Gone,
    ) -> Result<Result<(), Error>, Stop> {
        match head.state {
            Standing::Ready | Standing::Delayed | Standing::Waiting => {
                let spec = self.spec_of(state, id, job, head)?;
                let failure = Failure { kind: FailureKind::Cancelled, said: None };
                let ending = Ending { queue: id, job, before: head, spec: spec.as_ref() };
                let after = self.fail_for_good(state, ending, head.clone(), failure)?;
                if after.is_none() {
                    gone.push(job);
                }
                Ok(Ok(()))
            }
            Standing::Leased => {
                if let Some(queue) = self.queues.get(&id) {
                    let asked = Head { cancel: true, ..head.clone() };
                    state.put(&queue.space.message(job), asked.write().finish());
                }
                Ok(Ok(()))
            }
            Standing::Completed | Standing::Failed => Ok(Err(Error::JobState { state: head.state.of_job() })),
        }
    }
}
