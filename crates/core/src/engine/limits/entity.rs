//! Limiters as entities: created, changed, deleted, looked at; and their keys, paused and resumed.

use std::sync::Arc;
use std::time::Duration;

use super::{LimiterState, Limiters};
use crate::api::limit::{KeyStats, LIMITER_NAME_BYTES_MAX, LimitKey, Limiter, LimiterId, USES_MAX};
use crate::api::{Config, Error, Event, Namespace, Output, QueueId, Reply};
use crate::codec::{Reader, Unreadable, Writer};
use crate::engine::send::within;
use crate::engine::{Answer, Engine, Stop};
use crate::keys;
use crate::kv::State;
use crate::limiter::{Limit, Terms, Unknown};
use crate::time::Time;

const VERSION: u8 = 1;
const WHAT: &str = "a limiter";

/// Most limiters of a shard.
const LIMITERS_MAX: u64 = 100_000;

const SWEEPING: u8 = 1;
const DELETED: u8 = 2;

/// The row of a limiter. One that was deleted has it until nobody waits for it any more.
#[derive(Debug)]
pub(in crate::engine) struct LimiterRecord {
    public: Limiter,
    limit: Limit,
    sweeping: bool,
    deleted: bool,
}

impl LimiterRecord {
    fn read(namespace: Namespace, id: u64, bytes: &[u8]) -> Result<Self, Unreadable> {
        let mut reader = Reader::new(WHAT, bytes, VERSION)?;
        let name = reader.text()?.to_owned();
        let version = reader.number()?;
        let (created_at, modified_at) = (reader.time()?, reader.time()?);
        let flags = reader.byte()?;
        if flags & !(SWEEPING | DELETED) != 0 {
            return Err(reader.damaged());
        }
        let limit = Limit::decode(reader.bytes()?)?;
        reader.end()?;
        let terms = limit.terms().clone();
        let public = Limiter { id: LimiterId(id), namespace, name, terms, version, created_at, modified_at };
        Ok(Self { public, limit, sweeping: flags & SWEEPING != 0, deleted: flags & DELETED != 0 })
    }
}

impl LimiterState {
    fn write(&self, deleted: bool) -> Writer {
        let mut writer = Writer::new(VERSION);
        writer.bytes(self.public.name.as_bytes());
        writer.number(self.public.version);
        writer.time(self.public.created_at);
        writer.time(self.public.modified_at);
        writer.byte(if self.sweeping { SWEEPING } else { 0 } | if deleted { DELETED } else { 0 });
        writer.bytes(self.limit.write().finish());
        writer
    }

    fn store<S: State>(&self, state: &mut S) {
        state.put(&keys::limiter(self.public.namespace, self.public.id), self.write(false).finish());
    }
}

impl Limiters {
    fn insert(&mut self, limiter: LimiterState) {
        let Limiter { id, namespace, ref name, .. } = *limiter.public;
        self.names.entry(namespace).or_default().insert(name.clone(), id);
        self.by_id.insert(id, limiter);
    }

    /// All who wait for a key of the limiter are to be looked at.
    pub(super) fn sweep<S: State>(&mut self, state: &mut S, id: LimiterId) {
        let Some(limiter) = self.by_id.get_mut(&id) else { return };
        limiter.sweeping = true;
        limiter.store(state);
        self.sweeps.start(limiter.public.namespace, id);
        let lines = (id, None)..=(id, Some(LimitKey([u8::MAX; 16])));
        let keys: Vec<_> = self.lines.range(lines).copied().collect();
        for key in keys {
            self.wake(key);
        }
    }

    /// All of them were.
    pub(super) fn swept<S: State>(&mut self, state: &mut S, id: LimiterId) {
        if let Some(limiter) = self.by_id.get_mut(&id) {
            limiter.sweeping = false;
            limiter.store(state);
        }
    }
}

impl Engine {
    /// Takes a limiter read from the store among the entities.
    pub(in crate::engine) fn add_limiter(
        &mut self,
        namespace: Namespace,
        id: u64,
        value: &[u8],
    ) -> Result<(), Unreadable> {
        let LimiterRecord { public, limit, sweeping, deleted } = LimiterRecord::read(namespace, id, value)?;
        if sweeping || deleted {
            self.limits.sweeps.start(namespace, public.id);
        }
        if !deleted {
            self.limits.insert(LimiterState { public: Arc::new(public), limit, sweeping });
        }
        Ok(())
    }

    /// All limiters, by id.
    pub fn limiters(&self) -> Vec<Arc<Limiter>> {
        let mut limiters: Vec<_> = self.limits.by_id.values().map(|limiter| Arc::clone(&limiter.public)).collect();
        limiters.sort_unstable_by_key(|limiter| limiter.id);
        limiters
    }

    pub(in crate::engine) fn put_limiter<S: State>(
        &mut self,
        state: &mut S,
        namespace: Namespace,
        name: &str,
        terms: &Terms,
        unknown: Unknown,
        out: &mut Output,
    ) -> Answer {
        check_name(name)?;
        if let Some(id) = self.limits.named(namespace, name) {
            return self.change_limiter(state, id, terms, unknown, out);
        }
        within("limiters of a shard", LIMITERS_MAX, self.limits.by_id.len() as u64 + 1)?;
        let limit = Limit::new(terms.clone())?;
        let public = Arc::new(Limiter {
            id: LimiterId(self.new_id()),
            namespace,
            name: name.to_owned(),
            terms: limit.terms().clone(),
            version: 1,
            created_at: self.now,
            modified_at: self.now,
        });
        let limiter = LimiterState { public: Arc::clone(&public), limit, sweeping: false };
        limiter.store(state);
        self.limits.insert(limiter);
        self.limiter_came_or_went(namespace, name);
        out.events.push(Event::LimiterChanged(Arc::clone(&public)));
        Ok(Reply::Limiter { limiter: public, created: true })
    }

