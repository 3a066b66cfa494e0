//! Messages received.

use std::collections::BTreeSet;

use weir_core::api::{Command, Delivery, QueueId};

use super::{Checked, Effect, Hold, Message, Model};

impl Model {
    pub(super) fn received(&mut self, effect: &Effect, queue: QueueId, deliveries: &[Delivery]) -> Checked {
        let Command::Receive { max, bytes_max, visibility_ms, wait_ms, .. } = effect.command else {
            return Err("deliveries for another command".to_owned());
        };
        if self.repeated(effect, queue, deliveries)? {
            return Ok(());
        }
        if deliveries.is_empty() {
            return self.nothing(effect, queue, wait_ms);
        }
        if deliveries.len() > max as usize {
            return Err(format!("{} messages came where {max} were asked for", deliveries.len()));
        }
        let length = visibility_ms.unwrap_or(self.queue(queue)?.config.visibility_ms);
        let mut batch = Vec::new();
        for delivery in deliveries {
            let id = delivery.handle.message;
            let number = *self.by_id.get(&id).ok_or_else(|| format!("a message of unknown id {id} came"))?;
            let message =
                self.messages.get(&number).ok_or_else(|| format!("message {number} came back after it was gone"))?;
            if delivery.deadline.0 != effect.at + length {
                return Err(format!("the lease of message {number} ends at {}", delivery.deadline));
            }
            self.check_delivery(queue, number, message, delivery, effect.at)?;
            batch.push((number, delivery));
        }
        let distinct: BTreeSet<usize> = batch.iter().map(|(number, _)| *number).collect();
        if distinct.len() != batch.len() {
            return Err("one receive brought a message twice".to_owned());
        }
        let bytes = batch.iter().filter_map(|(number, _)| self.messages.get(number)).map(|message| message.bytes).sum();
        if batch.len() > 1 && bytes_max < bytes {
            return Err(format!("{bytes} bytes came where {bytes_max} were asked for"));
        }
        self.check_order(queue, &batch, effect.at)?;
        self.written_until = self.written_until.max(effect.at);
        for (number, delivery) in batch {
            self.lease(queue, number, delivery)?;
        }
        self.attempted(effect, queue, deliveries)
    }

    fn nothing(&self, effect: &Effect, queue: QueueId, wait_ms: u64) -> Checked {
        if effect.canceled {
            return Ok(());
        }
        if effect.at < effect.submitted + wait_ms {
            return Err("a receive was answered as empty before its wait was over".to_owned());
        }
        match self.certainly_ready(queue, effect.at).first() {
            Some(number) => Err(format!("a receive came back empty although message {number} was ready")),
            None => Ok(()),
        }
    }

    fn check_delivery(&self, id: QueueId, number: usize, message: &Message, delivery: &Delivery, at: u64) -> Checked {
        let queue = self.queue(id)?;
        if !self.possibly_in(message, id) {
            return Err(format!("message {number} came out of queue {}, not {}", id.0, message.queue.0));
        }
        if (delivery.priority, delivery.sent_at.0) != (message.priority, message.sent) {
            return Err(format!("message {number} came with another priority or time of sending"));
        }
        if message.hold != Hold::Free && !message.maybe_returned && at < message.free {
            return Err(format!(
                "message {number} was granted before its {:?} ended at {}",
                message.hold, message.free
            ));
        }
        if delivery.handle.grant != message.fence + 1 {
            return Err(format!(
                "the fence of message {number} went from {} to {}",
                message.fence, delivery.handle.grant
            ));
        }
        let receives = u64::from(delivery.grants);
        if receives != message.receives + 1 && receives != message.receives_min() + 1 {
            return Err(format!("message {number} was received {} times and says {receives} now", message.receives));
        }
        let first = message.first_received.unwrap_or(at);
        if first != delivery.first_received_at.0 {
            return Err(format!("message {number} was first received at {first} and says otherwise"));
        }
        let moved = message.queue != id;
        match (delivery.dead_letter_source.as_deref(), moved) {
            (Some(_), true) => {}
            (source, false) if source == message.source.as_deref() || self.may_have_moved(message) => {}
            (source, _) => return Err(format!("message {number} names {source:?} as where it was a dead letter")),
        }
        if let Some(redrive) = queue.config.redrive.as_ref().filter(|_| !moved)
            && message.receives_here_min() >= u64::from(redrive.receives_max)
            && let Some((target, found)) = self.queue_named(&redrive.target)
            && target != id
            && found.kind == queue.kind
            // Through a ring of dead-letter queues it may have come back.
            && !self.may_have_moved_to_and_back(message)
        {
            return Err(format!("message {number} came once more and not as a dead letter"));
        }
        Ok(())
    }

    fn may_have_moved_to_and_back(&self, message: &Message) -> bool {
        self.queues.get(&message.queue).is_some_and(|home| {
            self.queues.values().any(|queue| queue.redrives.iter().any(|(name, _)| *name == home.name))
        })
    }

    pub(super) fn lease(&mut self, queue: QueueId, number: usize, delivery: &Delivery) -> Checked {
        let handle = delivery.handle;
        self.handles.insert((handle.space, handle.message, handle.grant, handle.proof));
        let message = self.messages.get_mut(&number).ok_or("a message that was just there is gone")?;
        let receives = u64::from(delivery.grants);
        if message.queue != queue {
            message.queue = queue;
            // It was handed out here this once, or more often if it moved in a ring.
            message.receives_before = (receives - 1, receives - 1);
        }
        message.source = delivery.dead_letter_source.as_deref().map(str::to_owned);
        message.hold = Hold::Lease;
        message.free = delivery.deadline.0;
        message.receives = receives;
        message.fence = handle.grant;
        message.maybe_returned = false;
        message.first_received = Some(delivery.first_received_at.0);
        message.doubtful = false;
        Ok(())
    }
}
