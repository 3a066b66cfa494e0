//! Receives made again under their attempt's id.

use weir_core::api::{ATTEMPT_WINDOW_MS, Command, Delivery, QueueId};

use super::{Checked, Effect, Hold, Message, Model};

/// What an attempt was given.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// When it was made first.
    pub at: u64,
    /// Whether that is known beyond doubt.
    pub certain: bool,
    /// Numbers of the messages, with the grant and the end of the lease of each.
    pub given: Vec<(usize, u32, u64)>,
}

impl Model {
    /// Takes in the answer of a receive that repeats an attempt, and says whether it is one.
    pub(super) fn repeated(
        &mut self,
        effect: &Effect,
        queue: QueueId,
        deliveries: &[Delivery],
    ) -> Result<bool, String> {
        let Command::Receive { attempt: Some(hash), .. } = effect.command else { return Ok(false) };
        let at = effect.at;
        let Some(attempt) = self.queue(queue)?.attempts.get(&hash).cloned() else { return Ok(false) };
        let live = at < attempt.at + ATTEMPT_WINDOW_MS;
        let given: Vec<(usize, Message)> = attempt
            .given
            .iter()
            .filter_map(|given| Some((given, self.messages.get(&given.0)?)))
            .filter(|((_, grant, due), message)| {
                message.fence == *grant && message.hold == Hold::Lease && message.free == *due && *due > at
            })
            .map(|((number, ..), message)| (*number, message.clone()))
            .collect();
        let whole = given.len() == attempt.given.len();
        let sure = |message: &Message| !message.maybe_returned && self.certainly_in(message, queue, at);
        let certain = attempt.certain && live && whole && given.iter().all(|(_, message)| sure(message));
        let same = |((_, message), delivery): (&(usize, Message), &Delivery)| {
            message.id == delivery.handle.message && u64::from(delivery.grants) == message.receives
        };
        let again = deliveries.len() == given.len() && given.iter().zip(deliveries).all(same);
        if deliveries.is_empty() {
            let passed = certain && effect.submitted == at && !effect.canceled;
            return if passed { Err("an attempt made again brought nothing".to_owned()) } else { Ok(false) };
        }
        if certain && !again {
            return Err("an attempt made again brought other messages".to_owned());
        }
        if !again || !whole || attempt.certain && !live {
            return Ok(false);
        }
        for ((number, message), delivery) in given.iter().zip(deliveries) {
            if delivery.handle.grant != message.fence + 1 {
                return Err(format!("message {number} came again under grant {}", delivery.handle.grant));
            }
            self.lease(queue, *number, delivery)?;
        }
        self.keep(queue, hash, Attempt { certain, ..attempt }, deliveries)?;
        self.repeats += 1;
        Ok(true)
    }

    /// What this attempt is given from now on.
    pub(super) fn attempted(&mut self, effect: &Effect, queue: QueueId, deliveries: &[Delivery]) -> Checked {
        let Command::Receive { attempt: Some(hash), .. } = effect.command else { return Ok(()) };
        self.keep(queue, hash, Attempt { at: effect.at, certain: true, given: Vec::new() }, deliveries)
    }

    fn keep(&mut self, queue: QueueId, hash: [u8; 16], mut attempt: Attempt, deliveries: &[Delivery]) -> Checked {
        let number = |delivery: &Delivery| self.by_id.get(&delivery.handle.message).copied();
        attempt.given = deliveries
            .iter()
            .filter_map(|delivery| Some((number(delivery)?, delivery.handle.grant, delivery.deadline.0)))
            .collect();
        self.queue_mut(queue)?.attempts.insert(hash, attempt);
        Ok(())
    }
}
