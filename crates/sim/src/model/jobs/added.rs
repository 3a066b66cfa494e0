//! Jobs added.

use std::collections::BTreeMap;

use weir_core::api::job::{Added, JobOptions, NewJob};
use weir_core::api::{Error, IDEMPOTENCY_WINDOW_MS, QueueId, Reply};

use super::super::{Checked, Model, number_of};
use super::flows::Joining;
use super::{Job, Place, Span, Standing, State};

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
        if self.named(new.queue, &options, added, number)? {
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
        let delay = new.message.delay_ms.unwrap_or(self.job_queue(new.queue)?.config().delay_ms);
        let ready_at = options.run_at.map_or(at.saturating_add(delay), |run_at| run_at.0);
        let standing = if ready_at <= at {
            Standing::new(State::Ready, Span::at(at))
        } else {
            Standing::new(State::Delayed, Span::at(ready_at))
        };
        self.written_until = self.written_until.max(at);
        self.by_id.insert(added.id, number);
        self.jobs.all.insert(
            added.id,
            Job {
                queue: new.queue,
                number,
                place: Place::new(new.message.priority, added.id, options.lifo),
                lane: new.message.lane,
                sent: at,
                stands_since: at,
                bytes: new.message.payload.len() as u64,
                options,
                limits: new.message.limits.as_ref().map(|limits| limits.uses.clone()).unwrap_or_default(),
                first_received: None,
                progress: None,
                logs: Vec::new(),
                logs_from: 0,
                failures: BTreeMap::new(),
                result: None,
                returning: None,
                parent: None,
                not_before: None,
                may: vec![standing],
            },
        );
        Ok(())
    }

    /// Whether it is a duplicate by the id that its sender chose.
    fn named(&mut self, queue: QueueId, options: &JobOptions, added: &Added, number: usize) -> Result<bool, String> {
        let Some(hash) = options.custom_id else { return Ok(false) };
        let same = |job: &&mut Job| job.queue == queue && job.options.custom_id == Some(hash);
        // All but the newest are gone: it could not have been added otherwise.
        let Some((id, job)) = self.jobs.all.iter_mut().rev().find(|(_, job)| same(job)) else { return Ok(false) };
        if added.duplicate {
            job.see("keeps another one of its id away", |standing| standing.state != State::Removed)?;
            if added.id != *id {
                return Err(format!("job {number} duplicates job {id}, not {}", added.id));
            }
        } else {
            job.see("is followed by one of its id", |standing| standing.state == State::Removed)?;
        }
        Ok(added.duplicate)
    }
}
