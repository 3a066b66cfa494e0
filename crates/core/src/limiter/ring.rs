//! The starts that one window counts: slots in the order of their grants, each held until `hold_ms` after the last of its
//! releases.
//!
//! A slot takes starts until it holds the window's quantum, a 64th of its `max`. Up to 64 that is one unit: every start
//! has its own slot, and the window is exact. Above, a slot comes back as a whole: all but the last start in it come late,
//! together less than a quantum at any time.

use std::collections::VecDeque;

use super::limit::{Classes, Rule};
use super::terms::{Counts, RESERVES_MAX, UNITS_MAX};
use crate::time::Time;

/// Slots of one window at most.
pub const SLOTS_MAX: usize = 64;

/// A window never counts more, so that sums of slots fit. Debts beyond it are forgiven; they would be four times the
/// longest budget.
const USED_MAX: u64 = 4 * UNITS_MAX as u64;

/// Starts that come back together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Slot {
    /// Number of the first start in it.
    pub(super) first: u64,
    /// The latest release in it, or the latest grant where none was released.
    pub(super) at: Time,
    /// What it adds to the window.
    pub(super) units: u32,
    /// How much of it is held to the ceiling of each reserve.
    pub(super) held: Classes<u32>,
    /// Starts in it that are not released.
    pub(super) open: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ring {
    pub(super) counts: Counts,
    pub(super) per_ms: u64,
    slots: VecDeque<Slot>,
    /// The latest time of a slot that was let go; zero if there was none.
    pub(super) forgotten_at: Time,
    /// The first start that the ring was told of.
    pub(super) first: u64,
    /// Starts before that which are not released yet; they may have cost anything.
    pub(super) strangers: u64,
    used: u64,
    held: Classes<u64>,
}

impl Ring {
    pub(super) fn new(counts: Counts, per_ms: u64, forgotten_at: Time) -> Self {
        let slots = VecDeque::new();
        Self { counts, per_ms, slots, forgotten_at, first: 0, strangers: 0, used: 0, held: [0; RESERVES_MAX] }
    }

    /// A ring that learns of starts only from `first` on, while `strangers` before it are on their way.
    pub(super) fn late(counts: Counts, per_ms: u64, forgotten_at: Time, first: u64, strangers: u64) -> Self {
        Self { first, strangers, ..Self::new(counts, per_ms, forgotten_at) }
    }

    /// The same starts, for a window of another length.
    pub(super) fn with_per(&self, per_ms: u64) -> Self {
        Self { per_ms, ..self.clone() }
    }

    pub(super) fn slots(&self) -> &VecDeque<Slot> {
        &self.slots
    }

    pub(super) fn used(&self) -> u64 {
        self.used
    }

    pub(super) fn held(&self) -> Classes<u64> {
        self.held
    }

    /// Lets go of the slots whose time is over.
    pub(super) fn expire(&mut self, rule: &Rule, now: Time) {
        while let Some(slot) = self.slots.front()
            && slot.open == 0
            && slot.at.0.saturating_add(rule.hold_ms) <= now.0
        {
            self.used -= u64::from(slot.units);
            for (sum, held) in self.held.iter_mut().zip(slot.held) {
                *sum -= u64::from(held);
            }
            self.forgotten_at = self.forgotten_at.max(slot.at);
            self.slots.pop_front();
        }
    }

    /// Whether `weight` more would stay under every ceiling.
    pub(super) fn has_room(&self, rule: &Rule, weight: u64, held: Classes<bool>) -> bool {
        let mut room = self.used + weight <= rule.ceilings.all;
        for ((&sum, &ceiling), held) in self.held.iter().zip(&rule.ceilings.later).zip(held) {
            room &= !held || sum + weight <= ceiling;
        }
        room
    }

