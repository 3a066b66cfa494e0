//! Sending: a message enters its queue, unless one with the same deduplication id did so lately.

use std::time::Duration;

use smallvec::SmallVec;

use super::dedup::Verdict;
use super::message::prepare_lane;
use super::{Answer, Engine, Stop, prepare_each};
use crate::api::{BATCH_MAX, Error, Kind, NewMessage, QueueId, Reply, Sent};
use crate::head::{Head, State as Standing};
use crate::keys;
use crate::kv::{State, View};
use crate::queue::QueueState;

impl Engine {
    pub(super) fn send<S: State>(
        &mut self,
        state: &mut S,
        id: QueueId,
        version: u64,
        messages: &[NewMessage],
    ) -> Result<Answer, Stop> {
        let queue = match self.queue(id) {
            Ok(queue) => queue,
            Err(error) => return Ok(Err(error)),
        };
        if queue.public.version != version {
            return Ok(Err(Error::Stale { version: queue.public.version }));
        }
        if let Err(error) = within("messages of a command", BATCH_MAX as u64, messages.len() as u64) {
            return Ok(Err(error));
        }
        if queue.public.kind == Kind::Fifo || messages.iter().any(|message| message.lane.is_some()) {
            prepare_each(messages.iter(), |message| self.prepare_send(state, queue, message))?;
        }
        let mut sent = SmallVec::new();
        for message in messages {
            sent.push(self.send_one(state, id, message)?);
        }
        Ok(Ok(Reply::Sent(sent)))
    }

    fn send_one<S: State>(
        &mut self,
        state: &mut S,
        id: QueueId,
        message: &NewMessage,
    ) -> Result<Result<Sent, Error>, Stop> {
        let now = self.now;
        let queue = match self.queue(id) {
            Ok(queue) => queue,
            Err(error) => return Ok(Err(error)),
        };
        let (space, fifo, delay_ms) = (queue.space, queue.public.kind == Kind::Fifo, queue.config().delay_ms);
        if fifo && message.lane.is_none() {
            return Ok(Err(Error::LaneRequired));
        }
        let original = match self.deduplicate(state, queue, message)? {
            Verdict::Duplicate(first) => return Ok(Ok(first)),
            Verdict::Original(original) => original,
        };
        let message_id = self.new_id();
        if let Some(original) = original {
            self.remember(state, id, &original, message, message_id);
        }
        let delay_ms = message.delay_ms.unwrap_or(delay_ms);
        let due = if delay_ms == 0 { now } else { now.after(Duration::from_millis(delay_ms)) };
        let state_first = if delay_ms == 0 { Standing::Ready } else { Standing::Delayed };
        let head = Head {
            priority: message.priority,
            bytes: message.payload.len() as u64,
            due,
            lane: message.lane,
            in_lane: message.lane.is_some(),
            ..Head::new(state_first, now)
        };
        state.insert_bulk(&keys::body(space.namespace, message_id), &[&message.payload]);
        self.enter(state, id, message_id, &head)?;
        Ok(Ok(Sent { uuid: message.uuid, id: message_id, duplicate: false }))
    }

    /// Reads all that sending a message reads.
    fn prepare_send<S: View>(&self, state: &S, queue: &QueueState, message: &NewMessage) -> Result<(), Stop> {
        let duplicate = self.deduplicate(state, queue, message).map(|_| ());
        // A message that joins a lane at its end reads the lane's record only.
        let lane = message.lane.map_or(Ok(()), |lane| prepare_lane(state, queue, lane, 0));
        prepare_each([duplicate, lane].into_iter(), |prepared| prepared)
    }
}

/// Refuses more than a bound allows.
pub(super) fn within(what: &'static str, allowed: u64, found: u64) -> Result<(), Error> {
    if found > allowed { Err(Error::LimitExceeded { what, allowed, found }) } else { Ok(()) }
}
