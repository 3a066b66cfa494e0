//! Payloads that are gone: a repair of the store cut them, and said so before.
//!
//! The engine goes by heads and orders, so it hands out a message whose payload is not there any more. Nobody can be given
//! that. It is left out of the answer, and settled for good, so that it does not come again.

use bytes::Bytes;
use weir_core::api::job::{Again, Extra, Settlement};
use weir_core::api::{Command, Handle, QueueId, Reply};

/// What is kept of a job whose payload is gone in place of what a worker would have said.
const FAILURE: &[u8] = br#"{"message":"the payload was lost when the store was repaired"}"#;

/// Who leases messages of which queue.
#[derive(Clone, Copy, Debug)]
pub(super) enum Taker {
    /// A consumer.
    Consumer(QueueId),
    /// A worker.
    Worker(QueueId),
}

/// A leased message whose payload is gone.
#[derive(Debug)]
pub(super) struct Lost {
    pub(super) taker: Taker,
    pub(super) handle: Handle,
}

impl Taker {
    /// Who takes what `command` leases.
    pub(super) fn of(command: &Command) -> Option<Self> {
        match command {
            Command::Receive { queue, .. } => Some(Taker::Consumer(*queue)),
            Command::Lease { queue, .. } => Some(Taker::Worker(*queue)),
            _ => None,
        }
    }

    pub(super) fn queue(self) -> QueueId {
        match self {
            Taker::Consumer(queue) | Taker::Worker(queue) => queue,
        }
    }
}

impl Lost {
    /// What settles it: a message is deleted, and a job fails for good, so that whoever waits for its end is told.
    pub(super) fn settlement(&self) -> Command {
        match self.taker {
            Taker::Consumer(queue) => Command::Delete { queue, handles: std::iter::once(self.handle).collect() },
            Taker::Worker(queue) => {
                let failed = Settlement::Fail { failure: FAILURE.to_vec(), again: Again::Never };
                Command::Settle { queue, entries: std::iter::once((self.handle, failed)).collect(), seed: 0 }
            }
        }
    }
}

/// Leaves out of a reply what has no payload any more. `payloads` are those of [`Reply::payload_keys`]; returned are those
/// of the reply as it is then, and the leases that were left out.
pub(super) fn leave_out(reply: &mut Reply, payloads: Vec<Option<Bytes>>) -> (Vec<Bytes>, Vec<Handle>) {
    let mut handles = Vec::new();
    if payloads.iter().any(Option::is_none) {
        let mut found = payloads.iter().map(Option::is_some);
        let mut is_there = || found.next().unwrap_or(false);
        match reply {
            Reply::Received(deliveries) => deliveries.retain(|delivery| {
                let there = is_there();
                handles.extend((!there).then_some(delivery.handle));
                there
            }),
            Reply::Listed { messages, .. } => messages.retain(|_| is_there()),
            Reply::Jobs(page) => page.jobs.retain(|_| is_there()),
            Reply::Archive { publications, .. } => publications.retain(|_| is_there()),
            Reply::Job(job) => {
                job.body.take_if(|_| !is_there());
                job.progress.take_if(|_| !is_there());
                let histories = job.history.iter_mut().map(|attempt| &mut attempt.failure);
                for extra in std::iter::once(&mut job.result).chain(histories) {
                    extra.take_if(|extra| matches!(extra, Extra::Stored(_)) && !is_there());
                }
            }
            Reply::Children { children, .. } => {
                for child in children {
                    child.result.take_if(|_| !is_there());
                }
            }
            // A line that is left out would change the numbers of those behind it.
            Reply::Logs { .. } => return (payloads.into_iter().map(Option::unwrap_or_default).collect(), handles),
            _ => {}
        }
    }
    (payloads.into_iter().flatten().collect(), handles)
}
