//! Keys of limiters in memory: read when they are needed, written once for each group of commands, put away when there
//! are too many, and dropped when there is nothing to say of them.

use std::collections::BTreeMap;

use super::line::{FRONT, InLine};
use super::{LimiterState, Limiters};
use crate::api::limit::LimiterId;
use crate::codec::{Reader, Writer};
use crate::engine::Stop;
use crate::keys::{self, OneKey};
use crate::kv::{State, View};
use crate::limiter::{KeyState, Limit};
use crate::place::Place;
use crate::queue::Turn;
use crate::time::Time;

const VERSION: u8 = 1;
const WHAT: &str = "a key of a limiter";

/// Keys in memory that are as their rows are. One takes up to 2 KiB for each window of its limiter.
const KEYS_KEPT: usize = 8_192;

/// A key in memory.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each says of another list, or row, whether it has the key")]
pub(super) struct KeyEntry {
    pub(super) state: KeyState,
    is_dirty: bool,
    is_stored: bool,
    /// Which place of the order of loading is its own.
    stamp: u64,
    /// Whether it was asked for since it was last thought of putting it away.
    is_used: bool,
    /// Lanes that wait for it, in rows.
    pub(super) lanes: u64,
    /// None of them stands before; and whether one stands there.
    pub(super) first_lane: (Place, bool),
    /// When there is a row that has it looked at.
    pub(super) wake: Option<Time>,
    /// When it is looked at without one.
    pub(super) timed: Option<Time>,
    /// Who waits for it in memory.
    pub(super) line: BTreeMap<Turn, InLine>,
    /// Whether it is on the list of those to be looked at.
    pub(super) is_woken: bool,
}

impl KeyEntry {
    fn new(state: KeyState) -> Self {
        Self {
            state,
            is_dirty: false,
            is_stored: false,
            stamp: 0,
            is_used: true,
            lanes: 0,
            first_lane: (FRONT, false),
            wake: None,
            timed: None,
            line: BTreeMap::new(),
            is_woken: false,
        }
    }

    pub(super) fn is_waited_for(&self) -> bool {
        self.lanes > 0 || !self.line.is_empty()
    }

    fn write(&self, opening: u64) -> Writer {
        let mut writer = Writer::new(VERSION);
        writer.number(opening);
        writer.number(self.lanes);
        writer.time(self.wake.unwrap_or_default());
        writer.bytes(self.state.write().finish());
        writer
    }

    /// Reads a row, and says in which opening it was written.
    fn read(bytes: &[u8]) -> Result<(Self, u64), Stop> {
        let mut reader = Reader::new(WHAT, bytes, VERSION)?;
        let opening = reader.number()?;
        let lanes = reader.number()?;
        let wake = Some(reader.time()?).filter(|&at| at > Time(0));
        let state = KeyState::decode(reader.bytes()?)?;
        reader.end()?;
        Ok((Self { lanes, wake, is_stored: true, ..Self::new(state) }, opening))
    }
}

