//! Which paths flows went through, and when the shard was at rest with them.

use weir_core::api::job::{FailureKind, JobState};
use weir_core::api::{Error, Reply};

use super::{Rest, Run};
use crate::model::is_job_queue;

impl Run {
    /// The shard is at rest.
    pub(super) fn rest(&mut self) {
        self.model.flows_rest(self.now);
        self.coverage.children_removed += std::mem::take(&mut self.model.jobs.flows.went);
        if let Some(life) = &self.life {
            let sequence = life.driver.store().sequence();
            self.rests.push(Rest { effects: self.effects.len(), sequence, at: self.now });
        }
    }

    /// Counts what an answer says of parents, which the model has taken in.
    pub(super) fn count_flows(&mut self, reply: &Result<Reply, Error>) {
        match reply {
            Ok(Reply::Received(deliveries)) => {
                for delivery in deliveries {
                    let Some(job) = self.model.jobs.all.get(&delivery.handle.message) else { continue };
                    let Some(flow) = job.may.first().map(|standing| &standing.flow) else { continue };
                    let early = u64::from(flow.unfinished() > 0);
                    let parents = u64::from(!flow.children.is_empty());
                    self.coverage.parents_leased += parents - early;
                    self.coverage.ordered_parents_leased +=
                        if self.model.is_fifo(job.queue_now()) { parents } else { 0 };
                    self.coverage.parents_leased_early += early;
                    self.coverage.children_forgotten += flow.children.len() as u64 - flow.records().count() as u64;
                }
            }
            Ok(Reply::Job(job)) => {
                let by_child = job.state == JobState::Failed && job.failed == Some(FailureKind::ChildFailed);
                self.coverage.parents_failed += u64::from(by_child);
            }
            _ => {}
        }
    }

    /// Counts whether the shard came back with parents that are still to be told of what has happened.
    pub(super) fn count_untold(&mut self) {
        let Some(life) = &self.life else { return };
        let mut told = self.model.clone();
        told.flows_rest(self.now);
        for (id, _) in told.queues_alive().filter(|(_, queue)| is_job_queue(&queue.name)) {
            let waiting = life.driver.engine().counters(id).map_or(0, |counters| counters.waiting);
            let may_wait = told.jobs.all.values().filter(|job| job.may_wait_in(id)).count() as u64;
            self.coverage.openings_with_ends_untold += u64::from(waiting > may_wait);
        }
    }
}
