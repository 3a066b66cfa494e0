//! The circuit breaker of a target: one that fails again and again is left alone for a while, and then tried with little.
//!
//! ```text
//!             so many failures in a row
//!   closed ------------------------------> open
//!     ^                                    |  ^
//!     | every probe succeeds    time over  |  | a probe fails: the time doubles
//!     |                                    v  |
//!     +------------------------------ half-open
//! ```

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// When a target is left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "PushBreaker")]
#[serde(deny_unknown_fields, default)]
pub struct Breaker {
    /// Failures in a row that open it: no connection, no answer in time, a broken answer, a status of 5xx. 1 to 1 000.
    /// Default 5.
    pub failures: u32,
    /// How long nothing is sent then. Doubles each time that a probe fails. Default 10 000.
    pub open_ms: u64,
    /// What that grows to at most. Default 300 000.
    pub open_ms_max: u64,
    /// How many requests are sent as probes after that; when all have succeeded, sending goes on. 1 to 100. Default 1.
    pub probes: u32,
}

impl Default for Breaker {
    fn default() -> Self {
        Self { failures: 5, open_ms: 10_000, open_ms_max: 300_000, probes: 1 }
    }
}

/// Where a breaker stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "PushBreakerState")]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Everything is sent.
    Closed,
    /// Nothing is sent.
    Open,
    /// Probes are sent.
    HalfOpen,
}

#[derive(Clone, Copy, Debug)]
enum Standing {
    Closed { failures: u32 },
    Open { until_ms: u64, times: u32 },
    HalfOpen { sent: u32, succeeded: u32, times: u32 },
}

/// A breaker at work.
#[derive(Clone, Debug)]
pub struct Circuit {
    breaker: Breaker,
    standing: Standing,
    /// Counts its changes: a request that started before the last one tells nothing any more.
    round: u64,
}

/// In which round of the breaker a request started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Round(u64);

/// What an end changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Nothing.
    None,
    /// It opened.
    Opened,
    /// It closed.
    Closed,
}

impl Circuit {
    /// A closed one.
    pub fn new(breaker: Breaker) -> Self {
        Self { breaker, standing: Standing::Closed { failures: 0 }, round: 0 }
    }

    /// How many requests may be sent now beside those under way; nothing for any number.
    pub fn free(&mut self, now_ms: u64) -> Option<u32> {
        if let Standing::Open { until_ms, times } = self.standing
            && now_ms >= until_ms
        {
            self.turn(Standing::HalfOpen { sent: 0, succeeded: 0, times });
        }
        match self.standing {
            Standing::Closed { .. } => None,
            Standing::Open { .. } => Some(0),
            Standing::HalfOpen { sent, .. } => Some(self.breaker.probes.saturating_sub(sent)),
        }
    }

    /// When it lets something through again by itself.
    pub fn opens_until_ms(&self) -> Option<u64> {
        match self.standing {
            Standing::Open { until_ms, .. } => Some(until_ms),
            _ => None,
        }
    }

    /// Where it stands.
    pub fn state(&self) -> State {
        match self.standing {
            Standing::Closed { .. } => State::Closed,
            Standing::Open { .. } => State::Open,
            Standing::HalfOpen { .. } => State::HalfOpen,
        }
    }

    /// Notes that a request starts.
    pub fn started(&mut self) -> Round {
        if let Standing::HalfOpen { sent, .. } = &mut self.standing {
            *sent += 1;
        }
        Round(self.round)
    }

    /// A request was not sent after all, or its end tells nothing of the target's health.
    pub fn withdrawn(&mut self, round: Round) {
        if let Standing::HalfOpen { sent, .. } = &mut self.standing
            && round.0 == self.round
        {
            *sent = sent.saturating_sub(1);
        }
    }

    /// The target did its work, or said clearly why not.
    pub fn succeeded(&mut self, round: Round) -> Change {
        if round.0 != self.round {
            return Change::None;
        }
        match &mut self.standing {
            Standing::Closed { failures } => *failures = 0,
            Standing::HalfOpen { succeeded, .. } => {
                *succeeded += 1;
                if *succeeded >= self.breaker.probes {
                    self.turn(Standing::Closed { failures: 0 });
                    return Change::Closed;
                }
            }
            Standing::Open { .. } => {}
        }
        Change::None
    }

