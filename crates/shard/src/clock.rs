//! Engine time from the machine's clocks.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use weir_core::Time;

/// How fast engine time may be moved towards wall time: a twentieth of the time that passes.
const SLEW: u64 = 20;

/// Engine time without a clock: it never goes back and never jumps. It follows the time that passes, and drifts towards
/// wall time where the two differ.
#[derive(Clone, Debug)]
pub struct EngineTime {
    now: Time,
    /// Milliseconds of passed time that have not yet earned a step of drift.
    credit: u64,
}

impl EngineTime {
    /// Engine time as a shard opens: wall time, or `latest`, the latest time that its store knows of, where that is
    /// later.
    pub fn new(latest: Time, wall: Time) -> Self {
        Self { now: latest.max(wall), credit: 0 }
    }

    /// The present, as of the last [`EngineTime::pass`].
    pub fn now(&self) -> Time {
        self.now
    }

    /// Lets `passed` milliseconds pass, and comes nearer to `wall` by at most a twentieth of that.
    pub fn pass(&mut self, passed: u64, wall: Time) -> Time {
        let straight = self.now.0 + passed;
        self.credit = (self.credit + passed).min(SLEW * 1_000);
        let (steps, apart) = (self.credit / SLEW, straight.abs_diff(wall.0));
        let step = steps.min(apart);
        self.credit -= step * SLEW;
        self.now = Time(if wall.0 > straight { straight + step } else { (straight - step).max(self.now.0) });
        self.now
    }
}

/// Engine time as the machine's clocks have it.
#[derive(Debug)]
pub(crate) struct Clock {
    time: EngineTime,
    /// When it was last read, but for the part of a millisecond that was left over.
    read_at: Instant,
}

impl Clock {
    /// A clock that starts at wall time, or at `latest` where that is later.
    pub(crate) fn new(latest: Time) -> Self {
        Self { time: EngineTime::new(latest, wall()), read_at: Instant::now() }
    }

    pub(crate) fn now(&mut self) -> Time {
        let passed = u64::try_from(self.read_at.elapsed().as_millis()).unwrap_or(u64::MAX);
        if passed > 0 {
            self.read_at += std::time::Duration::from_millis(passed);
            self.time.pass(passed, wall());
        }
        self.time.now()
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
        let mut time = EngineTime::new(Time(10_000), Time(0));
        for wall in [Time(0), Time(10_000_000), Time(5), Time(11_000)] {
            for _ in 0..100 {
                let before = time.now();
                let now = time.pass(100, wall);
                assert!(now.0 >= before.0 + 95 - 1_000 / SLEW && now.0 <= before.0 + 100 + 1_000, "{now}");
                assert!(now >= before);
            }
        }
    }

    #[test]
    fn engine_time_comes_together_with_wall_time() {
        let mut time = EngineTime::new(Time(10_000), Time(0));
        let mut wall = 10_500;
        for _ in 0..200 {
            wall += 100;
            time.pass(100, Time(wall));
        }
        assert_eq!(time.now(), Time(wall));
    }

    #[test]
    fn a_shard_opens_at_wall_time_or_at_the_latest_time_stored() {
        assert_eq!(EngineTime::new(Time(5), Time(7)).now(), Time(7));
        assert_eq!(EngineTime::new(Time(7), Time(5)).now(), Time(7));
    }
}
