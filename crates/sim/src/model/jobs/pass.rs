//! What time does to jobs by itself.

use std::collections::BTreeMap;

use weir_core::api::job::{Backoff, FailureKind, Retry};
use weir_core::api::{Config, QueueId};

use super::super::{Checked, Model};
use super::moved::Rules;
use super::{Job, JobQueue, Jobs, Span, Standing, State};

/// The jobs of a queue that may have finished so: when at the latest, in order, and how many each of them leaves at most.
type Finished = BTreeMap<(QueueId, bool), Vec<(u64, u64)>>;

type Queues = BTreeMap<QueueId, JobQueue>;

impl Model {
    /// Time has come to `at`: whatever may have happened since, may be.
    pub fn pass(&mut self, at: u64) {
        let settled = self.settled_until;
        self.end_keeping_away();
        self.jobs.pass(settled, at);
        self.let_kept_come(settled, at);
        self.pass_flows(settled, at);
        self.forget_removed();
        let Jobs { all, limits, .. } = &mut self.jobs;
        limits.uses.retain(|(id, grant), uses| {
            let held = |standing: &Standing| standing.state == State::Leased && standing.grants == *grant;
            let goes_on = all.get(id).is_some_and(|job| job.possibly(held));
            if !goes_on {
                // What was never said to have left left when it ended, and that was noticed by now.
                limits.touched.extend(uses.iter().map(|started| (started.key.0, at)));
            }
            goes_on
        });
    }
}

impl Model {
    /// The shard was opened, and it is earlier than it was when something was read last: what time alone would have done
    /// since has not happened.
    pub fn came_back(&mut self, now: u64) -> Checked {
        for job in self.jobs.all.values_mut() {
            job.see("is what it becomes later", |standing| {
                matches!(standing.state, State::KeptBack | State::Leased | State::Delayed | State::Waiting)
                    || standing.due.from <= now
            })?;
        }
        Ok(())
    }
}

impl Jobs {
    /// What time does to each of them alone.
    pub(super) fn pass(&mut self, settled: u64, at: u64) {
        // Who has finished by now drives out others.
        for retention in [false, true] {
            let finished = if retention { self.finished() } else { Finished::new() };
            for job in self.all.values_mut() {
                job.pass(&self.queues, &finished, at);
                job.notice(settled, at);
            }
        }
    }

    fn finished(&self) -> Finished {
        let mut finished = Finished::new();
        for job in self.all.values() {
            for standing in &job.may {
                let Some(queue) = self.queues.get(&standing.queue) else { continue };
                if !matches!(standing.state, State::Completed | State::Failed(_)) {
                    continue;
                }
                let counts = queue.configs_since(standing.due.from);
                let least = counts.map(|config| JobQueue::keep(config, job, standing.state).count).min();
                let jobs = finished.entry((standing.queue, standing.state == State::Completed)).or_default();
                jobs.push((standing.due.to.unwrap_or(u64::MAX), least.unwrap_or(0)));
            }
        }
        for jobs in finished.values_mut() {
            jobs.sort_unstable();
        }
        finished
    }
}

impl Job {
    /// What time does to it, but for what others that finish do.
    pub(super) fn pass_alone(&mut self, queues: &Queues, settled: u64, at: u64) {
        self.pass(queues, &Finished::new(), at);
        self.notice(settled, at);
    }

    /// Adds what time may have made of it.
    fn pass(&mut self, queues: &Queues, finished: &Finished, at: u64) {
        let mut next = 0;
        while let Some(standing) = self.may.get(next).cloned() {
            next += 1;
            let Some(queue) = queues.get(&standing.queue) else { continue };
            for after in self.after(&standing, queue, finished, at) {
                if !self.may.iter().any(|standing| standing.is_same(&after)) {
                    self.may.push(after);
                }
            }
        }
    }

    /// What time may have made of a job in this standing.
    fn after(&self, standing: &Standing, queue: &JobQueue, finished: &Finished, at: u64) -> Vec<Standing> {
        let from = standing.due.from;
        let mut after = Vec::new();
        if standing.state == State::Leased && self.returning == Some(standing.grants) {
            after.push(standing.given_back(from.min(at)));
        }
        match standing.state {
            State::Delayed if from <= at => after.push(standing.moved(State::Ready, Span::after(from, 0, 0))),
            State::Leased if from <= at => {
                after.extend(queue.rules_since(from).flat_map(|rules| self.lease_over(standing, rules)));
            }
            State::Completed | State::Failed(_) => {
                let old = queue
                    .configs_since(from)
                    .any(|config| from.saturating_add(JobQueue::keep(config, self, standing.state).age_ms) <= at);
                let jobs = finished.get(&(standing.queue, standing.state == State::Completed));
                let later = jobs.map_or(&[][..], |jobs| jobs.split_at(jobs.partition_point(|job| job.0 < from)).1);
                // A queue that keeps fewer than before lets the others go, too.
                let driven_out = later.iter().map(|(_, left)| *left).chain(queue.configs_since(from).map(|config| {
                    let Config { keep_completed, keep_failed, .. } = config;
                    if standing.state == State::Completed { keep_completed.count } else { keep_failed.count }
                }));
                let driven_out = driven_out.min().is_some_and(|left| later.len() as u64 > left);
                if old || driven_out {
                    after.push(standing.moved(State::Removed, Span::after(from, 0, 0)));
                }
            }
            // Who was handed out often enough goes when it would be the next one.
            State::Ready => {
                let dead = queue.rules_since(from).filter_map(|rules| rules.dead_letter_queue(standing));
                after.extend(dead.map(|to| standing.fails(FailureKind::Reported, Some(to), Span::after(from, 0, 0))));
            }
            _ => {}
        }
        if let Some(expires) = self.options.expires_at
            && matches!(standing.state, State::Ready | State::Delayed | State::Waiting)
            && standing.receives == 0
            && expires.0 <= at
        {
            let mut expired = standing.moved(State::Failed(FailureKind::Expired), Span::after(expires.0, 0, 0));
            expired.history.push((standing.grants, FailureKind::Expired));
            after.push(expired);
        }
        after
    }

