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
use crate::api::{DedupScope, Kind, Lane, QueueId, Sent};
use crate::buckets::Buckets;
use crate::codec::{Reader, Unreadable, Writer};
use crate::keys::Space;
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
pub(super) struct Row {
    pub(super) at: Time,
    pub(super) id: u64,
    pub(super) uuid: [u8; 16],
    pub(super) lane: Option<Lane>,
}

/// Among what a message is compared.
#[derive(Clone, Copy, Debug)]
pub(super) struct Compared<'a> {
    pub(super) kind: Kind,
    pub(super) space: Space,
    /// Key of hashes that nobody can make meet.
    pub(super) secret: &'a [u8; 16],
    pub(super) buckets: &'a Buckets,
    pub(super) window_ms: u64,
    pub(super) scope: DedupScope,
}

impl QueueState {
    pub(super) fn compared(&self) -> Compared<'_> {
        let (window_ms, scope) = (self.config().dedup_window_ms, self.config().dedup_scope);
        let (kind, buckets) = (self.public.kind, &self.dedup_buckets);
        Compared { kind, space: self.space, secret: &self.secret, buckets, window_ms, scope }
    }
}

/// Compares a message with those before.
pub(super) fn compare<S: View>(
    state: &S,
    now: Time,
    compared: &Compared<'_>,
    hash: Option<[u8; 16]>,
    lane: Option<Lane>,
) -> Result<Verdict, Stop> {
    let Some(hash) = hash.filter(|_| compared.kind == Kind::Fifo) else {
        return Ok(Verdict::Original(None));
    };
    let mut same_id = Ok(None);
    let mut same_lane = Ok(None);
    prepare_each([false, true].into_iter(), |in_lane| {
        if !in_lane {
            same_id = look_up(state, now, compared, hash);
            return same_id.as_ref().map(|_| ()).map_err(Clone::clone);
        }
        if let (DedupScope::Lane, Some(lane)) = (compared.scope, lane) {
            same_lane = look_up(state, now, compared, within_lane(compared.secret, hash, lane));
        }
        same_lane.as_ref().map(|_| ()).map_err(Clone::clone)
    })?;
    let (same_id, same_lane) = (same_id?, same_lane?);
    let counts = |row: &Row| compared.scope == DedupScope::Queue || row.lane == lane;
    let first = same_id.filter(|(_, row)| counts(row)).or(same_lane);
    Ok(match first {
        Some((_, row)) => Verdict::Duplicate(Sent { uuid: row.uuid, id: row.id, duplicate: true }),
        None => Verdict::Original(Some(Original { hash, replaced: same_id })),
    })
}

/// Remembers an original in `bucket`, the newest of `compared`.
pub(super) fn remember<S: State>(state: &mut S, compared: &Compared<'_>, bucket: u64, original: &Original, row: Row) {
    // A row of this hash that has just run out may still stand in this bucket, hence no insert.
    let mut put = |bucket, hash, row: Row| state.put(&compared.space.dedup(bucket, hash), row.write().finish());
    put(bucket, original.hash, row);
    if let (DedupScope::Lane, Some(lane)) = (compared.scope, row.lane) {
        put(bucket, within_lane(compared.secret, original.hash, lane), row);
        if let Some((bucket, replaced)) = original.replaced
            && let Some(lane) = replaced.lane
        {
            put(bucket, within_lane(compared.secret, original.hash, lane), replaced);
        }
    }
}

impl Engine {
    /// Remembers an original of a queue.
    pub(super) fn remember<S: State>(&mut self, state: &mut S, id: QueueId, original: &Original, row: Row) {
        let Some(queue) = self.queues.get_mut(&id) else { return };
        let bucket = queue.dedup_buckets.open(row.at, queue.public.config.dedup_window_ms);
        remember(state, &queue.compared(), bucket, original, row);
        let by = buckets_over(queue);
        self.look_by(id, by);
    }
}

/// The row of a hash, if it counts, and its bucket.
fn look_up<S: View>(state: &S, now: Time, compared: &Compared<'_>, hash: [u8; 16]) -> Result<Option<(u64, Row)>, Stop> {
    let window_ms = compared.window_ms;
    let mut found = None;
    prepare_each(compared.buckets.lookups(now, window_ms).into_iter(), |bucket| {
        if let Some(bytes) = state.get(&compared.space.dedup(bucket, hash), 0)? {
            let row = Row::read(bytes)?;
            if found.is_none() && now.0 < row.at.0.saturating_add(window_ms) {
                found = Some((bucket, row));
            }
        }
        Ok(())
    })?;
    Ok(found)
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
fn within_lane(secret: &[u8; 16], hash: [u8; 16], lane: Lane) -> [u8; 16] {
    let mut hasher = SipHasher13::new_with_key(secret);
    hasher.write(&hash);
    hasher.write(&lane.0);
    hasher.finish128().as_bytes()
}
