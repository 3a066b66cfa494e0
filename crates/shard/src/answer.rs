//! How a command is answered.

use std::time::Duration;

use bytes::Bytes;
use weir_core::api::{Error, Reply};

/// The outcome of a command, given once the state that it speaks of is durable.
pub type Answer = Result<Answered, Refused>;

/// A reply with what the engine itself does not read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    /// The engine's reply.
    pub reply: Reply,
    /// The values of [`Reply::payload_keys`], in its order: the payload of each delivery of a [`Reply::Received`], and
    /// so on.
    pub payloads: Vec<Bytes>,
}

/// Why a command was not carried out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// The engine said no. Nothing was changed.
    #[error(transparent)]
    Engine(#[from] Error),
    /// `shard.overloaded`: too much is waiting to be done or to be written. Nothing was changed; try again after `retry_after`.
    #[error("overloaded, try again in {} s", retry_after.as_secs_f32())]
    Overloaded {
        /// When to try again.
        retry_after: Duration,
    },
    /// `shard.disk_full`: the disk has no room for more messages. Receiving and deleting go on.
    #[error("the disk is full")]
    DiskFull,
    /// `shard.poisoned`: a write failed; nothing is acknowledged until the shard is opened anew. Whether the command
    /// was carried out is unknown.
    #[error("storage failed and the shard is stopped until it is restarted: {reason}")]
    Poisoned {
        /// What failed.
        reason: String,
    },
    /// `shard.closed`: the shard is shutting down. Nothing was changed.
    #[error("shutting down")]
    Closed,
}

/// Takes the answer of one command. Called on a thread of the shard: it must not block.
pub trait Respond: Send + 'static {
    /// Is told what the answer will be and the sequence of the state that it speaks of, in the order in which commands
    /// take effect, before that state is durable. For checkers; says nothing to a client.
    fn made(&mut self, _sequence: u64, _reply: &Result<Reply, Error>) {}

    /// Takes the answer.
    fn respond(self, answer: Answer);
}

impl<F: FnOnce(Answer) + Send + 'static> Respond for F {
    fn respond(self, answer: Answer) {
        self(answer);
    }
}
