//! The gate before a target: how many requests may be under way now, from all that is known of it.

use crate::adaptive::{Adaptive, Answered, Started as Adapted};
use crate::breaker::{Breaker, Change, Circuit, Round, State};
use crate::pace::Pace;
use crate::settings::Concurrency;
use crate::slow_start::SlowStart;

/// How a request ended, as far as it tells of the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// It did its work, or said clearly why not.
    Well,
    /// It asked for less (429).
    Throttled,
    /// It has too much to do: 503, or no answer in time.
    Overloaded,
    /// It failed: no connection, a broken answer, 5xx.
    Sick,
    /// The request was not made: nothing is known.
    Unknown,
}

/// First and longest pause after an answer that asks for less without saying how long.
const HOLD_MS: u64 = 250;
const HOLD_MS_MAX: u64 = 60_000;

/// A gate.
#[derive(Clone, Debug)]
pub struct Gate {
    limit: Limit,
    circuit: Option<Circuit>,
    slow_start: SlowStart,
    pace: Option<Pace>,
    in_flight: u32,
    held_until_ms: u64,
    /// Answers in a row that asked for less.
    throttled: u32,
}

#[derive(Clone, Debug)]
enum Limit {
    Fixed(u32),
    Adaptive(Adaptive),
}

/// A request that went through the gate.
#[derive(Clone, Copy, Debug)]
pub struct Passed {
    at_ms: u64,
    adapted: Option<Adapted>,
    round: Option<Round>,
}

impl Passed {
    /// When it went through.
    pub fn at_ms(&self) -> u64 {
        self.at_ms
    }
}

impl Gate {
    /// A gate with nothing under way.
    pub fn new(concurrency: Concurrency, breaker: Option<Breaker>, slow_start_ms: u64, now_ms: u64) -> Self {
        let Concurrency { max, min, adaptive } = concurrency;
        let limit = if adaptive { Limit::Adaptive(Adaptive::new(min, max)) } else { Limit::Fixed(max.max(1)) };
        Self {
            limit,
            circuit: breaker.map(Circuit::new),
            slow_start: SlowStart::new(slow_start_ms, now_ms),
            pace: None,
            in_flight: 0,
            held_until_ms: 0,
            throttled: 0,
        }
    }

    /// The same, and no more than so many requests start in a second.
    #[must_use]
    pub fn paced(mut self, per_second: u32) -> Self {
        self.pace = Some(Pace::new(per_second));
        self
    }

    /// How many more requests may start now.
    pub fn free(&mut self, now_ms: u64) -> u32 {
        if now_ms < self.held_until_ms {
            return 0;
        }
        let circuit = self.circuit.as_mut().and_then(|circuit| circuit.free(now_ms));
        let free = self.slow_start.share(self.limit(), now_ms).saturating_sub(self.in_flight);
        let pace = self.pace.map_or(u32::MAX, |pace| pace.free(now_ms));
        circuit.map_or(free, |circuit| circuit.min(free)).min(pace)
    }

    /// When more may start although nothing that is under way has ended.
    pub fn opens_at_ms(&mut self, now_ms: u64) -> Option<u64> {
        if self.free(now_ms) > 0 {
            return None;
        }
        let held = Some(self.held_until_ms).filter(|&until| now_ms < until);
        let open = self.circuit.as_ref().and_then(Circuit::opens_until_ms);
        let pace = self.pace.and_then(|pace| pace.opens_at_ms(now_ms));
        match held.max(open).max(pace) {
            None => self.slow_start.grows_at_ms(self.limit(), now_ms),
            until => until,
        }
    }

    /// Lets a request through.
    pub fn pass(&mut self, now_ms: u64) -> Passed {
        self.in_flight += 1;
        if let Some(pace) = &mut self.pace {
            pace.pass(now_ms);
        }
        let adapted = match &self.limit {
            Limit::Adaptive(adaptive) => Some(adaptive.started(now_ms, self.in_flight)),
            Limit::Fixed(_) => None,
        };
        Passed { at_ms: now_ms, adapted, round: self.circuit.as_mut().map(Circuit::started) }
    }

    /// A request that went through has ended, after so many milliseconds.
    pub fn end(&mut self, now_ms: u64, passed: Passed, latency_ms: f64, health: Health) -> Change {
        self.in_flight = self.in_flight.saturating_sub(1);
        match health {
            Health::Well => self.throttled = 0,
            Health::Throttled => self.throttled = self.throttled.saturating_add(1),
            _ => {}
        }
        if let (Limit::Adaptive(adaptive), Some(adapted)) = (&mut self.limit, passed.adapted) {
            let answered = match health {
                Health::Well => Answered::Well,
                Health::Throttled | Health::Overloaded => Answered::Overloaded,
                Health::Sick | Health::Unknown => Answered::Otherwise,
            };
            adaptive.ended(now_ms, adapted, latency_ms, answered);
        }
        let (Some(circuit), Some(round)) = (&mut self.circuit, passed.round) else { return Change::None };
        let change = match health {
            // Who asks for less is there.
            Health::Well | Health::Throttled => circuit.succeeded(round),
            Health::Overloaded | Health::Sick => circuit.failed(now_ms, round),
            Health::Unknown => {
                circuit.withdrawn(round);
                Change::None
            }
        };
        if change == Change::Closed {
            self.slow_start.restart(now_ms);
        }
        change
    }

