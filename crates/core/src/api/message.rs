//! Messages on their way in, on their way out, and in listings.

use std::sync::Arc;

use super::job::JobOptions;
use super::limit::Limits;
use super::topic::Origin;
use crate::kv::Key;
use crate::time::Time;

/// A lane: the 128-bit hash of what the messages in it share (the message group).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lane(pub [u8; 16]);

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
    /// How often work on it was started, this time included, since that was last counted anew: leases that were released
    /// count too.
    pub starts: u32,
    /// Failures of the job so far: this attempt is one more.
    pub failures: u32,
    /// Workers lost so far.
    pub stalls: u32,
    /// The attempt has to end by then, however often its lease is extended.
    pub timeout_at: Option<Time>,
    /// What it was published as, where it came by a subscription.
    pub origin: Option<Origin>,
    /// Whether it holds permits of limiters: they are told by [`super::Command::Released`] when it has left.
    pub limited: bool,
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
    /// When its newest attempt as a job began.
    pub started_at: Option<Time>,
    /// How many of its attempts as a job failed.
    pub failures: u32,
    /// The queue that it was moved from as a dead letter, by name.
    pub dead_letter_source: Option<Arc<str>>,
    /// What it was published as, where it came by a subscription.
    pub origin: Option<Origin>,
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
