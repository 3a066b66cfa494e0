//! What is known of one key of a limiter, and everything that may happen to it.

use std::num::NonZeroU32;

use super::earliest::Blocked;
use super::limit::{Classes, Limit, MS_NS};
use super::ring::Ring;
use super::terms::{Counts, RESERVES_MAX, UNITS_MAX};
use crate::time::Time;

/// The pace, in thousandths, that a slow start begins with.
const SLOW_PERMILLE: u64 = 100;
/// A start that is late by so much does not delay the ones after it.
const PACE_GRAIN_MS: u64 = 10;

/// The right to one start. It lives with the lease of the message that it was granted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Permit {
    /// Number of the start, unique within its key's state.
    pub seq: u64,
    /// Units that it counts for.
    pub cost: u32,
    /// Priority that it was granted for.
    pub priority: u32,
}

/// One key of a limiter: its starts in each window, how many run, its pause and its pace.
///
/// Everything that takes a [`Limit`] takes the key's own, in its present terms; everything that takes a time takes engine
/// time, which never goes back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyState {
    pub(super) revision: u64,
    pub(super) thresholds: Classes<Option<u32>>,
    /// One for each window of the limit, in its order.
    pub(super) rings: Vec<Ring>,
    pub(super) next_seq: u64,
    /// Starts before this number are released.
    pub(super) released_below: u64,
    /// Starts that are not released.
    pub(super) unreleased: u64,
    pub(super) in_flight: u64,
    pub(super) in_flight_held: Classes<u64>,
    /// When the last pause ends or ended; zero if there was none.
    pub(super) paused_until: Time,
    /// When the last start was due by the pace, in nanoseconds, and what it cost; zero if there was none.
    pub(super) paced_at_ns: u64,
    pub(super) paced_cost: u32,
}

impl KeyState {
    /// The state, from `now` on, of a key that has none: it has nothing in any window.
    pub fn new(limit: &Limit, now: Time) -> Self {
        let rings = limit.rules().iter().map(|rule| {
            let window = rule.window;
            Ring::new(window.counts, window.per_ms, limit.forgotten_at(now))
        });
        Self {
            revision: limit.revision(),
            thresholds: limit.thresholds(),
            rings: rings.collect(),
            next_seq: 0,
            released_below: 0,
            unreleased: 0,
            in_flight: 0,
            in_flight_held: [0; RESERVES_MAX],
            paused_until: Time(0),
            paced_at_ns: 0,
            paced_cost: 0,
        }
    }

    /// Grants a start that is expected to cost `cost`, if it may leave at once.
    ///
    /// The permit counts until it is [released](Self::released) and for as long as each window is after that; towards the
    /// concurrency until it is [finished](Self::finished).
    pub fn start(&mut self, limit: &Limit, now: Time, cost: NonZeroU32, priority: u32) -> Result<Permit, Blocked> {
        self.follow(limit, now);
        let cost = cost.get();
        let held = limit.held(priority);
        if !self.has_room(limit, now, cost, held) {
            return Err(self.blocked(limit, now, cost, held));
        }
        let seq = self.next_seq;
        self.next_seq += 1;
        for (ring, rule) in self.rings.iter_mut().zip(limit.rules()) {
            ring.push(seq, now, rule.weight(cost), held, rule.quantum, true);
        }
        self.unreleased += 1;
        self.in_flight += 1;
        for (sum, held) in self.in_flight_held.iter_mut().zip(held) {
            *sum += u64::from(held);
        }
        if self.is_paced(limit, now) {
            self.keep_pace(limit, now, cost);
        }
        Ok(Permit { seq, cost, priority })
    }