impl Limiters {
    /// Sees to it that a key can be read into memory without a stop.
    pub(in crate::engine) fn prepare<S: View>(&self, state: &S, key: OneKey) -> Result<(), Stop> {
        match self.namespace(key.0) {
            Some(namespace) if !self.keys.contains_key(&key) => {
                state.get(&keys::limit_key(namespace, key), 0)?;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Reads a key into memory, unless it is there. Says whether there is such a limiter.
    pub(super) fn load<S: View>(&mut self, state: &S, key: OneKey, now: Time) -> Result<bool, Stop> {
        if let Some(entry) = self.keys.get_mut(&key) {
            entry.is_used = true;
            return Ok(true);
        }
        let Some(limiter) = self.by_id.get(&key.0) else { return Ok(false) };
        let entry = self.read(state, limiter.public.namespace, &limiter.limit, key, now)?;
        self.last_stamp += 1;
        self.keys.insert(key, KeyEntry { stamp: self.last_stamp, ..entry });
        self.loaded.push_back((self.last_stamp, key));
        Ok(true)
    }

    fn read<S: View>(
        &self,
        state: &S,
        namespace: crate::api::Namespace,
        limit: &Limit,
        key: OneKey,
        now: Time,
    ) -> Result<KeyEntry, Stop> {
        let Some(bytes) = state.get(&keys::limit_key(namespace, key), 0)? else {
            return Ok(KeyEntry::new(KeyState::new(limit, now)));
        };
        let (mut entry, opening) = KeyEntry::read(bytes)?;
        if opening != self.opening {
            entry.state.recovered(limit, self.opened_at.unwrap_or(now));
        }
        Ok(entry)
    }

    /// How a key stands, without taking it into memory.
    pub(super) fn look<S: View>(
        &self,
        state: &S,
        key: OneKey,
        now: Time,
    ) -> Result<Option<(KeyState, &LimiterState)>, Stop> {
        let Some(limiter) = self.by_id.get(&key.0) else { return Ok(None) };
        let found = match self.keys.get(&key) {
            Some(entry) => entry.state.clone(),
            None => self.read(state, limiter.public.namespace, &limiter.limit, key, now)?.state,
        };
        Ok(Some((found, limiter)))
    }

    /// A key that was loaded, to be changed, with its limit.
    pub(super) fn change(&mut self, key: OneKey) -> Option<(&mut KeyEntry, &Limit)> {
        let entry = self.keys.get_mut(&key)?;
        let limiter = self.by_id.get(&key.0)?;
        if !entry.is_dirty {
            entry.is_dirty = true;
            self.dirty.push(key);
        }
        Some((entry, &limiter.limit))
    }

    /// A key that was loaded, to be asked: what that changes of it need not be stored.
    pub(super) fn ask(&mut self, key: OneKey) -> Option<(&mut KeyEntry, &Limit)> {
        Some((self.keys.get_mut(&key)?, &self.by_id.get(&key.0)?.limit))
    }

    /// A key that was loaded.
    pub(super) fn at(&self, key: OneKey) -> Option<(&KeyEntry, &Limit)> {
        Some((self.keys.get(&key)?, &self.by_id.get(&key.0)?.limit))
    }

    /// Writes the keys that changed.
    pub(in crate::engine) fn flush<S: State>(&mut self, state: &mut S, now: Time) {
        let dirty = std::mem::take(&mut self.dirty);
        for &key in &dirty {
            let (Some(entry), Some(limiter)) = (self.keys.get_mut(&key), self.by_id.get(&key.0)) else { continue };
            entry.is_dirty = false;
            let namespace = limiter.public.namespace;
            if entry.is_waited_for() || !entry.state.is_idle(&limiter.limit, now) {
                entry.is_stored = true;
                state.put(&keys::limit_key(namespace, key), entry.write(self.opening).finish());
                continue;
            }
            if entry.is_stored {
                state.delete(&keys::limit_key(namespace, key));
            }
            if let Some(at) = entry.wake {
                state.delete(&keys::limit_wake(namespace, at, key));
            }
            if let Some(at) = entry.timed {
                self.timed.remove(&(at, key));
            }
            self.keys.remove(&key);
        }
        self.dirty = dirty;
        self.dirty.clear();
        self.put_away();
    }

    /// Puts keys away that were not asked for lately, while there are too many.
    fn put_away(&mut self) {
        if self.loaded.len() > 4 * KEYS_KEPT {
            let keys = &self.keys;
            self.loaded.retain(|(stamp, key)| keys.get(key).is_some_and(|entry| entry.stamp == *stamp));
        }
        for _ in 0..2 * self.loaded.len() {
            if self.keys.len() <= KEYS_KEPT {
                return;
            }
            let Some((stamp, key)) = self.loaded.pop_front() else { return };
            let Some(entry) = self.keys.get_mut(&key).filter(|entry| entry.stamp == stamp) else { continue };
            let pinned = entry.is_dirty || entry.is_woken || entry.timed.is_some() || !entry.line.is_empty();
            if pinned || std::mem::take(&mut entry.is_used) {
                self.loaded.push_back((stamp, key));
            } else {
                self.keys.remove(&key);
            }
        }
    }

    /// Forgets all keys of a limiter that is gone.
    pub(super) fn forget_keys(&mut self, id: LimiterId) {
        self.keys.retain(|key, _| key.0 != id);
        self.loaded.retain(|(_, key)| key.0 != id);
        self.dirty.retain(|key| key.0 != id);
        self.woken.retain(|key| key.0 != id);
        self.stalled.retain(|key| key.0 != id);
        self.timed.retain(|(_, key)| key.0 != id);
        self.lines.retain(|key| key.0 != id);
    }
}
