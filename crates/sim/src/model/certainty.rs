//! What is certain and what is possible of a message at a moment.

use weir_core::api::{Kind, QueueId};

use super::{Hold, Message, Model};

impl Message {
    /// How often it was received, at least.
    pub fn receives_min(&self) -> u64 {
        self.receives.saturating_sub(u64::from(self.maybe_returned))
    }

    /// How often its queue handed it out, at most.
    fn receives_here_max(&self) -> u64 {
        self.receives.saturating_sub(self.receives_before.0)
    }

    /// How often its queue handed it out, at least.
    pub fn receives_here_min(&self) -> u64 {
        self.receives_min().saturating_sub(self.receives_before.1)
    }
}

impl Model {
    /// Whether `message` may have left its queue as a dead letter.
    pub fn may_have_moved(&self, message: &Message) -> bool {
        self.queues.get(&message.queue).is_some_and(|queue| {
            queue.redrives.iter().any(|(target, max)| {
                message.receives_here_max() >= u64::from(*max)
                    && self.queues.values().any(|queue| queue.name == *target)
            })
        })
    }

    /// Whether `message` may have come into `queue` as a dead letter, perhaps by way of others.
    pub fn may_have_moved_to(&self, message: &Message, queue: QueueId) -> bool {
        message.queue != queue
            && self.may_have_moved(message)
            && self.queues.get(&queue).is_some_and(|target| {
                self.queues.values().any(|source| source.redrives.iter().any(|(name, _)| *name == target.name))
            })
    }

    /// Whether `message` may have been dropped for its age at `at`, where it is or where it moved.
    pub fn may_have_expired(&self, message: &Message, at: u64) -> bool {
        let retention = |id: QueueId| self.queues.get(&id).map_or(0, |queue| queue.retention_min);
        let shortest = if self.may_have_moved(message) {
            self.queues.keys().map(|&id| retention(id)).min().unwrap_or(0)
        } else {
            retention(message.queue)
        };
        message.sent.saturating_add(shortest) <= at
    }

    /// Whether `message` is in `queue` at `at`, beyond doubt.
    pub fn certainly_in(&self, message: &Message, queue: QueueId, at: u64) -> bool {
        message.queue == queue
            && !message.doubtful
            && !self.may_have_moved(message)
            && !self.may_have_expired(message, at)
    }

    /// Whether `message` can be in `queue`.
    pub fn possibly_in(&self, message: &Message, queue: QueueId) -> bool {
        message.queue == queue || self.may_have_moved_to(message, queue)
    }

    /// Whether nothing holds `message` itself, beyond doubt: what had to end has been seen to end. What ends in the very
    /// millisecond of the last look may have begun after it.
    pub fn certainly_free(&self, message: &Message) -> bool {
        message.hold == Hold::Free || message.free < self.settled_until
    }

    /// The messages of `queue` that a receive at `at` can certainly have: on a FIFO queue the first of groups.
    pub fn certainly_ready(&self, queue: QueueId, at: u64) -> Vec<usize> {
        let Some(model) = self.queues.get(&queue).filter(|queue| !queue.deleted) else { return Vec::new() };
        let ready = |message: &Message| self.certainly_in(message, queue, at) && self.certainly_free(message);
        let candidates = self.messages.iter().filter(|(_, message)| ready(message));
        match model.kind {
            Kind::Standard => candidates.map(|(&number, _)| number).collect(),
            Kind::Fifo => {
                candidates.filter(|(_, first)| self.may_run(first, queue)).map(|(&number, _)| number).collect()
            }
        }
    }

    /// Whether nothing in the group of `first` can hold it up.
    fn may_run(&self, first: &Message, queue: QueueId) -> bool {
        self.messages
            .values()
            .filter(|other| other.lane == first.lane && other.id != first.id && self.possibly_in(other, queue))
            .all(|other| other.id > first.id && (other.hold != Hold::Lease || other.free < self.settled_until))
    }
}
