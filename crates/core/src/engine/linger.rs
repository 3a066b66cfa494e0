//! Batches that wait to become full: a worker would rather have many messages a little later than a few at once.
//!
//! From when a first message could be leased, the batch fills until there are as many as the worker takes, by number or
//! by bytes, or until it has waited long enough. Nothing is leased meanwhile, and receivers behind it in the line are
//! served: they want what is there now. Should they have taken everything, the batch begins anew.

use std::ops::ControlFlow;
use std::time::Duration;

use smallvec::SmallVec;

use super::lease::Room;
use super::{Engine, Stop};
use crate::api::{Kind, QueueId, Token};
use crate::head::Head;
use crate::keys;
use crate::kv::View;
use crate::place::Place;
use crate::queue::{QueueState, Waiter, Wanted};
use crate::time::Time;

impl Engine {
    /// Which of the receivers of a queue that has ready messages is to be served next. Batches that can begin to fill
    /// do so.
    pub(super) fn next_waiter<S: View>(&mut self, state: &S, id: QueueId) -> Result<Option<usize>, Stop> {
        for index in 0.. {
            let Some(queue) = self.queues.get(&id) else { return Ok(None) };
            let Some(waiter) = queue.waiters.get(index) else { return Ok(None) };
            let (token, wanted, fills_until) = (waiter.token, waiter.wanted, waiter.fills_until);
            let is_over = fills_until.is_some_and(|until| until <= self.now);
            if wanted.linger_ms == 0 || is_over || self.is_full(state, queue, wanted)? {
                return Ok(Some(index));
            }
            if fills_until.is_none() {
                self.begin_to_fill(id, index, token, wanted);
            }
        }
        Ok(None)
    }

    fn begin_to_fill(&mut self, id: QueueId, index: usize, token: Token, wanted: Wanted) {
        let until = self.now.after(Duration::from_millis(wanted.linger_ms));
        if let Some(waiter) = self.queues.get_mut(&id).and_then(|queue| queue.waiters.get_mut(index)) {
            waiter.fills_until = Some(until);
        }
        self.wake_waiter(token, until);
    }

    /// Has one who waits, and is known to, looked at by then.
    fn wake_waiter(&mut self, token: Token, at: Time) {
        if let Some((_, wakes_at)) = self.waiting.get_mut(&token) {
            self.waits.remove(&(*wakes_at, token));
            *wakes_at = at;
            self.waits.insert((at, token));
        }
    }

    /// The time of a batch is over: it takes what there is, with the dispatch that follows. Says whether it was filling.
    pub(super) fn end_filling(&mut self, id: QueueId, token: Token) -> bool {
        let now = self.now;
        let Some(queue) = self.queues.get_mut(&id) else { return false };
        let Some(waiter) = queue.waiters.iter_mut().find(|waiter| waiter.token == token) else { return false };
        if waiter.fills_until.is_none_or(|until| until > now) {
            return false;
        }
        let deadline = waiter.deadline;
        if queue.counters.ready == 0 {
            waiter.fills_until = None;
            if deadline <= now {
                return false;
            }
        }
        if let Some((_, wakes_at)) = self.waiting.get_mut(&token) {
            *wakes_at = deadline;
            if deadline > now {
                self.waits.insert((deadline, token));
            }
        }
        self.list_again(id);
        true
    }

    /// Batches whose time was over while rows were being loaded, and for which these brought nothing, wait until their
    /// waits are over.
    pub(super) fn wait_on(&mut self, id: QueueId) {
        let now = self.now;
        let Some(queue) = self.queues.get_mut(&id) else { return };
        let is_empty = queue.counters.ready == 0;
        let mut waiting = SmallVec::<[(Token, Time); 4]>::new();
        for waiter in queue.waiters.iter_mut().filter(|waiter| waiter.fills_until.is_some_and(|until| until <= now)) {
            if is_empty {
                waiter.fills_until = None;
            }
            waiting.push((waiter.token, waiter.deadline));
        }
        for (token, deadline) in waiting {
            self.wake_waiter(token, deadline);
        }
    }

