//! Flows: what a job is to others, as one of the things that it may be.
//!
//! The end of a child is told to its parent in the same command or later, as the engine has the rows for it. So each
//! standing of a job says which ends it has come to, and each standing of a parent which of them it was told; what was
//! told can only be the beginning of what has happened, and when the shard is at rest it is all of it.

use std::collections::BTreeMap;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use weir_core::api::QueueId;
use weir_core::api::job::{FailureKind, JobState, OnChildFailure};

use super::{Span, Standing, State};

/// An end that a child came to, with what its worker said; or that it begins again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum How {
    /// It is done.
    Completed(Option<Vec<u8>>),
    /// It failed for good.
    Failed(Option<Vec<u8>>),
    /// It was removed.
    Removed,
    /// It is tried again after its end.
    Again,
    /// It is a child no more.
    Left,
}

/// What a parent knows of a child.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The queue that it was added to.
    pub queue: QueueId,
    /// What its failure means.
    pub policy: OnChildFailure,
    /// How it stands, as far as its parent was told.
    pub state: JobState,
    /// Whether its parent waits for it.
    pub counts: bool,
    /// Whether something of its end is kept.
    pub has_result: bool,
    /// Whether it is a child no more, since it failed or has left.
    pub forgotten: bool,
    /// All that its parent was told.
    pub told: Vec<How>,
}

/// Whether a job goes with its parent, which was removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Visit {
    /// It was not to, so far.
    #[default]
    Never,
    /// It does, if it has not begun when it is looked at.
    Due,
    /// It was looked at.
    Over,
}

/// What a job is to others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Flow {
    /// The job that waits for it.
    pub parent: Option<(QueueId, u64)>,
    /// The ends that it came to since it is there.
    pub ends: Vec<How>,
    /// Whether it ever waited for others, or could have.
    pub is_parent: bool,
    /// Its children.
    pub children: BTreeMap<u64, Record>,
    /// Whether it fails as soon as it waits, since a child failed.
    pub child_failed: bool,
    /// Whether it goes with its parent.
    pub visit: Visit,
    /// Whether it was removed, and its children with it.
    pub takes_children: bool,
}

/// What a job is to others, shared by all that it may be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Membership(Arc<Flow>);

impl Deref for Membership {
    type Target = Flow;

    fn deref(&self) -> &Flow {
        &self.0
    }
}

impl DerefMut for Membership {
    fn deref_mut(&mut self) -> &mut Flow {
        Arc::make_mut(&mut self.0)
    }
}

/// What becomes of a parent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    Waits,
    Runs,
    Fails,
}

impl Record {
    /// A child that was just added.
    pub fn new(queue: QueueId, policy: OnChildFailure) -> Self {
        let state = JobState::Waiting;
        Self { queue, policy, state, counts: true, has_result: false, forgotten: false, told: Vec::new() }
    }

    fn take(&mut self, how: &How) -> Then {
        match how {
            How::Completed(result) => {
                self.state = JobState::Completed;
                self.has_result = result.is_some();
                self.counts = false;
            }
            How::Failed(said) => {
                self.state = JobState::Failed;
                self.has_result = said.is_some();
                self.counts &= self.policy == OnChildFailure::Wait;
                self.forgotten = self.policy == OnChildFailure::Remove;
                match self.policy {
                    OnChildFailure::Fail => return Then::Fails,
                    OnChildFailure::Continue => return Then::Runs,
                    OnChildFailure::Wait | OnChildFailure::Ignore | OnChildFailure::Remove => {}
                }
            }
            // What became of it before is what is remembered.
            How::Removed if !self.counts => {}
            How::Removed => {
                self.state = JobState::Removed;
                self.has_result = false;
                self.counts = false;
            }
            How::Again => self.state = JobState::Waiting,
            How::Left => (self.counts, self.forgotten) = (false, true),
        }
        Then::Waits
    }
}

impl Flow {
    /// It came to an end, or begins again: its parent, if it has one, is to learn of it.
    pub fn end(&mut self, how: How) {
        if self.parent.is_some() {
            self.ends.push(how);
        }
    }

    /// It is its parent's child no more: that is told like an end, and no end is after it.
    pub fn leave(&mut self) {
        self.end(How::Left);
        self.parent = None;
    }