    /// The target failed.
    pub fn failed(&mut self, now_ms: u64, round: Round) -> Change {
        if round.0 != self.round {
            return Change::None;
        }
        let times = match &mut self.standing {
            Standing::Closed { failures } => {
                *failures += 1;
                if *failures < self.breaker.failures {
                    return Change::None;
                }
                0
            }
            Standing::HalfOpen { times, .. } => *times + 1,
            Standing::Open { .. } => return Change::None,
        };
        let most = self.breaker.open_ms_max.max(self.breaker.open_ms);
        let open_ms = self.breaker.open_ms.saturating_mul(1 << times.min(30)).min(most);
        self.turn(Standing::Open { until_ms: now_ms.saturating_add(open_ms), times });
        Change::Opened
    }

    fn turn(&mut self, standing: Standing) {
        self.standing = standing;
        self.round += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn circuit(probes: u32) -> Circuit {
        Circuit::new(Breaker { failures: 3, open_ms: 100, open_ms_max: 350, probes })
    }

    fn fail(circuit: &mut Circuit, now_ms: u64) -> Change {
        let round = circuit.started();
        circuit.failed(now_ms, round)
    }

    #[test]
    fn failures_in_a_row_open_it_and_a_success_between_keeps_it_closed() {
        let mut circuit = circuit(1);
        for _ in 0..10 {
            assert_eq!((fail(&mut circuit, 0), fail(&mut circuit, 0)), (Change::None, Change::None));
            let round = circuit.started();
            circuit.succeeded(round);
        }
        assert_eq!(circuit.free(0), None);
        fail(&mut circuit, 0);
        fail(&mut circuit, 0);
        assert_eq!(fail(&mut circuit, 7), Change::Opened);
        assert_eq!((circuit.state(), circuit.free(106), circuit.opens_until_ms()), (State::Open, Some(0), Some(107)));
    }

    #[test]
    fn after_a_while_probes_go_out_and_close_it_when_all_succeed() {
        let mut circuit = circuit(2);
        for _ in 0..3 {
            fail(&mut circuit, 0);
        }
        assert_eq!((circuit.free(100), circuit.state()), (Some(2), State::HalfOpen));
        let (one, two) = (circuit.started(), circuit.started());
        assert_eq!(circuit.free(100), Some(0));
        assert_eq!(circuit.succeeded(one), Change::None);
        assert_eq!(circuit.free(100), Some(0), "a probe is not sent again while the others are under way");
        assert_eq!(circuit.succeeded(two), Change::Closed);
        assert_eq!(circuit.free(100), None);
    }

    #[test]
    fn a_probe_that_fails_doubles_the_time_up_to_its_most() {
        let mut circuit = circuit(1);
        for _ in 0..3 {
            fail(&mut circuit, 0);
        }
        let mut now = 0;
        let mut times = Vec::new();
        for _ in 0..4 {
            let until = circuit.opens_until_ms().unwrap();
            times.push(until - now);
            now = until;
            assert_eq!(circuit.free(now), Some(1));
            assert_eq!(fail(&mut circuit, now), Change::Opened);
        }
        assert_eq!(times, [100, 200, 350, 350]);
    }

    #[test]
    fn requests_from_before_it_opened_tell_nothing() {
        let mut circuit = circuit(1);
        let old = circuit.started();
        for _ in 0..3 {
            fail(&mut circuit, 0);
        }
        assert_eq!(circuit.succeeded(old), Change::None);
        assert_eq!(circuit.free(100), Some(1));
        assert_eq!(circuit.failed(100, old), Change::None);
        assert_eq!(circuit.succeeded(old), Change::None);
        assert_eq!(circuit.state(), State::HalfOpen);
    }

    #[test]
    fn a_probe_that_told_nothing_is_sent_again() {
        let mut circuit = circuit(1);
        for _ in 0..3 {
            fail(&mut circuit, 0);
        }
        circuit.free(100);
        let round = circuit.started();
        assert_eq!(circuit.free(100), Some(0));
        circuit.withdrawn(round);
        assert_eq!(circuit.free(100), Some(1));
    }
}