    fn change_limiter<S: State>(
        &mut self,
        state: &mut S,
        id: LimiterId,
        terms: &Terms,
        unknown: Unknown,
        out: &mut Output,
    ) -> Answer {
        let now = self.now;
        let limiter = self.limits.by_id.get_mut(&id).ok_or(Error::LimiterNotFound)?;
        let mut limit = limiter.limit.clone();
        limit.change(terms.clone(), now, unknown)?;
        if limit.terms() == limiter.limit.terms() && unknown == Unknown::Full {
            return Ok(Reply::Limiter { limiter: Arc::clone(&limiter.public), created: false });
        }
        let mut public = (*limiter.public).clone();
        public.terms = limit.terms().clone();
        public.version += 1;
        public.modified_at = now;
        limiter.limit = limit;
        limiter.public = Arc::new(public);
        let public = Arc::clone(&limiter.public);
        self.limits.sweep(state, id);
        out.events.push(Event::LimiterChanged(Arc::clone(&public)));
        Ok(Reply::Limiter { limiter: public, created: false })
    }

    pub(in crate::engine) fn delete_limiter<S: State>(
        &mut self,
        state: &mut S,
        id: LimiterId,
        out: &mut Output,
    ) -> Answer {
        let limiter = self.limits.by_id.remove(&id).ok_or(Error::LimiterNotFound)?;
        let public = Arc::clone(&limiter.public);
        let namespace = public.namespace;
        state.put(&keys::limiter(namespace, id), limiter.write(true).finish());
        if let Some(names) = self.limits.names.get_mut(&namespace) {
            names.remove(&public.name);
        }
        self.limits.sweeps.start(namespace, id);
        self.disperse(id, out);
        self.limits.forget_keys(id);
        self.limiter_came_or_went(namespace, &public.name);
        out.events.push(Event::LimiterDeleted(public));
        Ok(Reply::Done)
    }

    /// The queues that name a limiter find out which one that is now.
    fn limiter_came_or_went(&mut self, namespace: Namespace, name: &str) {
        let users = self.limits.users.get(&(namespace, name.to_owned()));
        let users: Vec<QueueId> = users.into_iter().flatten().copied().collect();
        for id in users {
            self.find_limiters(id);
            self.unblock(id);
        }
    }

    /// Finds the limiters that a queue names.
    pub(in crate::engine) fn find_limiters(&mut self, id: QueueId) {
        let Some(queue) = self.queues.get_mut(&id) else { return };
        let namespace = queue.public.namespace;
        queue.find_uses(|name| self.limits.named(namespace, name));
    }

    pub(in crate::engine) fn limiter_stats<S: State>(
        &self,
        state: &S,
        id: LimiterId,
        key: Option<LimitKey>,
    ) -> Result<Answer, Stop> {
        let now = self.now;
        let Some((mut found, limiter)) = self.limits.look(state, (id, key), now)? else {
            return Ok(Err(Error::LimiterNotFound));
        };
        let limit = &limiter.limit;
        let windows = 0..limit.terms().windows.len();
        let windows = windows.filter_map(|window| found.used(limit, now, window)).collect();
        let blocked = found.waits_for(limit, now, std::num::NonZeroU32::MIN, 0);
        let paused_until = found.paused_until(now);
        Ok(Ok(Reply::KeyStats(KeyStats { windows, running: found.in_flight(), paused_until, blocked })))
    }

    pub(in crate::engine) fn pause_key<S: State>(
        &mut self,
        state: &mut S,
        id: LimiterId,
        key: Option<LimitKey>,
        for_ms: u64,
    ) -> Result<Answer, Stop> {
        if !self.limits.load(state, (id, key), self.now)? {
            return Ok(Err(Error::LimiterNotFound));
        }
        self.pause_one(state, (id, key), for_ms);
        // Nothing else of this command is written, and what has nothing to wait for is answered at once.
        self.limits.flush(state, self.now);
        Ok(Ok(Reply::Done))
    }

    /// Holds a key back that was loaded, or lets it go on.
    pub(super) fn pause_one<S: State>(&mut self, state: &mut S, key: keys::OneKey, for_ms: u64) {
        let now = self.now;
        let until = now.after(Duration::from_millis(for_ms)).min(Time(Time::NEVER.0 - 1));
        let Some((entry, _)) = self.limits.change(key) else { return };
        match for_ms {
            0 => entry.state.resume(now),
            _ => entry.state.pause(until),
        }
        self.limits.arm(state, key, now);
        self.limits.wake_if_waited_for(key);
    }
}

fn check_name(name: &str) -> Result<(), Error> {
    if name.is_empty() {
        return Err(Error::Invalid { field: "name", reason: "a limiter's name is not empty" });
    }
    within("bytes of a limiter's name", LIMITER_NAME_BYTES_MAX as u64, name.len() as u64)
}

/// Checks the limiters that a queue is to name.
pub(in crate::engine) fn check_uses(config: &Config) -> Result<(), Error> {
    let uses = &config.limiters;
    within("limiters of a queue", USES_MAX as u64, uses.len() as u64)?;
    for (index, used) in uses.iter().enumerate() {
        check_name(&used.limiter)?;
        if uses.iter().take(index).any(|before| before.limiter == used.limiter) {
            return Err(Error::Invalid { field: "limiters", reason: "a limiter is named twice" });
        }
        if [&used.key, &used.cost].into_iter().flatten().any(String::is_empty) {
            return Err(Error::Invalid { field: "limiters", reason: "an expression for key or cost is not empty" });
        }
    }
    Ok(())
}
