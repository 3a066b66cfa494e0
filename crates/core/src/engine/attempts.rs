//! Attempts of receives on FIFO queues: who asks again under the same id, because the answer was lost on its way, has the
//! same messages again.

use super::chores::buckets_over;
use super::message::Picked;
use super::{Engine, Stop, prepare_each};
use crate::api::{ATTEMPT_WINDOW_MS, Delivery, Kind, QueueId};
use crate::codec::{Reader, Unreadable, Writer};
use crate::head::{Head, State as Standing};
use crate::kv::{State, View};
use crate::queue::{QueueState, Wanted};
use crate::time::Time;

const VERSION: u8 = 1;
const WHAT: &str = "a receive attempt";

/// What a receive was given.
#[derive(Clone, Debug, Default)]
struct Attempt {
    at: Time,
    given: Vec<Given>,
}

/// One message of it, and the lease under which it has to stand for the attempt to count.
#[derive(Clone, Copy, Debug)]
struct Given {
    message: u64,
    grant: u32,
    due: Time,
}

impl Engine {
    /// What an earlier receive of the same attempt was given, if it still counts: each message under a new grant, so
    /// that nothing that becomes of the lost answer touches these leases, and its lease started anew. It does not count
    /// as another receive.
    pub(super) fn repeat_attempt<S: State>(
        &mut self,
        state: &mut S,
        id: QueueId,
        wanted: Wanted,
    ) -> Result<Option<Vec<Delivery>>, Stop> {
        let Some(hash) = wanted.attempt else { return Ok(None) };
        let queue = self.queues.get(&id).filter(|queue| queue.public.kind == Kind::Fifo);
        let Some(queue) = queue else { return Ok(None) };
        let Some((at, leased)) = self.find_attempt(state, queue, hash)? else { return Ok(None) };
        let due = self.lease_end(wanted.visibility_ms.unwrap_or(queue.config().visibility_ms));
        let mut deliveries = Vec::with_capacity(leased.len());
        for (message, before) in leased {
            let head = Head { grants: before.grants + 1, due, ..before.clone() };
            self.restand(state, id, message, &before, &head)?;
            deliveries.extend(self.queues.get(&id).map(|queue| super::lease::delivery(queue, message, &head)));
        }
        self.store_attempt(state, id, hash, at, &deliveries);
        Ok(Some(deliveries))
    }

    /// Keeps what a receive was given, under its attempt's id.
    pub(super) fn keep_attempt<S: State>(
        &mut self,
        state: &mut S,
        id: QueueId,
        wanted: Wanted,
        deliveries: &[Delivery],
    ) {
        if let Some(hash) = wanted.attempt
            && self.queues.get(&id).is_some_and(|queue| queue.public.kind == Kind::Fifo)
        {
            self.store_attempt(state, id, hash, self.now, deliveries);
        }
    }

    fn store_attempt<S: State>(
        &mut self,
        state: &mut S,
        id: QueueId,
        hash: [u8; 16],
        at: Time,
        deliveries: &[Delivery],
    ) {
        let now = self.now;
        let Some(queue) = self.queues.get_mut(&id) else { return };
        let bucket = queue.attempt_buckets.open(now, ATTEMPT_WINDOW_MS);
        let given = |delivery: &Delivery| Given {
            message: delivery.handle.message,
            grant: delivery.handle.grant,
            due: delivery.deadline,
        };
        let attempt = Attempt { at, given: deliveries.iter().map(given).collect() };
        state.put(&queue.space.attempt(bucket, hash), attempt.write().finish());
        let by = buckets_over(queue);
        self.touched(id);
        self.look_by(id, by);
    }

    /// The messages of an attempt that still counts, as they stand, and when it was made first.
    fn find_attempt<S: View>(
        &self,
        state: &S,
        queue: &QueueState,
        hash: [u8; 16],
    ) -> Result<Option<(Time, Picked)>, Stop> {
        let mut newest = None;
        prepare_each(queue.attempt_buckets.lookups(self.now, ATTEMPT_WINDOW_MS).into_iter(), |bucket| {
            if let Some(bytes) = state.get(&queue.space.attempt(bucket, hash), 0)? {
                newest.get_or_insert(Attempt::read(bytes)?);
            }
            Ok(())
        })?;
        let Some(attempt) = newest.filter(|found| self.now.0 < found.at.0.saturating_add(ATTEMPT_WINDOW_MS)) else {
            return Ok(None);
        };
        let mut leased = Picked::new();
        prepare_each(attempt.given.iter(), |given| {
            let head = self.prepare_message(state, queue.space, given.message, 0)?;
            leased.extend(head.filter(|head| self.is_as_given(given, head)).map(|head| (given.message, head)));
            Ok(())
        })?;
        Ok((leased.len() == attempt.given.len()).then_some((attempt.at, leased)))
    }

    fn is_as_given(&self, given: &Given, head: &Head) -> bool {
        // To be handed over again would be another start under a limiter, which only a new grant can be.
        let is_free = head.permits.is_empty();
        let is_leased = head.state == Standing::Leased && head.due > self.now;
        is_free && is_leased && head.grants == given.grant && head.due == given.due
    }
}

impl Attempt {
    fn write(&self) -> Writer {
        let mut writer = Writer::new(VERSION);
        writer.time(self.at);
        writer.number(self.given.len() as u64);
        for given in &self.given {
            writer.number(given.message);
            writer.number(u64::from(given.grant));
            writer.time(given.due);
        }
        writer
    }

    fn read(bytes: &[u8]) -> Result<Self, Unreadable> {
        let mut reader = Reader::new(WHAT, bytes, VERSION)?;
        let mut attempt = Attempt { at: reader.time()?, given: Vec::new() };
        for _ in 0..reader.number()? {
            let given = Given { message: reader.number()?, grant: reader.small()?, due: reader.time()? };
            attempt.given.push(given);
        }
        reader.end()?;
        Ok(attempt)
    }
}
