//! When a start is possible, and what holds it back until then.

use std::num::NonZeroU32;

use super::key::KeyState;
use super::limit::{Classes, Limit, Rule};
use super::ring::Ring;
use crate::time::Time;

/// What holds a start back the longest. Windows and reserves are named by their place in the [terms](super::Terms).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// The key is paused.
    Paused,
    /// The key was paused, and does not run as many at once again yet.
    SlowStart,
    /// The pace: the last start was too short a time ago.
    Pacing,
    /// The window is full.
    Window(usize),
    /// What is left of the window is kept for more urgent starts.
    Reserved(usize),
    /// The window became longer than it was, and starts before the change may fill it.
    UnknownPast(usize),
    /// As many run as may.
    Concurrency,
    /// As many run as may of this priority.
    ReservedConcurrency,
    /// The start costs more than the window, or what of it is not kept for others, ever has.
    TooCostly(usize),
    /// Others wait for the key already, and come first. A key alone never says so: who waits is known to the engine.
    Behind,
}

/// Why a start is not granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Blocked {
    /// No start is possible before, unless something is given back: by a finish, a settlement, a withdrawal, a changed
    /// limit. At that time it is possible if nothing else starts or is released until then. `None` if time alone changes
    /// nothing.
    pub until: Option<Time>,
    /// What holds it back the longest.
    pub by: What,
}

impl KeyState {
    /// What a start of this cost and priority would wait for, and until when; `None` if it would be granted now.
    pub fn waits_for(&mut self, limit: &Limit, now: Time, cost: NonZeroU32, priority: u32) -> Option<Blocked> {
        self.follow(limit, now);
        let blocked = self.blocked(limit, now, cost.get(), limit.held(priority));
        (blocked.until != Some(now)).then_some(blocked)
    }

    /// What holds a start back, and until when; `now` if nothing does.
    pub(super) fn blocked(&self, limit: &Limit, now: Time, cost: u32, held: Classes<bool>) -> Blocked {
        let mut worst = Blocked { until: Some(now), by: What::Paused };
        worst.or(Some(self.paused_until).filter(|&until| until < Time::NEVER), What::Paused);
        // What the slow start allows depends on when the pause is over.
        let then = now.max(self.paused_until);
        if self.is_paced(limit, then) {
            worst.or(Some(self.paced_until(limit)), What::Pacing);
        }
        for (index, (ring, rule)) in self.rings.iter().zip(limit.rules()).enumerate() {
            worst.or(Self::unknown_until(limit, ring, rule.hold_ms, now), What::UnknownPast(index));
            let weight = rule.weight(cost);
            if weight > rule.ceilings.lowest(held) {
                worst.or(None, What::TooCostly(index));
            } else if !ring.has_room(rule, weight, held) {
                let full = ring.used() + weight > rule.ceilings.all;
                let what = if full { What::Window(index) } else { What::Reserved(index) };
                worst.or(room_at(ring, rule, weight, held, now), what);
            }
        }
        self.blocked_by_others(limit, then, held, &mut worst);
        worst
    }

    fn blocked_by_others(&self, limit: &Limit, then: Time, held: Classes<bool>, worst: &mut Blocked) {
        let ceilings = limit.concurrency();
        let runs = |sum: u64, ceiling: u64, slow: u64| match sum {
            _ if sum < slow => Some(then),
            _ if sum < ceiling => Some(self.slow_until(limit, sum, ceiling)),
            _ => None,
        };
        let (slow, slow_later) = self.concurrency(limit, then);
        let by = |sum, ceiling, what| if sum < ceiling { What::SlowStart } else { what };
        worst.or(runs(self.in_flight, ceilings.all, slow), by(self.in_flight, ceilings.all, What::Concurrency));
        let classes = self.in_flight_held.iter().zip(ceilings.later).zip(slow_later).zip(held);
        for (((&sum, ceiling), slow), _) in classes.filter(|&(_, held)| held) {
            worst.or(runs(sum, ceiling, slow), by(sum, ceiling, What::ReservedConcurrency));
        }
    }
}

impl Blocked {
    /// Takes on another reason if it holds back longer.
    fn or(&mut self, until: Option<Time>, by: What) {
        let longer = match (self.until, until) {
            (None, _) => false,
            (Some(_), None) => true,
            (Some(worst), Some(until)) => until > worst,
        };
        if longer {
            *self = Blocked { until, by };
        }
    }
}

/// When the ring has room if nothing starts any more, and what is not released yet is released now.
fn room_at(ring: &Ring, rule: &Rule, weight: u64, held: Classes<bool>, now: Time) -> Option<Time> {
    let mut over = (ring.used() + weight).saturating_sub(rule.ceilings.all);
    let mut over_held = ring.held();
    for ((over, ceiling), held) in over_held.iter_mut().zip(rule.ceilings.later).zip(held) {
        *over = if held { (*over + weight).saturating_sub(ceiling) } else { 0 };
    }
    // A slot is let go after those before it.
    let mut at = Time(0);
    for slot in ring.slots() {
        let released = if slot.open > 0 { now.max(slot.at) } else { slot.at };
        at = at.max(Time(released.0.saturating_add(rule.hold_ms)));
        over = over.saturating_sub(u64::from(slot.units));
        for (over, held) in over_held.iter_mut().zip(slot.held) {
            *over = over.saturating_sub(u64::from(held));
        }
        if over == 0 && over_held.iter().all(|&over| over == 0) {
            return Some(at);
        }
    }
    None
}
