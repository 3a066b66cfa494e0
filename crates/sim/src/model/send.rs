//! Messages sent.

use weir_core::api::{DedupScope, Error, Kind, Lane, NewMessage, QueueId, Reply, Sent};

use super::{Checked, First, Hold, Message, Model};

/// How long a deduplication id counts: five minutes, as in SQS.
pub const DEDUP_MS: u64 = 300_000;

/// The number of a message: the first bytes of its payload.
pub fn number_of(payload: &[u8]) -> Option<usize> {
    let number = payload.first_chunk::<8>()?;
    usize::try_from(u64::from_le_bytes(*number)).ok()
}

/// The payload of a message: its number, and bytes that follow from it.
pub fn payload_of(number: usize, len: usize) -> Vec<u8> {
    let mut payload = (number as u64).to_le_bytes().to_vec();
    let mut state = number as u64;
    while payload.len() < len {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        payload.push((state >> 56) as u8);
    }
    payload
}

impl Model {
    pub(super) fn sent(
        &mut self,
        id: QueueId,
        version: u64,
        messages: &[NewMessage],
        reply: &Result<Reply, Error>,
        at: u64,
    ) -> Checked {
        let queue = self.queue(id)?;
        let results = match reply {
            Err(Error::Stale { version: found }) if *found == queue.version && version != *found => return Ok(()),
            Ok(Reply::Sent(results)) if queue.version == version && results.len() == messages.len() => results,
            _ => return Err(format!("a send for version {version} was answered at version {}", queue.version)),
        };
        let fifo = queue.kind == Kind::Fifo;
        for (message, result) in messages.iter().zip(results) {
            match result {
                Ok(sent) => self.stored(id, message, sent, at)?,
                Err(Error::LaneRequired) if fifo && message.lane.is_none() => {}
                Err(error) => return Err(format!("a message was refused: {error}")),
            }
        }
        Ok(())
    }

    fn stored(&mut self, id: QueueId, message: &NewMessage, sent: &Sent, at: u64) -> Checked {
        let number = number_of(&message.payload).ok_or("a payload without a number")?;
        let queue = self.queue_mut(id)?;
        if queue.kind == Kind::Fifo && message.lane.is_none() {
            return Err(format!("message {number} was stored without a group"));
        }
        if let Some(hash) = message.dedup.filter(|_| queue.kind == Kind::Fifo) {
            let counts = |lane: &Option<Lane>| queue.config.dedup_scope == DedupScope::Queue || *lane == message.lane;
            let first = queue
                .dedup
                .iter()
                .filter(|((other, lane), first)| *other == hash && counts(lane) && at < first.at + DEDUP_MS)
                .map(|(_, first)| first)
                .max_by_key(|first| first.id);
            match first {
                Some(first) if !sent.duplicate => {
                    return Err(format!(
                        "message {number} was stored although message {} deduplicates it",
                        first.number
                    ));
                }
                Some(first) if (first.uuid, first.id) == (sent.uuid, sent.id) => return Ok(()),
                Some(first) => {
                    return Err(format!(
                        "message {number} duplicates message {}, not that of the answer",
                        first.number
                    ));
                }
                None if sent.duplicate => return Err(format!("message {number} was dropped and duplicates nothing")),
                None => queue.dedup.insert((hash, message.lane), First { number, uuid: sent.uuid, id: sent.id, at }),
            };
        } else if sent.duplicate {
            return Err(format!("message {number} has no deduplication id and was called a duplicate"));
        }
        let delay = message.delay_ms.unwrap_or(queue.config.delay_ms);
        if sent.uuid != message.uuid {
            return Err(format!("message {number} was accepted under another public id"));
        }
        if let Some((&last, _)) = self.by_id.last_key_value()
            && last >= sent.id
        {
            return Err(format!("message {number} got the id {}, which is not above {last}", sent.id));
        }
        self.written_until = self.written_until.max(at);
        self.by_id.insert(sent.id, number);
        let (hold, free) = if delay == 0 { (Hold::Free, 0) } else { (Hold::Delay, at.saturating_add(delay)) };
        self.messages.insert(
            number,
            Message {
                queue: id,
                id: sent.id,
                uuid: sent.uuid,
                lane: message.lane,
                priority: message.priority,
                sent: at,
                bytes: message.payload.len() as u64,
                hold,
                free,
                receives: 0,
                receives_before: (0, 0),
                fence: 0,
                maybe_returned: false,
                first_received: None,
                source: None,
                doubtful: false,
            },
        );
        Ok(())
    }
}
