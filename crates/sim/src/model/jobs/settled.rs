//! Leases of workers settled.

use weir_core::api::job::{Again, FailureKind, JobState, Keep, Settled, Settlement};
use weir_core::api::{Config, Error, Handle, QueueId};

use super::super::{Checked, Model};
use super::asked::pause_of;
use super::moved::Rules;
use super::pass::backoff;
use super::{Job, JobQueue, Span, Standing, State};

impl Model {
    pub(in crate::model) fn jobs_settled(
        &mut self,
        id: QueueId,
        entries: &[(Handle, Settlement)],
        settled: &[Result<Settled, Error>],
        at: u64,
    ) -> Checked {
        if entries.len() != settled.len() {
            return Err("not one answer for each settlement".to_owned());
        }
        let rules = self.job_queue(id)?.rules.last().cloned().ok_or("a queue without a configuration")?;
        for ((handle, settlement), result) in entries.iter().zip(settled) {
            let Some(found) = self.job_of(handle) else {
                if result.is_ok() {
                    return Err("a job that is gone was settled".to_owned());
                }
                continue;
            };
            let pause = pause_of(settlement);
            let to_pause = pause.map(|pause| (pause.for_ms, self.keys_to_pause(id, found, pause)));
            let job = self.job(found)?;
            let live = |standing: &Standing| standing.state == State::Leased && standing.grants == handle.grant;
            match result {
                Ok(_) if !job.may_be_in(id) => return Err(format!("job {} was settled in another queue", job.number)),
                Ok(settled) => {
                    let is_child = job.possibly(|standing| standing.flow.parent.is_some());
                    job.see("was settled by its holder", |standing| {
                        live(standing) && standing.queue == id && at < standing.due.from
                    })?;
                    job.settle(&rules, settlement, settled, at)?;
                    let ended = matches!(settled.state, JobState::Completed | JobState::Failed);
                    let said = settlement.said().filter(|_| ended && is_child).cloned();
                    self.jobs.flows.said.extend(said.map(|said| (found, said)));
                    match to_pause {
                        Some((for_ms, Some(keys))) => self.left_alone(id, &keys, for_ms, at),
                        Some((_, None)) => {
                            return Err("keys of a limiter were paused that the queue does not have".to_owned());
                        }
                        None => {}
                    }
                    self.written_until = self.written_until.max(at);
                }
                Err(Error::HandleInvalid) if job.possibly(|standing| standing.queue != id) => {}
                Err(Error::LimiterNotFound) if to_pause.is_some_and(|(_, keys)| keys.is_none()) => {
                    job.see("was not put back by its holder", |standing| live(standing) && at < standing.due.from)?;
                }
                Err(Error::LeaseLost) => {
                    job.see("was taken from its holder", |standing| !standing.is_held(handle.grant, at))?;
                }
                Err(error) => return Err(format!("job {} could not be settled: {error}", job.number)),
            }
        }
        Ok(())
    }

    pub(in crate::model) fn jobs_returned(&mut self, handles: &[Handle], at: u64, certain: bool) -> Checked {
        // What was started and did not leave is given back.
        self.forget_bounds(None);
        for handle in handles {
            let Some(found) = self.job_of(handle) else { continue };
            let leased = |standing: &&Standing| standing.state == State::Leased && standing.grants == handle.grant;
            let Some(queue) = self.job(found)?.may.iter().find(leased).map(|standing| standing.queue) else { continue };
            let config = self.job_queue(queue)?.config();
            let job = self.job(found)?;
            if certain && job.certainly(|standing| standing.is_held(handle.grant, at)) {
                job.stands_since = at;
                job.becomes(|held| Standing { due: Span::at(at), ..held.given_back(at) });
                job.finish(&config);
            } else {
                job.returning = Some(handle.grant);
            }
        }
        Ok(())
    }
}

impl Job {
    fn settle(&mut self, rules: &Rules, settlement: &Settlement, settled: &Settled, at: u64) -> Checked {
        let told = format!("is told of a cancel with {settled:?}");
        self.see(&told, |standing| standing.cancel == settled.cancel_requested)?;
        let mut wrong = None;
        let mut after = Vec::new();
        for before in &self.may {
            match self.settled_as(before, rules, settlement, settled, at) {
                Ok(mut standing) => {
                    standing.flow.said(before.flow.ends.len(), settlement.said());
                    if !after.contains(&standing) {
                        after.push(standing);
                    }
                }
                Err(said) => wrong = Some(said),
            }
        }
        if let (true, Some(wrong)) = (after.is_empty(), wrong) {
            return Err(wrong);
        }
        match settlement {
            Settlement::Complete { result } => self.result.clone_from(result),
            Settlement::Fail { failure, .. } => {
                let grant = self.may.first().map_or(0, |standing| standing.grants);
                self.failures.insert(grant, failure.clone());
            }
            Settlement::Extend { progress, logs, .. } => {
                if progress.is_some() {
                    self.progress.clone_from(progress);
                }
                self.logs.extend(logs.iter().cloned());
            }
            Settlement::Release { .. } | Settlement::WaitForChildren => {}
        }
        self.not_before = None;
        self.stands_since = at;
        self.may = after;
        self.finish(&rules.config);
        Ok(())
    }

