//! When keys are looked at again: those for which lanes wait, and those that may have nothing to say any more, by rows in
//! the order of time; those for which only who is in memory waits, from memory.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::time::Duration;

use super::Limiters;
use crate::api::{Namespace, Output};
use crate::engine::{Engine, SLICE_ROWS, Stop};
use crate::gaps::Gaps;
use crate::keys::{self, OneKey};
use crate::kv::State;
use crate::time::Time;

/// A key without anybody who waits for it is looked at no earlier than in so long.
const IDLE_MS_MIN: u64 = 1_000;

/// What is known of the rows without reading.
#[derive(Debug, Default)]
pub(super) struct Wakes {
    namespaces: BTreeMap<Namespace, NamespaceWakes>,
    /// Whether they wait for rows to be loaded.
    pub(super) stalled: bool,
}

#[derive(Debug)]
struct NamespaceWakes {
    /// No row is due before, but for those of keys that wait to be served in memory.
    next: Time,
    /// The first of these.
    kept: Time,
    gaps: Gaps,
}

impl NamespaceWakes {
    fn new() -> Self {
        Self { next: Time::NEVER, kept: Time::NEVER, gaps: Gaps::default() }
    }
}

impl Wakes {
    pub(super) fn next(&self) -> Time {
        if self.stalled {
            return Time::NEVER;
        }
        self.namespaces.values().map(|wakes| wakes.next).min().unwrap_or(Time::NEVER)
    }

    fn expect(&mut self, namespace: Namespace, at: Time) {
        let wakes = self.namespaces.entry(namespace).or_insert_with(NamespaceWakes::new);
        wakes.next = wakes.next.min(at);
        wakes.gaps.occupy((at.0, 0));
    }

    /// The same for a row that is not to be looked at before rows that are missing were loaded.
    fn keep(&mut self, namespace: Namespace, at: Time) {
        let wakes = self.namespaces.entry(namespace).or_insert_with(NamespaceWakes::new);
        wakes.kept = wakes.kept.min(at);
        wakes.gaps.occupy((at.0, 0));
    }

    /// Rows that were asked for are there.
    pub(super) fn rows_loaded(&mut self) {
        self.stalled = false;
        for wakes in self.namespaces.values_mut() {
            wakes.next = wakes.next.min(std::mem::replace(&mut wakes.kept, Time::NEVER));
        }
    }
}

impl Limiters {
    /// A namespace whose rows are not known yet.
    pub(in crate::engine) fn add_namespace(&mut self, namespace: Namespace) {
        self.wakes.expect(namespace, Time(0));
    }

    /// Has a key that was loaded looked at by a row at `at`, if it is not to be earlier anyhow.
    fn look_by<S: State>(&mut self, state: &mut S, key: OneKey, at: Time) {
        if let Some(namespace) = self.put_wake(state, key, at) {
            self.wakes.expect(namespace, at);
        }
    }

    /// Writes the row that has a key looked at by then. Says in which namespace, where there was none so early.
    fn put_wake<S: State>(&mut self, state: &mut S, key: OneKey, at: Time) -> Option<Namespace> {
        let namespace = self.namespace(key.0)?;
        if self.keys.get(&key)?.wake.is_some_and(|wake| wake <= at) {
            return None;
        }
        let (entry, _) = self.change(key)?;
        if let Some(later) = entry.wake.replace(at) {
            state.delete(&keys::limit_wake(namespace, later, key));
        }
        state.insert(&keys::limit_wake(namespace, at, key), &[]);
        Some(namespace)
    }

    /// Sees to it that lanes whose turn may have come are looked at after a crash, too, with which is lost what memory
    /// knows: keys that were woken, and those of queues whose turn came. The latter are given, with whether they wait for
    /// rows to be loaded.
    pub(in crate::engine) fn keep_wakes<S: State>(&mut self, state: &mut S, called: &[(OneKey, bool)], now: Time) {
        let woken = self.woken.iter().map(|key| (*key, false)).chain(self.stalled.iter().map(|key| (*key, true)));
        let waits = |(key, _): &(OneKey, bool)| self.keys.get(key).is_some_and(|entry| entry.lanes > 0);
        let keys: Vec<(OneKey, bool)> = woken.chain(called.iter().copied()).filter(waits).collect();
        for (key, is_stalled) in keys {
            match self.put_wake(state, key, now) {
                Some(namespace) if is_stalled => self.wakes.keep(namespace, now),
                Some(namespace) => self.wakes.expect(namespace, now),
                None => {}
            }
        }
    }

