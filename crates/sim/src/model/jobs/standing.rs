//! One of the things that a job may be.

use std::cmp::Reverse;

use weir_core::api::QueueId;
use weir_core::api::job::FailureKind;

use super::dedup::Away;
use super::flow::{How, Membership};

/// Where a job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Under a worker's lease.
    Leased,
    /// Its delay or its backoff goes on.
    Delayed,
    /// It waits for its children.
    Waiting,
    /// It may run.
    Ready,
    /// It is done.
    Completed,
    /// It failed for good.
    Failed(FailureKind),
    /// It is gone.
    Removed,
    /// It comes when another one of its deduplication id has ended.
    KeptBack,
}

impl State {
    /// Time makes a job go from a lower rank to a higher one only.
    pub fn rank(self) -> u8 {
        match self {
            State::KeptBack => 0,
            State::Leased => 1,
            State::Waiting => 2,
            State::Delayed => 3,
            State::Ready => 4,
            State::Completed | State::Failed(_) => 5,
            State::Removed => 6,
        }
    }
}

/// A moment that is known within bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Not before.
    pub from: u64,
    /// Not after; nothing where it depends on when the engine notices something.
    pub to: Option<u64>,
    /// How long after the engine has noticed it can be.
    pub slack: u64,
}

impl Span {
    /// A moment that is known.
    pub fn at(at: u64) -> Self {
        Self { from: at, to: Some(at), slack: 0 }
    }

    /// A moment from `from` to `to`.
    pub fn between(from: u64, to: u64) -> Self {
        Self { from, to: Some(to), slack: 0 }
    }

    /// A moment `least` to `most` after something that time itself brings at `from` or later.
    pub fn after(from: u64, least: u64, most: u64) -> Self {
        Self { from: from.saturating_add(least), to: None, slack: most }
    }

    /// Whether it has come by then, beyond doubt.
    pub fn is_over(&self, by: u64) -> bool {
        self.to.is_some_and(|to| to < by)
    }

    /// Whether it can be `at`.
    pub fn includes(&self, at: u64) -> bool {
        self.from <= at && self.to.is_none_or(|to| at <= to)
    }
}

/// One of the things that a job may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Its queue.
    pub queue: QueueId,
    /// The queue that it is a dead letter of.
    pub source: Option<QueueId>,
    /// Where it stands.
    pub state: State,
    /// When its delay, its backoff or its lease ends, or when it became ready or finished.
    pub due: Span,
    /// The newest grant.
    pub grants: u32,
    /// How often it was handed out: grants less those that were given back.
    pub receives: u32,
    /// How often when it came into its queue.
    pub receives_before: u32,
    /// Failures so far.
    pub failures: u32,
    /// Workers lost so far.
    pub stalls: u32,
    /// When the attempt has to end.
    pub timeout: Option<u64>,
    /// Whether its holder is asked to stop.
    pub cancel: bool,
    /// How its attempts failed.
    pub history: Vec<(u32, FailureKind)>,
    /// What it is to others.
    pub flow: Membership,
    /// Whether it keeps others of its deduplication id away.
    pub away: Away,
    /// The one that comes when it has ended.
    pub kept: Option<u64>,
}

impl Standing {
    /// A job that was just added.
    pub fn new(queue: QueueId, state: State, due: Span) -> Self {
        Self {
            queue,
            source: None,
            state,
            due,
            grants: 0,
            receives: 0,
            receives_before: 0,
            failures: 0,
            stalls: 0,
            timeout: None,
            cancel: false,
            history: Vec::new(),
            flow: Membership::default(),
            away: Away::No,
            kept: None,
        }
    }

    /// The same job in another state. Whoever waits for it is to learn of its end.
    #[must_use]
    pub fn moved(&self, state: State, due: Span) -> Self {
        let mut moved = Self { state, due, timeout: None, cancel: false, ..self.clone() };
        if moved.is_finished() {
            moved.lets_others_in();
        }
        match (self.is_finished(), state) {
            (false, State::Completed) => moved.flow.end(How::Completed(None)),
            (false, State::Failed(_)) => moved.flow.end(How::Failed(None)),
            (_, State::Removed) => {
                moved.flow.end(How::Removed);
                moved.flow.forget_told();
                moved.history.clear();
            }
            (true, _) if !moved.is_finished() => moved.flow.end(How::Again),
            _ => {}
        }
        moved
    }

    /// The same job as if it had not been granted. One that was cancelled meanwhile does not run again.
    #[must_use]
    pub fn given_back(&self, from: u64) -> Self {
        let receives = self.receives - 1;
        let mut back = Self { receives, ..self.moved(State::Ready, Span::after(from, 0, 0)) };
        if self.cancel {
            back.state = State::Failed(FailureKind::Cancelled);
            back.history.push((self.grants, FailureKind::Cancelled));
            back.lets_others_in();
            back.flow.end(How::Failed(None));
        }
        back
    }

    /// Whether it will never run again by itself.
    pub fn is_finished(&self) -> bool {
        matches!(self.state, State::Completed | State::Failed(_) | State::Removed)
    }

    /// Whether there is such a job.
    pub fn is_there(&self) -> bool {
        !matches!(self.state, State::Removed | State::KeptBack)
    }

    /// Whether the lease of this grant is live at `at`, beyond doubt.
    pub fn is_held(&self, grant: u32, at: u64) -> bool {
        self.state == State::Leased && self.grants == grant && at < self.due.from
    }

    /// Whether it is the same but for how well its moment is known.
    pub fn is_same(&self, other: &Self) -> bool {
        let due = Span { from: self.due.from, ..other.due };
        Self { due, ..other.clone() } == Self { due, ..self.clone() } && self.due.from == other.due.from
    }
}

/// Where a job stands among those that may run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    priority: u32,
    rank: Rank,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    /// Before all others of its priority, the newest first.
    First(Reverse<u64>),
    /// In the order of coming.
    ById(u64),
}

impl Place {
    /// The place of a job.
    pub fn new(priority: u32, id: u64, lifo: bool) -> Self {
        Self { priority, rank: if lifo { Rank::First(Reverse(id)) } else { Rank::ById(id) } }
    }

    /// Its priority.
    pub fn priority(self) -> u32 {
        self.priority
    }

    /// Whether it goes before all others of its priority.
    pub fn is_lifo(self) -> bool {
        matches!(self.rank, Rank::First(_))
    }
}
