//! Batches that wait to become full, and batches of one group.

use weir_core::api::{Command, Delivery, QueueId};

use super::super::{Checked, Effect, Model};
use super::Job;

/// A job as it stands for batches: as long as this stays the same, the job could be leased all the time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    stands_since: u64,
    /// When it became ready, and its grants, for all that it may be.
    ready: Vec<(u64, u32)>,
    /// The grants of the others of its group, where that keeps its order.
    group: Vec<(u64, u32)>,
    /// When something was last granted or changed under each of its limiters.
    touched: Vec<Option<u64>>,
}

impl Model {
    /// A batch that comes before its time is over comes because so much was ready.
    pub(super) fn check_batch(&self, effect: &Effect, id: QueueId, deliveries: &[Delivery]) -> Checked {
        let Command::Lease { max, bytes_max, linger_ms, one_lane, .. } = effect.command else { return Ok(()) };
        let lanes = deliveries.iter().filter_map(|delivery| self.jobs.all.get(&delivery.handle.message));
        let lanes: Vec<_> = lanes.map(|job| job.lane).collect();
        let first = lanes.first().copied().flatten();
        if one_lane && lanes.iter().any(|lane| *lane != first) {
            return Err("a batch of one group came from several".to_owned());
        }
        if linger_ms == 0 || effect.at >= effect.submitted + linger_ms {
            return Ok(());
        }
        // The group that fills it may be held back by limiters, or be the next one no more when its first job turns out to
        // have come too late: then another one comes.
        let limited = !self.job_queue(id)?.config().limiters.is_empty();
        let too_late = |job: &Job| {
            job.possibly(|standing| standing.is_ready_in(id))
                && job.possibly(|standing| standing.queue != id || standing.is_finished())
        };
        let another = limited || self.jobs.all.values().any(too_late);
        let ready = |job: &&Job| {
            job.possibly(|standing| standing.is_ready_in(id)) && (!one_lane || another || job.lane == first)
        };
        let ready: Vec<u64> = self.jobs.all.values().filter(ready).map(|job| job.bytes).collect();
        if ready.len() >= max as usize || ready.iter().sum::<u64>() >= bytes_max {
            return Ok(());
        }
        Err("a batch came neither full nor late".to_owned())
    }

    /// Whether as much is ready, beyond doubt, as a batch takes. Of groups that keep their order it is told as far as their
    /// rows are in memory.
    pub fn fills(&self, id: QueueId, max: u32, bytes_max: u64) -> bool {
        let limited = self.jobs.queues.get(&id).is_none_or(|queue| !queue.config().limiters.is_empty());
        let ready: Vec<u64> = self.jobs_certainly_ready(id).map(|(_, job)| job.bytes).collect();
        let full = ready.len() >= max as usize || ready.iter().sum::<u64>() >= bytes_max;
        !limited && !self.is_fifo(id) && !ready.is_empty() && full
    }

    /// The jobs that a batch of a queue can have, beyond doubt.
    pub fn offers(&self, id: QueueId, at: u64) -> Vec<(u64, Offer)> {
        let jobs = self.jobs_certainly_ready(id).filter(|(_, job)| self.is_unlimited(id, job, at));
        jobs.map(|(job, found)| (job, self.offer(id, job, found))).collect()
    }

    fn offer(&self, queue: QueueId, id: u64, job: &Job) -> Offer {
        let grants = |job: &Job| job.may.iter().map(|standing| standing.grants).max().unwrap_or_default();
        let group = self.group_of(queue, id, job).filter(|_| self.is_fifo(queue));
        let touched = &self.jobs.limits.touched;
        Offer {
            stands_since: job.stands_since,
            ready: job.may.iter().map(|standing| (standing.due.from, standing.grants)).collect(),
            group: group.map(|(other, job)| (other, grants(job))).collect(),
            touched: self.uses_of(queue, job).iter().map(|started| touched.get(&started.key.0).copied()).collect(),
        }
    }
}