    /// Counts `units` from `now` on: a start that is not released yet, or units that were used without a start.
    pub(super) fn push(&mut self, seq: u64, now: Time, units: u64, held: Classes<bool>, quantum: u64, open: bool) {
        let units = units.min(USED_MAX - self.used);
        self.used += units;
        for (sum, held) in self.held.iter_mut().zip(held) {
            *sum += if held { units } else { 0 };
        }
        let units = u32::try_from(units).expect("USED_MAX fits");
        let full = self.slots.back().is_none_or(|slot| u64::from(slot.units) >= quantum);
        if full {
            if self.slots.len() >= SLOTS_MAX {
                self.merge();
            }
            self.slots.push_back(Slot { first: seq, ..Slot::default() });
        }
        let slot = self.slots.back_mut().expect("one was there, or was pushed");
        slot.at = slot.at.max(now);
        slot.units += units;
        for (sum, held) in slot.held.iter_mut().zip(held) {
            *sum += if held { units } else { 0 };
        }
        slot.open += u32::from(open);
    }

    /// The start `seq` left, at `at` at the latest. Says whether it was one that the ring does not know.
    pub(super) fn release(&mut self, seq: u64, at: Time) -> bool {
        if seq < self.first {
            let is_stranger = self.strangers > 0;
            self.strangers -= u64::from(is_stranger);
            return is_stranger;
        }
        if let Some(slot) = self.slot(seq) {
            slot.at = slot.at.max(at);
            slot.open = slot.open.saturating_sub(1);
        }
        false
    }

    /// Every start that was granted has left, at `at` at the latest.
    pub(super) fn release_all(&mut self, at: Time) {
        for slot in self.slots.iter_mut().filter(|slot| slot.open > 0) {
            slot.at = slot.at.max(at);
            slot.open = 0;
        }
        if self.strangers > 0 {
            self.strangers = 0;
            self.forgotten_at = self.forgotten_at.max(at);
        }
    }

    /// Takes back up to `units` of the start `seq`, if they are still counted.
    pub(super) fn refund(&mut self, seq: u64, units: u64, held: Classes<bool>) {
        if seq < self.first {
            return;
        }
        let Some(slot) = self.slot(seq) else { return };
        let units = u32::try_from(units).unwrap_or(u32::MAX).min(slot.units);
        slot.units -= units;
        let mut back = [0; RESERVES_MAX];
        for ((sum, held), back) in slot.held.iter_mut().zip(held).zip(&mut back) {
            // What the slot held at a time of other reserves may be less.
            let left = if held { sum.saturating_sub(units) } else { (*sum).min(slot.units) };
            *back = u64::from(*sum - left);
            *sum = left;
        }
        self.used -= u64::from(units);
        for (sum, back) in self.held.iter_mut().zip(back) {
            *sum -= back;
        }
    }

    /// Changes what is held to which reserve: for each, the sums of another one before, or `None` for everything.
    pub(super) fn remap(&mut self, from: Classes<Option<usize>>) {
        self.held = [0; RESERVES_MAX];
        for slot in &mut self.slots {
            slot.held = from.map(|from| from.and_then(|from| slot.held.get(from)).copied().unwrap_or(slot.units));
            for (sum, held) in self.held.iter_mut().zip(slot.held) {
                *sum += u64::from(held);
            }
        }
    }

    /// Puts a stored slot back.
    pub(super) fn restore(&mut self, slot: Slot) {
        self.used += u64::from(slot.units);
        for (sum, held) in self.held.iter_mut().zip(slot.held) {
            *sum += u64::from(held);
        }
        self.slots.push_back(slot);
    }

    /// The slot that counts the start `seq`; none if it was let go.
    fn slot(&mut self, seq: u64) -> Option<&mut Slot> {
        let after = self.slots.partition_point(|slot| slot.first <= seq);
        self.slots.get_mut(after.checked_sub(1)?)
    }

    /// Joins the smallest slot to the one after it, with which it then comes back.
    ///
    /// Only refunds, debts and changed limits ever fill all slots: without them every slot but the last holds a quantum,
    /// and 64 of those are the whole window.
    fn merge(&mut self) {
        let older = self.slots.len().saturating_sub(1);
        let Some((index, small)) =
            self.slots.iter().copied().enumerate().take(older).min_by_key(|&(_, slot)| slot.units)
        else {
            return;
        };
        self.slots.remove(index);
        if let Some(slot) = self.slots.get_mut(index) {
            slot.first = small.first;
            slot.at = slot.at.max(small.at);
            slot.units += small.units;
            slot.open += small.open;
            for (sum, held) in slot.held.iter_mut().zip(small.held) {
                *sum += held;
            }
        }
    }
}
