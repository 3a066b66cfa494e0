//! What is said to the engine and what it answers: commands, replies, events.
//!
//! A door authenticates, decodes, hashes and validates what only concerns its protocol; a command carries plain values
//! and refers to a queue by its id. Nothing here is ever stored: the stored forms are in `head`, `queue` and `keys`.

pub mod job;
pub mod limit;

use std::collections::BTreeMap;
use std::sync::Arc;

use smallvec::SmallVec;

use crate::kv::{Key, Need};
use crate::limiter::{Terms, Unknown};
use crate::time::Time;

use job::{
    Added, Child, Explanation, Job, JobChange, JobEvent, JobOptions, JobPage, JobRef, JobState, Keep, NewJob, PageMark,
    Retry, Settled, Settlements,
};
use limit::{Acquired, KeyStats, LimitKey, Limiter, LimiterId, LimiterUse, Limits, PermitId};

/// An isolated world of queues: the account number of an ARN.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Namespace(pub u64);

/// A queue of a shard. Never used again after the queue's deletion.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QueueId(pub u64);

/// A move of a queue's messages. Never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MoveId(pub u64);

/// Names one command until it is answered; chosen by the caller, unique among those unanswered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(pub u64);

/// A lane: the 128-bit hash of what the messages in it share (the message group).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lane(pub [u8; 16]);

/// Whether a queue keeps the order within message groups. Fixed at creation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Any message may be delivered next to any other.
    Standard,
    /// Within a message group, in order, one receive at a time.
    Fifo,
}

/// Where a queue's messages go after too many receives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redrive {
    /// Name of the dead-letter queue, in the same namespace and of the same kind. While there is no such queue the
    /// messages stay and are delivered again.
    pub target: String,
    /// Grants after which a message moves instead of being delivered once more. 1 or more.
    pub receives_max: u32,
}

/// Which queues may name a queue as their dead-letter queue. Asked when such a rule is set, not later.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum RedriveAllow {
    /// Every queue of the namespace.
    #[default]
    All,
    /// None.
    None,
    /// Those of these names.
    Queues(Vec<String>),
}

impl RedriveAllow {
    /// Whether the queue called `name` may send its dead letters.
    pub fn allows(&self, name: &str) -> bool {
        match self {
            RedriveAllow::All => true,
            RedriveAllow::None => false,
            RedriveAllow::Queues(names) => names.iter().any(|allowed| allowed == name),
        }
    }
}

/// Among which messages a deduplication id counts. May change at any time: what was sent before is judged by the scope
/// that is in force when the next message comes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DedupScope {
    /// Among all messages of the queue.
    #[default]
    Queue,
    /// Among those of the same lane.
    Lane,
}

/// What a door keeps to group and find queues by: stored and returned, without meaning to the engine.
pub type Tags = BTreeMap<String, String>;

/// A queue's configuration. Every change counts up [`Queue::version`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Delay of a message that names none, in milliseconds.
    pub delay_ms: u64,
    /// Largest payload (body and attributes) in bytes. The doors enforce it.
    pub message_bytes_max: u64,
    /// How long a message is kept, in milliseconds from its sending.
    pub retention_ms: u64,
    /// How long a receive waits for a message when it says nothing, in milliseconds. The doors apply it.
    pub receive_wait_ms: u64,
    /// Length of a lease when the receive says nothing, in milliseconds.
    pub visibility_ms: u64,
    /// Dead letters.
    pub redrive: Option<Redrive>,
    /// Whose dead letters it takes.
    pub redrive_allow: RedriveAllow,
    /// Whether a message without a deduplication id is identified by its content. The doors hash.
    pub content_deduplication: bool,
    /// Among which messages a deduplication id counts. FIFO queues only.
    pub dedup_scope: DedupScope,
    /// How long a deduplication id keeps later messages away, in milliseconds; at most [`DEDUP_WINDOW_MS_MAX`].
    pub dedup_window_ms: u64,
    /// What else a door keeps with the queue, by name: stored and returned, without meaning to the engine.
    pub notes: Vec<(String, String)>,
    /// How its jobs are tried again where they say nothing of it.
    pub retry: Retry,
    /// How often a job may lose its worker; once more and it has failed.
    pub stalls_max: u32,
    /// How long one attempt may take in milliseconds, however often its lease is extended; `None` for ever.
    pub timeout_ms: Option<u64>,
    /// What remains of completed jobs. Messages that are deleted through other doors leave nothing.
    pub keep_completed: Keep,
    /// What remains of failed jobs. While the queue has a dead-letter queue they go there instead.
    pub keep_failed: Keep,
    /// The limiters that its messages run under; at most [`limit::USES_MAX`].
    pub limiters: Vec<LimiterUse>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            delay_ms: 0,
            message_bytes_max: 1_048_576,
            retention_ms: 345_600_000,
            receive_wait_ms: 0,
            visibility_ms: 30_000,
            redrive: None,
            redrive_allow: RedriveAllow::All,
            content_deduplication: false,
            dedup_scope: DedupScope::Queue,
            dedup_window_ms: DEDUP_WINDOW_MS,
            notes: Vec::new(),
            retry: Retry::default(),
            stalls_max: 3,
            timeout_ms: None,
            keep_completed: Keep::COMPLETED,
            keep_failed: Keep::FAILED,
            limiters: Vec::new(),
        }
    }
}

