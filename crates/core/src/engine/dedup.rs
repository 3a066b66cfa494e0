//! Deduplication: whether a message was sent before, among those that its queue compares it with.
//!
//! A row under the hash of the deduplication id names the last original message of that id, with its lane. Where ids
//! count within lanes there is a second row for each, under the hash of id and lane. Both are kept in that scope, and a
//! row that is overwritten by another lane's leaves one of the second kind behind, so the scope may change at any time
//! and each message is still compared with all that it should be.

use std::hash::Hasher;

use siphasher::sip128::{Hasher128, SipHasher13};

use super::chores::buckets_over;
use super::{Engine, Stop, prepare_each};
use crate::api::{DedupScope, Kind, Lane, NewMessage, QueueId, Sent};
use crate::codec::{Reader, Unreadable, Writer};
use crate::kv::{State, View};
use crate::queue::QueueState;
use crate::time::Time;

/// Version 2 names the lane.
const VERSION: u8 = 2;
const WHAT: &str = "a deduplication row";

/// Whether a message is stored.
pub(super) enum Verdict {
    /// It is not, because this one was.
    Duplicate(Sent),
    /// It is, and is remembered, if it has a deduplication id.
    Original(Option<Original>),
}

/// How an original message is remembered.
pub(super) struct Original {
    hash: [u8; 16],
    /// The original of another lane whose row is overwritten, and the bucket that it stands in.
    replaced: Option<(u64, Row)>,
}

/// An original message.
#[derive(Clone, Copy, Debug)]
struct Row {
    at: Time,
    id: u64,
    uuid: [u8; 16],
    lane: Option<Lane>,
}

impl Engine {
    /// Compares a message with those before.
    pub(super) fn deduplicate<S: View>(
        &self,
        state: &S,
        queue: &QueueState,
        message: &NewMessage,
    ) -> Result<Verdict, Stop> {
        let Some(hash) = message.dedup.filter(|_| queue.public.kind == Kind::Fifo) else {
            return Ok(Verdict::Original(None));
        };
        let mut same_id = Ok(None);
        let mut same_lane = Ok(None);
        prepare_each([false, true].into_iter(), |in_lane| {
            if !in_lane {
                same_id = self.look_up(state, queue, hash);
                return same_id.as_ref().map(|_| ()).map_err(Clone::clone);
            }
            if let (DedupScope::Lane, Some(lane)) = (queue.config().dedup_scope, message.lane) {
                same_lane = self.look_up(state, queue, within_lane(queue, hash, lane));
            }
            same_lane.as_ref().map(|_| ()).map_err(Clone::clone)
        })?;
        let (same_id, same_lane) = (same_id?, same_lane?);
        let counts = |row: &Row| queue.config().dedup_scope == DedupScope::Queue || row.lane == message.lane;
        let first = same_id.filter(|(_, row)| counts(row)).or(same_lane);
        Ok(match first {
            Some((_, row)) => Verdict::Duplicate(Sent { uuid: row.uuid, id: row.id, duplicate: true }),
            None => Verdict::Original(Some(Original { hash, replaced: same_id })),
        })
    }

    /// Remembers an original.
    pub(super) fn remember<S: State>(
        &mut self,
        state: &mut S,
        id: QueueId,
        original: &Original,
        message: &NewMessage,
        message_id: u64,
    ) {
        let now = self.now;
        let Some(queue) = self.queues.get_mut(&id) else { return };
        let space = queue.space;
        let bucket = queue.dedup_buckets.open(now, queue.public.config.dedup_window_ms);
        let row = Row { at: now, id: message_id, uuid: message.uuid, lane: message.lane };
        // A row of this hash that has just run out may still stand in this bucket, hence no insert.
        state.put(&space.dedup(bucket, original.hash), row.write().finish());
        if let (DedupScope::Lane, Some(lane)) = (queue.config().dedup_scope, message.lane) {
            state.put(&space.dedup(bucket, within_lane(queue, original.hash, lane)), row.write().finish());
            if let Some((bucket, row)) = original.replaced
                && let Some(lane) = row.lane
            {
                state.put(&space.dedup(bucket, within_lane(queue, original.hash, lane)), row.write().finish());
            }
        }
        let by = buckets_over(queue);
        self.look_by(id, by);
    }

    /// The row of a hash, if it counts, and its bucket.
    fn look_up<S: View>(&self, state: &S, queue: &QueueState, hash: [u8; 16]) -> Result<Option<(u64, Row)>, Stop> {
        let window_ms = queue.config().dedup_window_ms;
        let mut found = None;
        prepare_each(queue.dedup_buckets.lookups(self.now, window_ms).into_iter(), |bucket| {
            if let Some(bytes) = state.get(&queue.space.dedup(bucket, hash), 0)? {
                let row = Row::read(bytes)?;
                if found.is_none() && self.now.0 < row.at.0.saturating_add(window_ms) {
                    found = Some((bucket, row));
                }
            }
            Ok(())
        })?;
        Ok(found)
    }
}

impl Row {
    fn write(&self) -> Writer {
        let mut row = Writer::new(VERSION);
        row.time(self.at);
        row.number(self.id);
        row.fixed(&self.uuid);
        if let Some(lane) = self.lane {
            row.byte(1);
            row.fixed(&lane.0);
        } else {
            row.byte(0);
        }
        row
    }

    fn read(bytes: &[u8]) -> Result<Self, Unreadable> {
        let mut reader = Reader::new(WHAT, bytes, VERSION)?;
        let mut row = Row { at: reader.time()?, id: reader.number()?, uuid: reader.fixed()?, lane: None };
        if reader.version() >= 2 && reader.byte()? != 0 {
            row.lane = Some(Lane(reader.fixed()?));
        }
        reader.end()?;
        Ok(row)
    }
}

/// The hash of a deduplication id within a lane. Keyed, so that nobody can make two of them meet.
fn within_lane(queue: &QueueState, hash: [u8; 16], lane: Lane) -> [u8; 16] {
    let mut hasher = SipHasher13::new_with_key(&queue.secret);
    hasher.write(&hash);
    hasher.write(&lane.0);
    hasher.finish128().as_bytes()
}