    /// The start left, at `at` at the latest: once for each permit.
    pub fn released(&mut self, limit: &Limit, permit: &Permit, at: Time) {
        self.follow(limit, at);
        if permit.seq < self.released_below {
            return;
        }
        self.unreleased = self.unreleased.saturating_sub(1);
        let held = limit.held(permit.priority);
        let mut is_counted_late = false;
        for (ring, rule) in self.rings.iter_mut().zip(limit.rules()) {
            if !ring.release(permit.seq, at) {
                continue;
            }
            if ring.forgotten_at <= limit.forgiven_at() {
                // It left after the change that forgave what was before, and counts like any other start.
                ring.push(self.next_seq, at, rule.weight(permit.cost), held, rule.quantum, false);
                is_counted_late = true;
            } else {
                ring.forgotten_at = ring.forgotten_at.max(at);
            }
        }
        self.next_seq += u64::from(is_counted_late);
    }

    /// After a recovery: every start whose release is unknown counts as released at `at`.
    pub fn recovered(&mut self, limit: &Limit, at: Time) {
        self.follow(limit, at);
        for ring in &mut self.rings {
            ring.release_all(at);
        }
        self.released_below = self.next_seq;
        self.unreleased = 0;
    }

    /// The start cost `actual` units, [`UNITS_MAX`] at most; `permit` counts for them from now on. As often as wanted, but
    /// not after [`Self::finished`]: the state may be gone then.
    ///
    /// What it cost less comes back at once. What it cost more counts from now on, even where there is no room for it:
    /// the next start waits until it is paid off.
    pub fn settle(&mut self, limit: &Limit, permit: &mut Permit, actual: u32, now: Time) {
        self.follow(limit, now);
        let actual = actual.min(UNITS_MAX);
        let held = limit.held(permit.priority);
        for (ring, rule) in self.rings.iter_mut().zip(limit.rules()) {
            if rule.window.counts == Counts::Starts {
                continue;
            }
            if actual < permit.cost {
                ring.refund(permit.seq, u64::from(permit.cost - actual), held);
            } else if actual > permit.cost {
                ring.push(self.next_seq, now, u64::from(actual - permit.cost), held, rule.quantum, false);
            }
        }
        self.next_seq += u64::from(actual > permit.cost);
        permit.cost = actual;
    }

    /// The start does not run any more: once for each permit, however it ended.
    pub fn finished(&mut self, limit: &Limit, permit: &Permit) {
        self.in_flight = self.in_flight.saturating_sub(1);
        for (sum, held) in self.in_flight_held.iter_mut().zip(limit.held(permit.priority)) {
            // A start may have been granted under other reserves, and is counted by them.
            *sum = sum.saturating_sub(u64::from(held)).min(self.in_flight);
        }
    }

    /// The start never left, and certainly never will: as if it had not been granted. Instead of [`Self::released`] and
    /// [`Self::finished`].
    pub fn withdrawn(&mut self, limit: &Limit, permit: &Permit, now: Time) {
        self.follow(limit, now);
        if permit.seq >= self.released_below {
            self.unreleased = self.unreleased.saturating_sub(1);
            for (ring, rule) in self.rings.iter_mut().zip(limit.rules()) {
                ring.refund(permit.seq, rule.weight(permit.cost), limit.held(permit.priority));
                ring.release(permit.seq, Time(0));
            }
        }
        self.finished(limit, permit);
    }

    /// Nothing starts before `until`; of several pauses the longest counts.
    pub fn pause(&mut self, until: Time) {
        self.paused_until = self.paused_until.max(until);
    }

    /// Ends the pause; a slow start begins now.
    pub fn resume(&mut self, now: Time) {
        self.paused_until = self.paused_until.min(now);
    }

    /// When the pause ends that is under way at `now`.
    pub fn paused_until(&self, now: Time) -> Option<Time> {
        Some(self.paused_until).filter(|&until| until > now)
    }

    /// Starts that are not finished.
    pub fn in_flight(&self) -> u64 {
        self.in_flight
    }

    /// Units or starts that the window counts at present, and its `max`.
    pub fn used(&mut self, limit: &Limit, now: Time, window: usize) -> Option<(u64, u32)> {
        self.follow(limit, now);
        Some((self.rings.get(window)?.used(), limit.rules().get(window)?.window.max))
    }