/// A queue as the doors see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Queue {
    /// Its id.
    pub id: QueueId,
    /// Its namespace.
    pub namespace: Namespace,
    /// Its name, unique in the namespace.
    pub name: String,
    /// Its kind.
    pub kind: Kind,
    /// Its configuration.
    pub config: Config,
    /// Counts the changes of the configuration, from 1.
    pub version: u64,
    /// When it was created.
    pub created_at: Time,
    /// When its configuration was last changed.
    pub modified_at: Time,
    /// Its tags. They change without a new version.
    pub tags: Tags,
    /// Whether nothing of it is given out: until then, or [`Time::NEVER`]. Changes without a new version.
    pub paused_until: Option<Time>,
}

/// A queue's exact counters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Messages that could be delivered now, or are held only by others of their group.
    pub ready: u64,
    /// Messages whose delay has not ended.
    pub delayed: u64,
    /// Messages under a lease.
    pub leased: u64,
    /// Messages that wait for their children.
    pub waiting: u64,
    /// Completed ones that are kept.
    pub completed: u64,
    /// Failed ones that are kept.
    pub failed: u64,
}

/// A message to be sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewMessage {
    /// Its public id, drawn by the door.
    pub uuid: [u8; 16],
    /// Attributes and body, in the doors' encoding. Opaque to the engine.
    pub payload: Vec<u8>,
    /// Delay in milliseconds; `None` for the queue's.
    pub delay_ms: Option<u64>,
    /// 0 is delivered first, then 1, 2, ….
    pub priority: u32,
    /// The message group. Required on a FIFO queue; on a standard queue it has no effect yet.
    pub lane: Option<Lane>,
    /// The 128-bit hash of the deduplication id, or of the content. FIFO queues only.
    pub dedup: Option<[u8; 16]>,
    /// What it is to the limiters of its queue; `None` where that has none.
    pub limits: Option<Box<Limits>>,
    /// What its sender says of it as a job.
    pub options: Option<Box<JobOptions>>,
}

/// The right to settle one grant of a message: what a receipt handle stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Handle {
    /// The space in which the message lay when it was granted.
    pub space: u64,
    /// The message.
    pub message: u64,
    /// Which grant of it.
    pub grant: u32,
    /// Proof that the handle came from this queue: a keyed hash of the above.
    pub proof: u64,
}

