//! Adaptive concurrency: how many requests a target can take at once, found out while it is called.
//!
//! A server answers faster and faster in sum until it is full; from there on, more requests at once only wait for each
//! other. That point is its knee. The limit moves in *phases* of a few answers each. Where a phase at another limit took
//! longer in proportion, the knee lies below, and where it did not, above: two phases tell the direction, and no memory
//! of how fast the target once was is needed, so a target that changes is followed. Latencies are averaged as logarithms:
//! a few slow answers do not weigh more than they are.
//!
//! An answer of 429 or 503, or none in time, halves the limit at once. After a phase that went well it returns to just
//! below where that happened, and goes above only a while later.

/// A target's answer, as it concerns how many requests it is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answered {
    /// It did its work.
    Well,
    /// It said that it has too much to do, or said nothing in time.
    Overloaded,
    /// Something else went wrong: how long that took tells nothing.
    Otherwise,
}

/// A request under way.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Started {
    /// When it started, in milliseconds.
    pub at_ms: u64,
    /// How many were under way with it.
    pub in_flight: u32,
    /// The phase in which it started.
    phase: u64,
}

/// How long the limit stays below where the target was overloaded.
const HOLD_MS: u64 = 8_000;
/// To which part of that limit it returns.
const BELOW: f64 = 0.9;
/// First step of a change of direction, and the most that steps grow to.
const STRIDE_MIN: f64 = 0.1;
const STRIDE_MAX: f64 = 0.4;
/// Which part of a full proportion is taken for waiting; over a long step, which addition to the logarithm.
const THRESHOLD: f64 = 0.5;
const THRESHOLD_LN: f64 = 0.1;
/// The part of the limit that must be in use for an answer to tell something about it.
const IN_USE: f64 = 0.75;
/// Which addition to the logarithm no step explains, and which one needs few answers to be seen.
const CHANGED_LN: f64 = 0.2;
const CHANGED_MUCH_LN: f64 = 1.0;
/// Fewest and most answers that make a phase.
const ANSWERS_MIN: f64 = 8.0;
const ANSWERS_MAX: f64 = 48.0;

/// A limit that finds its place between a least and a most.
#[derive(Clone, Debug)]
pub struct Adaptive {
    min: u32,
    max: u32,
    limit: u32,
    going_up: bool,
    stride: f64,
    phase: Phase,
    /// Limit and latency of the phase before.
    before: Option<(u32, f64)>,
    /// What the limit keeps to since the target was overloaded, and until when.
    ceiling: Option<(u32, u64)>,
    /// Whether it is to return there at once.
    returns: bool,
    /// Requests of earlier phases say nothing any more.
    cut_at_phase: u64,
}

/// Answers at one limit.
#[derive(Clone, Copy, Debug, Default)]
struct Phase {
    number: u64,
    /// Answers that were passed over, because the target still felt the limit before.
    settling: u32,
    answers: u32,
    ln_sum: f64,
}

impl Adaptive {
    /// Starts at `min` and goes up fast until the target shows that it is full. Both at least 1.
    pub fn new(min: u32, max: u32) -> Self {
        let min = min.max(1);
        Self {
            min,
            max: max.max(min),
            limit: min,
            going_up: true,
            stride: 1.0,
            phase: Phase::default(),
            before: None,
            ceiling: None,
            returns: false,
            cut_at_phase: 0,
        }
    }

    /// How many requests may be under way.
    pub fn limit(&self) -> u32 {
        self.limit
    }

    /// Notes that a request starts, with which so many are under way.
    pub fn started(&self, now_ms: u64, in_flight: u32) -> Started {
        Started { at_ms: now_ms, in_flight, phase: self.phase.number }
    }

    /// Takes in how a request ended, and after how many milliseconds.
    pub fn ended(&mut self, now_ms: u64, started: Started, latency_ms: f64, answered: Answered) {
        match answered {
            Answered::Otherwise => {}
            Answered::Overloaded if started.phase < self.cut_at_phase => {}
            Answered::Overloaded => self.cut(now_ms),
            Answered::Well => self.answered(now_ms, started, latency_ms),
        }
    }

    fn cut(&mut self, now_ms: u64) {
        self.ceiling = Some((rounded(f64::from(self.limit) * BELOW, self.min, self.max), now_ms + HOLD_MS));
        self.returns = true;
        self.go_to(f64::from(self.limit) / 2.0);
        self.cut_at_phase = self.phase.number;
        self.before = None;
        self.going_up = true;
        self.stride = STRIDE_MIN;
    }

    fn answered(&mut self, now_ms: u64, started: Started, latency_ms: f64) {
        let in_use = f64::from(started.in_flight) >= IN_USE * f64::from(self.limit);
        if started.phase != self.phase.number || !in_use {
            return;
        }
        if self.phase.settling < self.limit {
            self.phase.settling += 1;
            return;
        }
        self.phase.answers += 1;
        self.phase.ln_sum += latency_ms.max(0.01).ln();
        let latency_ln = self.phase.ln_sum / f64::from(self.phase.answers);
        let is_much_longer = self.before.is_some_and(|(_, before_ln)| latency_ln > before_ln + CHANGED_MUCH_LN);
        let wanted = if is_much_longer { ANSWERS_MIN } else { self.answers_wanted() };
        if f64::from(self.phase.answers) >= wanted {
            self.end_phase(now_ms, latency_ln);
        }
    }

