//! Jobs: messages seen by workers. What may be asked of one, how it is settled, and what is told of it.
//!
//! There is one kind of message; a job is a message whose sender gave it options, or that a worker leased. What is here
//! works on every message, whichever door it came in by, with what the queue's configuration says where its sender said
//! nothing.

use std::sync::Arc;

use smallvec::SmallVec;

use super::limit::LimitKey;
use super::topic::Origin;
use super::{Handle, Lane, Namespace, NewMessage, QueueId};
use crate::kv::Key;
use crate::time::Time;

/// Names a job within its queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum JobRef {
    /// By the id that it was given.
    Id(u64),
    /// By the 128-bit hash of the id that its sender chose.
    Custom([u8; 16]),
    /// As the one that keeps others of a deduplication id away, by the 128-bit hash of that. Not on FIFO queues.
    Deduplicating([u8; 16]),
}

/// What a sender may say of a message beyond what every message has. Nothing said is nothing stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JobOptions {
    /// The 128-bit hash of the id that the sender chose. While a message of this id is in the queue, finished or not,
    /// another one is a duplicate of it.
    pub custom_id: Option<[u8; 16]>,
    /// Whether it goes before all others of its priority, the last one sent first. Not on FIFO queues.
    pub lifo: bool,
    /// It becomes ready then, in wall time; counts in place of a delay.
    pub run_at: Option<Time>,
    /// How it is tried again; `None` for the queue's way.
    pub retry: Option<Retry>,
    /// How long one attempt may take in milliseconds, however often its lease is extended; `None` for the queue's.
    pub timeout_ms: Option<u64>,
    /// If it has not been started by then it fails as expired.
    pub expires_at: Option<Time>,
    /// What remains of it once it is completed; `None` for the queue's.
    pub keep_completed: Option<Keep>,
    /// What remains of it once it has failed for good; `None` for the queue's.
    pub keep_failed: Option<Keep>,
    /// What other jobs are kept away by it.
    pub dedup: Option<JobDedup>,
    /// The job that waits for this one.
    pub parent: Option<Parent>,
    /// What becomes of the parent when this one fails for good.
    pub on_failure: OnChildFailure,
}

impl JobOptions {
    /// Whether nothing is said, so that nothing has to be stored.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// How a job that failed is tried again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retry {
    /// Failures after which it is not tried again: 1 to [`ATTEMPTS_MAX`]. Only failures that a worker reports, and
    /// timeouts, count; neither a lost worker nor a limiter costs an attempt.
    pub attempts_max: u32,
    /// How long it waits before it is tried again.
    pub backoff: Backoff,
    /// So many thousandths of the backoff are taken off at random: 0 to 1000.
    pub jitter_permille: u32,
    /// No wait is longer, in milliseconds.
    pub cap_ms: u64,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            attempts_max: 3,
            backoff: Backoff::Exponential { delay_ms: 1_000 },
            jitter_permille: 200,
            cap_ms: 3_600_000,
        }
    }
}

/// How long a job waits between two attempts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Backoff {
    /// The same time after each failure; 0 for none.
    Fixed {
        /// Milliseconds.
        delay_ms: u64,
    },
    /// Twice as long after each failure.
    Exponential {
        /// Milliseconds after the first failure.
        delay_ms: u64,
    },
    /// A time for each failure; the last one for all after it. 1 to [`BACKOFFS_MAX`].
    List {
        /// Milliseconds after the first, second, … failure.
        delays_ms: Vec<u64>,
    },
}

/// What remains of finished jobs: those that are not older than `age_ms` and among the last `count`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keep {
    /// Milliseconds since they finished; `u64::MAX` for any age.
    pub age_ms: u64,
    /// How many of the queue; 0 keeps none, `u64::MAX` any number.
    pub count: u64,
}

impl Keep {
    /// Nothing remains.
    pub const NONE: Keep = Keep { age_ms: 0, count: 0 };
    /// Everything remains.
    pub const ALL: Keep = Keep { age_ms: u64::MAX, count: u64::MAX };
    /// Of completed jobs, where nothing else is said: an hour's, and the last 10 000.
    pub const COMPLETED: Keep = Keep { age_ms: 3_600_000, count: 10_000 };
    /// Of failed jobs, where nothing else is said: 30 days', and the last 100 000.
    pub const FAILED: Keep = Keep { age_ms: 30 * 86_400_000, count: 100_000 };
}