/// A command. Those with several entries settle each entry on its own, in order, and answer in the same order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Creates a queue, or finds the queue of this name where its kind and configuration are the same.
    /// Answer: [`Reply::Queue`]. Errors: `QueueExists`, `RedriveNotAllowed`, `LimitExceeded`.
    CreateQueue {
        /// Where.
        namespace: Namespace,
        /// The name, already checked by the door; at most [`NAME_BYTES_MAX`] bytes.
        name: String,
        /// Its kind.
        kind: Kind,
        /// Its configuration.
        config: Config,
        /// The tags of a new queue. A queue that is found keeps its own.
        tags: Tags,
        /// Random bits: the key of the queue's handle proofs.
        seed: [u8; 16],
    },
    /// Replaces a queue's configuration. Answer: [`Reply::Queue`]. Errors: `QueueNotFound`, `Stale`,
    /// `RedriveNotAllowed`.
    ConfigureQueue {
        /// The queue.
        queue: QueueId,
        /// The version that the new configuration was derived from.
        version: u64,
        /// The new configuration.
        config: Config,
    },
    /// Adds tags to a queue, each in the place of one of the same key, and takes others away. Needs no version: changes
    /// that meet all take effect. Answer: [`Reply::Queue`]. Errors: `QueueNotFound`; `LimitExceeded` where the queue
    /// would have more than `max`.
    TagQueue {
        /// The queue.
        queue: QueueId,
        /// The keys to take away, before anything is added.
        remove: Vec<String>,
        /// The tags to add.
        add: Tags,
        /// How many tags the door allows.
        max: u64,
    },
    /// The queues whose dead letters go to this one, by name. Answer: [`Reply::Queues`].
    DeadLetterSources {
        /// The dead-letter queue.
        queue: QueueId,
        /// The name after which to go on; `None` for the first page.
        after: Option<String>,
        /// How many at most: 1 to [`BATCH_MAX`].
        max: u32,
    },
    /// Deletes a queue with its messages; its waiting receivers are told `QueueNotFound`. Answer: [`Reply::Done`].
    DeleteQueue {
        /// The queue.
        queue: QueueId,
    },
    /// Removes every message of a queue, those under a lease too. Answer: [`Reply::Done`].
    PurgeQueue {
        /// The queue.
        queue: QueueId,
    },
    /// A queue with its counters. Answer: [`Reply::Stats`].
    QueueStats {
        /// The queue.
        queue: QueueId,
    },
    /// Sends messages. Answer: [`Reply::Sent`]. Errors: `QueueNotFound`, `Stale`; per message `LaneRequired`.
    Send {
        /// The queue.
        queue: QueueId,
        /// The configuration version that the door encoded for.
        version: u64,
        /// The messages; at most [`BATCH_MAX`].
        messages: SmallVec<[NewMessage; 1]>,
    },
    /// Leases messages, waiting for the first one if there is none. Answer: [`Reply::Received`], empty once `wait_ms` is over.
    Receive {
        /// The queue.
        queue: QueueId,
        /// How many at most: 1 to [`BATCH_MAX`].
        max: u32,
        /// How many bytes of payload at most; the first message is given whatever its length.
        bytes_max: u64,
        /// Length of the leases; `None` for the queue's.
        visibility_ms: Option<u64>,
        /// Names the attempt, as a hash: the same attempt made again within [`ATTEMPT_WINDOW_MS`] has the same messages,
        /// under new handles and with their leases started anew, as long as each of them is still under the lease that
        /// it was given, unchanged. FIFO queues only.
        attempt: Option<[u8; 16]>,
        /// How long to wait for the first message.
        wait_ms: u64,
    },
    /// Deletes messages by their handles. Answer: [`Reply::Settled`].
    Delete {
        /// The queue.
        queue: QueueId,
        /// The handles; at most [`BATCH_MAX`].
        handles: SmallVec<[Handle; 1]>,
    },
    /// Sets the end of leases to so many milliseconds from now; 0 releases the message. Answer: [`Reply::Settled`].
    ChangeVisibility {
        /// The queue.
        queue: QueueId,
        /// Handles and lengths; at most [`BATCH_MAX`].
        changes: SmallVec<[(Handle, u64); 1]>,
    },
    /// The messages of a queue in the order of their ids, a slice of them. Answer: [`Reply::Listed`].
    List {
        /// The queue.
        queue: QueueId,
        /// Which messages; all where none is named.
        states: States,
        /// The id after which to go on; 0 for the first slice.
        after: u64,
        /// How many at most: 1 to [`LIST_MAX`].
        max: u32,
        /// How many bytes of payload to bring along at most; the first message is there whatever its length. `None`
        /// for no payloads.
        payload_bytes_max: Option<u64>,
    },
    /// Moves messages that wait, ready or delayed, to another queue of the same kind. They keep id, payload, attributes,
    /// delay and the time of their sending, and their receives are counted anew. A message that comes back to the queue
    /// that it was a dead letter of is none any more. Answer: [`Reply::Settled`]. Errors: `QueueNotFound`,
    /// `KindDiffers`, `SameQueue`; per message `MessageNotFound`, `MessageLeased`.
    Move {
        /// The queue.
        queue: QueueId,
        /// The queue to move to.
        to: QueueId,
        /// Ids of the messages; at most [`LIST_MAX`].
        ids: Vec<u64>,
    },
    /// Starts to move all messages that wait in a queue now, in the order of their ids, in the background. Messages that
    /// come, or stop waiting, meanwhile stay. Answer: [`Reply::MoveTask`]. Errors: `QueueNotFound`, `KindDiffers`,
    /// `SameQueue`, `MoveActive`.
    StartMove {
        /// The queue.
        queue: QueueId,
        /// The queue to move to; `None` moves each message back to the queue that it was a dead letter of.
        to: Option<QueueId>,
        /// How many messages move in any second at most, 1 or more; `None` for as fast as it goes.
        per_second: Option<u32>,
    },
    /// Ends a move where it stands: what was moved stays moved. Answer: [`Reply::MoveTask`]. Errors: `MoveNotFound`,
    /// `MoveEnded`.
    CancelMove {
        /// The move.
        task: MoveId,
    },
    /// The moves out of a queue: the one that runs, and the last [`MOVES_KEPT`] that ended. Answer:
    /// [`Reply::MoveTasks`], newest first.
    MoveTasks {
        /// The queue.
        queue: QueueId,
    },
    /// Adds jobs, to one queue or several, and to each other as parents and children: all of them or none. One that a
    /// custom id or a deduplication id keeps away is no error, and keeps none of the others away.
    /// Answer: [`Reply::Added`]. Errors: `QueueNotFound`, `Stale`, `LaneRequired`, `JobNotFound` (a parent),
    /// `LimitExceeded`, `Invalid`; each for the whole command.
    AddJobs {
        /// The jobs; at most [`ADD_MAX`]. Parents come before their children.
        jobs: Vec<NewJob>,
        /// The 128-bit hash of the request's idempotency key: a request of the same key within
        /// [`IDEMPOTENCY_WINDOW_MS`] adds nothing and has the first one's answer.
        idempotency: Option<[u8; 16]>,
    },
    /// Leases messages to a worker, waiting for the first one if there is none. As [`Command::Receive`], but its end
    /// without a settlement is a lost worker, and handles that are not current any more are refused.
    /// Answer: [`Reply::Received`].
    Lease {
        /// The queue.
        queue: QueueId,
        /// How many at most: 1 to [`BATCH_MAX`].
        max: u32,
        /// How many bytes of payload at most; the first message is given whatever its length.
        bytes_max: u64,
        /// Length of the leases; `None` for the queue's visibility timeout.
        lease_ms: Option<u64>,
        /// How long to wait for the first message.
        wait_ms: u64,
        /// How long to wait, from when the first message could be leased, for the batch to become full: by number or
        /// by bytes. 0 takes what there is. Nothing is leased while it fills.
        linger_ms: u64,
        /// Whether all messages of the batch are to be of one lane.
        one_lane: bool,
    },
    /// Settles leases of workers, each on its own. Answer: [`Reply::JobsSettled`]. Errors: `QueueNotFound`; per entry
    /// `HandleInvalid`, `LeaseLost` (expired or superseded: nothing was changed), `LimitExceeded`.
    Settle {
        /// The queue.
        queue: QueueId,
        /// Handles and what becomes of them; at most [`BATCH_MAX`].
        entries: Settlements,
        /// Random bits, for jitter.
        seed: u64,
    },
    /// Says that what was granted under these handles has left for its worker now, which is what windows count from.
    /// No answer.
    Released {
        /// The queue.
        queue: QueueId,
        /// The handles.
        handles: SmallVec<[Handle; 1]>,
    },
    /// Reports progress and lines of log of a job by anybody. Answer: [`Reply::Done`]. Errors: `QueueNotFound`,
    /// `JobNotFound`, `LimitExceeded`.
    Report {
        /// The queue.
        queue: QueueId,
        /// The job.
        job: JobRef,
        /// Replaces the progress.
        progress: Option<Vec<u8>>,
        /// Lines for the log.
        logs: Vec<Vec<u8>>,
    },
    /// All about one job, at once or when it has finished. Answer: [`Reply::Job`]; a job that was removed meanwhile is
    /// told as [`JobState::Removed`]. Errors: `QueueNotFound`, `JobNotFound`.
    DescribeJob {
        /// The queue.
        queue: QueueId,
        /// The job.
        job: JobRef,
        /// How long to wait for its end; 0 to be answered at once.
        wait_ms: u64,
    },
    /// Lines of a job's log. Answer: [`Reply::Logs`].
    JobLogs {
        /// The queue.
        queue: QueueId,
        /// The job.
        job: JobRef,
        /// Number of the first line.
        from: u64,
        /// How many at most: 1 to [`LIST_MAX`].
        max: u32,
    },
    /// The children of a job, by queue and id. Answer: [`Reply::Children`].
    JobChildren {
        /// The queue.
        queue: QueueId,
        /// The job.
        job: JobRef,
        /// The child after which to go on.
        after: Option<(QueueId, u64)>,
        /// How many at most: 1 to [`LIST_MAX`].
        max: u32,
    },
    /// Why a job does not run. Answer: [`Reply::Explained`]. Errors: `QueueNotFound`, `JobNotFound`.
    Explain {
        /// The queue.
        queue: QueueId,
        /// The job.
        job: JobRef,
    },
    /// Changes jobs, each on its own. Answer: [`Reply::Settled`]. Errors: `QueueNotFound`; per job `JobNotFound`,
    /// `JobState`.
    ChangeJobs {
        /// The queue.
        queue: QueueId,
        /// The jobs; at most [`LIST_MAX`].
        jobs: Vec<JobRef>,
        /// What changes.
        change: JobChange,
    },
    /// A queue's jobs in one state, in the order of that state: ready ones as they will run as far as limiters and
    /// groups let them, delayed and leased ones by when that ends, finished ones newest first. Answer:
    /// [`Reply::Jobs`]. A page costs what it holds, at any depth.
    ListJobs {
        /// The queue.
        queue: QueueId,
        /// The state.
        state: JobState,
        /// Where the last page ended.
        after: Option<PageMark>,
        /// How many at most: 1 to [`LIST_MAX`].
        max: u32,
        /// How many bytes of payload to bring along at most; `None` for no payloads.
        payload_bytes_max: Option<u64>,
    },
    /// Holds a queue back, or lets it go on. Work that is leased goes on. Answer: [`Reply::Queue`].
    PauseQueue {
        /// The queue.
        queue: QueueId,
        /// For how long in milliseconds: [`u64::MAX`] until it is resumed, 0 resumes it.
        for_ms: u64,
    },
    /// Watches what happens to the jobs of a queue, or stops watching: [`Event::Job`] is told while anybody watches.
    /// Answer: [`Reply::Done`].
    WatchQueue {
        /// The queue.
        queue: QueueId,
        /// Whether to watch.
        watch: bool,
    },
    /// Creates a limiter or changes its terms. Answer: [`Reply::Limiter`]. Errors: `LimiterRefused`, `LimitExceeded`.
    PutLimiter {
        /// Where.
        namespace: Namespace,
        /// Its name; 1 to [`limit::LIMITER_NAME_BYTES_MAX`] bytes.
        name: String,
        /// What it allows.
        terms: Terms,
        /// What a change to longer windows takes the starts for that are not known any more.
        unknown: Unknown,
    },
    /// Deletes a limiter: what ran under it is limited no more. Answer: [`Reply::Done`]. Errors: `LimiterNotFound`.
    DeleteLimiter {
        /// The limiter.
        limiter: LimiterId,
    },
    /// How a key of a limiter stands. Answer: [`Reply::KeyStats`]. Errors: `LimiterNotFound`.
    LimiterStats {
        /// The limiter.
        limiter: LimiterId,
        /// The key; `None` for the one that all share who have none.
        key: Option<LimitKey>,
    },
    /// Holds a key back, or lets it go on. Answer: [`Reply::Done`]. Errors: `LimiterNotFound`.
    PauseKey {
        /// The limiter.
        limiter: LimiterId,
        /// The key; `None` for the one that all share who have none.
        key: Option<LimitKey>,
        /// For how long in milliseconds; 0 resumes it.
        for_ms: u64,
    },
    /// Takes a permit for a program outside, waiting for it if need be. Answer: [`Reply::Acquired`].
    /// Errors: `LimiterNotFound`, `LimitExceeded`.
    Acquire {
        /// The limiter.
        limiter: LimiterId,
        /// The key; `None` for the one that all share who have none.
        key: Option<LimitKey>,
        /// What it is expected to cost, 1 or more.
        cost: u32,
        /// Its priority.
        priority: u32,
        /// When it ends by itself, in milliseconds: 1 to [`limit::PERMIT_MS_MAX`].
        lease_ms: u64,
        /// How long to wait for it.
        wait_ms: u64,
    },
    /// Says what a permit really cost, and ends it. Answer: [`Reply::Done`]. Errors: `LimiterNotFound`,
    /// `PermitNotFound`.
    SettlePermit {
        /// The limiter.
        limiter: LimiterId,
        /// The permit.
        permit: PermitId,
        /// What it cost, where that is not what was expected.
        cost: Option<u32>,
        /// Whether the work is done. A permit that is not done goes on counting towards the concurrency.
        done: bool,
    },
    /// Says that a permit that was granted has left for who asked for it now, which is what windows count from. No
    /// answer. Without it, windows count from the permit's end.
    PermitReleased {
        /// The limiter.
        limiter: LimiterId,
        /// The permit.
        permit: PermitId,
    },
    /// Withdraws a waiting receive, which is answered as empty, or who waits for a permit. No answer of its own.
    Cancel {
        /// The token of the command that waits. Unknown and answered tokens are passed over.
        receive: Token,
    },
    /// Returns messages whose grant could not be handed over: each is ready again as if it had not been granted, and
    /// the grant is not counted. Handles that are no longer current are passed over. No answer.
    Return {
        /// The queue.
        queue: QueueId,
        /// The handles.
        handles: SmallVec<[Handle; 1]>,
    },
}

