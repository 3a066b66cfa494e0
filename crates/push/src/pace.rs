//! A pace: requests start evenly, never more than so many in a second.

/// Up to so much lateness is made up for, where requests follow each other closely: timers are not exact.
const LATE_US_MAX: u64 = 10_000;

/// When the next request may start. Moments are in millionths of a second.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    every_us: u64,
    /// The moment of the next one, had all before started in time.
    next_us: u64,
}

impl Pace {
    /// So many in a second; at least 1.
    pub(crate) fn new(per_second: u32) -> Self {
        Self { every_us: (1_000_000 / u64::from(per_second.max(1))).max(1), next_us: 0 }
    }

    /// How many may start now.
    pub(crate) fn free(&self, now_ms: u64) -> u32 {
        let now = now_ms.saturating_mul(1_000);
        match now.checked_sub(self.since_us(now)) {
            None => 0,
            Some(passed_us) => u32::try_from(passed_us / self.every_us + 1).unwrap_or(u32::MAX),
        }
    }

    /// One starts.
    pub(crate) fn pass(&mut self, now_ms: u64) {
        self.next_us = self.since_us(now_ms.saturating_mul(1_000)).saturating_add(self.every_us);
    }

    /// When the next one may start, where none may now.
    pub(crate) fn opens_at_ms(&self, now_ms: u64) -> Option<u64> {
        (self.free(now_ms) == 0).then(|| self.next_us.div_ceil(1_000))
    }

    /// The moment of the next one, as far as lateness is made up for: within a second there are never more than allowed
    /// where they are 10 ms apart or more.
    fn since_us(&self, now: u64) -> u64 {
        let late_us = if self.every_us < LATE_US_MAX { LATE_US_MAX } else { 0 };
        self.next_us.max(now.saturating_sub(late_us))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// When requests start that are asked for at each of these moments, as many as may.
    fn starts(pace: &mut Pace, moments: impl Iterator<Item = u64>) -> Vec<u64> {
        let mut started = Vec::new();
        for now in moments {
            for _ in 0..pace.free(now) {
                pace.pass(now);
                started.push(now);
            }
        }
        started
    }

    #[test]
    fn requests_are_a_second_apart_where_one_may_start_in_each() {
        let mut pace = Pace::new(1);
        assert_eq!(starts(&mut pace, (0..3_500).map(|ms| ms + 7)), [7, 1_007, 2_007, 3_007]);
        assert_eq!(pace.opens_at_ms(3_500), Some(4_007));
        assert_eq!((pace.opens_at_ms(4_007), pace.free(9_999)), (None, 1), "what was not used is not kept");
    }

    #[test]
    fn many_in_a_second_start_together_where_the_clock_is_too_coarse() {
        let mut pace = Pace::new(5_000);
        let started = starts(&mut pace, 0..10_000);
        let within = |from: u64| started.iter().filter(|&&at| (from..from + 1_000).contains(&at)).count();
        for from in 1..9_000 {
            assert_eq!(within(from), 5_000, "{from}");
        }
    }

    #[test]
    fn a_timer_that_is_late_does_not_slow_it_down() {
        let mut pace = Pace::new(500);
        // Awake every third millisecond: two requests are due each three times, or one.
        let started = starts(&mut pace, (0..3_000).map(|turn| turn * 3)).len();
        assert!((4_495..=4_510).contains(&started), "{started}");
    }
}