    /// Lets nothing through for a while.
    pub fn hold(&mut self, now_ms: u64, for_ms: u64) {
        self.held_until_ms = self.held_until_ms.max(now_ms.saturating_add(for_ms));
    }

    /// How long to leave a target alone that asked for less without saying for how long: longer each time.
    pub fn hold_ms(&self) -> u64 {
        let times = self.throttled.saturating_sub(1).min(16);
        (HOLD_MS << times).min(HOLD_MS_MAX)
    }

    /// How many may be under way, apart from what holds it back for a while.
    pub fn limit(&self) -> u32 {
        match &self.limit {
            Limit::Fixed(limit) => *limit,
            Limit::Adaptive(adaptive) => adaptive.limit(),
        }
    }

    /// How many are under way.
    pub fn in_flight(&self) -> u32 {
        self.in_flight
    }

    /// Where the breaker stands; nothing where there is none.
    pub fn breaker(&self) -> Option<State> {
        self.circuit.as_ref().map(Circuit::state)
    }

    /// Until when the breaker is open.
    pub fn open_until_ms(&self) -> Option<u64> {
        self.circuit.as_ref().and_then(Circuit::opens_until_ms)
    }

    /// Until when it is held back.
    pub fn held_until_ms(&self, now_ms: u64) -> Option<u64> {
        Some(self.held_until_ms).filter(|&until| now_ms < until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fixed(max: u32) -> Concurrency {
        Concurrency { max, min: 1, adaptive: false }
    }

    #[test]
    fn a_pace_bounds_what_starts_and_says_when_it_goes_on() {
        let mut gate = Gate::new(fixed(10), None, 0, 0).paced(4);
        assert_eq!((gate.free(0), gate.opens_at_ms(0)), (1, None));
        let passed = gate.pass(0);
        assert_eq!((gate.free(0), gate.opens_at_ms(0)), (0, Some(250)));
        gate.hold(0, 300);
        assert_eq!(gate.opens_at_ms(0), Some(300));
        gate.end(10, passed, 10.0, Health::Well);
        assert_eq!((gate.free(299), gate.free(300)), (0, 1));
    }

    #[test]
    fn no_more_than_the_limit_go_through() {
        let mut gate = Gate::new(fixed(2), None, 0, 0);
        assert_eq!(gate.free(0), 2);
        let passed = gate.pass(0);
        gate.pass(0);
        assert_eq!((gate.free(0), gate.opens_at_ms(0)), (0, None));
        gate.end(5, passed, 5.0, Health::Well);
        assert_eq!(gate.free(5), 1);
    }

    #[test]
    fn a_target_that_fails_is_left_alone_probed_and_started_slowly() {
        let breaker = Breaker { failures: 2, open_ms: 100, ..Breaker::default() };
        let mut gate = Gate::new(fixed(10), Some(breaker), 1_000, 0);
        assert_eq!((gate.free(0), gate.free(1_000)), (1, 10));
        for _ in 0..2 {
            let passed = gate.pass(1_000);
            gate.end(1_000, passed, 1.0, Health::Sick);
        }
        assert_eq!((gate.free(1_000), gate.opens_at_ms(1_000)), (0, Some(1_100)));
        assert_eq!(gate.free(1_100), 1);
        let probe = gate.pass(1_100);
        assert_eq!(gate.opens_at_ms(1_100), None, "only the probe's end opens it");
        assert_eq!(gate.end(1_110, probe, 1.0, Health::Well), Change::Closed);
        assert_eq!((gate.free(1_110), gate.free(1_610), gate.free(2_110)), (1, 5, 10));
    }

    #[test]
    fn who_asks_for_less_is_left_alone_longer_each_time_and_is_not_taken_for_sick() {
        let breaker = Breaker { failures: 1, ..Breaker::default() };
        let mut gate = Gate::new(fixed(4), Some(breaker), 0, 0);
        let mut holds = Vec::new();
        for _ in 0..3 {
            let passed = gate.pass(0);
            gate.end(0, passed, 1.0, Health::Throttled);
            holds.push(gate.hold_ms());
        }
        assert_eq!(holds, [250, 500, 1_000]);
        gate.hold(0, 1_000);
        assert_eq!((gate.free(999), gate.opens_at_ms(999), gate.free(1_000)), (0, Some(1_000), 4));
        let passed = gate.pass(1_000);
        gate.end(1_000, passed, 1.0, Health::Well);
        let passed = gate.pass(1_000);
        gate.end(1_000, passed, 1.0, Health::Throttled);
        assert_eq!(gate.hold_ms(), 250);
    }
}
