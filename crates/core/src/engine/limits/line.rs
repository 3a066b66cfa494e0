//! The line for a key: who waits for it, who is first, and how the first one is served.

use std::num::NonZeroU32;

use super::Limiters;
use crate::api::{Output, QueueId, Token};
use crate::codec::{Reader, Unreadable, Writer};
use crate::engine::{Engine, Stop};
use crate::keys::{self, OneKey, WaitingLane};
use crate::kv::{State, View};
use crate::limiter::Blocked;
use crate::place::Place;
use crate::queue::{Dispatch, QueueState, Turn};
use crate::time::Time;

const VERSION: u8 = 1;
const WHAT: &str = "a lane that waits for a limiter";

/// Lanes that are brought back although no receiver waits for what is in them, before anybody else is looked at again.
const OFFERED_MAX: usize = 64;
/// After that the line is looked at again in so long.
const OFFER_AGAIN_MS: u64 = 1_000;

/// No place is before this one.
pub(super) const FRONT: Place = Place::FIRST;

/// One who waits in memory.
#[derive(Clone, Copy, Debug)]
pub(super) struct InLine {
    pub(super) who: Waiter,
    pub(super) cost: NonZeroU32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Waiter {
    /// A whole queue.
    Queue(QueueId),
    /// The messages of a queue that stand in no lane.
    Alone(QueueId),
    /// A program outside that asks for a permit.
    Permit(Token),
}

/// Who is first.
#[derive(Clone, Copy, Debug)]
enum First {
    InMemory(Turn, InLine),
    Lane(WaitingLane, NonZeroU32),
}

impl Limiters {
    /// The line of the key is to be looked at.
    pub(super) fn wake(&mut self, key: OneKey) {
        if let Some(entry) = self.keys.get_mut(&key)
            && !std::mem::replace(&mut entry.is_woken, true)
        {
            self.woken.push_back(key);
        }
    }

    pub(super) fn wake_if_waited_for(&mut self, key: OneKey) {
        if self.keys.get(&key).is_some_and(super::KeyEntry::is_waited_for) {
            self.wake(key);
        }
    }

    /// Somebody joins the line for a key that was loaded.
    pub(super) fn join(&mut self, key: OneKey, turn: Turn, one: InLine) {
        if let Some(entry) = self.keys.get_mut(&key) {
            entry.line.insert(turn, one);
            self.lines.insert(key);
            self.wake(key);
        }
    }

    /// Somebody leaves it. Who comes next may have room where the first one had none.
    pub(super) fn leave(&mut self, key: OneKey, turn: Turn) {
        let Some(entry) = self.keys.get_mut(&key) else { return };
        entry.line.remove(&turn);
        if entry.line.is_empty() {
            self.lines.remove(&key);
        }
        self.wake_if_waited_for(key);
    }

    /// A lane joins the line for a key that was loaded.
    pub(super) fn lane_joins<S: State>(&mut self, state: &mut S, waiting: &WaitingLane, cost: NonZeroU32) {
        let key = (waiting.limiter, waiting.key);
        let Some(namespace) = self.namespace(key.0) else { return };
        let mut value = Writer::new(VERSION);
        value.number(u64::from(cost.get()));
        state.insert(&keys::limit_waiting(namespace, waiting), value.finish());
        let Some((entry, _)) = self.change(key) else { return };
        let (first, is_there) = entry.first_lane;
        if entry.lanes == 0 || waiting.head < first {
            entry.first_lane = (waiting.head, true);
        } else {
            entry.first_lane = (first, is_there);
        }
        entry.lanes += 1;
        self.wake(key);
    }

    /// A lane has left it; its row is gone.
    pub(super) fn lane_left(&mut self, key: OneKey, place: Place) {
        let Some((entry, _)) = self.change(key) else { return };
        entry.lanes = entry.lanes.saturating_sub(1);
        if entry.first_lane.0 == place {
            entry.first_lane.1 = false;
        }
        self.wake_if_waited_for(key);
    }

    /// The lane that is first in line for a key that was loaded, of those that stand in rows.
    fn first_lane<S: View>(&mut self, state: &S, key: OneKey) -> Result<Option<(WaitingLane, NonZeroU32)>, Stop> {
        let (Some(namespace), Some(entry)) = (self.namespace(key.0), self.keys.get_mut(&key)) else { return Ok(None) };
        if entry.lanes == 0 {
            return Ok(None);
        }
        let from = keys::limit_waiting_from(namespace, key, entry.first_lane.0);
        let mut found = None;
        state.scan(&from, &keys::limit_waiting_end(namespace, key), &mut |row, value| {
            found = Some(read_lane(row, value));
            std::ops::ControlFlow::Break(())
        })?;
        let Some(found) = found.transpose()? else {
            return Err(Unreadable::Damaged { what: "a limiter's key: a lane that waits for it is missing" }.into());
        };
        entry.first_lane = (found.0.head, true);
        Ok(Some(found))
    }

