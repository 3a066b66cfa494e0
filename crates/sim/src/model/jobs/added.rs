//! Jobs added.

use weir_core::api::job::{Added, JobOptions, NewJob};
use weir_core::api::{Error, IDEMPOTENCY_WINDOW_MS, QueueId, Reply};

use super::super::{Checked, Model, number_of};
use super::dedup::standing_at;
use super::flows::Joining;
use super::{Away, Job, Standing, State};

impl Model {
    pub(in crate::model) fn jobs_added(
        &mut self,
        jobs: &[NewJob],
        idempotency: Option<[u8; 16]>,
        reply: &Result<Reply, Error>,
        at: u64,
    ) -> Checked {
        let stale = jobs.iter().any(|job| self.queue(job.queue).is_ok_and(|queue| queue.version != job.version));
        let gone = jobs.iter().any(|job| self.queue(job.queue).is_err());
        let before = idempotency.and_then(|hash| self.jobs.answers.get(&hash));
        let before = before.filter(|(first, _)| at < first.saturating_add(IDEMPOTENCY_WINDOW_MS));
        if let (Some((_, before)), false) = (before, gone) {
            self.jobs.repeats += 1;
            return match reply {
                Ok(Reply::Added(added)) if added == before => Ok(()),
                reply => Err(format!("jobs of a key that had {before:?} were answered with {reply:?}")),
            };
        }
        let misfits: Vec<Error> = jobs.iter().filter_map(|job| self.misfit(job)).collect();
        let added = match reply {
            Err(Error::QueueNotFound) if gone => return Ok(()),
            Err(Error::Stale { .. }) if stale => return Ok(()),
            Err(error) if misfits.contains(error) => return Ok(()),
            Err(error) if !stale && !gone && misfits.is_empty() && self.parents_refused(jobs, error)? => return Ok(()),
            Ok(Reply::Added(added)) if !stale && !gone && misfits.is_empty() && added.len() == jobs.len() => added,
            reply => return Err(format!("adding jobs was answered with {reply:?}")),
        };
        self.parents_named(jobs)?;
        let mut joining = Joining::new(jobs);
        for (place, (job, added)) in jobs.iter().zip(added).enumerate() {
            self.job_added(job, added, at)?;
            self.joined(&mut joining, place, job, added)?;
        }
        self.all_joined(&joining, at)?;
        if let Some(hash) = idempotency {
            self.jobs.answers.insert(hash, (at, added.clone()));
        }
        Ok(())
    }

    fn job_added(&mut self, new: &NewJob, added: &Added, at: u64) -> Checked {
        let number = number_of(&new.message.payload).ok_or("a payload without a number")?;
        if added.queue != new.queue {
            return Err(format!("job {number} was added to queue {}", added.queue.0));
        }
        let options = new.message.options.as_deref().cloned().unwrap_or_default();
        if self.named(new.queue, &options, added, (number, at))?
            || self.deduplicated(new, (added.id, added.duplicate), at)?
        {
            return Ok(());
        }
        if added.duplicate {
            return Err(format!("job {number} was dropped and duplicates nothing"));
        }
        if let Some((&last, _)) = self.by_id.last_key_value()
            && last >= added.id
        {
            return Err(format!("job {number} got the id {}, which is not above {last}", added.id));
        }
        let (state, due) = standing_at(self.ready_at(new, at)?, at);
        self.written_until = self.written_until.max(at);
        self.by_id.insert(added.id, number);
        let mut job = Job::new(new, added.id, options, at, Standing::new(new.queue, state, due))
            .ok_or("a payload without a number")?;
        job.keep_away(at);
        self.jobs.all.insert(added.id, job);
        Ok(())
    }

    /// When a job that is added may run.
    pub(super) fn ready_at(&self, new: &NewJob, at: u64) -> Result<u64, String> {
        let delay = new.message.delay_ms.unwrap_or(self.job_queue(new.queue)?.config().delay_ms);
        let run_at = new.message.options.as_ref().and_then(|options| options.run_at);
        Ok(run_at.map_or(at.saturating_add(delay), |run_at| run_at.0))
    }

    /// Whether it is a duplicate by the id that its sender chose.
    fn named(
        &mut self,
        queue: QueueId,
        options: &JobOptions,
        added: &Added,
        (number, at): (usize, u64),
    ) -> Result<bool, String> {
        let Some(hash) = options.custom_id else { return Ok(false) };
        let same = |job: &&mut Job| job.queue == queue && job.options.custom_id == Some(hash);
        // All but the newest are gone: it could not have been added otherwise.
        let Some((id, job)) = self.jobs.all.iter_mut().rev().find(|(_, job)| same(job)) else { return Ok(false) };
        // What is gone may keep it away by its deduplication id.
        let other = options.dedup.is_some() && (added.id != *id || job.certainly(|standing| !standing.is_there()));
        if added.duplicate && !other {
            let dedup = options.dedup.filter(|dedup| job.has_dedup(dedup.hash));
            if added.id == *id && dedup.is_some() && job.possibly(|standing| !standing.is_there()) {
                // It is not known by which of its ids it keeps this one away.
                job.see("keeps another one of its ids away", |standing| {
                    standing.is_there() || standing.keeps_away(at)
                })?;
                let until = dedup.filter(|dedup| dedup.extend).and_then(|dedup| dedup.ttl_ms);
                for standing in job.may.iter_mut().filter(|standing| !standing.is_there()) {
                    standing.away = until.map_or(standing.away, |ttl_ms| Away::Until(at.saturating_add(ttl_ms)));
                }
                return Ok(true);
            }
            job.see("keeps another one of its id away", |standing| standing.state != State::Removed)?;
            if added.id != *id {
                return Err(format!("job {number} duplicates job {id}, not {}", added.id));
            }
        } else {
            job.see("is followed by one of its id", |standing| standing.state == State::Removed)?;
        }
        Ok(added.duplicate && !other)
    }
}
