//! The pace of background work: never more than so much in any second, evenly.

use std::time::Duration;

use crate::time::Time;

/// The most that one slot is given, and so the work of one step.
const SLOT_MAX: u32 = 256;

/// Time in slots of equal length, each with its share of a second's work. Slots lie as far apart as they are long, or
/// farther where the work was late, so any second meets at most a second's worth of them, one after the other; and so
/// many in a row have the whole second's share, wherever they start.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    pub(crate) per_second: Option<u32>,
    /// When the next slot begins.
    pub(crate) next_at: Time,
    /// Which slot of a second that is.
    pub(crate) slot: u64,
}

impl Pace {
    pub(crate) fn new(per_second: Option<u32>, now: Time) -> Self {
        Self { per_second, next_at: now, slot: 0 }
    }

    /// How much may be done in the next slot.
    pub(crate) fn share(&self) -> usize {
        let Some(rate) = self.per_second else { return SLOT_MAX as usize };
        share(rate, self.slot) as usize
    }

    /// The slot was used at `now`.
    pub(crate) fn step(&mut self, now: Time) {
        let Some(rate) = self.per_second else {
            self.next_at = now;
            return;
        };
        let length = slot_ms(rate);
        let mut slots = 1;
        while slots < 1_000 / length && share(rate, self.slot + slots) == 0 {
            slots += 1;
        }
        self.slot = (self.slot + slots) % (1_000 / length);
        self.next_at = now.after(Duration::from_millis(slots * length));
    }
}

/// How long a slot is: as long as gives each its share in one step.
fn slot_ms(rate: u32) -> u64 {
    match rate {
        0..=2_560 => 100,
        2_561..=25_600 => 10,
        _ => 1,
    }
}

fn share(rate: u32, slot: u64) -> u64 {
    let slots = 1_000 / slot_ms(rate);
    let until = |slot: u64| (slot * u64::from(rate)).div_ceil(slots);
    (until(slot % slots + 1) - until(slot % slots)).min(u64::from(SLOT_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_no_second_more_is_done_than_the_rate_and_hardly_less() {
        for rate in [1, 3, 7, 10, 19, 99, 500, 2_561, 30_000] {
            let mut pace = Pace::new(Some(rate), Time(5));
            let mut done: Vec<(u64, u64)> = Vec::new();
            let mut late = 0;
            while pace.next_at < Time(20_000) {
                // Now and then the work is late.
                late = (late * 31 + 7) % 101;
                let now = Time(pace.next_at.0 + if late == 0 { 40.min(slot_ms(rate)) } else { 0 });
                done.push((now.0, pace.share() as u64));
                pace.step(now);
            }
            for (at, _) in &done {
                let second: u64 = done.iter().filter(|(other, _)| (*at..at + 1_000).contains(other)).map(|d| d.1).sum();
                assert!(second <= u64::from(rate), "{second} in a second from {at}, at {rate}");
            }
            let all: u64 = done.iter().map(|(_, share)| share).sum();
            assert!(all * 10 >= u64::from(rate) * 19 * 9, "{all} in 20 s, at {rate}");
        }
    }
}
