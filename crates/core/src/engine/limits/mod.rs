//! Flow control: a message is leased only when every limiter of its queue lets it start.
//!
//! What a limiter allows is decided in [`crate::limiter`], which knows nothing of messages. Here is the rest: which
//! limiters there are, the states of their keys in memory and in rows, what a message takes with its lease and gives back
//! at its end, and who waits for a key and is woken.
//!
//! **Who waits.** A queue whose first message is held back by a limiter that all its messages share is held back as a
//! whole, in memory. A lane held back by a key of its own steps out of the order of runnable lanes and stands in that of
//! the key. Programs outside that ask for a permit wait in memory. All who wait for a key stand in one line, by priority
//! and then as they came, and nobody who comes later overtakes them; only the first of the line is ever looked at.
//!
//! **Who wakes.** The time that the key named for the first in line, or whatever is given back to the key. Nothing else:
//! who waits costs nothing.

mod acquire;
mod end;
mod entity;
mod key;
mod lease;
mod line;
mod permit;
mod start;
mod sweep;
mod wake;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::api::limit::{Limiter, LimiterId};
use crate::api::{Config, Namespace, QueueId, Token};
use crate::head::HeldPermits;
use crate::keys::OneKey;
use crate::limiter::Limit;
use crate::time::Time;

pub(super) use acquire::Wish;
pub(super) use entity::check_uses;
use key::KeyEntry;

/// A limiter in memory.
#[derive(Debug)]
pub(super) struct LimiterState {
    pub(super) public: Arc<Limiter>,
    limit: Limit,
    /// Whether all who wait for one of its keys are being looked at. Stored, so that a crash does not end it.
    sweeping: bool,
}

/// What was granted and is not known to have left.
#[derive(Debug)]
struct Unreleased {
    grant: u32,
    priority: u32,
    permits: HeldPermits,
}

/// The limiters of a shard, and who waits for them.
#[derive(Debug, Default)]
pub(super) struct Limiters {
    by_id: FxHashMap<LimiterId, LimiterState>,
    names: BTreeMap<Namespace, FxHashMap<String, LimiterId>>,
    /// Which queues name which limiters, be there such a limiter or not.
    users: BTreeMap<(Namespace, String), BTreeSet<QueueId>>,
    /// Keys in memory, and the order in which they were read.
    keys: FxHashMap<OneKey, KeyEntry>,
    loaded: VecDeque<(u64, OneKey)>,
    last_stamp: u64,
    /// Keys that differ from their rows.
    dirty: Vec<OneKey>,
    /// How often the shard was opened, and whether that is stored.
    pub(super) opening: u64,
    pub(super) opening_written: bool,
    /// The first time after the opening: what is not known to have left before did so then at the latest.
    opened_at: Option<Time>,
    /// By message, or by permit.
    unreleased: FxHashMap<u64, Unreleased>,
    /// Keys whose line is to be looked at, and those for which rows have to be loaded first.
    woken: VecDeque<OneKey>,
    stalled: Vec<OneKey>,
    /// When lines that stand in memory alone are to be looked at.
    timed: BTreeSet<(Time, OneKey)>,
    /// Keys for which somebody waits in memory.
    lines: BTreeSet<OneKey>,
    wakes: wake::Wakes,
    last_turn: u64,
    acquires: BTreeMap<Token, acquire::Waiting>,
    acquire_ends: BTreeSet<(Time, Token)>,
    /// Those of them that are over, and are answered when rows are loaded.
    overdue: Vec<(Time, Token)>,
    sweeps: sweep::Sweeps,
}

impl Limiters {
    /// Reckons with a queue's configuration, which names limiters.
    pub(super) fn add_user(&mut self, namespace: Namespace, id: QueueId, config: &Config) {
        for used in &config.limiters {
            self.users.entry((namespace, used.limiter.clone())).or_default().insert(id);
        }
    }

    pub(super) fn remove_user(&mut self, namespace: Namespace, id: QueueId, config: &Config) {
        for used in &config.limiters {
            let name = (namespace, used.limiter.clone());
            if let Some(users) = self.users.get_mut(&name) {
                users.remove(&id);
                if users.is_empty() {
                    self.users.remove(&name);
                }
            }
        }
    }

    pub(super) fn named(&self, namespace: Namespace, name: &str) -> Option<LimiterId> {
        self.names.get(&namespace)?.get(name).copied()
    }

    fn namespace(&self, id: LimiterId) -> Option<Namespace> {
        Some(self.by_id.get(&id)?.public.namespace)
    }

    /// When there is something to do next.
    pub(super) fn next(&self, now: Time) -> Time {
        let busy = !self.woken.is_empty() || self.sweeps.are_due();
        let next = if busy { now } else { self.wakes.next() };
        let next = self.timed.first().map_or(next, |&(at, _)| next.min(at));
        self.acquire_ends.first().map_or(next, |&(at, _)| next.min(at))
    }

    /// Rows that were asked for are there.
    pub(super) fn rows_loaded(&mut self) {
        self.woken.extend(self.stalled.drain(..));
        for (at, token) in self.overdue.drain(..) {
            if self.acquires.contains_key(&token) {
                self.acquire_ends.insert((at, token));
            }
        }
        self.wakes.rows_loaded();
        self.sweeps.stalled = false;
    }

    /// Engine time after the opening.
    pub(super) fn began(&mut self, now: Time) {
        self.opened_at.get_or_insert(now);
    }
}
