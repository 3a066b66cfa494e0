//! Jobs of FIFO queues: the order within a group, and which groups may run.

use std::collections::BTreeSet;

use weir_core::api::job::{Hold, JobChange, NewJob};
use weir_core::api::{Delivery, Error, Kind, Lane, QueueId};

use super::super::{Checked, Model};
use super::{Job, Standing, State};

/// Whether a job that stands so has its place in its group, or is under a lease.
fn is_in_line(standing: &Standing, queue: QueueId) -> bool {
    standing.queue == queue && matches!(standing.state, State::Ready | State::Delayed | State::Leased)
}

fn is_leased(standing: &Standing, queue: QueueId) -> bool {
    standing.queue == queue && standing.state == State::Leased
}

impl Model {
    /// Whether a queue keeps the order of its groups.
    pub fn is_fifo(&self, id: QueueId) -> bool {
        self.queues.get(&id).is_some_and(|queue| queue.kind == Kind::Fifo)
    }

    /// The other jobs of a job's group in that queue.
    pub(super) fn group_of(&self, queue: QueueId, id: u64, job: &Job) -> impl Iterator<Item = (u64, &Job)> {
        let lane = job.lane;
        let others = self.jobs.all.iter().map(|(id, job)| (*id, job));
        others.filter(move |(other, job)| *other != id && job.lane == lane && job.may_be_in(queue))
    }

    /// Whether a job is the one of its group that comes next, and nothing of the group is leased, beyond doubt. Where
    /// there are no groups that keep their order, every job comes next.
    pub(super) fn leads(&self, queue: QueueId, id: u64, job: &Job) -> bool {
        !self.is_fifo(queue)
            || self.group_of(queue, id, job).all(|(other, group)| {
                group.certainly(|standing| !is_leased(standing, queue) && (other > id || !is_in_line(standing, queue)))
            })
    }

    /// Groups of which one waits behind one that failed and is to be tried again.
    pub fn groups_held(&self, id: QueueId) -> usize {
        let held = |(first, job): &(&u64, &Job)| {
            let failed =
                |standing: &Standing| standing.queue == id && standing.state == State::Delayed && standing.failures > 0;
            job.certainly(failed)
                && self
                    .group_of(id, **first, job)
                    .any(|(other, group)| other > **first && group.certainly(|standing| standing.is_ready_in(id)))
        };
        self.jobs.all.iter().filter(held).count()
    }

    /// Why a job cannot be added to its queue, if that is because of what it is.
    pub(super) fn misfit(&self, job: &NewJob) -> Option<Error> {
        let options = job.message.options.as_deref();
        if !self.is_fifo(job.queue) {
            return None;
        }
        if job.message.lane.is_none() {
            return Some(Error::LaneRequired);
        }
        let reason = "a FIFO queue keeps the order of its groups";
        options.is_some_and(|options| options.lifo).then_some(Error::Invalid { field: "lifo", reason })
    }

    /// Whether a change would set a job of a FIFO queue before others of its group.
    pub(super) fn breaks_order(&self, id: QueueId, change: &JobChange) -> bool {
        self.is_fifo(id) && matches!(change, JobChange::Priority { lifo: true, .. })
    }

    pub(in crate::model) fn change_refused(&self, id: QueueId, change: &JobChange) -> Checked {
        if self.breaks_order(id, change) { Ok(()) } else { Err("a change was refused that keeps the order".to_owned()) }
    }

    /// A batch of a FIFO queue: group by group, each in its order and from its front, and none of which anything is leased.
    pub(super) fn check_groups(&mut self, id: QueueId, deliveries: &[Delivery], batch: &BTreeSet<u64>) -> Checked {
        self.check_group_order(id, deliveries, batch)?;
        for delivery in deliveries {
            let first = delivery.handle.message;
            let Some(job) = self.jobs.all.get(&first) else { continue };
            let (number, lane) = (job.number, job.lane);
            let group = |(other, job): &(&u64, &mut Job)| {
                job.may_be_in(id) && job.lane == lane && **other != first && !batch.contains(other)
            };
            for (&other, job) in self.jobs.all.iter_mut().filter(group) {
                job.see(&format!("did not keep job {number} of its group back"), |standing| {
                    !is_leased(standing, id) && (other > first || !is_in_line(standing, id))
                })?;
            }
        }
        Ok(())
    }

