//! Jobs leased to workers.

use std::collections::BTreeSet;

use weir_core::api::{Command, Delivery, QueueId};

use super::super::{Checked, Effect, Model};
use super::{Job, Span, Standing, State};

/// So many leases make a group come after the others, less what one lease can bring.
const QUIET_LEASES: usize = 30 - 10;

impl Model {
    pub(in crate::model) fn jobs_leased(&mut self, effect: &Effect, id: QueueId, deliveries: &[Delivery]) -> Checked {
        let Command::Lease { max, bytes_max, lease_ms, wait_ms, one_lane, .. } = effect.command else {
            return Err("jobs for another command".to_owned());
        };
        let at = effect.at;
        if deliveries.is_empty() {
            return self.no_jobs(effect, id, wait_ms);
        }
        if self.job_queue(id)?.paused_until > at {
            return Err(format!("jobs came out of queue {}, which is paused", id.0));
        }
        if deliveries.len() > max as usize {
            return Err(format!("{} jobs came where {max} were asked for", deliveries.len()));
        }
        let distinct: BTreeSet<u64> = deliveries.iter().map(|delivery| delivery.handle.message).collect();
        if distinct.len() != deliveries.len() {
            return Err("one lease brought a job twice".to_owned());
        }
        self.adopt_leased(id, deliveries)?;
        self.check_batch(effect, id, deliveries)?;
        if self.is_fifo(id) {
            self.check_groups(id, deliveries, &distinct)?;
        } else {
            self.check_jobs_order(id, deliveries, &distinct, one_lane)?;
        }
        let rules = self.job_queue(id)?.rules.last().cloned().ok_or("a queue without a configuration")?;
        let config = rules.config.clone();
        self.written_until = self.written_until.max(at);
        let mut bytes = 0;
        for delivery in deliveries {
            let handle = delivery.handle;
            let source = delivery.dead_letter_source.as_deref();
            let from = source.map(|name| self.ever_named(name)).unwrap_or_default();
            self.started(id, handle.message, handle.grant, at)?;
            let job = self.job(handle.message)?;
            if !job.may_be_in(id) {
                return Err(format!("job {} came out of queue {}", job.number, id.0));
            }
            bytes += job.bytes;
            job.see_in(id)?;
            job.see(&format!("came as a dead letter of {source:?}"), |standing| match standing.source {
                Some(source) => from.contains(&source),
                None => source.is_none(),
            })?;
            job.see("came once more and not as a dead letter", |standing| rules.dead_letter_queue(standing).is_none())?;
            job.check_grant(delivery, at)?;
            let timeout = job.options.timeout_ms.or(config.timeout_ms).map(|ms| at.saturating_add(ms));
            if delivery.timeout_at.map(|time| time.0) != timeout {
                return Err(format!("the attempt of job {} has to end at {:?}", job.number, delivery.timeout_at));
            }
            let end = at.saturating_add(lease_ms.unwrap_or(config.visibility_ms)).min(timeout.unwrap_or(u64::MAX));
            if delivery.deadline.0 != end {
                return Err(format!("the lease of job {} ends at {}, not {end}", job.number, delivery.deadline));
            }
            job.becomes(|before| Standing {
                grants: before.grants + 1,
                receives: before.receives + 1,
                timeout,
                cancel: before.cancel,
                ..before.moved(State::Leased, Span::at(end))
            });
            self.handles.insert((handle.space, handle.message, handle.grant, handle.proof));
        }
        if deliveries.len() > 1 && bytes_max < bytes {
            return Err(format!("{bytes} bytes came where {bytes_max} were asked for"));
        }
        Ok(())
    }

    fn no_jobs(&self, effect: &Effect, id: QueueId, wait_ms: u64) -> Checked {
        if effect.canceled {
            return Ok(());
        }
        if effect.at < effect.submitted + wait_ms {
            return Err("a lease was answered as empty before its wait was over".to_owned());
        }
        let at = effect.at;
        match self.jobs_certainly_ready(id).find(|(_, job)| self.is_unlimited(id, job, at)) {
            Some((_, job)) => Err(format!("a lease came back empty although job {} was ready", job.number)),
            None => Ok(()),
        }
    }

    /// The jobs of a queue that a lease can certainly have.
    pub fn jobs_certainly_ready(&self, id: QueueId) -> impl Iterator<Item = (u64, &Job)> {
        let runs = self
            .jobs
            .queues
            .get(&id)
            .is_some_and(|queue| queue.paused_until == 0 || queue.paused_until < self.settled_until)
            && self.queues.get(&id).is_some_and(|queue| !queue.deleted);
        let free = move |job: &Job| job.certainly(|standing| standing.is_ready_in(id));
        let jobs = self.jobs.all.iter().filter(move |(_, job)| runs && free(job));
        jobs.map(|(id, job)| (*id, job)).filter(move |(job, found)| self.leads(id, *job, found))
    }

    fn check_jobs_order(&self, id: QueueId, deliveries: &[Delivery], batch: &BTreeSet<u64>, one_lane: bool) -> Checked {
        let quiet = |job: &Job| {
            let leased =
                |other: &&Job| other.lane == job.lane && other.possibly(|standing| standing.state == State::Leased);
            job.lane.is_none() || self.jobs.all.values().filter(leased).count() < QUIET_LEASES
        };
        let waiting: Vec<&Job> = self
            .jobs_certainly_ready(id)
            .filter(|(id, job)| !batch.contains(id) && quiet(job))
            .map(|(_, job)| job)
            .collect();
        // Limits hold one key back and not another; whoever has the same ones comes in order.
        let limited = !self.job_queue(id)?.config().limiters.is_empty();
        let alike = |job: &Job, other: &Job| !limited || job.limits == other.limits && job.lane == other.lane;
        let mut last: Option<&Job> = None;
        for (at, delivery) in deliveries.iter().enumerate() {
            let id = delivery.handle.message;
            let job = self.jobs.all.get(&id).ok_or_else(|| format!("job {id} came, which is not there"))?;
            // A batch of one group is of the one that is next.
            let wanted = |other: &Job| !one_lane || at == 0 || other.lane == job.lane;
            if quiet(job) {
                if let Some(last) = last.filter(|last| last.place > job.place && alike(last, job)) {
                    return Err(format!("job {} came after job {}", job.number, last.number));
                }
                last = Some(job);
            }
            if let Some(passed) =
                waiting.iter().find(|other| other.place < job.place && alike(other, job) && wanted(other))
            {
                return Err(format!("job {} came before job {}, which was ready", job.number, passed.number));
            }
        }
        Ok(())
    }
}

impl Job {
    fn check_grant(&mut self, delivery: &Delivery, at: u64) -> Checked {
        let told = (delivery.handle.grant, delivery.grants, delivery.failures, delivery.stalls);
        self.see(&format!("was granted as {told:?}"), |standing| {
            standing.state == State::Ready
                && (standing.grants + 1, standing.receives + 1, standing.failures, standing.stalls) == told
        })?;
        // Of another queue nothing was said.
        let bound = self.not_before.take().filter(|_| !self.has_moved());
        if let Some(bound) = bound.filter(|bound| at < *bound) {
            return Err(format!("job {} was not to run before {bound}, and ran at {at}", self.number));
        }
        if delivery.priority != self.place.priority() || !self.was_sent(delivery.sent_at.0, at) {
            return Err(format!("job {} came with another priority or time of sending", self.number));
        }
        let first = *self.first_received.get_or_insert(at);
        if delivery.first_received_at.0 != first {
            return Err(format!("job {} was first received at {first} and says otherwise", self.number));
        }
        Ok(())
    }
}
