//! What the engine answers.

use std::sync::Arc;

use smallvec::SmallVec;

use super::job::{Added, Child, Explanation, Job, JobPage, Settled};
use super::limit::{Acquired, KeyStats, Limiter};
use super::topic::{
    ArchiveMark, Archived, Published, Replay, Subscription, SubscriptionCounters, Topic, TopicCounters,
};
use super::{Counters, Delivery, Ends, Error, Listed, MoveTask, Queue, Sent};
use crate::kv::Key;
use crate::time::Time;

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
        /// How many of the ready messages have which priority, in the order of priorities; nothing where they have more
        /// different ones than are counted, or did since the queue had no ready message.
        priorities: Option<Vec<(u32, u64)>>,
        /// What finished, ever.
        ends: Ends,
        /// When the oldest message was sent.
        oldest: Option<Time>,
    },
    /// What finished of a queue.
    Ends {
        /// Ever.
        total: Ends,
        /// In each minute in which anything did, oldest first: when the minute began, and what finished in it.
        minutes: Vec<(Time, Ends)>,
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
    /// The topic, and whether this command created it.
    Topic {
        /// The topic.
        topic: Arc<Topic>,
        /// Whether it is new.
        created: bool,
    },
    /// A topic with its counters.
    TopicStats {
        /// The topic.
        topic: Arc<Topic>,
        /// Its counters.
        counters: TopicCounters,
        /// How many subscriptions it has, and how many of them are not confirmed.
        subscriptions: (u64, u64),
    },
    /// The subscription, and whether this command created it.
    Subscription {
        /// The subscription.
        subscription: Arc<Subscription>,
        /// Whether it is new.
        created: bool,
    },
    /// A subscription with its counters.
    SubscriptionStats {
        /// The subscription.
        subscription: Arc<Subscription>,
        /// Its counters.
        counters: SubscriptionCounters,
    },
    /// Publications of an archive.
    Archive {
        /// The publications, in their order.
        publications: Vec<Archived>,
        /// Whether the shard is to read their payloads.
        payloads: bool,
        /// After which to go on; nothing at the end.
        next: Option<ArchiveMark>,
    },
    /// A replay.
    Replay(Replay),
    /// Replays, newest first.
    Replays(Vec<Replay>),
    /// What became of each publication.
    Published(Vec<Result<Published, Error>>),
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
            Reply::Archive { publications, payloads: true, .. } => {
                publications.iter().map(|publication| &publication.body).collect()
            }
            Reply::Job(job) => job.payload_keys().collect(),
            Reply::Logs { lines, .. } => lines.iter().collect(),
            Reply::Children { children, .. } => children.iter().filter_map(|child| child.result.as_ref()).collect(),
            _ => SmallVec::new(),
        }
    }
}
