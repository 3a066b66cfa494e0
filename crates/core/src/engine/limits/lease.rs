//! Leasing from a queue that has limiters: one message after the other, each when all of them let it start.

use super::line::{InLine, Waiter};
use super::start::{Held, Start};
use crate::api::{Delivery, Kind, Lane, QueueId};
use crate::engine::lease::{Leased, Room, first_lanes};
use crate::engine::{Engine, Needs, SLICE_ROWS, Stop, parking};
use crate::head::Head;
use crate::kv::{State, View};
use crate::place::Place;
use crate::queue::Wanted;

/// What is gathered for a receiver.
struct Gathered {
    room: Room,
    deliveries: Vec<Delivery>,
    /// Steps that brought nothing: dead letters, and lanes that have to wait.
    steps: usize,
    /// The lane of what was taken last, once something was: those without one share `None`.
    lane: (bool, Option<Lane>),
}

impl Engine {
    /// Leases messages of a queue that has limiters.
    pub(in crate::engine) fn lease_limited<S: State>(
        &mut self,
        state: &mut S,
        id: QueueId,
        wanted: Wanted,
    ) -> Result<Leased, Stop> {
        let mut gathered = Gathered { room: Room::of(wanted), deliveries: Vec::new(), steps: 0, lane: (false, None) };
        while gathered.room.messages > 0 {
            let Some(queue) = self.queues.get(&id).filter(|queue| queue.blocked.is_none()) else { break };
            let fifo = queue.public.kind == Kind::Fifo;
            let went_on = match queue.public.kind {
                Kind::Standard => self.lease_next(state, id, wanted, &mut gathered),
                Kind::Fifo => self.lease_lane(state, id, wanted, &mut gathered),
            };
            match went_on {
                // A batch of one lane ends with it.
                Ok(true) if wanted.one_lane && fifo && !gathered.deliveries.is_empty() => break,
                Ok(true) => {}
                Ok(false) => break,
                Err(Stop::Need(_)) if !gathered.deliveries.is_empty() => break,
                Err(Stop::Need(needs)) => return Err(Stop::Need(self.needs_ahead(state, id, wanted, needs)?)),
                Err(stop) => return Err(stop),
            }
            if gathered.steps >= SLICE_ROWS {
                return Ok(if gathered.deliveries.is_empty() {
                    Leased::More
                } else {
                    Leased::All(gathered.deliveries)
                });
            }
        }
        Ok(Leased::All(gathered.deliveries))
    }

    /// Adds to what the message that is next needs what those behind it will.
    fn needs_ahead<S: View>(&self, state: &S, id: QueueId, wanted: Wanted, needs: Needs) -> Result<Needs, Stop> {
        match self.queues.get(&id) {
            Some(queue) if queue.public.kind == Kind::Fifo => {
                self.needs_of_lanes(state, queue, Room::of(wanted), needs)
            }
            Some(queue) if queue.laned > 0 => self.needs_of_fair_lanes(state, id, wanted, needs),
            _ => Ok(needs),
        }
    }

    /// Leases the message of a standard queue that is next, if it may start. Says whether there may be more.
    fn lease_next<S: State>(
        &mut self,
        state: &mut S,
        id: QueueId,
        wanted: Wanted,
        gathered: &mut Gathered,
    ) -> Result<bool, Stop> {
        if self.queues.get(&id).is_some_and(|queue| queue.laned > 0) {
            self.quieten(state, id)?;
        }
        let next = match gathered.lane {
            (true, lane) if wanted.one_lane => self.next_of_lane(state, id, lane)?,
            _ => self.next_fair(state, id)?,
        };
        let Some((message, head)) = next else { return Ok(false) };
        if self.bury(state, id, message, &head, gathered)? {
            return Ok(true);
        }
        let mut left = gathered.room;
        if !left.take(&head) {
            return Ok(false);
        }
        match self.try_start(state, id, message, &head)? {
            Start::Granted(permits) => {
                gathered.room = left;
                gathered.lane = (true, head.lane_on(Kind::Standard));
                gathered.deliveries.push(self.grant(state, id, message, &head, wanted, permits)?);
                Ok(true)
            }
            Start::Held(by) => {
                self.hold_back(state, id, head.lane_on(Kind::Standard), head.place(message), by)?;
                gathered.steps += 1;
                Ok(!wanted.one_lane || !gathered.lane.0)
            }
        }
    }