    /// What becomes of a job that stood so, if that is what was told.
    fn settled_as(
        &self,
        before: &Standing,
        rules: &Rules,
        settlement: &Settlement,
        settled: &Settled,
        at: u64,
    ) -> Result<Standing, String> {
        let now = Span::at(at);
        let after = match settlement {
            Settlement::Complete { .. } => before.moved(State::Completed, now),
            Settlement::Fail { again, .. } => self.fail(before, rules, *again, settled, at)?,
            Settlement::Release { .. } if before.cancel => {
                let mut failed = before.clone();
                failed.history.push((before.grants, FailureKind::Cancelled));
                failed.moved(State::Failed(FailureKind::Cancelled), now)
            }
            Settlement::Release { delay_ms: 0, .. } => Standing { due: now, ..before.given_back(at) },
            Settlement::Release { delay_ms, .. } => {
                let due = Span::at(at.saturating_add(*delay_ms));
                Standing { state: State::Delayed, due, ..before.given_back(at) }
            }
            Settlement::Extend { lease_ms, .. } => {
                let end = at.saturating_add(lease_ms.unwrap_or(rules.config.visibility_ms));
                Standing { due: Span::at(end.min(before.timeout.unwrap_or(u64::MAX))), ..before.clone() }
            }
            Settlement::WaitForChildren => before.waits_for_children(now),
        };
        let due = settled.due.map(|due| due.0);
        let (state, due_expected) = match after.state {
            // Where it failed, it is no more.
            _ if after.queue != before.queue => (JobState::Failed, None),
            State::Ready => (JobState::Ready, None),
            State::Delayed => (JobState::Delayed, after.due.to),
            State::Leased => (JobState::Leased, after.due.to),
            State::Waiting => (JobState::Waiting, None),
            State::Completed => (JobState::Completed, None),
            State::Failed(_) | State::Removed | State::KeptBack => (JobState::Failed, None),
        };
        if settled.state != state || due_expected.is_some() && due != due_expected {
            return Err(format!("job {} was settled as {settled:?}, not {after:?}", self.number));
        }
        Ok(after)
    }

    /// Where nothing is kept of it when it has finished, it is gone at once.
    fn finish(&mut self, config: &Config) {
        let before = std::mem::take(&mut self.may);
        for standing in before {
            let keep = if standing.is_finished() { JobQueue::keep(config, self, standing.state) } else { Keep::ALL };
            let gone = keep.count == 0 || keep.age_ms == 0;
            self.may.push(if gone { standing.moved(State::Removed, standing.due) } else { standing });
        }
    }

    fn fail(
        &self,
        before: &Standing,
        rules: &Rules,
        again: Again,
        settled: &Settled,
        at: u64,
    ) -> Result<Standing, String> {
        let mut failed = before.clone();
        let kind = if before.cancel { FailureKind::Cancelled } else { FailureKind::Reported };
        failed.failures += 1;
        failed.history.push((before.grants, kind));
        let retry = JobQueue::retry(&rules.config, self);
        let is_last = again == Again::Never
            || before.cancel
            || failed.failures >= retry.attempts_max
            || rules.dead_letter_queue(before).is_some();
        if is_last {
            return Ok(failed.fails(kind, rules.dead, Span::at(at)));
        }
        let (least, most) = match again {
            Again::After(delay_ms) => (delay_ms, delay_ms),
            _ => backoff(retry, failed.failures),
        };
        let due = settled.due.map_or(at, |due| due.0);
        if !Span::between(at.saturating_add(least), at.saturating_add(most)).includes(due) {
            return Err(format!("job {} is tried again at {due}, not {least} to {most} ms later", self.number));
        }
        let state = if due > at { State::Delayed } else { State::Ready };
        Ok(failed.moved(state, Span::at(due)))
    }
}

/// What the settlements of workers leave behind.
trait Says {
    /// What remains of an end.
    fn said(&self) -> Option<&Vec<u8>>;
}

impl Says for Settlement {
    fn said(&self) -> Option<&Vec<u8>> {
        match self {
            Settlement::Complete { result } => result.as_ref(),
            Settlement::Fail { failure, .. } => Some(failure),
            Settlement::Release { .. } | Settlement::Extend { .. } | Settlement::WaitForChildren => None,
        }
    }
}
