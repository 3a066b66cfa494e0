//! What is said to the engine and what it answers: commands, replies, events.
//!
//! A door authenticates, decodes, hashes and validates what only concerns its protocol; a command carries plain values
//! and refers to a queue by its id. Nothing here is ever stored: the stored forms are in `head`, `queue` and `keys`.

mod command;
mod error;
pub mod job;
pub mod limit;
mod message;
mod moves;
mod queue;
mod reply;
pub mod topic;

use std::sync::Arc;

use crate::kv::Need;
use job::JobEvent;
use limit::Limiter;
use topic::{Replay, Subscription, Topic};

pub use command::Command;
pub use error::Error;
pub use message::{Delivery, Handle, Lane, Listed, MessageState, NewMessage, Sent, States};
pub use moves::{MoveFailure, MoveId, MoveStatus, MoveTask};
pub use queue::{Config, Counters, DedupScope, Ends, Kind, Namespace, Queue, QueueId, Redrive, RedriveAllow, Tags};
pub use reply::Reply;

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
/// For how many minutes it is known what finished in each of them: two weeks.
pub const MINUTES_KEPT: u64 = 14 * 24 * 60;
/// Most minutes that one command asks for: a day.
pub const MINUTES_MAX: u64 = 24 * 60;
/// How many ended moves of a queue are kept: SQS lists ten.
pub const MOVES_KEPT: usize = 10;
/// The length of a message that a queue takes where nothing is said: AWS's largest. The doors read it as "what the server
/// takes", which may be more, so the engine bounds nothing by it.
pub const MESSAGE_BYTES_DEFAULT: u64 = 1_048_576;
/// Longest queue name in bytes: ours.
pub const NAME_BYTES_MAX: usize = 256;

/// Names one command until it is answered; chosen by the caller, unique among those unanswered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(pub u64);

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
    /// A topic was created or configured, or its subscriptions changed: told behind what changed of them.
    TopicChanged(Arc<Topic>),
    /// A topic was deleted. Its subscriptions go one by one.
    TopicDeleted(Arc<Topic>),
    /// A subscription was made or changed.
    SubscriptionChanged(Arc<Subscription>),
    /// A subscription ended.
    SubscriptionDeleted(Arc<Subscription>),
    /// A replay was started, went on or ended.
    ReplayChanged(Replay),
    /// Something happened to a job of a queue that is watched.
    Job(JobEvent),
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