    /// Whether the state says nothing that [`KeyState::new`] would not say, so that it can be dropped.
    pub fn is_idle(&mut self, limit: &Limit, now: Time) -> bool {
        self.follow(limit, now);
        self.in_flight == 0
            && self.unreleased == 0
            && now >= self.paused_until
            && self.permille(limit, now) == 1000
            && (!limit.terms().pacing || now.0 >= self.paced_until(limit).0)
            && self.rings.iter().zip(limit.rules()).all(|(ring, rule)| {
                let known_from = ring.forgotten_at.0.saturating_add(rule.hold_ms);
                ring.slots().is_empty() && (ring.forgotten_at == Time(0) || known_from <= now.0)
            })
    }

    /// Takes changed terms on, and lets go of what is over.
    pub(super) fn follow(&mut self, limit: &Limit, now: Time) {
        if self.revision != limit.revision() {
            self.adapt(limit, now);
        }
        for (ring, rule) in self.rings.iter_mut().zip(limit.rules()) {
            ring.expire(rule, now);
        }
    }

    /// Gives every window of changed terms the ring that knows the most of what it counts.
    fn adapt(&mut self, limit: &Limit, now: Time) {
        let rings = limit.rules().iter().map(|rule| {
            let window = rule.window;
            let best = self.rings.iter().filter(|ring| ring.counts == window.counts).min_by_key(|ring| {
                // What may be forgiven is better known.
                let known = ring.strangers == 0
                    && (ring.forgotten_at == Time(0) || ring.forgotten_at.0.saturating_add(rule.hold_ms) <= now.0);
                (if known { Time(0) } else { ring.forgotten_at }, ring.per_ms != window.per_ms, ring.per_ms)
            });
            best.map_or_else(
                || {
                    // Starts of the past did not count in this way.
                    Ring::late(window.counts, window.per_ms, limit.changed_at(), self.next_seq, self.unreleased)
                },
                |best| best.with_per(window.per_ms),
            )
        });
        self.rings = rings.collect();
        if self.thresholds != limit.thresholds() {
            let before = self.thresholds;
            let from = limit
                .thresholds()
                .map(|threshold| threshold.and_then(|_| before.iter().position(|&before| before == threshold)));
            for ring in &mut self.rings {
                ring.remap(from);
            }
            let sums = self.in_flight_held;
            self.in_flight_held =
                from.map(|from| from.and_then(|from| sums.get(from)).copied().unwrap_or(self.in_flight));
            self.thresholds = limit.thresholds();
        }
        self.revision = limit.revision();
    }

    /// Whether nothing holds a start back. It looks at the same things as [`Self::blocked`], which says what and until
    /// when.
    fn has_room(&self, limit: &Limit, now: Time, cost: u32, held: Classes<bool>) -> bool {
        let windows = self.rings.iter().zip(limit.rules()).all(|(ring, rule)| {
            ring.has_room(rule, rule.weight(cost), held) && Self::knows(limit, ring, rule.hold_ms, now)
        });
        let (all, later) = self.concurrency(limit, now);
        windows
            && self.in_flight < all
            && self.in_flight_held.iter().zip(later).zip(held).all(|((&sum, ceiling), held)| !held || sum < ceiling)
            && self.paused_until <= now
            && (!self.is_paced(limit, now) || self.paced_until(limit) <= now)
    }

    /// Whether the ring knows every start that counts at `now`.
    fn knows(limit: &Limit, ring: &Ring, hold_ms: u64, now: Time) -> bool {
        Self::unknown_until(limit, ring, hold_ms, now).is_some_and(|until| until <= now)
    }

