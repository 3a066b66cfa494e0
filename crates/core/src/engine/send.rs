//! Sending: a message enters its queue, unless one with the same deduplication id did so lately.

use std::time::Duration;

use smallvec::SmallVec;

use super::chores::dedup_end;
use super::{Answer, Engine, Stop, prepare_each};
use crate::api::{BATCH_MAX, Error, Kind, NewMessage, QueueId, Reply, Sent};
use crate::codec::{Reader, Unreadable, Writer};
use crate::head::{Head, State as Standing};
use crate::keys::{self, Space};
use crate::kv::{State, View};
use crate::time::Time;

const DEDUP_VERSION: u8 = 1;
const DEDUP_WHAT: &str = "a deduplication row";

/// How long a deduplication id keeps later messages away (SQS: five minutes), in milliseconds.
pub const DEDUP_WINDOW_MS: u64 = 300_000;

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
        let (space, fifo) = (queue.space, queue.public.kind == Kind::Fifo);
        if fifo {
            prepare_each(messages.iter(), |message| prepare(state, space, message, self.now))?;
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
        let dedup = message.dedup.filter(|_| fifo);
        if let Some(hash) = dedup
            && let Some(first) = find_duplicate(state, space, hash, now)?
        {
            return Ok(Ok(first));
        }
        let message_id = self.new_id();
        if let Some(hash) = dedup {
            self.remember(state, id, hash, message, message_id);
        }
        let delay_ms = message.delay_ms.unwrap_or(delay_ms);
        let due = if delay_ms == 0 { now } else { now.after(Duration::from_millis(delay_ms)) };
        let head = Head {
            state: if delay_ms == 0 { Standing::Ready } else { Standing::Delayed },
            priority: message.priority,
            grants: 0,
            receives: 0,
            receives_before: 0,
            failures: 0,
            stalls: 0,
            sent_at: now,
            bytes: message.payload.len() as u64,
            first_received_at: None,
            due,
            lane: message.lane,
            source: None,
        };
        state.insert_bulk(&keys::body(space.namespace, message_id), &[&message.payload]);
        self.enter(state, id, message_id, &head)?;
        Ok(Ok(Sent { uuid: message.uuid, id: message_id, duplicate: false }))
    }

    fn remember<S: State>(
        &mut self,
        state: &mut S,
        id: QueueId,
        hash: [u8; 16],
        message: &NewMessage,
        message_id: u64,
    ) {
        let now = self.now;
        let Some(queue) = self.queues.get_mut(&id) else { return };
        let bucket = bucket(now);
        let mut row = Writer::new(DEDUP_VERSION);
        row.time(now);
        row.number(message_id);
        row.fixed(&message.uuid);
        // A row of this hash that has just run out may still stand in this bucket, hence no insert.
        state.put(&queue.space.dedup(bucket, hash), row.finish());
        queue.dedup_buckets.get_or_insert((bucket, bucket)).1 = bucket;
        let by = dedup_end(queue);
        self.look_by(id, by);
    }
}

/// The bucket of a time. Buckets are as long as the window, so a window touches two of them at most.
pub(super) fn bucket(at: Time) -> u64 {
    at.0 / DEDUP_WINDOW_MS
}

/// Refuses more than a bound allows.
pub(super) fn within(what: &'static str, allowed: u64, found: u64) -> Result<(), Error> {
    if found > allowed { Err(Error::LimitExceeded { what, allowed, found }) } else { Ok(()) }
}

fn prepare<S: View>(state: &S, space: Space, message: &NewMessage, now: Time) -> Result<(), Stop> {
    let duplicate = message.dedup.map_or(Ok(None), |hash| find_duplicate(state, space, hash, now));
    // A message that joins a lane at its end reads the lane's record only.
    let lane = message.lane.map_or(Ok(()), |lane| super::lanes::prepare(state, space, lane, 0).map(|_| ()));
    prepare_each([duplicate.map(|_| ()), lane].into_iter(), |prepared| prepared)
}

fn find_duplicate<S: View>(state: &S, space: Space, hash: [u8; 16], now: Time) -> Result<Option<Sent>, Stop> {
    let newest = bucket(now);
    for bucket in [newest, newest.saturating_sub(1)] {
        if let Some(bytes) = state.get(&space.dedup(bucket, hash), 0)? {
            let (at, sent) = read_dedup(bytes)?;
            if now.0 < at.0.saturating_add(DEDUP_WINDOW_MS) {
                return Ok(Some(sent));
            }
        }
    }
    Ok(None)
}

fn read_dedup(bytes: &[u8]) -> Result<(Time, Sent), Unreadable> {
    let mut reader = Reader::new(DEDUP_WHAT, bytes, DEDUP_VERSION)?;
    let at = reader.time()?;
    let sent = Sent { id: reader.number()?, uuid: reader.fixed()?, duplicate: true };
    reader.end()?;
    Ok((at, sent))
}