    /// Learns which lane is first, where that is not known.
    pub(super) fn learn_first_lane<S: View>(&mut self, state: &S, key: OneKey) -> Result<(), Stop> {
        if self.keys.get(&key).is_some_and(|entry| entry.lanes > 0 && !entry.first_lane.1) {
            self.first_lane(state, key)?;
        }
        Ok(())
    }

    /// The same for a key that was not loaded.
    pub(super) fn stands_behind<S: View>(&self, state: &S, key: OneKey, place: Place) -> Result<bool, Stop> {
        let (Some(namespace), false) = (self.namespace(key.0), self.is_behind(key, place)) else { return Ok(true) };
        let from = keys::limit_waiting_from(namespace, key, FRONT);
        let mut behind = false;
        state.scan(&from, &keys::limit_waiting_end(namespace, key), &mut |row, _| {
            behind = keys::read_limit_waiting(row).is_some_and(|waiting| waiting.head < place);
            std::ops::ControlFlow::Break(())
        })?;
        Ok(behind)
    }

    /// Whether somebody waits for the key already whose turn comes before `place`.
    pub(super) fn is_behind(&self, key: OneKey, place: Place) -> bool {
        self.keys.get(&key).is_some_and(|entry| {
            entry.lanes > 0 && entry.first_lane.0 < place
                || entry.line.first_key_value().is_some_and(|(turn, _)| turn.0 < place)
        })
    }
}

pub(super) fn read_lane(row: &[u8], value: &[u8]) -> Result<(WaitingLane, NonZeroU32), Unreadable> {
    let mut reader = Reader::new(WHAT, value, VERSION)?;
    let cost = NonZeroU32::new(reader.small()?).ok_or_else(|| reader.damaged())?;
    let waiting = keys::read_limit_waiting(row).ok_or_else(|| reader.damaged())?;
    reader.end()?;
    Ok((waiting, cost))
}

/// Whether a queue stands in line: because its turn has come, or because it waits, for which it needs receivers.
fn stands(queue: &mut QueueState, place: (OneKey, Turn)) -> bool {
    let has_receivers = !queue.waiters.is_empty();
    for blocked in [&mut queue.blocked, &mut queue.alone_blocked] {
        if blocked.take_if(|held| *held == place && !has_receivers).is_none() && *blocked == Some(place) {
            return true;
        }
    }
    queue.called.contains(&place)
}

impl Engine {
    /// Lets those go from the front of a line that do not wait any more: a queue without receivers is looked at when
    /// one comes.
    pub(super) fn tidy_line(&mut self, key: OneKey) {
        loop {
            let first = self.limits.keys.get(&key).and_then(|entry| entry.line.first_key_value());
            let Some((&turn, &InLine { who, .. })) = first else { return };
            let waits = match who {
                Waiter::Queue(id) | Waiter::Alone(id) => {
                    self.queues.get_mut(&id).is_some_and(|queue| stands(queue, (key, turn)))
                }
                Waiter::Permit(token) => self.limits.acquires.contains_key(&token),
            };
            if waits {
                return;
            }
            if let Some(entry) = self.limits.keys.get_mut(&key) {
                entry.line.remove(&turn);
                if entry.line.is_empty() {
                    self.limits.lines.remove(&key);
                }
            }
        }
    }

    /// Looks at the lines of the keys that were woken, until something is to be dispatched.
    pub(in crate::engine) fn serve_lines<S: State>(&mut self, state: &mut S, out: &mut Output) -> Result<(), Stop> {
        while self.dispatch.is_empty() {
            let Some(key) = self.limits.woken.pop_front() else { return Ok(()) };
            if let Some(entry) = self.limits.keys.get_mut(&key) {
                entry.is_woken = false;
            }
            match self.serve_line(state, key, out) {
                Err(Stop::Need(needs)) => {
                    self.limits.stalled.push(key);
                    out.needs.extend(needs);
                }
                served => served?,
            }
        }
        Ok(())
    }

    /// Serves those who are first in line for a key while there is room for them. Stops at the first one whose queue is
    /// to be dispatched: when that is done the line is looked at again.
    fn serve_line<S: State>(&mut self, state: &mut S, key: OneKey, out: &mut Output) -> Result<(), Stop> {
        let now = self.now;
        let mut offered = 0;
        loop {
            if !self.limits.load(state, key, now)? {
                return Ok(());
            }
            let Some(first) = self.first_in_line(state, key)? else { return Ok(()) };
            if let First::InMemory(turn, InLine { who: Waiter::Queue(id) | Waiter::Alone(id), .. }) = first
                && self.queues.get(&id).is_some_and(|queue| queue.called.contains(&(key, turn)))
            {
                return Ok(());
            }
            if let First::Lane(waiting, _) = first
                && !self.waits_rightly(&waiting)
            {
                self.bring_back(state, &waiting)?;
                continue;
            }
            let (place, cost) = match first {
                First::InMemory(turn, one) => (turn.0, one.cost),
                First::Lane(waiting, cost) => (waiting.head, cost),
            };
            let Some((entry, limit)) = self.limits.ask(key) else { return Ok(()) };
            if let Some(Blocked { until, .. }) = entry.state.waits_for(limit, now, cost, place.priority) {
                self.limits.look_again(state, key, until);
                return Ok(());
            }
            let called = match first {
                First::InMemory(turn, InLine { who: Waiter::Permit(token), .. }) => {
                    self.limits.leave(key, turn);
                    self.serve_acquire(state, token, out);
                    continue;
                }
                First::InMemory(turn, InLine { who: Waiter::Queue(id) | Waiter::Alone(id), .. }) => {
                    self.call(id, key, turn, cost)
                }
                First::Lane(waiting, _) => match self.bring_back(state, &waiting)? {
                    Some(id) => self.call(id, key, (waiting.head, 0), cost),
                    None => continue,
                },
            };
            if called {
                return Ok(());
            }
            offered += 1;
            if offered >= OFFERED_MAX {
                self.limits.look_again(state, key, Some(Time(now.0 + OFFER_AGAIN_MS)));
                return Ok(());
            }
        }
    }

