//! The end of a lease, for the limiters: what it held is given back. And what happens in between: the grant has left, or
//! never did; a worker asks for a key to be left alone.

use crate::api::job::PauseKeys;
use crate::api::{BATCH_MAX, Error, Handle, QueueId};
use crate::engine::delete::Gone;
use crate::engine::lease::proof;
use crate::engine::{Engine, Stop, prepare_each};
use crate::head::{Head, HeldPermit, HeldPermits};
use crate::keys::OneKey;
use crate::kv::{State, View};
use crate::limiter::{KeyState, Limit, Permit};
use crate::queue::QueueState;
use crate::time::Time;

use super::start::keys_of;

fn permit_of(held: &HeldPermit, priority: u32) -> (OneKey, Permit) {
    ((held.limiter, held.key), Permit { seq: held.seq, cost: held.cost, priority })
}

impl Engine {
    /// Reads what the end of a lease reads of the limiters.
    pub(in crate::engine) fn prepare_permits<S: View>(&self, state: &S, head: &Head) -> Result<(), Stop> {
        prepare_each(head.permits.iter(), |held| self.limits.prepare(state, (held.limiter, held.key)))
    }

    /// A lease, or a permit of a program outside, has ended, however it did. Where nobody said that its grant had left,
    /// it did so now.
    pub(in crate::engine) fn end_permits<S: State>(
        &mut self,
        state: &mut S,
        id: u64,
        priority: u32,
        permits: &HeldPermits,
    ) -> Result<(), Stop> {
        self.close_permits(state, id, priority, permits, |key, limit, permit, now| {
            key.released(limit, permit, now);
            key.finished(limit, permit);
        })
    }

    /// A lease, or a permit of a program outside, is taken back whose grant never left: as if it had not been granted.
    pub(in crate::engine) fn withdraw_permits<S: State>(
        &mut self,
        state: &mut S,
        id: u64,
        priority: u32,
        permits: &HeldPermits,
    ) -> Result<(), Stop> {
        self.close_permits(state, id, priority, permits, KeyState::withdrawn)
    }

    /// Ends permits: by `unsaid` where nobody said that their grant had left. Those of which it was said, or that were
    /// granted before a crash, have nothing left but their part in the concurrency.
    fn close_permits<S: State>(
        &mut self,
        state: &mut S,
        id: u64,
        priority: u32,
        permits: &HeldPermits,
        unsaid: impl Fn(&mut KeyState, &Limit, &Permit, Time),
    ) -> Result<(), Stop> {
        let now = self.now;
        prepare_each(permits.iter(), |held| self.limits.load(state, (held.limiter, held.key), now).map(|_| ()))?;
        let unreleased = self.limits.unreleased.remove(&id).is_some();
        for held in permits {
            let (key, permit) = permit_of(held, priority);
            let Some((entry, limit)) = self.limits.change(key) else { continue };
            if unreleased {
                unsaid(&mut entry.state, limit, &permit, now);
            } else {
                entry.state.finished(limit, &permit);
            }
            self.limits.arm(state, key, now);
            self.limits.wake_if_waited_for(key);
        }
        Ok(())
    }

    /// What was granted under these handles has left.
    pub(in crate::engine) fn released<S: State>(
        &mut self,
        state: &mut S,
        id: QueueId,
        handles: &[Handle],
    ) -> Result<(), Stop> {
        let Ok(queue) = self.queue(id) else { return Ok(()) };
        let ours = handles.iter().take(BATCH_MAX).filter(|handle| {
            handle.proof == proof(queue, handle.space, handle.message, handle.grant)
                && self.limits.unreleased.get(&handle.message).is_some_and(|kept| kept.grant == handle.grant)
        });
        let messages: Vec<u64> = ours.map(|handle| handle.message).collect();
        self.have_left(state, &messages)
    }

    /// These grants, or permits, have left.
    pub(super) fn have_left<S: State>(&mut self, state: &mut S, ids: &[u64]) -> Result<(), Stop> {
        let now = self.now;
        let permits: Vec<(OneKey, Permit)> = ids
            .iter()
            .filter_map(|id| self.limits.unreleased.get(id))
            .flat_map(|kept| kept.permits.iter().map(|held| permit_of(held, kept.priority)))
            .collect();
        prepare_each(permits.iter(), |(key, _)| self.limits.load(state, *key, now).map(|_| ()))?;
        for id in ids {
            self.limits.unreleased.remove(id);
        }
        for (key, permit) in permits {
            let Some((entry, limit)) = self.limits.change(key) else { continue };
            entry.state.released(limit, &permit, now);
            // Only now is it known when the first in line may have room.
            self.limits.wake_if_waited_for(key);
        }
        Ok(())
    }

    /// The keys that a worker asks to be left alone on behalf of a message. None of them: it is the queue that is meant.
    fn keys_to_pause(&self, queue: &QueueState, head: &Head, pause: &PauseKeys) -> Result<Vec<OneKey>, Error> {
        let all = keys_of(queue, head);
        if let Some(name) = &pause.limiter {
            let named = self.limits.named(queue.space.namespace, name);
            let key = all.iter().map(|(key, _)| *key).find(|key| Some(key.0) == named);
            return Ok(vec![key.ok_or(Error::LimiterNotFound)?]);
        }
        let some_own = all.iter().any(|(_, own)| *own);
        Ok(all.into_iter().filter(|(_, own)| *own || !some_own).map(|(key, _)| key).collect())
    }

    /// Sees to it that [`Self::pause_for`] does not stop.
    pub(in crate::engine) fn prepare_pause<S: View>(
        &self,
        state: &S,
        id: QueueId,
        handle: &Handle,
        pause: &PauseKeys,
    ) -> Result<(), Stop> {
        let (Ok(queue), Ok(head)) = (self.queue(id), self.find(state, id, handle, &Gone::new())?) else {
            return Ok(());
        };
        let keys = self.keys_to_pause(queue, &head, pause).unwrap_or_default();
        prepare_each(keys.iter(), |key| self.limits.prepare(state, *key))
    }

    /// A worker was asked to leave somebody alone for a while, whom the limiters know by a key, or else the queue.
    pub(in crate::engine) fn pause_for<S: State>(
        &mut self,
        state: &mut S,
        id: QueueId,
        head: &Head,
        pause: &PauseKeys,
    ) -> Result<Result<(), Error>, Stop> {
        let keys = match self.queue(id).and_then(|queue| self.keys_to_pause(queue, head, pause)) {
            Ok(keys) => keys,
            Err(error) => return Ok(Err(error)),
        };
        prepare_each(keys.iter(), |key| self.limits.load(state, *key, self.now).map(|_| ()))?;
        for &key in &keys {
            // Of several pauses the longest counts, and nobody's is ended by one of no length.
            if pause.for_ms > 0 {
                self.pause_one(state, key, pause.for_ms);
            }
        }
        if keys.is_empty() {
            self.hold_queue(state, id, pause.for_ms);
        }
        Ok(Ok(()))
    }
}
