//! Jobs changed by hand, and what was said of why they wait.

use weir_core::api::job::{Explanation, FailureKind, Hold, JobChange, JobRef, JobState, OnChildFailure};
use weir_core::api::{Config, Error, QueueId, Reply};

use super::super::{Checked, Model, number_of};
use super::{Job, JobQueue, Place, Span, Standing, State};

impl Model {
    pub(in crate::model) fn jobs_changed(
        &mut self,
        id: QueueId,
        jobs: &[JobRef],
        change: &JobChange,
        results: &[Result<(), Error>],
        at: u64,
    ) -> Checked {
        if jobs.len() != results.len() {
            return Err("not one answer for each job".to_owned());
        }
        if self.breaks_order(id, change) {
            return Err("jobs of a FIFO queue were set before their groups".to_owned());
        }
        let config = self.job_queue(id)?.config();
        // A limiter's start that will not be is given back.
        self.forget_bounds(None);
        for (&reference, result) in jobs.iter().zip(results) {
            let Some(found) = self.find_job(id, reference) else {
                if result.is_ok() {
                    return Err("a job that is gone was changed".to_owned());
                }
                continue;
            };
            let job = self.job(found)?;
            if !matches!(result, Err(Error::JobNotFound)) {
                job.see_in(id)?;
            }
            match result {
                Ok(()) => {
                    let place = job.place;
                    job.change(found, &config, change, at)?;
                    let number = job.number;
                    // What stays where it was is not written; whether it does is not known of every time to run at.
                    let writes = match change {
                        JobChange::Priority { .. } => job.place != place,
                        change => !matches!(change, JobChange::RunAt(_)),
                    };
                    self.by_id.insert(found, number);
                    if matches!(change, JobChange::Retry { .. }) {
                        self.keeps_away_again(found, at);
                    }
                    if writes {
                        self.written_until = self.written_until.max(at);
                    }
                }
                Err(Error::JobNotFound) => {
                    job.see("was not found", |standing| standing.is_gone_from(id))?;
                }
                Err(Error::NoParent) if *change == JobChange::LeaveParent => {
                    job.see("is nobody's child", |standing| standing.is_there() && standing.flow.parent.is_none())?;
                }
                Err(Error::JobState { state }) => {
                    let policy = job.options.on_failure;
                    let leaves = *change == JobChange::LeaveParent;
                    let refused = |standing: &Standing| {
                        let refused = standing.is_told(*state) && !standing.allows(change, policy);
                        refused && (!leaves || standing.flow.parent.is_some())
                    };
                    job.see(&format!("was not changed, being {state:?}"), refused)?;
                }
                Err(error) => return Err(format!("job {} could not be changed: {error}", job.number)),
            }
            self.forget_removed();
        }
        Ok(())
    }

    pub(in crate::model) fn explained(
        &mut self,
        id: QueueId,
        reference: JobRef,
        reply: &Result<Reply, Error>,
        at: u64,
    ) -> Checked {
        let found = self.find_job(id, reference);
        match (reply, found) {
            (Err(Error::JobNotFound), None) => Ok(()),
            (Err(Error::JobNotFound), Some(found)) => {
                self.job(found)?.see("was not found", |standing| standing.is_gone_from(id))
            }
            (Ok(Reply::Explained(explanation)), Some(found)) => {
                let Explanation { state, holds, not_before } = &**explanation;
                let job = self.job(found)?;
                job.see_in(id)?;
                job.see(&format!("is explained as {state:?}"), |standing| standing.is_told(*state))?;
                if *state == JobState::Waiting {
                    let children = |hold: &Hold| match hold {
                        Hold::Children { unfinished } => Some(*unfinished),
                        _ => None,
                    };
                    let unfinished = holds.iter().find_map(children);
                    job.see(&format!("is held by {holds:?}"), |standing| {
                        Some(standing.flow.unfinished()) == unfinished
                    })?;
                }
                let number = job.number;
                job.not_before = not_before.map(|time| time.0);
                let finished = matches!(state, JobState::Completed | JobState::Failed);
                if finished && !holds.is_empty() || !finished && *state != JobState::Ready && holds.is_empty() {
                    return Err(format!("job {number}, which is {state:?}, is held by {holds:?}"));
                }
                if not_before.is_some_and(|time| time.0 < at) {
                    return Err(format!("job {number} was to run before now: {explanation:?}"));
                }
                if matches!(state, JobState::Ready | JobState::Delayed) {
                    self.adopt_first(id, found, holds);
                    self.explained_group(found, holds)?;
                }
                Ok(())
            }
            (reply, _) => Err(format!("asking why a job waits was answered with {reply:?}")),
        }
    }