/// How long a deduplication id counts where nothing else is said: five minutes, as in SQS.
pub const DEDUP_WINDOW_MS: u64 = 300_000;
/// Longest window of deduplication: 30 days, ours.
pub const DEDUP_WINDOW_MS_MAX: u64 = 30 * 86_400_000;
/// How long a receive can be repeated under its attempt's id: five minutes, as in SQS.
pub const ATTEMPT_WINDOW_MS: u64 = 300_000;
/// Most entries of one command: ours; AWS's doors enforce ten where asked to.
pub const BATCH_MAX: usize = 1_000;
/// Most jobs that are added by one command.
pub const ADD_MAX: usize = 10_000;
/// How long an idempotency key counts: a day.
pub const IDEMPOTENCY_WINDOW_MS: u64 = 86_400_000;
/// Most messages of a slice of a listing, and of one move: ours.
pub const LIST_MAX: usize = 256;
/// How many ended moves of a queue are kept: SQS lists ten.
pub const MOVES_KEPT: usize = 10;
/// Longest queue name in bytes: ours.
pub const NAME_BYTES_MAX: usize = 256;

/// A message handed to a receiver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Its lease.
    pub handle: Handle,
    /// Key of its payload: the shard reads it and hands it on with the reply.
    pub body: Key,
    /// How often it was granted, this time included.
    pub grants: u32,
    /// When it was sent.
    pub sent_at: Time,
    /// When it was first granted.
    pub first_received_at: Time,
    /// When this lease ends.
    pub deadline: Time,
    /// Its priority.
    pub priority: u32,
    /// The queue that it was moved from as a dead letter, by name.
    pub dead_letter_source: Option<Arc<str>>,
    /// Failures of the job so far: this attempt is one more.
    pub failures: u32,
    /// Workers lost so far.
    pub stalls: u32,
    /// The attempt has to end by then, however often its lease is extended.
    pub timeout_at: Option<Time>,
}