/// A job of the same hash is not added while this counts.
#[expect(clippy::struct_excessive_bools, reason = "each is asked for by itself")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JobDedup {
    /// The 128-bit hash of the deduplication id.
    pub hash: [u8; 16],
    /// For how long it counts in milliseconds; `None` until the job is finished or removed.
    pub ttl_ms: Option<u64>,
    /// Whether each duplicate starts the time anew.
    pub extend: bool,
    /// Whether a duplicate takes the place of a job that is still delayed: its data, name, priority and delay.
    pub replace: bool,
    /// Whether a duplicate gives a job that is still delayed its own time, and changes nothing else. Means nothing with
    /// `replace`.
    pub reschedule: bool,
    /// Whether the last duplicate that came while the job was being worked on is added once it is finished.
    pub keep_last_if_active: bool,
}

/// The job that waits for a child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parent {
    /// One that is added by the same command, before this one: its place among the jobs.
    Added(u32),
    /// One that waits for children, or is being worked on, already.
    Existing {
        /// Its queue.
        queue: QueueId,
        /// Its id.
        job: JobRef,
    },
}

/// What becomes of the parent when a child fails for good.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnChildFailure {
    /// The parent goes on waiting, until the child is retried and completes, or is removed: at once where nothing is kept
    /// of failed jobs.
    #[default]
    Wait,
    /// The parent fails too, as do its own parents that say the same.
    Fail,
    /// The parent takes the child for done, and sees its failure among the results.
    Ignore,
    /// The parent forgets the child.
    Remove,
    /// The parent runs at once, whatever its other children do.
    Continue,
}

/// A job to be added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewJob {
    /// Its queue.
    pub queue: QueueId,
    /// The configuration version that the door encoded for.
    pub version: u64,
    /// The message.
    pub message: NewMessage,
}

/// How the holder of a lease ends or keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settlement {
    /// The work is done.
    Complete {
        /// What came of it, opaque to the engine; at most [`RESULT_BYTES_MAX`].
        result: Option<Vec<u8>>,
    },
    /// The work failed.
    Fail {
        /// Why, in the door's encoding; at most [`FAILURE_BYTES_MAX`] bytes. Kept in the history of attempts.
        failure: Vec<u8>,
        /// Whether and when it is tried again.
        again: Again,
    },
    /// The work was not begun, or cannot go on now. No attempt is counted.
    Release {
        /// When it is ready again, in milliseconds from now.
        delay_ms: u64,
        /// Whom to hold back for how long.
        pause: Option<PauseKeys>,
    },
    /// The work goes on: a heartbeat.
    Extend {
        /// The new length of the lease from now, in milliseconds; `None` for the queue's.
        lease_ms: Option<u64>,
        /// Replaces the progress, opaque to the engine; at most [`PROGRESS_BYTES_MAX`].
        progress: Option<Vec<u8>>,
        /// Lines for its log, opaque to the engine; at most [`LOG_BYTES_MAX`] each.
        logs: Vec<Vec<u8>>,
    },
    /// The work waits for children that were added meanwhile: the job is ready again when they are done, at once where
    /// none is left. No attempt is counted.
    WaitForChildren,
}

/// Whether a failed job is tried again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Again {
    /// As its retry policy says.
    #[default]
    ByPolicy,
    /// Never: the failure is final.
    Never,
    /// As often as its policy says, after so many milliseconds.
    After(u64),
}

/// Keys of limiters that a downstream system asked to be left alone (429, Retry-After).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PauseKeys {
    /// Name of the limiter, one of those of the queue. `None`: those of its limiters that have a key for this job; all
    /// where none has; the queue itself where it has no limiter.
    pub limiter: Option<String>,
    /// For how long, in milliseconds.
    pub for_ms: u64,
}

/// How a settlement ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settled {
    /// Where the job stands now.
    pub state: JobState,
    /// When its lease, its delay or its backoff ends, where it has one.
    pub due: Option<Time>,
    /// Whether somebody asked for it to be cancelled: the holder is to stop, and fail or complete it.
    pub cancel_requested: bool,
}

/// Where a job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum JobState {
    /// It could run, or is held back only by limiters, its group or a pause.
    Ready,
    /// Its delay or backoff has not ended.
    Delayed,
    /// A worker has it.
    Leased,
    /// It waits for its children.
    Waiting,
    /// Done.
    Completed,
    /// Failed for good, cancelled or expired.
    Failed,
    /// It is not there any more. Only ever told to who waited for its end.
    Removed,
}

/// A job accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Added {
    /// Its queue.
    pub queue: QueueId,
    /// Its id: of the first one where this is a duplicate.
    pub id: u64,
    /// Whether nothing was added because of a custom id, a deduplication id or an idempotency key.
    pub duplicate: bool,
}

