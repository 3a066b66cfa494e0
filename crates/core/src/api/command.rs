//! What the engine is told to do.

use smallvec::SmallVec;

use super::job::{JobChange, JobRef, JobState, NewJob, PageMark, Settlements};
use super::limit::{LimitKey, LimiterId, PermitId};
use super::topic::{
    ArchiveMark, NewSubscription, Publication, ReplayId, Replayed, SubscriptionConfig, SubscriptionId, TopicConfig,
    TopicId,
};
#[expect(unused_imports, reason = "the documentation speaks of them")]
use super::{
    ADD_MAX, ATTEMPT_WINDOW_MS, BATCH_MAX, Event, IDEMPOTENCY_WINDOW_MS, LIST_MAX, MINUTES_MAX, MOVES_KEPT,
    NAME_BYTES_MAX, Reply,
};
use super::{Config, Handle, Kind, MoveId, Namespace, NewMessage, QueueId, States, Tags, Token};
use crate::limiter::{Terms, Unknown};
use crate::time::Time;

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
    /// How many jobs of a queue were completed and failed for good in each minute of a stretch of time, the minutes of
    /// `from` and `to` included. Answer: [`Reply::Ends`]. Errors: `QueueNotFound`; `LimitExceeded` where these are more
    /// than [`MINUTES_MAX`].
    QueueEnds {
        /// The queue.
        queue: QueueId,
        /// The first moment.
        from: Time,
        /// The last moment.
        to: Time,
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
        /// How many lines remain then, the newest; `None` for all that are kept.
        logs_max: Option<u64>,
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
    /// Makes a deduplication id of jobs free. Answer: [`Reply::Done`]. Errors: `QueueNotFound`; `JobNotFound` where no
    /// job has it, or another one than was named.
    ForgetDedup {
        /// The queue.
        queue: QueueId,
        /// The 128-bit hash of the deduplication id.
        hash: [u8; 16],
        /// The job that is to have it.
        job: Option<JobRef>,
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
    /// `JobState`, `NoParent`.
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
        /// Its name; 1 to [`super::limit::LIMITER_NAME_BYTES_MAX`] bytes.
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
        /// When it ends by itself, in milliseconds: 1 to [`super::limit::PERMIT_MS_MAX`].
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
    /// Takes a permit back that was granted and never left for who asked for it: as if it had not been granted. No answer.
    PermitReturned {
        /// The limiter.
        limiter: LimiterId,
        /// The permit.
        permit: PermitId,
    },
    /// Creates a topic, or finds the topic of this name where its kind and configuration are the same.
    /// Answer: [`Reply::Topic`]. Errors: `TopicExists`, `LimitExceeded`.
    CreateTopic {
        /// Where.
        namespace: Namespace,
        /// The name, already checked by the door; at most [`NAME_BYTES_MAX`] bytes.
        name: String,
        /// Its kind.
        kind: Kind,
        /// Its configuration.
        config: TopicConfig,
        /// The tags of a new topic. A topic that is found keeps its own.
        tags: Tags,
        /// Random bits, for hashes that nobody can make meet.
        seed: [u8; 16],
    },
    /// Replaces a topic's configuration. Answer: [`Reply::Topic`]. Errors: `TopicNotFound`, `TopicStale`.
    ConfigureTopic {
        /// The topic.
        topic: TopicId,
        /// The version that the new configuration was derived from.
        version: u64,
        /// The new configuration.
        config: TopicConfig,
    },
    /// Adds tags to a topic and takes others away, as [`Command::TagQueue`]. Answer: [`Reply::Topic`].
    /// Errors: `TopicNotFound`, `LimitExceeded`.
    TagTopic {
        /// The topic.
        topic: TopicId,
        /// The keys to take away, before anything is added.
        remove: Vec<String>,
        /// The tags to add.
        add: Tags,
        /// How many tags the door allows.
        max: u64,
    },
    /// Deletes a topic. Its name is free at once; its subscriptions, with the queues of their own, go in slices.
    /// Answer: [`Reply::Done`]. Errors: `TopicNotFound`.
    DeleteTopic {
        /// The topic.
        topic: TopicId,
    },
    /// A topic with its counters. Answer: [`Reply::TopicStats`]. Errors: `TopicNotFound`.
    TopicStats {
        /// The topic.
        topic: TopicId,
    },
    /// Subscribes an endpoint to a topic, or finds its subscription where what is set of it is the same. One that still
    /// waits to be confirmed has the new token from now on. Answer: [`Reply::Subscription`]. Errors: `TopicNotFound`,
    /// `SubscriptionExists`, `SubscriptionKindDiffers`, `LimitExceeded`, `Invalid`.
    Subscribe {
        /// The topic.
        topic: TopicId,
        /// Who subscribes, and how.
        subscription: Box<NewSubscription>,
        /// The configuration of the queue of its own, where its endpoint is a URL or a function; its dead letters are
        /// the subscription's, whatever it says.
        queue: Box<Config>,
        /// Random bits: the key of that queue's handle proofs.
        seed: [u8; 16],
    },
    /// Replaces what may be set of a subscription. Answer: [`Reply::Subscription`]. Errors: `SubscriptionNotFound`,
    /// `TopicStale`.
    ConfigureSubscription {
        /// The subscription.
        subscription: SubscriptionId,
        /// The version that this was derived from.
        version: u64,
        /// What is set.
        config: SubscriptionConfig,
    },
    /// Confirms the subscription of a topic that waits for this token. Doing it again is no error.
    /// Answer: [`Reply::Subscription`]. Errors: `TopicNotFound`, `TokenInvalid`.
    ConfirmSubscription {
        /// The topic.
        topic: TopicId,
        /// The token.
        token: String,
    },
    /// Ends a subscription, with the queue of its own. Answer: [`Reply::Done`]. Errors: `SubscriptionNotFound`.
    Unsubscribe {
        /// The subscription.
        subscription: SubscriptionId,
    },
    /// A subscription with its counters. Answer: [`Reply::SubscriptionStats`]. Errors: `SubscriptionNotFound`.
    SubscriptionStats {
        /// The subscription.
        subscription: SubscriptionId,
    },
    /// Publishes messages, each to the subscriptions whose filters let it through: all deliveries of all of them are one
    /// commit. Answer: [`Reply::Published`]. Errors: `TopicNotFound`, `TopicStale` (the topic or its subscriptions have
    /// changed: match anew), `Stale` (a queue with limiters has), `LimitExceeded`; per message `LaneRequired`.
    Publish {
        /// The topic.
        topic: TopicId,
        /// The topic's revision for which the targets were found.
        revision: u64,
        /// The messages: at most [`BATCH_MAX`], and [`super::topic::DELIVERIES_MAX`] deliveries of them.
        publications: Vec<Publication>,
    },
    /// Holds the deliveries of a subscription, or lets them go on: what was held follows, in order. Answer:
    /// [`Reply::Subscription`]. Errors: `SubscriptionNotFound`; on resuming `QueueNotFound` and `KindDiffers` where what
    /// was held has nowhere to go.
    PauseSubscription {
        /// The subscription.
        subscription: SubscriptionId,
        /// Whether it is held.
        paused: bool,
        /// Random bits: the key of the handle proofs of the queue that holds them.
        seed: [u8; 16],
    },
    /// Publications that a topic's archive keeps, in their order, a slice of them. Answer: [`Reply::Archive`].
    /// Errors: `TopicNotFound`.
    ListArchive {
        /// The topic.
        topic: TopicId,
        /// Those published from then on.
        from: Time,
        /// And before then.
        until: Time,
        /// The one after which to go on.
        after: Option<ArchiveMark>,
        /// How many at most: 1 to [`LIST_MAX`].
        max: u32,
        /// How many bytes of payload to bring along at most; `None` for no payloads.
        payload_bytes_max: Option<u64>,
    },
    /// Starts to replay what a topic's archive keeps of a stretch of time to one of its subscriptions. A door carries it
    /// on with [`Command::ReplayStep`]. Answer: [`Reply::Replay`]. Errors: `SubscriptionNotFound`, `NoArchive`,
    /// `ReplayActive`, `Invalid`.
    StartReplay {
        /// The subscription.
        subscription: SubscriptionId,
        /// What was published from then on.
        from: Time,
        /// And before then; not later than now.
        until: Time,
    },
    /// Delivers the next publications of a replay, in the commit that notes how far it is. Answer: [`Reply::Replay`].
    /// Errors: `ReplayNotFound`, `ReplayEnded`, `ReplayMoved` (another step was there before), `TopicStale` (the
    /// subscription was changed: filter anew), `Stale` (its queue was), `LimitExceeded`.
    ReplayStep {
        /// The replay.
        replay: ReplayId,
        /// How far it was.
        after: Option<ArchiveMark>,
        /// How far it is then; `None` at the end.
        next: Option<ArchiveMark>,
        /// The version of the subscription by whose filter this was found.
        version: u64,
        /// How many publications the filter kept away.
        passed: u64,
        /// Those that it lets through; at most [`LIST_MAX`].
        deliver: Vec<Replayed>,
    },
    /// Ends a replay where it stands. Answer: [`Reply::Replay`]. Errors: `ReplayNotFound`, `ReplayEnded`.
    CancelReplay {
        /// The replay.
        replay: ReplayId,
    },
    /// The replay of a subscription that runs, and the last ones that ended. Answer: [`Reply::Replays`].
    Replays {
        /// The subscription.
        subscription: SubscriptionId,
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
