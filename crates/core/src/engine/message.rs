//! How a message comes into a queue and leaves it: the rows and counters that go with each standing.

use smallvec::SmallVec;

use super::due::{self, DueIndex};
use super::{Engine, Stop};
use super::{fair, lanes};
use crate::api::{Kind, Lane, QueueId};
use crate::head::{Head, State as Standing};
use crate::keys::{self, Space};
use crate::kv::{State, View};
use crate::queue::QueueState;

impl Engine {
    /// Reads the head of a message and whatever any transition of it may read, for the message itself and for its
    /// dead-letter queue: after this, transitions of the message cannot stop.
    pub(super) fn prepare_message<S: View>(
        &self,
        state: &S,
        space: Space,
        id: u64,
        ahead: usize,
    ) -> Result<Option<Head>, Stop> {
        let Some(bytes) = state.get(&space.message(id), ahead)? else { return Ok(None) };
        let head = Head::read(bytes)?;
        if let Some(lane) = head.lane
            && let Some(owner) = self.spaces.get(&space.id).and_then(|queue| self.queues.get(queue))
        {
            if head.lane_on(owner.public.kind).is_some() {
                prepare_lane(state, owner, lane, 2)?;
            }
            let target = self.dead_letter_queue(owner, &head);
            if let Some(target) = target.and_then(|id| self.queues.get(&id)) {
                prepare_lane(state, target, lane, 2)?;
            }
        }
        Ok(Some(head))
    }

    /// Where the message goes instead of being delivered once more, if it has been delivered often enough.
    pub(super) fn dead_letter_queue(&self, queue: &QueueState, head: &Head) -> Option<QueueId> {
        let redrive = queue.config().redrive.as_ref()?;
        if head.receives_here() < redrive.receives_max {
            return None;
        }
        let names = self.names.get(&queue.space.namespace)?;
        let target = self.queues.get(names.get(&redrive.target)?)?;
        (target.id() != queue.id() && target.public.kind == queue.public.kind).then(|| target.id())
    }

    /// Brings a message, ready or delayed, into a queue.
    pub(super) fn enter<S: State>(&mut self, state: &mut S, queue: QueueId, id: u64, head: &Head) -> Result<(), Stop> {
        if let Some(queue) = self.queues.get_mut(&queue) {
            state.insert(&queue.space.message(id), head.write().finish());
            queue.message_gaps.occupy((id, 0));
            prepared(stand(state, queue, &mut self.due, id, head))?;
        }
        self.touched(queue);
        if head.sent_at < self.now {
            // It was sent earlier than what the queue's retention was last reckoned from.
            self.look_soon(queue);
        }
        Ok(())
    }

    /// Takes a message out of a queue, whatever its standing. Its body stays.
    pub(super) fn leave<S: State>(&mut self, state: &mut S, queue: QueueId, id: u64, head: &Head) -> Result<(), Stop> {
        if let Some(queue) = self.queues.get_mut(&queue) {
            state.delete(&queue.space.message(id));
            prepared(unstand(state, queue, id, head))?;
        }
        self.touched(queue);
        Ok(())
    }

    /// Removes a message for good.
    pub(super) fn remove<S: State>(&mut self, state: &mut S, queue: QueueId, id: u64, head: &Head) -> Result<(), Stop> {
        if let Some(queue) = self.queues.get(&queue) {
            state.delete(&keys::body(queue.space.namespace, id));
        }
        self.leave(state, queue, id, head)
    }

    /// Changes the head of a message that stays in its queue.
    pub(super) fn restand<S: State>(
        &mut self,
        state: &mut S,
        queue: QueueId,
        id: u64,
        before: &Head,
        after: &Head,
    ) -> Result<(), Stop> {
        if let Some(queue) = self.queues.get_mut(&queue) {
            state.put(&queue.space.message(id), after.write().finish());
            prepared(unstand(state, queue, id, before))?;
            prepared(stand(state, queue, &mut self.due, id, after))?;
        }
        self.touched(queue);
        Ok(())
    }
}

