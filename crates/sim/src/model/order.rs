//! The order in which messages come.

use std::collections::BTreeSet;

use weir_core::api::{Delivery, Kind, Lane, QueueId};

use super::{Checked, Hold, Message, Model};

impl Model {
    pub(super) fn check_order(&self, id: QueueId, batch: &[(usize, &Delivery)], at: u64) -> Checked {
        let fifo = self.queue(id)?.kind == Kind::Fifo;
        let numbers: BTreeSet<usize> = batch.iter().map(|(number, _)| *number).collect();
        let waiting: Vec<usize> = self.certainly_ready(id, at).into_iter().filter(|n| !numbers.contains(n)).collect();
        let mut before = BTreeSet::new();
        let mut lanes = BTreeSet::new();
        let mut last = None;
        for (number, delivery) in batch {
            let place = (delivery.priority, delivery.handle.message);
            if fifo {
                self.check_lane(id, *number, delivery, &before, at)?;
                before.insert(*number);
                let lane = self.messages.get(number).and_then(|message| message.lane);
                // A group stands where its first message stands, also one that turns out to be a dead letter.
                if !lanes.insert(lane) || self.may_have_lost_its_first(id, lane, delivery.handle.message) {
                    continue;
                }
            }
            // On a standard queue groups that hold many leases come after the others.
            let quiet = |number: &usize| self.messages.get(number).is_some_and(|message| self.certainly_quiet(message));
            if !fifo && !quiet(number) {
                last = None;
            } else if last.is_some_and(|last| last > place) {
                return Err(format!("message {number} came after one that it goes before"));
            } else {
                last = Some(place);
            }
            let goes_first = |other: &usize| {
                (fifo || quiet(other))
                    && self.messages.get(other).is_some_and(|other| (other.priority, other.id) < place)
            };
            if let Some(passed) = waiting.iter().find(|other| goes_first(other)) {
                return Err(format!("message {number} came before message {passed}, which was ready and goes first"));
            }
        }
        Ok(())
    }

    /// Whether the group of `message` holds so few leases that it comes with all others. One receive of the simulation
    /// adds ten at most.
    fn certainly_quiet(&self, message: &Message) -> bool {
        let leased = |other: &&Message| other.lane == message.lane && other.hold == Hold::Lease;
        message.lane.is_none() || self.messages.values().filter(leased).count() < 30 - 10
    }

    fn may_have_lost_its_first(&self, id: QueueId, lane: Option<Lane>, first: u64) -> bool {
        self.messages
            .values()
            .any(|other| other.queue == id && other.lane == lane && other.id < first && self.may_have_moved(other))
    }

    /// Within a group everything earlier is gone or came before in the same batch, and nothing else is under a lease.
    fn check_lane(
        &self,
        id: QueueId,
        number: usize,
        delivery: &Delivery,
        before: &BTreeSet<usize>,
        at: u64,
    ) -> Checked {
        let lane = self.messages.get(&number).and_then(|message| message.lane);
        for (&other_number, other) in &self.messages {
            if other_number == number || other.lane != lane || before.contains(&other_number) {
                continue;
            }
            if !self.certainly_in(other, id, at) {
                continue;
            }
            if other.id < delivery.handle.message {
                return Err(format!("message {number} came before message {other_number} of its group"));
            }
            if other.hold == Hold::Lease && !other.maybe_returned && other.free > at {
                return Err(format!("message {number} came while message {other_number} of its group was leased"));
            }
        }
        Ok(())
    }
}
