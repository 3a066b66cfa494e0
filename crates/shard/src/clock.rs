//! Engine time from the machine's clocks.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use weir_core::Time;

/// How fast engine time may be moved towards wall time: a twentieth of the time that passes.
const SLEW: u64 = 20;

/// A clock that never goes back and never jumps: it follows the monotonic clock, and drifts towards wall time where
/// the two differ.
#[derive(Debug)]
pub(crate) struct Clock {
    /// The last reading.
    last: Time,
    /// When it was taken, and the part of a millisecond that was left over.
    read_at: Instant,
    /// Milliseconds of passed time that have not yet earned a step of drift.
    credit: u64,
}

impl Clock {
    /// A clock at wall time, or at `latest`, the latest time that the store knows of, where that is later.
    pub(crate) fn new(latest: Time) -> Self {
        Self { last: latest.max(wall()), read_at: Instant::now(), credit: 0 }
    }

    pub(crate) fn now(&mut self) -> Time {
        let passed = u64::try_from(self.read_at.elapsed().as_millis()).unwrap_or(u64::MAX);
        if passed > 0 {
            self.read_at += std::time::Duration::from_millis(passed);
            self.last = self.drift(passed, wall());
        }
        self.last
    }

    /// The time `passed` milliseconds after the last reading, at most a [`SLEW`]th of that nearer to `wall`.
    fn drift(&mut self, passed: u64, wall: Time) -> Time {
        let straight = self.last.0 + passed;
        self.credit = (self.credit + passed).min(SLEW * 1_000);
        let (steps, apart) = (self.credit / SLEW, straight.abs_diff(wall.0));
        let step = steps.min(apart);
        self.credit -= step * SLEW;
        Time(if wall.0 > straight { straight + step } else { (straight - step).max(self.last.0) })
    }
}

fn wall() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Time(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wall_clock_that_jumps_moves_engine_time_slowly_and_never_back() {
        let mut clock = Clock { last: Time(10_000), read_at: Instant::now(), credit: 0 };
        for wall in [Time(0), Time(10_000_000), Time(5), Time(11_000)] {
            for _ in 0..100 {
                let now = clock.drift(100, wall);
                assert!(now.0 >= clock.last.0 + 95 - 1_000 / SLEW && now.0 <= clock.last.0 + 100 + 1_000, "{now}");
                assert!(now >= clock.last);
                clock.last = now;
            }
        }
    }

    #[test]
    fn engine_time_comes_together_with_wall_time() {
        let mut clock = Clock { last: Time(10_000), read_at: Instant::now(), credit: 0 };
        let mut wall = 10_500;
        for _ in 0..200 {
            wall += 100;
            clock.last = clock.drift(100, Time(wall));
        }
        assert_eq!(clock.last, Time(wall));
    }
}