/// Reads a lane's record and its first `count` waiting messages: what transitions of these may read of it.
pub(super) fn prepare_lane<S: View>(state: &S, queue: &QueueState, lane: Lane, count: usize) -> Result<(), Stop> {
    match queue.public.kind {
        Kind::Standard => fair::prepare(state, queue.space, lane, count),
        Kind::Fifo => lanes::prepare(state, queue.space, lane, count).map(|_| ()),
    }
}

/// Insists that a transition read only what was prepared: it has written already, so it cannot be tried again.
fn prepared(outcome: Result<(), Stop>) -> Result<(), Stop> {
    assert!(!matches!(outcome, Err(Stop::Need(_))), "a transition reads only what was prepared: {outcome:?}");
    outcome
}

/// Writes the rows, and counts the message, for its standing.
fn stand<S: State>(
    state: &mut S,
    queue: &mut QueueState,
    due: &mut DueIndex,
    id: u64,
    head: &Head,
) -> Result<(), Stop> {
    let space = queue.space;
    match head.state {
        Standing::Ready => queue.counters.ready += 1,
        Standing::Delayed => queue.counters.delayed += 1,
        Standing::Leased => queue.counters.leased += 1,
    }
    if head.state != Standing::Ready {
        due.insert(state, head.due, space, id);
    }
    if let (Kind::Standard, Some(lane)) = (queue.public.kind, head.lane_on(queue.public.kind)) {
        queue.laned += 1;
        return match head.state {
            Standing::Leased => fair::lease(state, queue, lane),
            Standing::Ready => fair::wait(state, queue, lane, (head.priority, id)),
            Standing::Delayed => Ok(()),
        };
    }
    match (head.lane_on(queue.public.kind), head.state) {
        (Some(lane), Standing::Leased) => lanes::lease(state, queue, lane),
        (Some(lane), Standing::Ready | Standing::Delayed) => lanes::wait(state, queue, lane, id, head),
        (None, Standing::Ready) => {
            state.insert(&space.ready(head.priority, id), &[]);
            queue.ready_gaps.occupy((u64::from(head.priority), id));
            Ok(())
        }
        (None, Standing::Delayed | Standing::Leased) => Ok(()),
    }
}

/// Undoes [`stand`].
fn unstand<S: State>(state: &mut S, queue: &mut QueueState, id: u64, head: &Head) -> Result<(), Stop> {
    let space = queue.space;
    let count = match head.state {
        Standing::Ready => &mut queue.counters.ready,
        Standing::Delayed => &mut queue.counters.delayed,
        Standing::Leased => &mut queue.counters.leased,
    };
    *count = count.checked_sub(1).expect("a message that stands was counted");
    if head.state != Standing::Ready {
        due::remove(state, head.due, space, id);
    }
    if let (Kind::Standard, Some(lane)) = (queue.public.kind, head.lane_on(queue.public.kind)) {
        queue.laned = queue.laned.checked_sub(1).expect("a message in a lane was counted");
        return match head.state {
            Standing::Leased => fair::settle(state, queue, lane),
            Standing::Ready => fair::unwait(state, queue, lane, (head.priority, id)),
            Standing::Delayed => Ok(()),
        };
    }
    match (head.lane_on(queue.public.kind), head.state) {
        (Some(lane), Standing::Leased) => lanes::settle(state, queue, lane),
        (Some(lane), Standing::Ready | Standing::Delayed) => lanes::unwait(state, queue, lane, id),
        (None, Standing::Ready) => {
            state.delete(&space.ready(head.priority, id));
            Ok(())
        }
        (None, Standing::Delayed | Standing::Leased) => Ok(()),
    }
}

/// Messages picked, with their heads.
pub(super) type Picked = SmallVec<[(u64, Head); 1]>;

impl Head {
    /// The lane in which the message stands.
    pub(super) fn lane_on(&self, kind: Kind) -> Option<Lane> {
        match kind {
            Kind::Standard => self.lane.filter(|_| self.in_lane),
            Kind::Fifo => self.lane,
        }
    }
}