    /// How many answers make a phase: the smaller the step was, the smaller is the difference to be seen.
    fn answers_wanted(&self) -> f64 {
        let step = self.before.map_or(1.0, |(limit, _)| ln_ratio(self.limit, limit).abs());
        let wanted = (0.35 / (step * step).max(1e-3)).clamp(ANSWERS_MIN, ANSWERS_MAX);
        // A target may answer in bursts: only a whole turn of what is under way stands for all of it.
        wanted.max(f64::from(self.limit))
    }

    fn end_phase(&mut self, now_ms: u64, latency_ln: f64) {
        self.ceiling = self.ceiling.filter(|&(_, until_ms)| now_ms < until_ms);
        let before = self.before.replace((self.limit, latency_ln));
        let Some((limit, latency_before_ln)) = before.filter(|&(limit, _)| limit != self.limit) else {
            return match self.ceiling {
                Some((ceiling, _)) if std::mem::take(&mut self.returns) => self.go_to(f64::from(ceiling)),
                _ => self.step(self.going_up),
            };
        };
        let longer = latency_ln - latency_before_ln;
        let step = ln_ratio(self.limit, limit);
        // Up, a long step may have gone far beyond a knee that lies near its end.
        let waits = if step > 0.0 { longer > (THRESHOLD * step).min(THRESHOLD_LN) } else { longer / step > THRESHOLD };
        // More than the step can explain: the target has changed.
        let is_worse = longer > 1.5 * step.abs() + CHANGED_LN;
        if is_worse || waits && self.going_up {
            // The latency grew from the knee on, in proportion: it lies lower by as much, and not below where it had not
            // been reached yet.
            let knee = f64::from(self.limit) * (-longer).exp();
            let least = if is_worse { f64::from(self.limit) / 4.0 } else { f64::from(limit) };
            self.going_up = false;
            self.stride = if is_worse { STRIDE_MAX } else { STRIDE_MIN };
            return self.go_to(knee.max(least).min(f64::from(self.limit) - 1.0));
        }
        self.step(!waits);
    }

    /// Goes a step up or down: longer steps the longer the direction stays the same.
    fn step(&mut self, up: bool) {
        if up == self.going_up {
            // What starts with doubling goes on with it.
            self.stride = if self.stride > STRIDE_MAX { self.stride } else { (self.stride * 1.5).min(STRIDE_MAX) };
        } else {
            self.stride = STRIDE_MIN;
        }
        // At an end there is only one way to find out whether things have changed. Below where the target was overloaded
        // the limit waits instead.
        let up = if self.limit == self.max { false } else { up || self.limit == self.min };
        self.going_up = up;
        if up && self.ceiling.is_some_and(|(ceiling, _)| self.limit >= ceiling) {
            self.stride = STRIDE_MIN / 1.5;
            return self.go_to(f64::from(self.limit));
        }
        let limit = f64::from(self.limit);
        if up {
            self.go_to((limit * (1.0 + self.stride)).max(limit + 1.0));
        } else {
            self.stride = self.stride.min(STRIDE_MAX);
            self.go_to((limit / (1.0 + self.stride)).min(limit - 1.0));
        }
    }

    fn go_to(&mut self, limit: f64) {
        let max = self.ceiling.map_or(self.max, |(ceiling, _)| ceiling.max(self.min));
        self.limit = rounded(limit, self.min, max);
        self.phase = Phase { number: self.phase.number + 1, ..Phase::default() };
    }
}

fn rounded(limit: f64, min: u32, max: u32) -> u32 {
    #[expect(clippy::cast_sign_loss, reason = "it is no less than the least, which is 1 or more")]
    let limit = limit.round().clamp(f64::from(min), f64::from(max)) as u32;
    limit
}

fn ln_ratio(a: u32, b: u32) -> f64 {
    (f64::from(a) / f64::from(b)).ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(adaptive: &mut Adaptive, latency_ms: f64, answered: Answered) {
        let started = adaptive.started(0, adaptive.limit());
        adaptive.ended(0, started, latency_ms, answered);
    }

    #[test]
    fn a_limit_that_nobody_uses_stays_where_it_is() {
        let mut adaptive = Adaptive::new(10, 100);
        for _ in 0..1_000 {
            let started = adaptive.started(0, 3);
            adaptive.ended(0, started, 5.0, Answered::Well);
        }
        assert_eq!(adaptive.limit(), 10);
    }

    #[test]
    fn an_overloaded_target_gets_half_and_once_for_what_was_under_way() {
        let mut adaptive = Adaptive::new(1, 100);
        while adaptive.limit() < 40 {
            answer(&mut adaptive, 5.0, Answered::Well);
        }
        let limit = adaptive.limit();
        let started = adaptive.started(0, limit);
        for _ in 0..limit {
            adaptive.ended(1, started, 5.0, Answered::Overloaded);
        }
        assert_eq!(adaptive.limit(), limit.div_ceil(2));
        answer(&mut adaptive, 5.0, Answered::Overloaded);
        assert_eq!(adaptive.limit(), limit.div_ceil(2).div_ceil(2));
    }

    #[test]
    fn it_keeps_to_its_bounds() {
        let mut adaptive = Adaptive::new(3, 7);
        for _ in 0..10_000 {
            answer(&mut adaptive, 5.0, Answered::Well);
            assert!((3..=7).contains(&adaptive.limit()));
        }
        for _ in 0..10 {
            answer(&mut adaptive, 5.0, Answered::Overloaded);
        }
        assert_eq!(adaptive.limit(), 3);
    }

    #[test]
    fn failures_of_other_kinds_change_nothing() {
        let mut adaptive = Adaptive::new(8, 9);
        for _ in 0..1_000 {
            answer(&mut adaptive, 5.0, Answered::Otherwise);
        }
        assert_eq!(adaptive.limit(), 8);
    }
}
