//! Queues as the doors see them: their names, their configuration, their counters.

use std::collections::BTreeMap;

use super::job::{Keep, Retry};
use super::limit::LimiterUse;
use super::topic::SubscriptionId;
use super::{DEDUP_WINDOW_MS, MESSAGE_BYTES_DEFAULT};
use crate::time::Time;

/// An isolated world of queues: the account number of an ARN.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Namespace(pub u64);

/// A queue of a shard. Never used again after the queue's deletion.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QueueId(pub u64);

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
    /// How long a deduplication id keeps later messages away, in milliseconds; at most [`super::DEDUP_WINDOW_MS_MAX`].
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
    /// The limiters that its messages run under; at most [`super::limit::USES_MAX`].
    pub limiters: Vec<LimiterUse>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            delay_ms: 0,
            message_bytes_max: MESSAGE_BYTES_DEFAULT,
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
    /// The subscription whose own queue it is. Such a queue goes with it, and is left out of listings.
    pub subscription: Option<SubscriptionId>,
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

/// How many jobs finished.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ends {
    /// Done. Messages that other doors delete count too.
    pub completed: u64,
    /// Failed for good. Those that went to the dead-letter queue count too.
    pub failed: u64,
}