    /// Has a key that was loaded looked at when it may have nothing to say any more.
    pub(super) fn arm<S: State>(&mut self, state: &mut S, key: OneKey, now: Time) {
        let Some((entry, limit)) = self.at(key) else { return };
        if entry.wake.is_none() {
            let idle_ms = limit.longest_ms().max(IDLE_MS_MIN);
            self.look_by(state, key, now.after(Duration::from_millis(idle_ms)));
        }
    }

    /// Has the line of a key that was loaded looked at again; `None` where time changes nothing.
    pub(super) fn look_again<S: State>(&mut self, state: &mut S, key: OneKey, at: Option<Time>) {
        let (Some(at), Some(entry)) = (at, self.keys.get_mut(&key)) else { return };
        if entry.lanes > 0 {
            return self.look_by(state, key, at);
        }
        if entry.timed.is_some_and(|timed| timed <= at) {
            return;
        }
        if let Some(later) = entry.timed.replace(at) {
            self.timed.remove(&(later, key));
        }
        self.timed.insert((at, key));
    }
}

impl Engine {
    /// Looks at the keys whose time has come, a slice of them.
    pub(in crate::engine) fn run_wakes<S: State>(&mut self, state: &mut S, out: &mut Output) -> Result<(), Stop> {
        while let Some(&(at, key)) = self.limits.timed.first() {
            if at > self.now {
                break;
            }
            self.limits.timed.pop_first();
            if let Some(entry) = self.limits.keys.get_mut(&key) {
                entry.timed = None;
            }
            self.limits.wake(key);
        }
        if self.limits.wakes.stalled {
            return Ok(());
        }
        let due = self.limits.wakes.namespaces.iter().filter(|(_, wakes)| wakes.next <= self.now);
        let due: Vec<Namespace> = due.map(|(&namespace, _)| namespace).collect();
        for namespace in due {
            match self.run_wakes_in(state, namespace) {
                Err(Stop::Need(needs)) => {
                    self.limits.wakes.stalled = true;
                    out.needs.extend(needs);
                }
                ran => ran?,
            }
        }
        Ok(())
    }

    fn run_wakes_in<S: State>(&mut self, state: &mut S, namespace: Namespace) -> Result<(), Stop> {
        let now = self.now;
        let Some(wakes) = self.limits.wakes.namespaces.get_mut(&namespace) else { return Ok(()) };
        // Rows that are written meanwhile tell when they are due, later than now.
        let before = std::mem::replace(&mut wakes.next, Time::NEVER);
        let seen = self.wake_rows(state, namespace);
        let Some(wakes) = self.limits.wakes.namespaces.get_mut(&namespace) else { return Ok(()) };
        wakes.next = wakes.next.min(*seen.as_ref().unwrap_or(&before));
        let seen = seen?;
        wakes.gaps.clear((0, 0), (seen.0.min(now.0.saturating_add(1)), 0));
        Ok(())
    }

    /// Looks at the keys whose rows are due, up to a slice. No row stands before the time that it says.
    fn wake_rows<S: State>(&mut self, state: &mut S, namespace: Namespace) -> Result<Time, Stop> {
        let now = self.now;
        let Some(wakes) = self.limits.wakes.namespaces.get(&namespace) else { return Ok(Time::NEVER) };
        let from = keys::limit_wake_from(namespace, Time(wakes.gaps.skip((0, 0)).0));
        let mut rows: Vec<(Time, OneKey)> = Vec::new();
        let scanned = state.scan(&from, &keys::limit_wake_end(namespace), &mut |key, _| {
            rows.extend(keys::read_limit_wake(key));
            let more = rows.len() < SLICE_ROWS && rows.last().is_none_or(|row| row.0 <= now);
            if more { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        for &(at, key) in rows.iter().filter(|row| row.0 <= now) {
            let is_there = self.limits.load(state, key, now)?;
            state.delete(&keys::limit_wake(namespace, at, key));
            if is_there {
                self.look_at(state, key, at);
            }
        }
        scanned?;
        let last = rows.last().filter(|last| last.0 > now || rows.len() >= SLICE_ROWS);
        Ok(last.map_or(Time::NEVER, |last| last.0))
    }

    /// The row of a key at `at` is gone.
    fn look_at<S: State>(&mut self, state: &mut S, key: OneKey, at: Time) {
        let now = self.now;
        if self.limits.at(key).is_none_or(|(entry, _)| entry.wake != Some(at)) {
            return;
        }
        let Some((entry, limit)) = self.limits.change(key) else { return };
        entry.wake = None;
        // What runs says when it is over; without it, only time is waited for.
        let is_over = entry.state.in_flight() > 0 || entry.state.is_idle(limit, now);
        if entry.is_waited_for() {
            self.limits.wake(key);
        } else if !is_over {
            self.limits.arm(state, key, now);
        }
    }
}