    /// Somebody changed what holds jobs back, of one queue or of all: what was said of when they run counts no more.
    pub(in crate::model) fn forget_bounds(&mut self, queue: Option<QueueId>) {
        let concerned = |job: &&mut Job| queue.is_none_or(|queue| job.may_be_in(queue));
        self.jobs.all.values_mut().filter(concerned).for_each(|job| job.not_before = None);
    }
}

impl Standing {
    /// Whether it is told as being in `state`.
    pub(super) fn is_told(&self, state: JobState) -> bool {
        match self.state {
            State::Leased => state == JobState::Leased,
            State::Delayed => state == JobState::Delayed,
            State::Waiting => state == JobState::Waiting,
            State::Ready => state == JobState::Ready,
            State::Completed => state == JobState::Completed,
            State::Failed(_) => state == JobState::Failed,
            State::Removed | State::KeptBack => false,
        }
    }

    /// Whether a job that stands so can be changed so, one of this policy.
    fn allows(&self, change: &JobChange, policy: OnChildFailure) -> bool {
        let waits = matches!(self.state, State::Ready | State::Delayed | State::Waiting);
        match change {
            JobChange::Priority { .. } => waits,
            JobChange::RunAt(_) => matches!(self.state, State::Ready | State::Delayed),
            JobChange::Promote => self.state == State::Delayed,
            JobChange::Retry { .. } => matches!(self.state, State::Completed | State::Failed(_)),
            JobChange::Cancel => waits || self.state == State::Leased,
            JobChange::Remove | JobChange::RemoveAlone => self.is_there() && self.state != State::Leased,
            JobChange::Payload(_) => self.state != State::Removed,
            // One whose end its parent waits for no more stays its child.
            JobChange::LeaveParent => {
                let is_waited_for = match self.state {
                    State::Completed => false,
                    State::Failed(_) => policy == OnChildFailure::Wait,
                    _ => self.is_there(),
                };
                is_waited_for && self.flow.parent.is_some()
            }
        }
    }
}

impl Job {
    fn change(&mut self, id: u64, config: &Config, change: &JobChange, at: u64) -> Checked {
        let policy = self.options.on_failure;
        self.see(&format!("was changed by {change:?}"), |standing| standing.allows(change, policy))?;
        let before = std::mem::take(&mut self.may);
        match change {
            JobChange::Priority { priority, lifo } => self.place = Place::new(*priority, id, *lifo),
            JobChange::Payload(payload) => {
                self.number = number_of(payload).ok_or("a payload without a number")?;
                self.bytes = payload.len() as u64;
            }
            // It was begun, and has its time no more.
            JobChange::Retry { .. } => self.options.expires_at = None,
            _ => {}
        }
        for standing in before {
            let changed = self.changed(&standing, config, change, at);
            if !self.may.contains(&changed) {
                self.may.push(changed);
            }
        }
        Ok(())
    }

    fn changed(&self, before: &Standing, config: &Config, change: &JobChange, at: u64) -> Standing {
        let now = Span::at(at);
        match change {
            JobChange::Priority { .. } | JobChange::Payload(_) => before.clone(),
            JobChange::LeaveParent => {
                let mut left = before.clone();
                left.flow.leave();
                left
            }
            JobChange::RunAt(time) if time.0 > at => before.moved(State::Delayed, Span::at(time.0)),
            JobChange::RunAt(_) | JobChange::Promote => before.moved(State::Ready, now),
            JobChange::Retry { reset, .. } => {
                let failures = if *reset { 0 } else { before.failures };
                let state = if before.flow.unfinished() > 0 { State::Waiting } else { State::Ready };
                let mut again = Standing { failures, stalls: 0, ..before.moved(state, now) };
                again.flow.child_failed = false;
                again
            }
            JobChange::Cancel if before.state == State::Leased => Standing { cancel: true, ..before.clone() },
            JobChange::Cancel => {
                let mut failed = before.moved(State::Failed(FailureKind::Cancelled), now);
                failed.history.push((before.grants, FailureKind::Cancelled));
                let keep = JobQueue::keep(config, self, failed.state);
                let gone = keep.count == 0 || keep.age_ms == 0;
                if gone { failed.moved(State::Removed, now) } else { failed }
            }
            JobChange::Remove | JobChange::RemoveAlone => {
                let mut removed = before.moved(State::Removed, now).freed();
                removed.flow.takes_children = before.flow.is_parent && *change == JobChange::Remove;
                removed
            }
        }
    }
}