/// Where a message stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MessageState {
    /// It could be delivered, or is held only by others of its group.
    Ready,
    /// Its delay has not ended.
    Delayed,
    /// It is under a lease.
    Leased,
    /// It waits for its children.
    Waiting,
    /// It is done, and kept.
    Completed,
    /// It failed for good, and is kept.
    Failed,
}

/// Some of the states that a message can have.
#[expect(clippy::struct_excessive_bools, reason = "one for each state")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct States {
    /// Ready messages.
    pub ready: bool,
    /// Delayed ones.
    pub delayed: bool,
    /// Those under a lease.
    pub leased: bool,
    /// Those that wait for children.
    pub waiting: bool,
    /// Completed ones.
    pub completed: bool,
    /// Failed ones.
    pub failed: bool,
}

impl States {
    const NONE: States =
        States { ready: false, delayed: false, leased: false, waiting: false, completed: false, failed: false };
    /// Those of messages that are still to be delivered.
    pub const ALL: States = States { ready: true, delayed: true, leased: true, ..States::NONE };
    /// Those of messages that wait, and can be moved.
    pub const WAITING: States = States { ready: true, delayed: true, ..States::NONE };

    /// Whether `state` is one of them.
    pub fn contains(self, state: MessageState) -> bool {
        match state {
            MessageState::Ready => self.ready,
            MessageState::Delayed => self.delayed,
            MessageState::Leased => self.leased,
            MessageState::Waiting => self.waiting,
            MessageState::Completed => self.completed,
            MessageState::Failed => self.failed,
        }
    }
}

