//! Idempotency keys: a request that is repeated under its key adds nothing and has the first one's answer.
//!
//! The answers of a namespace stand in buckets by the time at which they were given, which go as a whole.

use std::collections::{BTreeMap, BTreeSet};

use super::{Engine, Stop, prepare_each};
use crate::api::job::Added;
use crate::api::{IDEMPOTENCY_WINDOW_MS, Namespace, QueueId};
use crate::buckets::Buckets;
use crate::codec::{Reader, Unreadable, Writer};
use crate::keys;
use crate::kv::{State, View};
use crate::time::Time;

const VERSION: u8 = 1;
const WHAT: &str = "the answer to a request with an idempotency key";
const BUCKETS_WHAT: &str = "the buckets of idempotency keys";

/// The buckets of each namespace that has answers.
#[derive(Debug, Default)]
pub(super) struct Idempotency {
    buckets: BTreeMap<Namespace, Buckets>,
    /// Those whose buckets differ from their row.
    dirty: BTreeSet<Namespace>,
}

impl Idempotency {
    /// When the first bucket is over.
    pub(super) fn next(&self) -> Time {
        self.buckets.values().map(|buckets| buckets.over(IDEMPOTENCY_WINDOW_MS)).min().unwrap_or(Time::NEVER)
    }

    pub(super) fn flush<S: State>(&mut self, state: &mut S) {
        for namespace in std::mem::take(&mut self.dirty) {
            let key = keys::idempotency_buckets(namespace);
            if let Some(buckets) = self.buckets.get(&namespace) {
                let mut writer = Writer::new(VERSION);
                buckets.write(&mut writer);
                state.put(&key, writer.finish());
            } else {
                state.delete(&key);
            }
        }
    }

    /// Reads the buckets of a namespace.
    pub(super) fn open<V: View>(&mut self, state: &V, namespace: Namespace) -> Result<(), Stop> {
        if let Some(bytes) = state.get(&keys::idempotency_buckets(namespace), 0)? {
            let mut reader = Reader::new(BUCKETS_WHAT, bytes, VERSION)?;
            self.buckets.insert(namespace, Buckets::read(&mut reader)?);
            reader.end()?;
        }
        Ok(())
    }
}

impl Engine {
    /// What was answered to the request of this key.
    pub(super) fn answered<S: View>(
        &self,
        state: &S,
        namespace: Namespace,
        hash: [u8; 16],
    ) -> Result<Option<Vec<Added>>, Stop> {
        let Some(buckets) = self.idempotency.buckets.get(&namespace) else { return Ok(None) };
        let mut found = None;
        prepare_each(buckets.lookups(self.now, IDEMPOTENCY_WINDOW_MS).into_iter(), |bucket| {
            if let Some(bytes) = state.get(&keys::idempotency(namespace, bucket, hash), 0)? {
                let (at, answer) = read(bytes)?;
                if found.is_none() && self.now.0 < at.0.saturating_add(IDEMPOTENCY_WINDOW_MS) {
                    found = Some(answer);
                }
            }
            Ok(())
        })?;
        Ok(found)
    }

    /// Remembers an answer.
    pub(super) fn remember_answer<S: State>(
        &mut self,
        state: &mut S,
        namespace: Namespace,
        hash: [u8; 16],
        answer: &[Added],
    ) {
        let buckets = self.idempotency.buckets.entry(namespace).or_default();
        let bucket = buckets.open(self.now, IDEMPOTENCY_WINDOW_MS);
        self.idempotency.dirty.insert(namespace);
        let mut writer = Writer::new(VERSION);
        writer.time(self.now);
        writer.number(answer.len() as u64);
        for added in answer {
            writer.number(added.queue.0);
            writer.number(added.id);
            writer.byte(u8::from(added.duplicate));
        }
        // One of this key that has just run out may still stand in this bucket.
        state.put(&keys::idempotency(namespace, bucket, hash), writer.finish());
    }

    /// Drops the answers that count no more.
    pub(super) fn drop_answers<S: State>(&mut self, state: &mut S) {
        if self.idempotency.next() > self.now {
            return;
        }
        let now = self.now;
        let Idempotency { buckets, dirty } = &mut self.idempotency;
        buckets.retain(|&namespace, buckets| {
            if let Some((first, last)) = buckets.drop_over(now, IDEMPOTENCY_WINDOW_MS) {
                let bucket = |id| keys::bucket(keys::entities(namespace), keys::IDEMPOTENCY, id);
                state.delete_range(&bucket(first), &bucket(last + 1));
                dirty.insert(namespace);
            }
            buckets.over(IDEMPOTENCY_WINDOW_MS) < Time::NEVER
        });
    }
}

fn read(bytes: &[u8]) -> Result<(Time, Vec<Added>), Unreadable> {
    let mut reader = Reader::new(WHAT, bytes, VERSION)?;
    let at = reader.time()?;
    let mut answer = Vec::new();
    for _ in 0..reader.number()? {
        let (queue, id) = (QueueId(reader.number()?), reader.number()?);
        answer.push(Added { queue, id, duplicate: reader.byte()? != 0 });
    }
    reader.end()?;
    Ok((at, answer))
}
