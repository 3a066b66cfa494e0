//! How a queue is configured.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::new_job::ms;

/// How a job that failed is tried again. What is not said is as the queue, or the server, says.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[must_use]
pub struct Retry {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) attempts_max: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    backoff: Option<Wait>,
    #[serde(skip_serializing_if = "Option::is_none")]
    backoff_ms_max: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    jitter_percent: Option<f64>,
}

/// How long a job waits between two attempts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Wait {
    #[serde(rename = "fixed_ms")]
    Fixed(u64),
    #[serde(rename = "exponential_ms")]
    Exponential(u64),
    #[serde(rename = "list_ms")]
    List(Vec<u64>),
}

impl Retry {
    /// As the server does where nothing is said: three attempts, after a second, then two, ….
    pub fn new() -> Self {
        Self::default()
    }

    /// Failures after which it is not tried again, from 1.
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.attempts_max = Some(attempts);
        self
    }

    /// The same wait after each failure.
    pub fn fixed(mut self, wait: Duration) -> Self {
        self.backoff = Some(Wait::Fixed(ms(wait)));
        self
    }

    /// This wait after the first failure, twice as long after each further one.
    pub fn exponential(mut self, first: Duration) -> Self {
        self.backoff = Some(Wait::Exponential(ms(first)));
        self
    }

    /// The waits after the first, second, … failure; the last one for all after it.
    pub fn list(mut self, waits: impl IntoIterator<Item = Duration>) -> Self {
        self.backoff = Some(Wait::List(waits.into_iter().map(ms).collect()));
        self
    }

    /// No wait is longer.
    pub fn wait_max(mut self, wait: Duration) -> Self {
        self.backoff_ms_max = Some(ms(wait));
        self
    }

    /// So many percent of each wait are taken off at random, from 0 to 100.
    pub fn jitter_percent(mut self, percent: f64) -> Self {
        self.jitter_percent = Some(percent);
        self
    }
}

/// What remains of finished jobs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[must_use]
pub struct Keep {
    #[serde(skip_serializing_if = "Option::is_none")]
    age_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    count: Option<u64>,
}

impl Keep {
    /// All of them.
    pub fn all() -> Self {
        Self::default()
    }

    /// None of them.
    pub fn none() -> Self {
        Self { age_ms: None, count: Some(0) }
    }

    /// Those that finished not longer ago than this.
    pub fn for_time(mut self, age: Duration) -> Self {
        self.age_ms = Some(ms(age));
        self
    }

    /// The last `count` of the queue.
    pub fn last(mut self, count: u64) -> Self {
        self.count = Some(count);
        self
    }
}

/// A limiter that the jobs of a queue run under.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[must_use]
pub struct LimiterUse {
    limiter: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cost: Option<String>,
}

impl LimiterUse {
    /// The limiter of this name, one budget for all jobs.
    pub fn new(limiter: impl Into<String>) -> Self {
        Self { limiter: limiter.into(), key: None, cost: None }
    }

    /// Where the key of a job stands: `attributes.NAME`, `data.PATH`, `group` or `name`. Each key has a budget of its own.
    pub fn key(mut self, path: impl Into<String>) -> Self {
        self.key = Some(path.into());
        self
    }

    /// Where it stands what a job costs, in the same form. Default: each costs 1.
    pub fn cost(mut self, path: impl Into<String>) -> Self {
        self.cost = Some(path.into());
        self
    }
}

/// The configuration of a queue. What is not said has its default where the queue is new, and stays where it is changed.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[must_use]
pub struct QueueSettings {
    #[serde(skip_serializing_if = "Option::is_none")]
    lease_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    delay_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retention_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timeout_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stalls_max: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry: Option<Retry>,
    #[serde(skip_serializing_if = "Option::is_none")]
    keep_completed: Option<Keep>,
    #[serde(skip_serializing_if = "Option::is_none")]
    keep_failed: Option<Keep>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dead_letters: Option<DeadLetters>,
    #[serde(skip_serializing_if = "Option::is_none")]
    limiters: Option<Vec<LimiterUse>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct DeadLetters {
    queue: String,
    leases_max: u32,
}

impl QueueSettings {
    /// Nothing is said.
    pub fn new() -> Self {
        Self::default()
    }

    /// Length of a lease where the worker names none. Default 30 seconds.
    pub fn lease(mut self, lease: Duration) -> Self {
        self.lease_ms = Some(ms(lease));
        self
    }

    /// Delay of a job that names none. Default none.
    pub fn delay(mut self, delay: Duration) -> Self {
        self.delay_ms = Some(ms(delay));
        self
    }

    /// How long a job is kept that nobody finishes. Default four days.
    pub fn retention(mut self, retention: Duration) -> Self {
        self.retention_ms = Some(ms(retention));
        self
    }

    /// How long one attempt may take, however often its lease is extended. Default for ever.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout_ms = Some(ms(timeout));
        self
    }

    /// How often a job may lose its worker; once more and it has failed. Default 3.
    pub fn stalls(mut self, stalls: u32) -> Self {
        self.stalls_max = Some(stalls);
        self
    }

    /// How its jobs are tried again where they say nothing of it.
    pub fn retry(mut self, retry: Retry) -> Self {
        self.retry = Some(retry);
        self
    }

    /// What remains of completed jobs. Default an hour's, and the last 10 000.
    pub fn keep_completed(mut self, keep: Keep) -> Self {
        self.keep_completed = Some(keep);
        self
    }

    /// What remains of failed jobs. Default 30 days', and the last 100 000.
    pub fn keep_failed(mut self, keep: Keep) -> Self {
        self.keep_failed = Some(keep);
        self
    }

    /// Where failed jobs go, and those that were leased so often.
    pub fn dead_letters(mut self, queue: impl Into<String>, leases_max: u32) -> Self {
        self.dead_letters = Some(DeadLetters { queue: queue.into(), leases_max });
        self
    }

    /// One more limiter that its jobs run under.
    pub fn limiter(mut self, limiter: LimiterUse) -> Self {
        self.limiters.get_or_insert_default().push(limiter);
        self
    }
}

/// What a limiter allows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[must_use]
pub struct LimiterTerms {
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    windows: Vec<Window>,
    #[serde(skip_serializing_if = "Option::is_none")]
    concurrency: Option<u64>,
    #[serde(default)]
    pacing: bool,
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    reserves: Vec<Reserve>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Window {
    max: u64,
    per_ms: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Reserve {
    priority_max: u32,
    share: u32,
}

impl LimiterTerms {
    /// Everything is allowed.
    pub fn new() -> Self {
        Self::default()
    }

    /// In no interval of length `per` do more than `max` jobs start. Several windows hold at once.
    pub fn window(mut self, max: u64, per: Duration) -> Self {
        self.windows.push(Window { max, per_ms: ms(per) });
        self
    }

    /// No more than this run at once.
    pub fn concurrency(mut self, most: u64) -> Self {
        self.concurrency = Some(most);
        self
    }

    /// Starts are spread evenly over the windows instead of leaving as soon as there is room.
    pub fn pacing(mut self) -> Self {
        self.pacing = true;
        self
    }

    /// So many percent of everything are kept for jobs of priorities up to `priority_max`.
    pub fn reserve(mut self, percent: u32, priority_max: u32) -> Self {
        self.reserves.push(Reserve { priority_max, share: percent });
        self
    }
}