    /// Until when the ring has to expect starts that it does not know; `None` for as long as some that are on their way
    /// have not left: they count from then on.
    pub(super) fn unknown_until(limit: &Limit, ring: &Ring, hold_ms: u64, now: Time) -> Option<Time> {
        match (ring.forgotten_at <= limit.forgiven_at(), ring.strangers > 0) {
            (true, true) => None,
            (true, false) => Some(Time(0)),
            (false, true) => Some(Time(now.0.saturating_add(hold_ms))),
            (false, false) => Some(Time(ring.forgotten_at.0.saturating_add(hold_ms))),
        }
    }

    /// How many may run at once now, in all and of those held to each reserve.
    pub(super) fn concurrency(&self, limit: &Limit, now: Time) -> (u64, Classes<u64>) {
        let ceilings = limit.concurrency();
        let permille = self.permille(limit, now);
        if permille == 1000 || ceilings.all == u64::MAX {
            return (ceilings.all, ceilings.later);
        }
        let slow = |ceiling: u64| (ceiling * permille).div_ceil(1000).max(1);
        (slow(ceilings.all), ceilings.later.map(slow))
    }

    /// Whether starts are spread evenly at present.
    pub(super) fn is_paced(&self, limit: &Limit, now: Time) -> bool {
        limit.terms().pacing || self.permille(limit, now) < 1000
    }

    /// When the pace allows the next start.
    pub(super) fn paced_until(&self, limit: &Limit) -> Time {
        if self.paced_cost == 0 {
            return Time(0);
        }
        let due = Time(self.paced_at_ns.saturating_add(self.pace_ns(limit)).div_ceil(MS_NS));
        let slow_end = Time(self.paused_until.0.saturating_add(limit.terms().slow_start_ms));
        // Only the slow start keeps a pace where none was asked for.
        if limit.terms().pacing { due } else { due.min(slow_end) }
    }

    /// The time that belongs to the last start.
    fn pace_ns(&self, limit: &Limit) -> u64 {
        self.interval_ns(limit, self.paced_cost, Time(self.paced_at_ns / MS_NS))
    }

    /// The time that belongs to a start of `cost` at `at`.
    fn interval_ns(&self, limit: &Limit, cost: u32, at: Time) -> u64 {
        let interval_ns = limit.interval_ns(cost);
        match self.permille(limit, at) {
            1000 => interval_ns,
            permille => (interval_ns / permille).saturating_mul(1000),
        }
    }

    /// A start of `cost` happens at `now`. If it is late by a tenth of the pace, or by the grain, those after it are not:
    /// so the pace is kept in the mean, although timers are late.
    fn keep_pace(&mut self, limit: &Limit, now: Time, cost: u32) {
        let now_ns = now.0.saturating_mul(MS_NS);
        let mut at_ns = now_ns;
        if self.paced_cost > 0 {
            let late_ns = (self.interval_ns(limit, cost, now) / 10).max(PACE_GRAIN_MS * MS_NS);
            let due_ns = self.paced_at_ns.saturating_add(self.pace_ns(limit));
            at_ns = due_ns.max(now_ns.saturating_sub(late_ns)).min(now_ns);
        }
        self.paced_at_ns = at_ns;
        self.paced_cost = cost;
    }

    /// How much of its pace the key has at `at`, in thousandths: less than all of it only after a pause.
    fn permille(&self, limit: &Limit, at: Time) -> u64 {
        let slow_start_ms = limit.terms().slow_start_ms;
        match at.0.checked_sub(self.paused_until.0) {
            Some(since) if self.paused_until > Time(0) && since < slow_start_ms => {
                (since * 1000 / slow_start_ms).max(SLOW_PERMILLE)
            }
            _ => 1000,
        }
    }

    /// When the slow start lets more than `sum` of `ceiling` run at once.
    pub(super) fn slow_until(&self, limit: &Limit, sum: u64, ceiling: u64) -> Time {
        let permille = (sum * 1000 / ceiling + 1).max(SLOW_PERMILLE);
        let since = (permille * limit.terms().slow_start_ms).div_ceil(1000);
        Time(self.paused_until.0.saturating_add(since))
    }
}