/// A message in a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its id.
    pub id: u64,
    /// Key of its payload.
    pub body: Key,
    /// Length of its payload.
    pub bytes: u64,
    /// Where it stands.
    pub state: MessageState,
    /// Its priority.
    pub priority: u32,
    /// Its lane.
    pub lane: Option<Lane>,
    /// When it was sent.
    pub sent_at: Time,
    /// When its delay or its lease ends; nothing for a ready message.
    pub due: Option<Time>,
    /// How often it was received.
    pub receives: u32,
    /// When it was first received.
    pub first_received_at: Option<Time>,
    /// The queue that it was moved from as a dead letter, by name.
    pub dead_letter_source: Option<Arc<str>>,
}

/// How a move stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MoveStatus {
    /// Messages are being moved.
    Running,
    /// All that waited when it started, and still did, were moved.
    Completed,
    /// It was cancelled.
    Cancelled,
    /// Some messages, or all, stayed: see [`MoveTask::failure`].
    Failed,
}

/// Why messages stayed where they were.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MoveFailure {
    /// The queue to move to was deleted.
    TargetGone,
    /// A message never was a dead letter of another queue, so that it has none to go back to.
    NoSource,
    /// The queue that a message was a dead letter of is gone, or is of another kind now.
    SourceGone(String),
}

/// A move of the messages of a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MoveTask {
    /// Its id.
    pub id: MoveId,
    /// The queue that they leave.
    pub queue: QueueId,
    /// The queue that they go to; `None`: each to where it came from.
    pub to: Option<QueueId>,
    /// The bound on messages in any second.
    pub per_second: Option<u32>,
    /// How it stands.
    pub status: MoveStatus,
    /// How many messages were moved.
    pub moved: u64,
    /// How many waited when it started.
    pub total: u64,
    /// How many it came by that had nowhere to go.
    pub left: u64,
    /// Why the first of these stayed.
    pub failure: Option<MoveFailure>,
    /// When it was started.
    pub started_at: Time,
    /// When it ended.
    pub ended_at: Option<Time>,
}

