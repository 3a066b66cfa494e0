//! The archive of a topic: publications are kept for a time, to be replayed. Each is a row in the topic's space, in the
//! order of time, and has its part in the payload.

use std::ops::ControlFlow;
use std::time::Duration;

use super::super::send::within;
use super::super::{Answer, Engine, SLICE_ROWS, Stop, prepare_each, shared};
use super::Topics;
use crate::api::topic::{ArchiveMark, Archived, Publication, TopicId};
use crate::api::{Error, LIST_MAX, Lane, Output, Reply};
use crate::codec::{Reader, Unreadable, Writer};
use crate::keys::{self, Space};
use crate::kv::{KeyBuf, Need, State, View};
use crate::time::Time;
use crate::topic::TopicState;

const VERSION: u8 = 1;
const WHAT: &str = "a publication in an archive";

/// A publication that is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) uuid: [u8; 16],
    /// Length of its payload.
    pub(super) len: u64,
    /// What queues bound of it.
    pub(super) bytes: u64,
    pub(super) priority: u32,
    pub(super) lane: Option<Lane>,
    /// Whether others have a part in the payload, and a row counts them.
    pub(super) shares: bool,
}

impl Row {
    pub(super) fn new(publication: &Publication, shares: bool) -> Self {
        let Publication { uuid, ref payload, bytes, priority, lane, .. } = *publication;
        Self { uuid, len: payload.len() as u64, bytes, priority, lane, shares }
    }

    pub(super) fn write(&self) -> Writer {
        let mut writer = Writer::new(VERSION);
        writer.fixed(&self.uuid);
        writer.number(self.len);
        writer.number(self.bytes);
        writer.number(u64::from(self.priority));
        writer.byte(u8::from(self.shares) | u8::from(self.lane.is_some()) << 1);
        if let Some(lane) = self.lane {
            writer.fixed(&lane.0);
        }
        writer
    }

    pub(super) fn read(bytes: &[u8]) -> Result<Self, Unreadable> {
        let mut reader = Reader::new(WHAT, bytes, VERSION)?;
        let (uuid, len, bytes, priority) = (reader.fixed()?, reader.number()?, reader.number()?, reader.small()?);
        let flags = reader.byte()?;
        let lane = if flags & 2 == 0 { None } else { Some(Lane(reader.fixed()?)) };
        reader.end()?;
        Ok(Self { uuid, len, bytes, priority, lane, shares: flags & 1 != 0 })
    }
}

pub(super) fn key(space: Space, mark: ArchiveMark) -> KeyBuf {
    space.kind(keys::ARCHIVE).number(mark.at.0).number(mark.id)
}

/// Calls `row` for the publications of an archive from `from` on, before `until`.
fn walk<S: View>(
    state: &S,
    space: Space,
    from: &KeyBuf,
    until: Time,
    mut row: impl FnMut(ArchiveMark, Row) -> ControlFlow<()>,
) -> Result<Result<(), Need>, Unreadable> {
    let end = space.kind(keys::ARCHIVE).number(until.0);
    let mut outcome = Ok(());
    let scanned = state.scan(from, &end, &mut |key, value| {
        match (keys::numbers(key), Row::read(value)) {
            (Some([at, id]), Ok(found)) => return row(ArchiveMark { at: Time(at), id }, found),
            (None, _) => outcome = Err(Unreadable::Damaged { what: "the key of a publication in an archive" }),
            (_, Err(error)) => outcome = Err(error),
        }
        ControlFlow::Break(())
    });
    outcome.map(|()| scanned)
}

/// What becomes of a publication's payload when the archive lets go of it.
fn drop_part<S: State>(state: &mut S, space: Space, mark: ArchiveMark, row: Row) -> Result<(), Stop> {
    state.delete(&key(space, mark));
    if row.shares {
        return shared::release(state, space.namespace, mark.id);
    }
    state.delete(&keys::body(space.namespace, mark.id));
    Ok(())
}

impl TopicState {
    /// When the archive's first publication is over, as far as is known.
    pub(super) fn archive_over(&self) -> Time {
        match self.public.config.archive_ms {
            _ if self.counters.archived == 0 => Time::NEVER,
            Some(kept_ms) => self.archive_from.after(Duration::from_millis(kept_ms)),
            None => Time(0),
        }
    }
}

impl Topics {
    /// Notes that a publication was archived.
    pub(super) fn archived(&mut self, id: TopicId, at: Time) {
        if let Some(topic) = self.by_id.get_mut(&id) {
            if topic.counters.archived == 0 {
                topic.archive_from = at;
            }
            topic.counters.archived += 1;
        }
        self.look_at(id);
    }
}

