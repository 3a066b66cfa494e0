//! What is known of a target while it is called: by its task, and by those who ask.

use std::collections::VecDeque;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;
use weir_push::Gate;
use weir_push::breaker::State;

use super::setup::Setup;

/// Errors that are remembered.
const TROUBLES_MAX: usize = 10;

/// What is known of a target.
#[derive(Debug)]
pub(super) struct Known {
    state: Mutex<Inner>,
    began: Instant,
}

#[derive(Debug)]
struct Inner {
    gate: Gate,
    /// Requests under way that went through an earlier gate.
    earlier: u32,
    paused: bool,
    delivered: u64,
    failed: u64,
    throttled: u64,
    troubles: VecDeque<Trouble>,
}

/// Something that went wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Trouble {
    pub(crate) at_ms: u64,
    pub(crate) text: String,
    /// How often in a row.
    pub(crate) times: u64,
}

/// How a target stands. Moments are those of the day.
#[derive(Clone, Debug)]
pub(crate) struct Status {
    pub(crate) paused: bool,
    pub(crate) concurrency: u32,
    pub(crate) in_flight: u32,
    pub(crate) breaker: Option<State>,
    pub(crate) open_until_ms: Option<u64>,
    pub(crate) held_until_ms: Option<u64>,
    pub(crate) delivered: u64,
    pub(crate) failed: u64,
    pub(crate) throttled: u64,
    pub(crate) troubles: Vec<Trouble>,
}

/// How many messages of a request ended how.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    pub(super) delivered: u64,
    pub(super) failed: u64,
    pub(super) throttled: u64,
}

/// The time of day in milliseconds since 1970.
pub(super) fn wall_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

fn gate(setup: &Setup, now_ms: u64) -> Gate {
    let settings = &setup.target.settings;
    let gate = Gate::new(settings.concurrency, settings.breaker, settings.slow_start_ms, now_ms);
    match setup.per_second() {
        None => gate,
        Some(per_second) => gate.paced(per_second),
    }
}

impl Known {
    pub(super) fn new(setup: &Setup) -> Self {
        let paused = setup.paused;
        let inner = Inner {
            gate: gate(setup, 0),
            earlier: 0,
            paused,
            delivered: 0,
            failed: 0,
            throttled: 0,
            troubles: VecDeque::new(),
        };
        Self { state: Mutex::new(inner), began: Instant::now() }
    }

    /// Milliseconds that only ever go forward.
    pub(super) fn now_ms(&self) -> u64 {
        self.began.elapsed().as_millis() as u64
    }

    /// When so many of these milliseconds have passed.
    pub(super) fn moment(&self, ms: u64) -> tokio::time::Instant {
        tokio::time::Instant::from_std(self.began + std::time::Duration::from_millis(ms))
    }

    /// Goes on with another gate; what is under way counts with it.
    pub(super) fn change(&self, setup: &Setup) {
        let now_ms = self.now_ms();
        let mut state = self.state.lock();
        state.earlier += state.gate.in_flight();
        state.gate = gate(setup, now_ms);
    }

    pub(super) fn pause(&self, paused: bool) {
        self.state.lock().paused = paused;
    }

    /// How many requests may start now.
    pub(super) fn free(&self) -> u32 {
        let now_ms = self.now_ms();
        let mut state = self.state.lock();
        let earlier = state.earlier;
        state.gate.free(now_ms).saturating_sub(earlier)
    }

    /// When more may start although nothing has ended.
    pub(super) fn opens_at_ms(&self) -> Option<u64> {
        let now_ms = self.now_ms();
        self.state.lock().gate.opens_at_ms(now_ms)
    }

    /// Uses the gate.
    pub(super) fn with_gate<T>(&self, using: impl FnOnce(&mut Gate, u64) -> T) -> T {
        let now_ms = self.now_ms();
        using(&mut self.state.lock().gate, now_ms)
    }

    /// A request of an earlier gate has ended.
    pub(super) fn earlier_ended(&self) {
        let mut state = self.state.lock();
        state.earlier = state.earlier.saturating_sub(1);
    }

    pub(super) fn count(&self, counts: Counts, trouble: Option<String>) {
        let mut state = self.state.lock();
        state.delivered += counts.delivered;
        state.failed += counts.failed;
        state.throttled += counts.throttled;
        let Some(text) = trouble else { return };
        let at_ms = wall_ms();
        match state.troubles.back_mut() {
            Some(last) if last.text == text => {
                last.at_ms = at_ms;
                last.times += 1;
            }
            _ => {
                if state.troubles.len() == TROUBLES_MAX {
                    state.troubles.pop_front();
                }
                state.troubles.push_back(Trouble { at_ms, text, times: 1 });
            }
        }
    }

    pub(super) fn status(&self) -> Status {
        let (now_ms, wall_ms) = (self.now_ms(), wall_ms());
        let of_day = |ms: u64| wall_ms.saturating_add(ms.saturating_sub(now_ms));
        let state = self.state.lock();
        Status {
            paused: state.paused,
            concurrency: state.gate.limit(),
            in_flight: state.gate.in_flight() + state.earlier,
            breaker: state.gate.breaker(),
            open_until_ms: state.gate.open_until_ms().map(of_day),
            held_until_ms: state.gate.held_until_ms(now_ms).map(of_day),
            delivered: state.delivered,
            failed: state.failed,
            throttled: state.throttled,
            troubles: state.troubles.iter().rev().cloned().collect(),
        }
    }
}
