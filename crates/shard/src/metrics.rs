//! Figures of a running shard, for whoever watches it.

use std::time::Duration;

use weir_store::disk::Disk;
use weir_store::{Durability, Stats};

use crate::answer::Respond;
use crate::driver::{Driver, Figures};

/// How a shard stands.
#[derive(Clone, Debug)]
pub struct Metrics {
    /// What it did.
    pub figures: Figures,
    /// What its store holds and did.
    pub store: Stats,
    /// When commands are answered.
    pub durability: Durability,
    /// Commands that wait for their answer.
    pub unanswered: usize,
    /// Receives that wait for a message.
    pub waiting_receives: usize,
    /// From handing a group to the log until it was committed.
    pub commit_seconds: Histogram,
    /// What failed, if storage did: nothing is acknowledged until a restart.
    pub poisoned: Option<String>,
}

impl Metrics {
    pub(crate) fn new<D: Disk, R: Respond>(driver: &Driver<D, R>) -> Self {
        Self {
            figures: driver.figures(),
            store: driver.store().stats(),
            durability: driver.durability(),
            unanswered: 0,
            waiting_receives: 0,
            commit_seconds: Histogram::default(),
            poisoned: None,
        }
    }

    pub(crate) fn update<D: Disk, R: Respond>(&mut self, driver: &Driver<D, R>) {
        self.figures = driver.figures();
        self.store = driver.store().stats();
        self.unanswered = driver.unanswered();
        self.waiting_receives = driver.engine().waiting_receives();
        self.poisoned = driver.poisoned().map(str::to_owned);
    }
}

/// Upper bounds of a histogram's buckets, in microseconds; a last bucket takes the rest.
pub const BUCKETS_US: [u64; 14] =
    [50, 100, 200, 400, 800, 1_600, 3_200, 6_400, 12_800, 25_600, 51_200, 102_400, 409_600, 1_638_400];

/// How long something took, counted in buckets.
#[derive(Clone, Debug, Default)]
pub struct Histogram {
    /// How many were in each bucket of [`BUCKETS_US`]; the last one is beyond all bounds.
    pub counts: [u64; BUCKETS_US.len() + 1],
    /// The sum of all.
    pub sum: Duration,
    /// The longest.
    pub longest: Duration,
}

impl Histogram {
    pub(crate) fn observe(&mut self, took: Duration) {
        let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let bucket = BUCKETS_US.partition_point(|&bound| bound < us);
        if let Some(count) = self.counts.get_mut(bucket) {
            *count += 1;
        }
        self.sum += took;
        self.longest = self.longest.max(took);
    }

    /// How many were counted.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }
}
