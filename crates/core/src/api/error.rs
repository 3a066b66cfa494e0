//! Why a command is refused.

use super::MoveId;
use super::job::JobState;
use super::topic::{ReplayId, SubscriptionId};

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
    /// `job.no_parent`: there is no job that waits for this one.
    #[error("the job has no parent")]
    NoParent,
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
    /// `topic.not_found`
    #[error("no such topic")]
    TopicNotFound,
    /// `topic.exists`: a topic of this name has another kind or configuration; `field` is the first that differs.
    #[error("a topic of this name exists with another {field}")]
    TopicExists {
        /// What differs.
        field: String,
    },
    /// `topic.stale`: the topic, or a subscription, was changed meanwhile; look again.
    #[error("it was changed meanwhile, and is now at version {version}")]
    TopicStale {
        /// The version, or the revision, in force.
        version: u64,
    },
    /// `subscription.not_found`
    #[error("no such subscription")]
    SubscriptionNotFound,
    /// `subscription.exists`: the endpoint is subscribed in another way; `field` is the first that differs.
    #[error("the endpoint is subscribed to the topic with another {field}")]
    SubscriptionExists {
        /// The subscription that is there.
        subscription: SubscriptionId,
        /// What differs.
        field: String,
    },
    /// `subscription.kind_differs`: a FIFO queue can only be fed by a FIFO topic.
    #[error("a standard topic cannot feed a FIFO queue")]
    SubscriptionKindDiffers,
    /// `subscription.token_invalid`: no subscription of the topic waits for this token.
    #[error("no subscription of the topic waits for this token")]
    TokenInvalid,
    /// `queue.owned`: the queue belongs to a subscription, and goes with it.
    #[error("the queue belongs to a subscription, and goes with it")]
    QueueOwned,
    /// `topic.no_archive`: the topic keeps no publications.
    #[error("the topic keeps no archive")]
    NoArchive,
    /// `replay.not_found`
    #[error("no such replay")]
    ReplayNotFound,
    /// `replay.active`: a subscription has one replay at a time.
    #[error("a replay to the subscription is under way")]
    ReplayActive {
        /// The replay under way.
        replay: ReplayId,
    },
    /// `replay.ended`
    #[error("the replay has ended")]
    ReplayEnded,
    /// `replay.moved`: somebody else carried the replay on.
    #[error("the replay has gone on meanwhile")]
    ReplayMoved,
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
            Error::NoParent => "job.no_parent",
            Error::JobState { .. } => "job.state",
            Error::LimiterNotFound => "limiter.not_found",
            Error::LimiterRefused(refused) => refused.code(),
            Error::PermitNotFound => "permit.not_found",
            Error::TopicNotFound => "topic.not_found",
            Error::TopicExists { .. } => "topic.exists",
            Error::TopicStale { .. } => "topic.stale",
            Error::SubscriptionNotFound => "subscription.not_found",
            Error::SubscriptionExists { .. } => "subscription.exists",
            Error::SubscriptionKindDiffers => "subscription.kind_differs",
            Error::TokenInvalid => "subscription.token_invalid",
            Error::QueueOwned => "queue.owned",
            Error::NoArchive => "topic.no_archive",
            Error::ReplayNotFound => "replay.not_found",
            Error::ReplayActive { .. } => "replay.active",
            Error::ReplayEnded => "replay.ended",
            Error::ReplayMoved => "replay.moved",
            Error::Invalid { .. } => "request.invalid",
            Error::LimitExceeded { .. } => "limit.exceeded",
        }
    }
}
