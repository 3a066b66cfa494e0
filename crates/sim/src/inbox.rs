//! Where answers arrive.

use std::sync::Arc;

use parking_lot::Mutex;
use weir_core::api::{Error, Reply, Token};
use weir_shard::{Answer, Respond};

/// What a shard said about a command.
#[derive(Debug)]
pub(crate) enum Note {
    /// The command took effect in the state with this sequence.
    Made { token: Token, sequence: u64, reply: Result<Reply, Error> },
    /// The client has its answer.
    Answered { token: Token, answer: Answer },
}

/// The notes of one shard, in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Inbox {
    notes: Arc<Mutex<Vec<Note>>>,
}

impl Inbox {
    pub(crate) fn take(&self) -> Vec<Note> {
        std::mem::take(&mut self.notes.lock())
    }

    pub(crate) fn responder(&self, token: Token) -> Responder {
        Responder { token, inbox: self.clone() }
    }
}

/// Takes the answer of one command.
#[derive(Debug)]
pub(crate) struct Responder {
    token: Token,
    inbox: Inbox,
}

impl Respond for Responder {
    fn made(&mut self, sequence: u64, reply: &Result<Reply, Error>) {
        self.inbox.notes.lock().push(Note::Made { token: self.token, sequence, reply: reply.clone() });
    }

    fn respond(self, answer: Answer) {
        self.inbox.notes.lock().push(Note::Answered { token: self.token, answer });
    }
}
