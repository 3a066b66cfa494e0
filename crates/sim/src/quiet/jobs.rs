//! The end of all jobs.

use weir_core::api::job::{JobChange, JobRef, Settlement};
use weir_core::api::{Command, Counters, QueueId};

use crate::model::{Checked, Job, Standing, is_job_queue};
use crate::run::Run;

impl Run {
    /// Job queues that are there.
    pub(super) fn job_queue_ids(&self) -> Vec<QueueId> {
        self.model.queues_alive().filter(|(_, queue)| is_job_queue(&queue.name)).map(|(id, _)| id).collect()
    }

    /// Everything that may run runs and is completed, until nothing does any more; and nothing is missing.
    pub(super) fn finish_jobs(&mut self) -> Checked {
        for queue in self.job_queue_ids() {
            self.submit(Command::PauseQueue { queue, for_ms: 0 })?;
        }
        // The backoff of an attempt that was found to have taken too long, and what was put off, which may be for longer
        // since the clock was set back.
        let due = |job: &Job| job.may.iter().map(|standing| standing.due.from).max().unwrap_or_default();
        let last = self.model.jobs.all.values().map(due).max().unwrap_or_default();
        self.pass(30_000.max(last.saturating_sub(self.now)))?;
        self.settle()?;
        for _ in 0..400 {
            while self.drain_jobs()? {}
            self.settle()?;
            if self.job_queue_ids().into_iter().all(|id| self.is_worked_off(id)) {
                break;
            }
            self.retry_children()?;
            // Windows, pauses and permits of others come to their ends.
            self.pass(10_300)?;
            self.settle()?;
        }
        let known = self.model.jobs.all.iter().filter(|(_, job)| job.is_known());
        let there: Vec<_> = known.map(|(id, job)| (job.queue_now(), *id)).collect();
        for (queue, id) in there {
            self.submit(Command::DescribeJob { queue, job: JobRef::Id(id), wait_ms: 0 })?;
        }
        self.work_off()?;
        self.model.pass(self.now);
        if let Some(job) = self.model.jobs.all.values().find(|job| !job.possibly(Standing::is_finished)) {
            return Err(format!("job {} never came to an end, and can only be {:?}", job.number, job.may));
        }
        for id in self.job_queue_ids() {
            let counters = self.life.as_ref().and_then(|life| life.driver.engine().counters(id)).unwrap_or_default();
            let Counters { completed, failed, .. } = counters;
            if counters != (Counters { completed, failed, ..Counters::default() }) {
                return Err(format!("queue {} was worked off and says {counters:?}", id.0));
            }
            // What is left of its rows is reclaimed, or found at the end.
            self.submit(Command::DeleteQueue { queue: id })?;
            self.settle()?;
        }
        let limiters = self.model.jobs.limits.limiters.iter().filter(|(_, limiter)| !limiter.deleted);
        for limiter in limiters.map(|(id, _)| *id).collect::<Vec<_>>() {
            self.submit(Command::DeleteLimiter { limiter })?;
        }
        self.settle()
    }

    /// Children that failed, and for which somebody waits, are tried again.
    fn retry_children(&mut self) -> Checked {
        for (queue, id) in self.model.children_to_retry() {
            let jobs = vec![JobRef::Id(id)];
            self.submit(Command::ChangeJobs {
                queue,
                jobs,
                change: JobChange::Retry { reset: true, reset_starts: false },
            })?;
            self.work_off()?;
        }
        Ok(())
    }

    /// Whether nothing of a queue is left but what has finished.
    fn is_worked_off(&self, id: QueueId) -> bool {
        let counters = self.life.as_ref().and_then(|life| life.driver.engine().counters(id)).unwrap_or_default();
        let Counters { completed, failed, .. } = counters;
        counters == Counters { completed, failed, ..Counters::default() }
    }

    /// Leases from every queue and completes what comes. Says whether anything came.
    fn drain_jobs(&mut self) -> Result<bool, String> {
        let mut more = false;
        for queue in self.job_queue_ids() {
            self.clients.jobs.handles.clear();
            self.submit(Command::Lease {
                queue,
                max: 10,
                bytes_max: u64::MAX,
                lease_ms: Some(600_000),
                wait_ms: 0,
                linger_ms: 0,
                one_lane: false,
            })?;
            self.work_off()?;
            let handles: Vec<_> = self.clients.jobs.handles.iter().map(|(_, handle)| *handle).collect();
            if handles.is_empty() {
                continue;
            }
            more = true;
            let complete = |handle| (handle, Settlement::Complete { result: None });
            self.submit(Command::Settle { queue, entries: handles.into_iter().map(complete).collect(), seed: 0 })?;
            self.work_off()?;
            if self.is_stopped() {
                return Err("the shard stopped while its jobs were worked off".to_owned());
            }
        }
        Ok(more)
    }
}
