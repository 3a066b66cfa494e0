//! Replays: publications of an archive come to a subscription once more, slice by slice.
//!
//! Filters are read at the doors, so a door reads a slice of the archive and says which of it goes on; the engine delivers
//! that, and notes how far the replay is, in one commit. A door that died in between, or two that work on one replay,
//! deliver nothing twice: a step counts only from where the last one ended.

use std::sync::Arc;

use super::super::{Answer, Engine, Stop, prepare_each};
use super::archive::{self, Row, check_stretch};
use super::publish::{Parcel, Way};
use crate::api::topic::{ArchiveMark, Origin, REPLAYS_KEPT, Replay, ReplayId, ReplayStatus, Replayed, SubscriptionId};
use crate::api::{Error, Event, LIST_MAX, Namespace, Output, Reply};
use crate::codec::{Reader, Unreadable, Writer};
use crate::engine::send::within;
use crate::keys;
use crate::kv::State;
use crate::time::Time;

const VERSION: u8 = 1;
const WHAT: &str = "a replay";

impl Replay {
    fn write(&self) -> Writer {
        let Replay { subscription, from, until, after, status, replayed, passed, started_at, ended_at, .. } = *self;
        let mut writer = Writer::new(VERSION);
        writer.number(subscription.0);
        writer.time(from);
        writer.time(until);
        writer.byte(match status {
            ReplayStatus::Running => 0,
            ReplayStatus::Completed => 1,
            ReplayStatus::Cancelled => 2,
        });
        writer.number(replayed);
        writer.number(passed);
        writer.time(started_at);
        writer.time(ended_at.unwrap_or_default());
        // Ids start from 1.
        let after = after.unwrap_or_default();
        writer.time(after.at);
        writer.number(after.id);
        writer
    }

    fn read(id: u64, bytes: &[u8]) -> Result<Self, Unreadable> {
        let mut reader = Reader::new(WHAT, bytes, VERSION)?;
        let replay = Replay {
            id: ReplayId(id),
            subscription: SubscriptionId(reader.number()?),
            from: reader.time()?,
            until: reader.time()?,
            status: match reader.byte()? {
                0 => ReplayStatus::Running,
                1 => ReplayStatus::Completed,
                2 => ReplayStatus::Cancelled,
                _ => return Err(reader.damaged()),
            },
            replayed: reader.number()?,
            passed: reader.number()?,
            started_at: reader.time()?,
            ended_at: Some(reader.time()?).filter(|at| *at > Time(0)),
            after: Some(ArchiveMark { at: reader.time()?, id: reader.number()? }).filter(|mark| mark.id > 0),
        };
        reader.end()?;
        Ok(replay)
    }
}

impl Engine {
    pub(in crate::engine) fn start_replay<S: State>(
        &mut self,
        state: &mut S,
        subscription: SubscriptionId,
        (from, until): (Time, Time),
        out: &mut Output,
    ) -> Answer {
        let found = &self.topics.subscription(subscription)?.public;
        if self.topics.topic(found.topic)?.public.config.archive_ms.is_none() {
            return Err(Error::NoArchive);
        }
        check_stretch(from, until)?;
        if let Some(active) = self.replays_of(subscription).find(|replay| replay.status == ReplayStatus::Running) {
            return Err(Error::ReplayActive { replay: active.id });
        }
        // What is published from now on comes by itself.
        let until = until.min(Time(self.now.0.saturating_add(1)));
        let replay = Replay {
            id: ReplayId(self.new_id()),
            subscription,
            from,
            until,
            after: None,
            status: ReplayStatus::Running,
            replayed: 0,
            passed: 0,
            started_at: self.now,
            ended_at: None,
        };
        self.keep_replay(state, replay, out);
        let ids: Vec<ReplayId> = self.replays_of(subscription).map(|replay| replay.id).collect();
        for id in ids.iter().rev().skip(REPLAYS_KEPT) {
            self.forget_replay(state, *id);
        }
        Ok(Reply::Replay(replay))
    }

    pub(in crate::engine) fn cancel_replay<S: State>(
        &mut self,
        state: &mut S,
        id: ReplayId,
        out: &mut Output,
    ) -> Answer {
        let replay = self.running(id)?;
        let replay = Replay { status: ReplayStatus::Cancelled, ended_at: Some(self.now), ..replay };
        self.keep_replay(state, replay, out);
        Ok(Reply::Replay(replay))
    }

    pub(in crate::engine) fn list_replays(&self, subscription: SubscriptionId) -> Answer {
        self.topics.subscription(subscription)?;
        Ok(Reply::Replays(self.replays_of(subscription).rev().copied().collect()))
    }

    fn running(&self, id: ReplayId) -> Result<Replay, Error> {
        let replay = self.topics.replays.get(&id).ok_or(Error::ReplayNotFound)?;
        if replay.status == ReplayStatus::Running { Ok(*replay) } else { Err(Error::ReplayEnded) }
    }

    fn replays_of(&self, subscription: SubscriptionId) -> impl DoubleEndedIterator<Item = &Replay> {
        self.topics.replays.values().filter(move |replay| replay.subscription == subscription)
    }