    /// Nothing was left for a receiver: should it be a batch, it begins anew, and waits for a first message until its wait
    /// is over. One whose wait is over stays one that has waited long enough: it is about to be answered.
    pub(super) fn fill_anew(&mut self, id: QueueId, index: usize) {
        let now = self.now;
        let Some(waiter) = self.queues.get_mut(&id).and_then(|queue| queue.waiters.get_mut(index)) else { return };
        if waiter.deadline > now && waiter.fills_until.take().is_some() {
            let (token, deadline) = (waiter.token, waiter.deadline);
            self.wake_waiter(token, deadline);
        }
    }

    /// Whether as much is ready as is wanted, as far as that can be told without loading rows.
    fn is_full<S: View>(&self, state: &S, queue: &QueueState, wanted: Wanted) -> Result<bool, Stop> {
        let most = wanted.messages.max(1) as usize;
        if queue.public.kind == Kind::Standard && !wanted.one_lane {
            if queue.counters.ready >= most as u64 {
                return Ok(true);
            }
            if queue.counters.ready.saturating_mul(queue.config().message_bytes_max) < wanted.bytes {
                return Ok(false);
            }
        }
        let room = Room::of(Wanted { bytes: u64::MAX, ..wanted });
        let (mut count, mut bytes) = (0, 0_u64);
        let mut take = |head: &Head| {
            count += 1;
            bytes = bytes.saturating_add(head.bytes);
        };
        match queue.public.kind {
            Kind::Fifo => {
                let (picked, _) = self.pick_lanes(state, queue, room, wanted.one_lane)?;
                picked.iter().for_each(|(_, head)| take(head));
            }
            Kind::Standard => ready_heads(state, queue, wanted, most, &mut take)?,
        }
        Ok(count >= most || bytes >= wanted.bytes)
    }
}

/// The heads of ready messages of a standard queue that could be leased together, up to `most` of them and as far as
/// they are in memory.
fn ready_heads<S: View>(
    state: &S,
    queue: &QueueState,
    wanted: Wanted,
    most: usize,
    take: &mut dyn FnMut(&Head),
) -> Result<(), Stop> {
    let space = queue.space;
    let mut ids = Vec::new();
    // Those of all lanes stand together; the lane of a batch is that which is next.
    let first_lane = if wanted.one_lane { super::fair::next_lane(state, queue)? } else { None };
    if first_lane.is_none() {
        super::lease::walk(state, queue, &queue.ready_gaps, keys::READY, &mut |_, place| {
            ids.push(place.id());
            ids.len() < most
        })?;
    }
    if first_lane.is_some() || !wanted.one_lane && queue.laned > 0 {
        let (from, to) = match first_lane {
            Some(lane) => (space.lane_ready_start(lane), space.lane_ready_end(lane)),
            None => (space.kind(keys::LANE_READY), space.kind(keys::LANE_READY + 1)),
        };
        state.scan(&from, &to, &mut |key, _| {
            let place = keys::after_kind(key).and_then(|rest| Place::split(rest.get(16..)?));
            ids.extend(place.map(|(place, _)| place.id()));
            if ids.len() < most { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
    }
    for id in ids.into_iter().take(most) {
        let Some(bytes) = state.get(&space.message(id), most)? else { continue };
        take(&Head::read(bytes)?);
    }
    Ok(())
}

impl Waiter {
    /// When there is something to be done about it by time.
    pub(super) fn wakes_at(&self) -> Time {
        self.fills_until.unwrap_or(self.deadline)
    }

    /// Whether it has waited long enough for a first message, and no batch of it is filling.
    pub(super) fn is_overdue(&self, now: Time) -> bool {
        self.deadline <= now && self.fills_until.is_none_or(|until| until <= now)
    }
}