    fn check_group_order(&self, id: QueueId, deliveries: &[Delivery], batch: &BTreeSet<u64>) -> Checked {
        let lane_of = |id: &u64| self.jobs.all.get(id).and_then(|job| job.lane);
        let of_batch: BTreeSet<Option<Lane>> = batch.iter().map(lane_of).collect();
        let waiting = self.jobs_certainly_ready(id).map(|(_, job)| job);
        let waiting: Vec<&Job> = waiting.filter(|job| !of_batch.contains(&job.lane)).collect();
        // Limits hold one group back and not another; those that have the same ones come in order.
        let limited = !self.job_queue(id)?.config().limiters.is_empty();
        let alike = |job: &Job, other: &Job| !limited || job.limits == other.limits;
        let mut lanes = BTreeSet::new();
        let (mut leader, mut last): (Option<&Job>, Option<(u64, &Job)>) = (None, None);
        for delivery in deliveries {
            let queue = id;
            let id = delivery.handle.message;
            let job = self.jobs.all.get(&id).ok_or_else(|| format!("job {id} came, which is not there"))?;
            if let Some((before, last)) = last.filter(|(_, last)| last.lane == job.lane) {
                if before > id {
                    return Err(format!("job {} came after job {} of its group", job.number, last.number));
                }
            } else {
                if !lanes.insert(job.lane) {
                    return Err(format!("job {} came apart from others of its group", job.number));
                }
                // A group stands where its first job stood, also one that turns out to have come too late.
                let lost_first = |(other, group): (u64, &Job)| {
                    let is_in_line = |standing: &Standing| is_in_line(standing, queue);
                    other < id && !batch.contains(&other) && group.possibly(is_in_line)
                };
                if self.group_of(queue, id, job).any(lost_first) {
                    last = Some((id, job));
                    continue;
                }
                if let Some(leader) = leader.filter(|leader| leader.place > job.place && alike(leader, job)) {
                    return Err(format!("the group of job {} came after that of {}", job.number, leader.number));
                }
                if let Some(passed) = waiting.iter().find(|other| other.place < job.place && alike(other, job)) {
                    return Err(format!("job {} came before job {}, which was next", job.number, passed.number));
                }
                leader = Some(job);
            }
            last = Some((id, job));
        }
        Ok(())
    }

    /// What is said of the group of a job that waits: that it holds the job back, and by which one, or that it does not.
    pub(super) fn explained_group(&mut self, id: u64, holds: &[Hold]) -> Checked {
        let Some(job) = self.jobs.all.get(&id).filter(|job| self.is_fifo(job.queue_now())) else { return Ok(()) };
        let (number, queue, lane) = (job.number, job.queue_now(), job.lane);
        let named = holds.iter().find_map(|hold| match hold {
            Hold::Group { job } => Some(*job),
            _ => None,
        });
        if named == Some(None) {
            let leased = |standing: &Standing| is_leased(standing, queue);
            let leased = self.group_of(queue, id, job).any(|(_, group)| group.possibly(leased));
            return if leased { Ok(()) } else { Err(format!("nothing of the group of job {number} is leased")) };
        }
        let first = named.flatten();
        if first.is_some_and(|first| !self.group_of(queue, id, job).any(|(other, _)| other == first && other < id)) {
            return Err(format!("job {number} is said to wait for {first:?}, which does not come before it"));
        }
        let end = first.unwrap_or(id);
        for (&other, job) in &mut self.jobs.all {
            if !job.may_be_in(queue) || job.lane != lane || other == id {
                continue;
            }
            job.see(&format!("is not what job {number} waits for in its group"), |standing| {
                !is_leased(standing, queue) && (other > end || Some(other) == first || !is_in_line(standing, queue))
            })?;
            if Some(other) == first {
                job.see(&format!("is what job {number} waits for in its group"), |standing| {
                    is_in_line(standing, queue)
                })?;
            }
        }
        Ok(())
    }
}
