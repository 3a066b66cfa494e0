//! Queues of jobs.

use weir_core::api::job::{Keep, Retry};
use weir_core::api::{Config, QueueId};

use super::super::{Checked, Model};
use super::moved::Rules;
use super::{Job, State};

/// A queue of jobs.
#[derive(Clone, Debug)]
pub struct JobQueue {
    /// The rules that were ever in force, oldest first.
    pub rules: Vec<Rules>,
    /// Until when nothing is given out.
    pub paused_until: u64,
}

/// Whether a queue of this name is one of jobs.
pub fn is_job_queue(name: &str) -> bool {
    name.starts_with("jobs")
}

impl JobQueue {
    /// The configuration in force.
    pub fn config(&self) -> Config {
        self.rules.last().map(|rules| rules.config.clone()).unwrap_or_default()
    }

    /// The rules that were in force at `from` or later.
    pub fn rules_since(&self, from: u64) -> impl Iterator<Item = &Rules> {
        let ended = |at: &usize| self.rules.get(at + 1).is_some_and(|rules| rules.since < from);
        let first = (0..self.rules.len()).find(|at| !ended(at)).unwrap_or_default();
        self.rules.iter().skip(first)
    }

    /// The configurations that were in force at `from` or later.
    pub fn configs_since(&self, from: u64) -> impl Iterator<Item = &Config> {
        self.rules_since(from).map(|rules| &rules.config)
    }

    /// The retention in force for a job that finished so.
    pub fn keep(config: &Config, job: &Job, state: State) -> Keep {
        let (own, all) = match state {
            State::Completed => (job.options.keep_completed, config.keep_completed),
            _ => (job.options.keep_failed, config.keep_failed),
        };
        own.unwrap_or(all)
    }

    /// How a job is tried again.
    pub fn retry<'a>(config: &'a Config, job: &'a Job) -> &'a Retry {
        job.options.retry.as_ref().unwrap_or(&config.retry)
    }
}

impl Model {
    /// A queue was created or configured.
    pub(in crate::model) fn job_queue_configured(&mut self, id: QueueId, config: &Config, at: u64) {
        let Some(queue) = self.queues.get(&id).filter(|queue| is_job_queue(&queue.name)) else { return };
        debug_assert!(!queue.deleted, "a deleted queue is not configured");
        let queue = self.jobs.queues.entry(id).or_insert_with(|| JobQueue { rules: Vec::new(), paused_until: 0 });
        queue.rules.push(Rules {
            since: at,
            config: config.clone(),
            dead: queue.rules.last().and_then(|rules| rules.dead),
        });
        self.find_dead_letter_queues(at);
        self.forget_bounds(None);
    }

    /// All jobs of a queue go.
    pub(in crate::model) fn jobs_emptied(&mut self, id: QueueId) {
        for job in self.jobs.all.values_mut().filter(|job| job.may_be_in(id)) {
            job.becomes(|standing| {
                if standing.queue == id {
                    standing.moved(State::Removed, standing.due).freed()
                } else {
                    standing.clone()
                }
            });
        }
        self.forget_removed();
        self.jobs.limits.emptied = true;
    }

    /// A queue was paused or resumed.
    pub(in crate::model) fn paused(&mut self, id: QueueId, for_ms: u64, at: u64) -> Checked {
        self.queue(id)?;
        self.forget_bounds(Some(id));
        if let Some(queue) = self.jobs.queues.get_mut(&id) {
            queue.paused_until = if for_ms == 0 { 0 } else { at.saturating_add(for_ms) };
        }
        Ok(())
    }
}