    /// Leases what may start of the lane of a FIFO queue that is next. Says whether there may be more.
    fn lease_lane<S: State>(
        &mut self,
        state: &mut S,
        id: QueueId,
        wanted: Wanted,
        gathered: &mut Gathered,
    ) -> Result<bool, Stop> {
        let Some(queue) = self.queues.get_mut(&id) else { return Ok(false) };
        let (lanes, walked) = first_lanes(state, queue, 1);
        let Some(&(at, lane)) = lanes.first() else {
            walked?;
            return Ok(false);
        };
        queue.head_gaps.clear((0, 0), at.position());
        let Some(queue) = self.queues.get(&id) else { return Ok(false) };
        let picked = self.pick_lane(state, queue, lane, &mut gathered.room.clone())?;
        if picked.is_empty() {
            // The lane stays where it stands: its first message finds no room.
            return Ok(false);
        }
        let before = gathered.deliveries.len();
        for (message, head) in picked {
            if self.bury(state, id, message, &head, gathered)? {
                continue;
            }
            match self.try_start(state, id, message, &head)? {
                Start::Granted(permits) => {
                    gathered.room.take(&head);
                    gathered.deliveries.push(self.grant(state, id, message, &head, wanted, permits)?);
                }
                Start::Held(by) => {
                    // A lane of which something is leased does not run in any case.
                    if gathered.deliveries.len() == before {
                        self.hold_back(state, id, Some(lane), head.place(message), by)?;
                        gathered.steps += 1;
                    }
                    return Ok(true);
                }
            }
        }
        Ok(true)
    }

    /// Moves a message to the dead-letter queue that was delivered often enough, and ends one that comes too late.
    fn bury<S: State>(
        &mut self,
        state: &mut S,
        id: QueueId,
        message: u64,
        head: &Head,
        gathered: &mut Gathered,
    ) -> Result<bool, Stop> {
        if head.is_expired(self.now) {
            self.expire(state, id, message, head)?;
            gathered.steps += 1;
            return Ok(true);
        }
        let Some(target) = self.queues.get(&id).and_then(|queue| self.dead_letter_queue(queue, head)) else {
            return Ok(false);
        };
        self.move_dead_letter(state, id, target, message, head)?;
        gathered.steps += 1;
        Ok(true)
    }

    /// A message waits for a key: with its lane, if that has the key for itself; else with all that share it.
    fn hold_back<S: State>(
        &mut self,
        state: &mut S,
        id: QueueId,
        lane: Option<Lane>,
        place: Place,
        held: Held,
    ) -> Result<(), Stop> {
        let Held { key, cost, is_keyed, until } = held;
        let Some(queue) = self.queues.get_mut(&id) else { return Ok(()) };
        if let Some(lane) = lane.filter(|_| is_keyed) {
            if let Some(waiting) = parking::park(state, queue, lane, key)? {
                self.limits.lane_joins(state, &waiting, cost);
            }
        } else {
            let turn = (place, 0);
            let (who, place) = if is_keyed {
                (Waiter::Alone(id), &mut queue.alone_blocked)
            } else {
                (Waiter::Queue(id), &mut queue.blocked)
            };
            *place = Some((key, turn));
            self.limits.join(key, turn, InLine { who, cost });
        }
        if until.is_some() {
            self.limits.look_again(state, key, until);
        }
        Ok(())
    }
}