/// How an attempt or a job failed, as history and events tell it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FailureKind {
    /// A worker said so.
    Reported,
    /// An attempt took too long.
    TimedOut,
    /// The worker was lost too often.
    Stalled,
    /// It was cancelled.
    Cancelled,
    /// It was not started in time.
    Expired,
    /// A child failed.
    ChildFailed,
}

/// All that is known of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// Its queue.
    pub queue: QueueId,
    /// Its id.
    pub id: u64,
    /// Where it stands.
    pub state: JobState,
    /// Key of its payload; `None` where it was removed.
    pub body: Option<Key>,
    /// Its priority.
    pub priority: u32,
    /// Whether it goes before those of its priority.
    pub lifo: bool,
    /// Its lane.
    pub lane: Option<Lane>,
    /// When it was sent.
    pub sent_at: Time,
    /// When its delay, backoff or lease ends.
    pub due: Option<Time>,
    /// When the newest attempt began.
    pub started_at: Option<Time>,
    /// When it finished.
    pub finished_at: Option<Time>,
    /// It fails as expired if it has not been started by then.
    pub expires_at: Option<Time>,
    /// How long one attempt may take, by what is in force now.
    pub timeout_ms: Option<u64>,
    /// How often it was granted.
    pub grants: u32,
    /// How often work on it was started: those grants count too that ended with a release.
    pub starts: u32,
    /// Failures so far.
    pub failures: u32,
    /// Workers lost so far.
    pub stalls: u32,
    /// Its retry policy in force.
    pub retry: Retry,
    /// Whether it is to be cancelled.
    pub cancel_requested: bool,
    /// Why it failed for good.
    pub failed: Option<FailureKind>,
    /// Key of its progress.
    pub progress: Option<Key>,
    /// Key of its result.
    pub result: Option<Extra>,
    /// What went wrong, attempt by attempt, oldest first: at most [`FAILURES_KEPT`].
    pub history: Vec<Attempt>,
    /// How many lines its log has, and the number of the first one that is kept.
    pub logs: u64,
    /// The first line of the log that is kept.
    pub logs_from: u64,
    /// The job that waits for it.
    pub parent: Option<(QueueId, u64)>,
    /// Children that it still waits for, and all that it has.
    pub children: Option<(u64, u64)>,
    /// What it was published as, where it came by a subscription.
    pub origin: Option<Origin>,
}

impl Job {
    /// Keys of what is stored of it, in order: its payload, progress, result, and the failures of its history.
    pub fn payload_keys(&self) -> impl Iterator<Item = &Key> {
        let history = self.history.iter().filter_map(|attempt| attempt.failure.as_ref());
        let extras = self.result.iter().chain(history).filter_map(|extra| match extra {
            Extra::Stored(key) => Some(key),
            Extra::Inline(_) => None,
        });
        self.body.iter().chain(&self.progress).chain(extras)
    }
}

/// An attempt that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Which grant it was.
    pub grant: u32,
    /// How it ended.
    pub kind: FailureKind,
    /// When it ended.
    pub at: Time,
    /// What the worker said, if it did.
    pub failure: Option<Extra>,
}

/// Bytes that belong to a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Extra {
    /// Stored under a key: the shard reads them.
    Stored(Key),
    /// Here, because they are not stored.
    Inline(Vec<u8>),
}

/// A child of a job, as its parent sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Child {
    /// Its queue.
    pub queue: QueueId,
    /// Its id.
    pub id: u64,
    /// Where it stands, as far as its parent was told: `Waiting` for one that has not finished.
    pub state: JobState,
    /// What came of it.
    pub result: Option<Key>,
}

/// A change of jobs that are not being worked on, or of what becomes of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JobChange {
    /// A ready, delayed or waiting job gets another priority.
    Priority {
        /// The priority.
        priority: u32,
        /// Whether it goes before those of its priority.
        lifo: bool,
    },
    /// A delayed or ready job becomes ready then.
    RunAt(Time),
    /// A delayed job becomes ready now.
    Promote,
    /// A failed or completed job is ready again.
    Retry {
        /// Whether its failures are counted anew.
        reset: bool,
        /// Whether its starts are counted anew. The fence is not.
        reset_starts: bool,
    },
    /// A job that waits fails as cancelled; the holder of one that is leased is asked to stop.
    Cancel,
    /// A job that nobody works on is removed, with its children that have not begun.
    Remove,
    /// A job that nobody works on is removed. Its children stay, and nobody waits for them.
    RemoveAlone,
    /// A job that its parent waits for is its child no more. Where it was the last one, the parent runs.
    LeaveParent,
    /// A job gets another payload.
    Payload(Vec<u8>),
}