    /// Whether it was a child, and has left its parent.
    pub fn has_left(&self) -> bool {
        self.ends.last() == Some(&How::Left)
    }

    /// Who works on it said so of the end that it has just come to, after so many.
    pub fn said(&mut self, ends_before: usize, said: Option<&Vec<u8>>) {
        if let Some(How::Completed(left) | How::Failed(left)) = self.ends.get_mut(ends_before) {
            *left = said.cloned();
        }
    }

    /// It is gone: what it was told does not matter any more.
    pub fn forget_told(&mut self) {
        self.child_failed = false;
        for record in self.children.values_mut() {
            *record = Record { forgotten: record.forgotten, ..Record::new(record.queue, record.policy) };
        }
    }

    /// The children that it knows of.
    pub fn records(&self) -> impl Iterator<Item = (u64, &Record)> {
        self.children.iter().filter(|(_, record)| !record.forgotten).map(|(id, record)| (*id, record))
    }

    /// How many children it waits for.
    pub fn unfinished(&self) -> u64 {
        self.records().filter(|(_, record)| record.counts).count() as u64
    }

    /// Children that it waits for, and all that it knows of, as they are told.
    pub fn told_children(&self) -> Option<(u64, u64)> {
        self.is_parent.then(|| (self.unfinished(), self.records().count() as u64))
    }
}

impl Standing {
    /// The same job, which goes with its parent or does not.
    #[must_use]
    pub fn visited(mut self, visit: Visit) -> Self {
        self.flow.visit = visit;
        self
    }

    /// Whether a job that stands so can get children.
    pub fn takes_children(&self) -> bool {
        matches!(self.state, State::Waiting | State::Leased)
    }

    /// What becomes of a job whose worker has it wait for its children.
    #[must_use]
    pub fn waits_for_children(&self, now: Span) -> Standing {
        if self.flow.child_failed || self.cancel {
            let kind = if self.cancel { FailureKind::Cancelled } else { FailureKind::ChildFailed };
            let mut failed = self.clone();
            failed.history.push((self.grants, kind));
            return failed.moved(State::Failed(kind), now);
        }
        let state = if self.flow.unfinished() > 0 { State::Waiting } else { State::Ready };
        Standing { receives: self.receives - 1, ..self.moved(state, now) }
    }

    /// What becomes of a parent that learns, at some time from `since` to `at`, how a child has ended.
    pub fn learns(&self, child: u64, how: &How, since: u64, at: u64) -> Vec<Standing> {
        if self.state == State::Removed {
            return Vec::new();
        }
        let mut after = self.clone();
        let Some(record) = after.flow.children.get_mut(&child) else { return Vec::new() };
        record.told.push(how.clone());
        if record.forgotten {
            return vec![after];
        }
        let then = match record.take(how) {
            Then::Waits if after.flow.unfinished() == 0 => Then::Runs,
            then => then,
        };
        match (then, self.state) {
            (Then::Fails, State::Leased) => {
                after.flow.child_failed = true;
                vec![after]
            }
            (Then::Fails, State::Waiting) => {
                let kind = FailureKind::ChildFailed;
                after.history.push((after.grants, kind));
                vec![after.moved(State::Failed(kind), Span::after(since, 0, 0))]
            }
            (Then::Runs, State::Waiting) => after.awake(since, at),
            _ => vec![after],
        }
    }

    /// A job that waits for no child any more, from some time between `since` and `at` on: its own time may still be
    /// to come.
    pub fn awake(&self, since: u64, at: u64) -> Vec<Standing> {
        let due = self.due.from;
        let delayed = (due > since).then(|| self.moved(State::Delayed, Span::at(due)));
        let ready = (due <= at).then(|| self.moved(State::Ready, Span::after(since, 0, 0)));
        delayed.into_iter().chain(ready).collect()
    }

    /// Whether it adds nothing to `other`, which may be the same earlier.
    pub fn is_covered_by(&self, other: &Self) -> bool {
        let due = Span { from: other.due.from, ..self.due };
        self == other
            || self.due.to.is_none()
                && other.due.to.is_none()
                && other.due.from <= self.due.from
                && Self { due, ..self.clone() } == *other
    }
}