impl Engine {
    /// Publications of an archive, a slice of them.
    pub(in crate::engine) fn list_archive<S: View>(
        &self,
        state: &S,
        id: TopicId,
        (from, until): (Time, Time),
        after: Option<ArchiveMark>,
        (max, payload_bytes_max): (u32, Option<u64>),
    ) -> Result<Answer, Stop> {
        let topic = match self.topics.topic(id) {
            Ok(topic) => topic,
            Err(error) => return Ok(Err(error)),
        };
        if let Err(error) = within("publications of a page", LIST_MAX as u64, u64::from(max)) {
            return Ok(Err(error));
        }
        let space = topic.space;
        // What is over is not there any more, whenever it goes.
        let kept_ms = topic.public.config.archive_ms.unwrap_or(0);
        let from = from.max(Time(self.now.0.saturating_sub(kept_ms)));
        let from = match after.filter(|after| after.at >= from) {
            Some(after) => key(space, after).byte(0),
            None => space.kind(keys::ARCHIVE).number(from.0),
        };
        let mut publications = Vec::new();
        let mut bytes_left = payload_bytes_max.unwrap_or(u64::MAX);
        let mut is_full = false;
        let scanned = walk(state, space, &from, until, |ArchiveMark { at, id }, row| {
            if publications.len() >= max.max(1) as usize || row.len > bytes_left && !publications.is_empty() {
                is_full = true;
                return ControlFlow::Break(());
            }
            bytes_left = bytes_left.saturating_sub(row.len);
            let body = keys::body(space.namespace, id).to_key();
            let Row { uuid, len, lane, .. } = row;
            publications.push(Archived { mark: ArchiveMark { at, id }, uuid, body, bytes: len, lane });
            ControlFlow::Continue(())
        })?;
        if let Err(need) = scanned {
            return Err(need.into());
        }
        let next = publications.last().map(|last| last.mark).filter(|_| is_full);
        Ok(Ok(Reply::Archive { publications, payloads: payload_bytes_max.is_some(), next }))
    }

    /// Lets go of the publications that an archive keeps no longer, or of all; a slice of them. Says whether there may be
    /// more.
    pub(super) fn drop_archived<S: State>(
        &mut self,
        state: &mut S,
        id: TopicId,
        all: bool,
        out: &mut Output,
    ) -> Result<bool, Stop> {
        let now = self.now;
        let Some(topic) = self.topics.by_id.get(&id).filter(|topic| topic.counters.archived > 0) else {
            return Ok(false);
        };
        let space = topic.space;
        let kept_ms = topic.public.config.archive_ms.filter(|_| !all).unwrap_or(0);
        let until = Time(if all { u64::MAX } else { now.0.saturating_sub(kept_ms).saturating_add(1) });
        let mut rows = Vec::new();
        let mut next = None;
        let start = space.kind(keys::ARCHIVE).number(topic.archive_from.0);
        let scanned = walk(state, space, &start, Time::NEVER, |mark, row| {
            if mark.at >= until || rows.len() >= SLICE_ROWS {
                next = Some(mark.at);
                return ControlFlow::Break(());
            }
            rows.push((mark, row));
            ControlFlow::Continue(())
        })?;
        let prepared = prepare_each(rows.iter().filter(|(_, row)| row.shares), |(mark, _)| {
            Ok(state.get(&keys::shared(space.namespace, mark.id), 0).map(|_| ())?)
        });
        if let Err(Stop::Need(needs)) = prepared {
            self.topics.stalled = true;
            out.needs.extend(needs);
            return Ok(true);
        }
        prepared?;
        let dropped = rows.len() as u64;
        let last = rows.last().map(|(mark, _)| mark.at);
        for (mark, row) in rows {
            drop_part(state, space, mark, row)?;
        }
        if let Some(topic) = self.topics.by_id.get_mut(&id) {
            topic.counters.archived = topic.counters.archived.saturating_sub(dropped);
            topic.archive_from = next.or(last).unwrap_or(topic.archive_from);
        }
        self.topics.touch(id);
        if let Err(need) = scanned {
            self.topics.stalled = true;
            out.needs.push(need);
            return Ok(true);
        }
        Ok(next.is_some_and(|next| next < until))
    }
}

/// A publication of an archive, with all read that replaying it reads.
pub(super) fn find<S: View>(state: &S, space: Space, mark: ArchiveMark) -> Result<Option<Row>, Stop> {
    let Some(bytes) = state.get(&key(space, mark), SLICE_ROWS)? else { return Ok(None) };
    let row = Row::read(bytes)?;
    if row.shares {
        state.get(&keys::shared(space.namespace, mark.id), 0)?;
    }
    Ok(Some(row))
}

/// So many more have a part in the payload of a publication of an archive.
pub(super) fn join<S: State>(state: &mut S, space: Space, mark: ArchiveMark, row: Row, more: u64) -> Result<(), Stop> {
    if row.shares {
        return shared::join(state, space.namespace, mark.id, more);
    }
    // The archive's own part counts too.
    shared::count(state, space.namespace, mark.id, more + 1);
    state.put(&key(space, mark), Row { shares: true, ..row }.write().finish());
    Ok(())
}

/// Refuses a stretch of time that holds nothing.
pub(super) fn check_stretch(from: Time, until: Time) -> Result<(), Error> {
    if from < until { Ok(()) } else { Err(Error::Invalid { field: "until", reason: "it is not later than `from`" }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_publication_is_read_as_it_was_written() {
        let plain = Row { uuid: [1; 16], len: 300, bytes: 290, priority: 0, lane: None, shares: false };
        for row in [plain, Row { lane: Some(Lane([4; 16])), shares: true, priority: 7, ..plain }] {
            assert_eq!(Row::read(row.write().finish()), Ok(row));
        }
    }
}