/// What holds a job back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hold {
    /// Its delay or backoff ends then.
    Delayed {
        /// When.
        until: Time,
    },
    /// A worker has it; its lease ends then.
    Leased {
        /// When.
        until: Time,
    },
    /// The queue is paused, until then or until it is resumed.
    QueuePaused {
        /// When it goes on by itself.
        until: Option<Time>,
    },
    /// Another message of its group is leased, or stands before it.
    Group {
        /// Which one, where it waits itself; `None` where it is leased.
        job: Option<u64>,
    },
    /// A limiter.
    Limiter {
        /// Its name.
        name: String,
        /// Which of the job's keys, where it has keys.
        key: Option<LimitKey>,
        /// What of it.
        blocked: crate::limiter::Blocked,
    },
    /// Jobs stand before it.
    Behind {
        /// How many, at least.
        jobs: u64,
        /// Whether there may be more than that.
        or_more: bool,
    },
    /// No worker waits for jobs of the queue.
    NoWorker,
    /// It waits for children.
    Children {
        /// How many have not finished.
        unfinished: u64,
    },
}

/// Why a job does not run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// Where it stands.
    pub state: JobState,
    /// All that holds it back, what comes first foremost. Empty for a finished job.
    pub holds: Vec<Hold>,
    /// It does not run before. `None` where that depends on what nobody can foresee (a worker, a child, a resume).
    pub not_before: Option<Time>,
}

/// A page of a queue's jobs in one state, in the order of that state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobPage {
    /// The jobs.
    pub jobs: Vec<super::Listed>,
    /// Whether the shard is to read their payloads.
    pub payloads: bool,
    /// Where to go on; nothing at the end.
    pub next: Option<PageMark>,
}

/// A place in the order of a state: the numbers of its key.
pub type PageMark = SmallVec<[u64; 3]>;

/// Something that happened to a job, for who watches its queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobEvent {
    /// Its namespace.
    pub namespace: Namespace,
    /// Its queue.
    pub queue: QueueId,
    /// Its id.
    pub job: u64,
    /// When.
    pub at: Time,
    /// What.
    pub kind: JobEventKind,
}

/// What happened to a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JobEventKind {
    /// It was added, and stands so; with its payload where that came with it.
    Added(JobState, Option<Arc<[u8]>>),
    /// Another job was not added, since this one has its id; with the payload of that other one where it came with it.
    Deduplicated(SameId, Option<Arc<[u8]>>),
    /// Its delay ended, or it was released or promoted: it is ready.
    Ready,
    /// It waits, until then.
    Delayed(Time),
    /// A worker has it.
    Started,
    /// A worker reported progress.
    Progress(Arc<[u8]>),
    /// It waits for children.
    WaitingForChildren,
    /// It is done.
    Completed(Option<Arc<[u8]>>),
    /// An attempt failed, and there will be another.
    AttemptFailed(FailureKind, Arc<[u8]>),
    /// It failed for good.
    Failed(FailureKind, Arc<[u8]>),
    /// Its worker was lost, and it is ready again.
    Stalled,
    /// It was removed.
    Removed,
}

/// Which id of a job that is not added another one has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SameId {
    /// The one that its sender chose.
    Custom,
    /// Its deduplication id, given or made of its body.
    Deduplication,
}

/// A handle and what becomes of its lease.
pub type Settlements = SmallVec<[(Handle, Settlement); 1]>;

/// Most attempts of a job.
pub const ATTEMPTS_MAX: u32 = 1_000_000;
/// Most entries of a list of backoffs.
pub const BACKOFFS_MAX: usize = 64;
/// Longest result in bytes.
pub const RESULT_BYTES_MAX: u64 = 16 << 20;
/// Longest progress in bytes.
pub const PROGRESS_BYTES_MAX: u64 = 64 << 10;
/// Longest description of a failure in bytes.
pub const FAILURE_BYTES_MAX: u64 = 64 << 10;
/// Longest line of a log in bytes.
pub const LOG_BYTES_MAX: u64 = 64 << 10;
/// Lines of a job's log that are kept.
pub const LOGS_KEPT: u64 = 1_000;
/// Attempts of a job's history that are kept.
pub const FAILURES_KEPT: usize = 32;
/// Most children of one job.
pub const CHILDREN_MAX: u64 = 1_000_000;
