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
    /// No row is due before.
    next: Time,
    gaps: Gaps,
}

impl Wakes {
    pub(super) fn next(&self) -> Time {
        if self.stalled {
            return Time::NEVER;
        }
        self.namespaces.values().map(|wakes| wakes.next).min().unwrap_or(Time::NEVER)
    }

    fn expect(&mut self, namespace: Namespace, at: Time) {
        let wakes =
            self.namespaces.entry(namespace).or_insert_with(|| NamespaceWakes { next: at, gaps: Gaps::default() });
        wakes.next = wakes.next.min(at);
        wakes.gaps.occupy((at.0, 0));
    }
}

impl Limiters {
    /// A namespace whose rows are not known yet.
    pub(in crate::engine) fn add_namespace(&mut self, namespace: Namespace) {
        self.wakes.expect(namespace, Time(0));
    }

    /// Has a key that was loaded looked at by a row at `at`, if it is not to be earlier anyhow.
    fn look_by<S: State>(&mut self, state: &mut S, key: OneKey, at: Time) {
        let Some(namespace) = self.namespace(key.0) else { return };
        if self.keys.get(&key).is_none_or(|entry| entry.wake.is_some_and(|wake| wake <= at)) {
            return;
        }
        let Some((entry, _)) = self.change(key) else { return };
        if let Some(later) = entry.wake.replace(at) {
            state.delete(&keys::limit_wake(namespace, later, key));
        }
        state.insert(&keys::limit_wake(namespace, at, key), &[]);
        self.wakes.expect(namespace, at);
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