/// A message accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent {
    /// Public id of the message: of the first one where this is a duplicate.
    pub uuid: [u8; 16],
    /// Its id, strictly increasing within a shard: a FIFO queue's sequence number. The first one's for a duplicate.
    pub id: u64,
    /// Whether nothing was stored because an earlier message has the same deduplication id.
    pub duplicate: bool,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// Done; nothing to say.
    Done,
    /// The queue, and whether this command created it.
    Queue {
        /// The queue.
        queue: Arc<Queue>,
        /// Whether it is new.
        created: bool,
    },
    /// A page of queues.
    Queues {
        /// The queues, in the order of their names.
        queues: Vec<Arc<Queue>>,
        /// Whether there are more behind the last one.
        more: bool,
    },
    /// A queue with its counters.
    Stats {
        /// The queue.
        queue: Arc<Queue>,
        /// Its counters.
        counters: Counters,
        /// When the oldest message was sent.
        oldest: Option<Time>,
    },
    /// What became of each message.
    Sent(SmallVec<[Result<Sent, Error>; 1]>),
    /// The messages leased, in order of delivery.
    Received(Vec<Delivery>),
    /// A slice of a queue's messages, in the order of their ids.
    Listed {
        /// The messages. There may be none in a slice although there are more.
        messages: Vec<Listed>,
        /// Whether the shard is to read their payloads.
        payloads: bool,
        /// After which id to go on; nothing at the end.
        next: Option<u64>,
    },
    /// A move.
    MoveTask(MoveTask),
    /// Moves, newest first.
    MoveTasks(Vec<MoveTask>),
    /// What became of each handle, or of each message.
    Settled(SmallVec<[Result<(), Error>; 1]>),
    /// What became of each job to be added, in order.
    Added(Vec<Added>),
    /// What became of each settlement.
    JobsSettled(SmallVec<[Result<Settled, Error>; 1]>),
    /// A job. Its payload, and what of it is stored, come along in the order of [`Reply::payload_keys`].
    Job(Box<Job>),
    /// Lines of a log, oldest first.
    Logs {
        /// Number of the first line.
        from: u64,
        /// Keys of the lines.
        lines: Vec<Key>,
        /// How many lines were ever written.
        total: u64,
    },
    /// Children of a job.
    Children {
        /// The children.
        children: Vec<Child>,
        /// Whether there are more behind the last one.
        more: bool,
    },
    /// Why a job does not run.
    Explained(Box<Explanation>),
    /// A page of jobs.
    Jobs(JobPage),
    /// A limiter, and whether this command created it.
    Limiter {
        /// The limiter.
        limiter: Arc<Limiter>,
        /// Whether it is new.
        created: bool,
    },
    /// How a key of a limiter stands.
    KeyStats(KeyStats),
    /// What came of asking for a permit.
    Acquired(Acquired),
}

impl Reply {
    /// Keys of what the shard is to read and hand on with the reply, in order.
    pub fn payload_keys(&self) -> SmallVec<[&Key; 10]> {
        match self {
            Reply::Received(deliveries) => deliveries.iter().map(|delivery| &delivery.body).collect(),
            Reply::Listed { messages, payloads: true, .. }
            | Reply::Jobs(JobPage { jobs: messages, payloads: true, .. }) => {
                messages.iter().map(|message| &message.body).collect()
            }
            Reply::Job(job) => job.payload_keys().collect(),
            Reply::Logs { lines, .. } => lines.iter().collect(),
            Reply::Children { children, .. } => children.iter().filter_map(|child| child.result.as_ref()).collect(),
            _ => SmallVec::new(),
        }
    }
}

/// Something that happened, for the shell to act on once it is durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A queue was created or configured.
    QueueChanged(Arc<Queue>),
    /// A queue was deleted.
    QueueDeleted(Arc<Queue>),
    /// A limiter was created or changed.
    LimiterChanged(Arc<Limiter>),
    /// A limiter was deleted.
    LimiterDeleted(Arc<Limiter>),
    /// Something happened to a job of a queue that is watched.
    Job(JobEvent),
}

