//! The machine's clocks: one that only goes on, and one that somebody may set; and engine time, which follows both.

use weir_core::Time;
use weir_shard::EngineTime;

use crate::model::Checked;
use crate::mutation::Mutation;
use crate::rng::Rng;

/// When every run starts: some moment of 2023.
pub(crate) const START: u64 = 1_700_000_000_000;

const DAY_MS: u64 = 86_400_000;

/// The clocks of a machine on which a shard runs.
#[derive(Clone, Debug)]
pub(crate) struct Clocks {
    /// What the monotonic clock says.
    passed: u64,
    /// What the wall clock says.
    wall: u64,
    engine: EngineTime,
    /// The monotonic clock and engine time when the shard was opened.
    opened: (u64, u64),
    mutation: Option<Mutation>,
}

impl Clocks {
    pub(crate) fn new(mutation: Option<Mutation>) -> Self {
        let engine = EngineTime::new(Time(0), Time(START));
        Self { passed: 0, wall: START, engine, opened: (0, START), mutation }
    }

    /// What the shard is told that the time is.
    pub(crate) fn now(&self) -> u64 {
        match self.mutation {
            Some(Mutation::TimeThatFollowsTheWall) => self.wall,
            _ => self.engine.now().0,
        }
    }

    /// Milliseconds pass.
    pub(crate) fn pass(&mut self, passed: u64) {
        self.passed += passed;
        self.wall += passed;
        self.engine.pass(passed, Time(self.wall));
    }

    /// Milliseconds pass while no shard is running.
    pub(crate) fn stand(&mut self, passed: u64) {
        self.passed += passed;
        self.wall += passed;
    }

    /// A shard is opened whose store knows of `latest`. Says whether that is later than wall time.
    pub(crate) fn open(&mut self, latest: u64) -> bool {
        let known = if self.mutation == Some(Mutation::TimeThatStartsOver) { 0 } else { latest };
        self.engine = EngineTime::new(Time(known), Time(self.wall));
        self.opened = (self.passed, self.now());
        latest > self.wall
    }

    /// Somebody sets the wall clock. Says whether it went forward.
    pub(crate) fn set(&mut self, rng: &mut Rng) -> bool {
        let by = match rng.below(4) {
            0 => rng.between(1, 2_000),
            1 => rng.between(1, 400_000),
            2 => rng.between(1, DAY_MS),
            // A machine without a battery wakes up in 1970; one that was told a wrong year may be anywhere.
            _ => rng.between(1, 60_000 * DAY_MS),
        };
        let forward = rng.chance(1, 2);
        self.wall = if forward { self.wall + by.min(20 * DAY_MS) } else { self.wall.saturating_sub(by) };
        forward
    }

    /// While a shard is open, its time passes as the monotonic clock does, give or take a twentieth.
    pub(crate) fn check(&self) -> Checked {
        let (passed, engine) = (self.passed - self.opened.0, self.now().checked_sub(self.opened.1));
        match engine {
            Some(engine) if engine.abs_diff(passed) <= passed / 20 => Ok(()),
            Some(engine) => Err(format!("{engine} ms of engine time passed in {passed} ms")),
            None => Err("engine time went back".to_owned()),
        }
    }

    /// Whether engine time did not pass as the monotonic clock did.
    pub(crate) fn is_slewed(&self) -> bool {
        self.passed - self.opened.0 != self.now().saturating_sub(self.opened.1)
    }
}