    /// The turn of a queue has come. It keeps its place until it was dispatched, which may have to wait for rows. Says
    /// whether it is going to be.
    fn call(&mut self, id: QueueId, key: OneKey, turn: Turn, cost: NonZeroU32) -> bool {
        self.unblock(id);
        let Some(queue) = self.queues.get_mut(&id) else { return false };
        if queue.dispatch == Dispatch::Idle {
            return false;
        }
        if !queue.called.contains(&(key, turn)) {
            queue.called.push((key, turn));
            let one = InLine { who: Waiter::Queue(id), cost };
            if let Some(entry) = self.limits.keys.get_mut(&key) {
                entry.line.insert(turn, one);
                self.limits.lines.insert(key);
            }
        }
        true
    }

    /// The turn of a queue is used, or it had no use for it.
    pub(in crate::engine) fn end_call(&mut self, id: QueueId) {
        let Some(queue) = self.queues.get_mut(&id) else { return };
        for (key, turn) in std::mem::take(&mut queue.called) {
            self.limits.leave(key, turn);
        }
    }

    fn first_in_line<S: View>(&mut self, state: &S, key: OneKey) -> Result<Option<First>, Stop> {
        self.tidy_line(key);
        let lane = self.limits.first_lane(state, key)?;
        let in_memory = self.limits.keys.get(&key).and_then(|entry| entry.line.first_key_value());
        Ok(match (in_memory, lane) {
            (Some((turn, one)), Some((waiting, _))) if turn.0 < waiting.head => Some(First::InMemory(*turn, *one)),
            (_, Some((waiting, cost))) => Some(First::Lane(waiting, cost)),
            (Some((turn, one)), None) => Some(First::InMemory(*turn, *one)),
            (None, None) => None,
        })
    }

    /// Whether the lane's queue is there and still under the limiter.
    pub(super) fn waits_rightly(&self, waiting: &WaitingLane) -> bool {
        let queue = self.spaces.get(&waiting.space).and_then(|id| self.queues.get(id));
        queue.is_some_and(|queue| queue.uses.iter().any(|used| used.limiter == waiting.limiter))
    }

    /// Brings a lane back from the line of a key into the order of its queue, if that is there.
    pub(super) fn bring_back<S: State>(
        &mut self,
        state: &mut S,
        waiting: &WaitingLane,
    ) -> Result<Option<QueueId>, Stop> {
        let id = self.spaces.get(&waiting.space).copied();
        if let Some(queue) = id.and_then(|id| self.queues.get_mut(&id)) {
            crate::engine::parking::unpark(state, queue, waiting)?;
        } else if let Some(namespace) = self.limits.namespace(waiting.limiter) {
            // The lane went with its queue.
            state.delete(&keys::limit_waiting(namespace, waiting));
            self.limits.lane_left((waiting.limiter, waiting.key), waiting.head);
        }
        if let Some(id) = id {
            self.lanes_left(state, id)?;
            self.touched(id);
        }
        Ok(id)
    }

    /// Takes note of the lanes of a queue that left the lines in which they waited.
    pub(in crate::engine) fn lanes_left<S: View>(&mut self, state: &S, id: QueueId) -> Result<(), Stop> {
        let Some(queue) = self.queues.get_mut(&id) else { return Ok(()) };
        if queue.unparked.is_empty() {
            return Ok(());
        }
        for (key, place) in std::mem::take(&mut queue.unparked) {
            if self.limits.load(state, key, self.now)? {
                self.limits.lane_left(key, place);
            }
        }
        Ok(())
    }

    /// A queue is not held back any more, as a whole or the part of it that stands in no lane: it is looked at again.
    pub(in crate::engine) fn unblock(&mut self, id: QueueId) {
        let Some(queue) = self.queues.get_mut(&id) else { return };
        let held = [queue.blocked.take(), queue.alone_blocked.take()];
        if held == [None, None] {
            return;
        }
        for (key, turn) in held.into_iter().flatten() {
            self.limits.leave(key, turn);
        }
        self.offer(id);
    }
}