/// Why a command, or one entry of it, was refused. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// `queue.not_found`
    #[error("no such queue")]
    QueueNotFound,
    /// `queue.exists`: a queue of this name has another kind or configuration; `field` is the first that differs.
    #[error("a queue of this name exists with another {field}")]
    QueueExists {
        /// What differs.
        field: String,
    },
    /// `queue.stale`: the queue was reconfigured meanwhile; encode again for the new version.
    #[error("the queue is now at configuration version {version}")]
    Stale {
        /// The version in force.
        version: u64,
    },
    /// `redrive.not_allowed`: the dead-letter queue takes no dead letters of this queue.
    #[error("queue {target} does not allow queue {source_queue} to send it dead letters")]
    RedriveNotAllowed {
        /// The dead-letter queue.
        target: String,
        /// The queue that was to name it.
        source_queue: String,
    },
    /// `message.group_required`: a message on a FIFO queue names no group.
    #[error("a message on a FIFO queue needs a message group")]
    LaneRequired,
    /// `lease.invalid`: the handle is not one of this queue.
    #[error("the handle is not one of this queue")]
    HandleInvalid,
    /// `lease.expired`: FIFO only: the lease ended before.
    #[error("the lease has ended")]
    LeaseExpired,
    /// `message.not_found`: the message was deleted.
    #[error("no such message")]
    MessageNotFound,
    /// `message.not_leased`: the message is not under a lease.
    #[error("the message is not under a lease")]
    NotLeased,
    /// `message.leased`: the message is under a lease, and only its holder may do anything with it.
    #[error("the message is under a lease")]
    MessageLeased,
    /// `queue.kind_differs`: messages move between queues of the same kind only.
    #[error("a standard queue and a FIFO queue cannot exchange messages")]
    KindDiffers,
    /// `queue.same`: messages move from one queue to another.
    #[error("messages cannot be moved to the queue that they are in")]
    SameQueue,
    /// `move.active`: a queue is moved by one task at a time.
    #[error("the messages of the queue are being moved already")]
    MoveActive {
        /// The move under way.
        task: MoveId,
    },
    /// `move.not_found`
    #[error("no such move")]
    MoveNotFound,
    /// `move.ended`: only a move that runs can be cancelled.
    #[error("the move has ended")]
    MoveEnded,
    /// `lease.lost`: a worker's lease ended, or somebody else has the job: nothing was changed.
    #[error("the lease was lost: it ended, or the job was given to another worker")]
    LeaseLost,
    /// `job.not_found`
    #[error("no such job")]
    JobNotFound,
    /// `job.state`: what was asked for is not possible in the job's state.
    #[error("the job is {state:?}, which does not allow this")]
    JobState {
        /// Its state.
        state: JobState,
    },
    /// `limiter.not_found`
    #[error("no such limiter")]
    LimiterNotFound,
    /// `limiter.*`: terms that cannot be kept.
    #[error(transparent)]
    LimiterRefused(#[from] crate::limiter::Refused),
    /// `permit.not_found`: it ended, or never was.
    #[error("no such permit")]
    PermitNotFound,
    /// `request.invalid`: a field of a command makes no sense.
    #[error("{field}: {reason}")]
    Invalid {
        /// Which field.
        field: &'static str,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// `limit.exceeded`: a bound of the engine.
    #[error("{what}: {found} is more than {allowed}")]
    LimitExceeded {
        /// What is bounded.
        what: &'static str,
        /// The bound.
        allowed: u64,
        /// What was asked for.
        found: u64,
    },
}

impl Error {
    /// The stable code. Retired codes are never used again.
    pub fn code(&self) -> &'static str {
        match self {
            Error::QueueNotFound => "queue.not_found",
            Error::QueueExists { .. } => "queue.exists",
            Error::Stale { .. } => "queue.stale",
            Error::RedriveNotAllowed { .. } => "redrive.not_allowed",
            Error::LaneRequired => "message.group_required",
            Error::HandleInvalid => "lease.invalid",
            Error::LeaseExpired => "lease.expired",
            Error::MessageNotFound => "message.not_found",
            Error::NotLeased => "message.not_leased",
            Error::MessageLeased => "message.leased",
            Error::KindDiffers => "queue.kind_differs",
            Error::SameQueue => "queue.same",
            Error::MoveActive { .. } => "move.active",
            Error::MoveNotFound => "move.not_found",
            Error::MoveEnded => "move.ended",
            Error::LeaseLost => "lease.lost",
            Error::JobNotFound => "job.not_found",
            Error::JobState { .. } => "job.state",
            Error::LimiterNotFound => "limiter.not_found",
            Error::LimiterRefused(refused) => refused.code(),
            Error::PermitNotFound => "permit.not_found",
            Error::Invalid { .. } => "request.invalid",
            Error::LimitExceeded { .. } => "limit.exceeded",
        }
    }
}

/// What comes out of the engine beside its writes.
#[derive(Debug, Default)]
pub struct Output {
    /// Answers, in the order in which they were made.
    pub replies: Vec<(Token, Result<Reply, Error>)>,
    /// What happened, in order.
    pub events: Vec<Event>,
    /// Rows to load for work that the engine holds back itself (waiting receivers, what is due). Once they are loaded,
    /// call `Engine::loaded`.
    pub needs: Vec<Need>,
}
