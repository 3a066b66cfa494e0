//! How queues and jobs stand.

use serde::Deserialize;
use serde_json::Value;

/// Where a job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum JobState {
    /// It could run.
    Ready,
    /// Its delay or its backoff has not ended.
    Delayed,
    /// A worker has it.
    Leased,
    /// It waits for its children.
    Waiting,
    /// It is done.
    Completed,
    /// It failed for good, was cancelled, or was not started in time.
    Failed,
    /// It is gone.
    Removed,
}

impl JobState {
    /// Whether nothing more happens by itself.
    pub fn is_finished(self) -> bool {
        matches!(self, JobState::Completed | JobState::Failed | JobState::Removed)
    }
}

/// How an attempt or a job failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FailureKind {
    /// Its worker said so.
    Reported,
    /// It took too long.
    TimedOut,
    /// Its worker was lost.
    Stalled,
    /// It was cancelled.
    Cancelled,
    /// It was not started in time.
    Expired,
    /// A child of it failed.
    ChildFailed,
}

/// A job as it stands.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(bound = "T: Deserialize<'de>, R: Deserialize<'de>")]
#[non_exhaustive]
pub struct JobInfo<T, R = Value> {
    /// Its id.
    pub id: String,
    /// Its queue.
    pub queue: String,
    /// Where it stands.
    pub state: JobState,
    /// What it carries.
    pub data: T,
    /// Its name.
    #[serde(default)]
    pub name: Option<String>,
    /// The id that its sender chose.
    #[serde(default)]
    pub custom_id: Option<String>,
    /// Its priority.
    pub priority: u32,
    /// What came of it, once it is completed.
    #[serde(default = "none")]
    pub result: Option<R>,
    /// Its progress, as its worker gave it.
    #[serde(default)]
    pub progress: Option<Value>,
    /// Why it failed for good.
    #[serde(default)]
    pub failed: Option<FailureKind>,
    /// Failures so far.
    pub failures: u32,
    /// Workers lost so far.
    pub stalls: u32,
    /// Attempts that failed, the oldest first: the last 32.
    #[serde(default)]
    pub history: Vec<FailedAttempt>,
    /// When it was added, in milliseconds since 1970.
    pub added_at_ms: u64,
    /// When its delay, its backoff or its lease ends, in milliseconds since 1970.
    #[serde(default)]
    pub due_at_ms: Option<u64>,
    /// When it finished.
    #[serde(default)]
    pub finished_at_ms: Option<u64>,
}

fn none<R>() -> Option<R> {
    None
}

/// An attempt that failed.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[non_exhaustive]
pub struct FailedAttempt {
    /// When it ended, in milliseconds since 1970.
    pub at_ms: u64,
    /// How.
    pub kind: FailureKind,
    /// What the worker said.
    #[serde(default)]
    pub error: Option<Value>,
}

/// A page of a job's children.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(bound = "R: Deserialize<'de>")]
#[non_exhaustive]
pub struct Children<R = Value> {
    /// The children.
    pub children: Vec<Child<R>>,
    /// Asks for the next page; none on the last one.
    #[serde(default)]
    pub cursor: Option<String>,
}

/// A child of a job, as its parent sees it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(bound = "R: Deserialize<'de>")]
#[non_exhaustive]
pub struct Child<R = Value> {
    /// Its id.
    pub id: String,
    /// Its queue; none where that is deleted.
    #[serde(default)]
    pub queue: Option<String>,
    /// Where it stands, as far as its parent was told: `Waiting` for one that has not finished.
    pub state: JobState,
    /// What came of it.
    #[serde(default = "none")]
    pub result: Option<R>,
}

/// Why a job does not run.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct Explanation {
    /// Where it stands.
    pub state: JobState,
    /// It does not run before, in milliseconds since 1970; none where that depends on what nobody can foresee.
    #[serde(default)]
    pub not_before_ms: Option<u64>,
    /// Why nobody can say when it runs.
    #[serde(default)]
    pub unknown: Option<String>,
    /// All that holds it back, what comes first foremost.
    pub holds: Vec<Hold>,
}

/// What holds a job back.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct Hold {
    /// What it is: `delay`, `queue_paused`, `limiter`, ….
    pub by: String,
    /// The same as a sentence.
    pub text: String,
    /// When it ends, in milliseconds since 1970, if that is known.
    #[serde(default)]
    pub until_ms: Option<u64>,
}

/// A queue as it stands.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct QueueInfo {
    /// Its name.
    pub name: String,
    /// How many jobs stand where.
    pub counters: Counters,
    /// Length of a lease where the worker names none, in milliseconds.
    pub lease_ms: u64,
    /// Whether nothing of it is given out.
    pub paused: bool,
    /// Counts the changes of the configuration, from 1.
    pub version: u64,
}

/// How many jobs stand where.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct Counters {
    /// Those that could run now, or are held only by a limit or by others of their group.
    pub ready: u64,
    /// Those whose delay has not ended.
    pub delayed: u64,
    /// Those that a worker holds.
    pub leased: u64,
    /// Those that wait for their children.
    pub waiting: u64,
    /// Completed ones that are kept.
    pub completed: u64,
    /// Failed ones that are kept.
    pub failed: u64,
}
