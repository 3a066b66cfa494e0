//! Answers as the operations give them, whichever protocol they go out by.

use weir_core::api::{Sent, Tags};

use super::message::Digests;
use super::move_task::MoveTask;
use super::received::ReceivedMessage;
use crate::fault::Fault;

/// What became of an entry of a batch, by the entry's id.
pub type Outcome<'a, T> = (&'a str, Result<T, Fault>);

/// The answer of an operation that succeeded.
#[derive(Clone, Copy, Debug)]
pub enum Answer<'a> {
    /// That it succeeded.
    Done,
    /// `SendMessage`
    Sent {
        /// The message.
        sent: &'a Sent,
        /// What it was read as.
        digests: &'a Digests,
        /// Whether it has a sequence number to tell.
        fifo: bool,
    },
    /// `SendMessageBatch`
    SentBatch {
        /// What became of each entry.
        entries: &'a [Outcome<'a, (Sent, Digests)>],
        /// Whether they have sequence numbers to tell.
        fifo: bool,
    },
    /// `DeleteMessageBatch`, `ChangeMessageVisibilityBatch`: what became of each entry.
    SettledBatch(&'a [Outcome<'a, ()>]),
    /// `ReceiveMessage`
    Received(&'a [ReceivedMessage<'a>]),
    /// `CreateQueue`, `GetQueueUrl`
    QueueUrl(&'a str),
    /// `ListQueues`, `ListDeadLetterSourceQueues`
    Queues {
        /// The queues of this page.
        urls: &'a [String],
        /// Of the next page.
        next_token: Option<&'a str>,
        /// Whether they are the sources of a dead-letter queue.
        sources: bool,
    },
    /// `GetQueueAttributes`
    Attributes(&'a [(&'static str, String)]),
    /// `ListQueueTags`
    Tags(&'a Tags),
    /// `StartMessageMoveTask`: the handle of the task.
    MoveTaskStarted(&'a str),
    /// `CancelMessageMoveTask`: how many messages it has moved.
    MoveTaskCancelled(u64),
    /// `ListMessageMoveTasks`
    MoveTasks(&'a [MoveTask]),
}