    /// What becomes of it when its lease ends by itself.
    pub(super) fn lease_over(&self, standing: &Standing, rules: &Rules) -> Vec<Standing> {
        let Rules { config, dead, .. } = rules;
        let is_last = rules.dead_letter_queue(standing).is_some();
        let from = standing.due.from;
        let timed_out = standing.timeout.is_some_and(|timeout| timeout <= from);
        let mut lost = standing.clone();
        let kind = if timed_out { FailureKind::TimedOut } else { FailureKind::Stalled };
        *(if timed_out { &mut lost.failures } else { &mut lost.stalls }) += 1;
        if standing.cancel {
            lost.history.push((standing.grants, FailureKind::Cancelled));
            return vec![lost.moved(State::Failed(FailureKind::Cancelled), Span::after(from, 0, 0))];
        }
        lost.history.push((standing.grants, kind));
        if timed_out {
            let retry = JobQueue::retry(config, self);
            if is_last || lost.failures >= retry.attempts_max {
                return vec![lost.fails(FailureKind::TimedOut, *dead, Span::after(from, 0, 0))];
            }
            let (least, most) = backoff(retry, lost.failures);
            let ready = lost.moved(State::Ready, Span::after(from, 0, 0));
            let delayed = lost.moved(State::Delayed, Span::after(from, least, most));
            return match (least, most) {
                (0, 0) => vec![ready],
                (0, _) => vec![delayed, ready],
                _ => vec![delayed],
            };
        }
        if is_last || lost.stalls > config.stalls_max {
            return vec![lost.fails(FailureKind::Stalled, *dead, Span::after(from, 0, 0))];
        }
        vec![lost.moved(State::Ready, Span::after(from, 0, 0))]
    }

    /// Takes away what cannot be any more when everything due until `settled` was dealt with.
    fn notice(&mut self, settled: u64, at: u64) {
        let over = |standing: &Standing| match standing.state {
            State::Delayed | State::Leased => standing.due.is_over(settled),
            _ => false,
        };
        let (was_kept_back, returning, stands_since) = (self.was_kept_back(), self.returning, self.stands_since);
        let expires_at = self.options.expires_at;
        let expired = |standing: &Standing| {
            let waits = matches!(standing.state, State::Ready | State::Delayed | State::Waiting);
            // Of one that is given back at a moment that is not known, that moment is the only one.
            let returned = returning == Some(standing.grants);
            let came = if was_kept_back { standing.due.from } else { 0 };
            let since = if returned { standing.due.to } else { Some(stands_since.max(came)) };
            waits
                && standing.receives == 0
                && expires_at.zip(since).is_some_and(|(expires, since)| expires.0.max(since) < settled)
        };
        self.may.retain(|standing| !over(standing) && !expired(standing));
        // What followed from what is gone has happened.
        let first = self.may.iter().map(|standing| standing.state.rank()).min();
        for standing in &mut self.may {
            if standing.due.to.is_none() && Some(standing.state.rank()) == first {
                standing.due.to = Some(at.max(standing.due.from).saturating_add(standing.due.slack));
            }
        }
    }
}

/// How long a job waits after so many failures: at least and at most, in milliseconds.
pub(super) fn backoff(retry: &Retry, failures: u32) -> (u64, u64) {
    let whole = match &retry.backoff {
        Backoff::Fixed { delay_ms } => *delay_ms,
        Backoff::Exponential { delay_ms } => {
            delay_ms.saturating_mul(1_u64.checked_shl(failures.saturating_sub(1)).unwrap_or(u64::MAX))
        }
        Backoff::List { delays_ms } => {
            let at = (failures.saturating_sub(1) as usize).min(delays_ms.len().saturating_sub(1));
            delays_ms.get(at).copied().unwrap_or(0)
        }
    };
    let most = whole.min(retry.cap_ms);
    (most - most * u64::from(retry.jitter_permille) / 1000, most)
}