    /// Delivers a slice of a replay.
    pub(in crate::engine) fn replay_step<S: State>(
        &mut self,
        state: &mut S,
        id: ReplayId,
        (after, next): (Option<ArchiveMark>, Option<ArchiveMark>),
        (version, passed): (u64, u64),
        deliver: &[Replayed],
        out: &mut Output,
    ) -> Result<Answer, Stop> {
        let (replay, ways) = match self.replay_ways(id, after, version, deliver) {
            Ok(found) => found,
            Err(error) => return Ok(Err(error)),
        };
        let subscription = self.topics.subscription(replay.subscription).map(|found| found.public.topic);
        let topic = subscription.ok().and_then(|topic| self.topics.by_id.get(&topic));
        let Some(topic) = topic else { return Ok(Err(Error::ReplayNotFound)) };
        let (space, topic) = (topic.space, topic.public.id);
        let mut rows: Vec<Option<Row>> = Vec::with_capacity(deliver.len());
        prepare_each(deliver.iter().zip(&ways), |(one, way)| {
            let row = archive::find(state, space, one.mark)?;
            rows.push(row);
            match (row, way.to.and_then(|queue| self.queues.get(&queue))) {
                (Some(row), Some(queue)) => self.prepare_entry(state, queue, None, (row.lane, way.limits)),
                _ => Ok(()),
            }
        })?;
        let mut replayed = 0;
        for ((one, way), row) in deliver.iter().zip(&ways).zip(rows) {
            // What the archive let go of meanwhile is over.
            let Some(row) = row else { continue };
            let way = self.bounded(topic, way, row.bytes);
            if let Some(to) = way.to {
                let publication = one.mark.id;
                let origin = Origin { publication, subscription: replay.subscription, raw: way.raw, replayed: true };
                let parcel = Parcel {
                    uuid: row.uuid,
                    payload: None,
                    len: row.len,
                    priority: row.priority,
                    lane: row.lane,
                    dedup: None,
                };
                if self.deliver(state, to, &parcel, (origin, true), way.limits)? {
                    archive::join(state, space, one.mark, row, 1)?;
                }
            }
            replayed += u64::from(way.failure.is_none());
            self.delivered_again(topic, &way);
        }
        let ended = next.is_none();
        let replay = Replay {
            after: next.or(replay.after),
            replayed: replay.replayed + replayed,
            passed: replay.passed + passed,
            status: if ended { ReplayStatus::Completed } else { ReplayStatus::Running },
            ended_at: ended.then_some(self.now),
            ..replay
        };
        self.keep_replay(state, replay, out);
        Ok(Ok(Reply::Replay(replay)))
    }

    /// Where the publications of a step go.
    fn replay_ways<'a>(
        &self,
        id: ReplayId,
        after: Option<ArchiveMark>,
        version: u64,
        deliver: &'a [Replayed],
    ) -> Result<(Replay, Vec<Way<'a>>), Error> {
        let replay = self.running(id)?;
        within("publications of a step", LIST_MAX as u64, deliver.len() as u64)?;
        if replay.after != after {
            return Err(Error::ReplayMoved);
        }
        if !deliver.is_sorted_by(|one, next| one.mark < next.mark) {
            return Err(Error::Invalid { field: "deliver", reason: "each publication comes once, in order" });
        }
        let subscription = Arc::clone(&self.topics.subscription(replay.subscription)?.public);
        if subscription.version != version {
            return Err(Error::TopicStale { version: subscription.version });
        }
        let topic = self.topics.topic(subscription.topic)?;
        // How long each is, the archive says.
        let way = |one: &'a Replayed| self.subscription_way(topic, &subscription, 0, one.limits.as_ref());
        Ok((replay, deliver.iter().map(way).collect::<Result<_, _>>()?))
    }

    fn keep_replay<S: State>(&mut self, state: &mut S, replay: Replay, out: &mut Output) {
        let namespace = self.topics.subscription(replay.subscription).map(|found| found.public.namespace);
        if let Ok(namespace) = namespace {
            state.put(&keys::replay(namespace, replay.id), replay.write().finish());
            self.topics.replays.insert(replay.id, replay);
            out.events.push(Event::ReplayChanged(replay));
        }
    }

    fn forget_replay<S: State>(&mut self, state: &mut S, id: ReplayId) {
        let Some(replay) = self.topics.replays.remove(&id) else { return };
        if let Ok(found) = self.topics.subscription(replay.subscription) {
            state.delete(&keys::replay(found.public.namespace, id));
        }
    }

    /// The replays of a subscription go with it.
    pub(super) fn forget_replays<S: State>(
        &mut self,
        state: &mut S,
        namespace: Namespace,
        subscription: SubscriptionId,
        out: &mut Output,
    ) {
        let all: Vec<Replay> = self.replays_of(subscription).copied().collect();
        for replay in all {
            self.topics.replays.remove(&replay.id);
            state.delete(&keys::replay(namespace, replay.id));
            if replay.status == ReplayStatus::Running {
                out.events.push(Event::ReplayChanged(Replay { status: ReplayStatus::Cancelled, ..replay }));
            }
        }
    }

    pub(in crate::engine) fn read_replay(&mut self, id: u64, bytes: &[u8]) -> Result<(), Unreadable> {
        let replay = Replay::read(id, bytes)?;
        self.topics.replays.insert(replay.id, replay);
        Ok(())
    }

    /// All replays that are under way, by id.
    pub fn running_replays(&self) -> Vec<Replay> {
        let all = self.topics.replays.values();
        all.filter(|replay| replay.status == ReplayStatus::Running).copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replay_is_read_as_it_was_written() {
        let new = Replay {
            id: ReplayId(4),
            subscription: SubscriptionId(5),
            from: Time(6),
            until: Time(700),
            after: None,
            status: ReplayStatus::Running,
            replayed: 0,
            passed: 0,
            started_at: Time(8),
            ended_at: None,
        };
        let after = Some(ArchiveMark { at: Time(60), id: 61 });
        let (status, ended_at) = (ReplayStatus::Cancelled, Some(Time(9)));
        for replay in [new, Replay { after, status, replayed: 300, passed: 2, ended_at, ..new }] {
            assert_eq!(Replay::read(4, replay.write().finish()), Ok(replay));
        }
    }
}
