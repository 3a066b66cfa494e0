//! Moves of a queue's messages to another.

use super::QueueId;
use crate::time::Time;

/// A move of a queue's messages. Never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MoveId(pub u64);

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
