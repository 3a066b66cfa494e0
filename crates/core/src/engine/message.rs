//! How a message comes into a queue and leaves it: the rows and counters that go with each standing.

use std::borrow::Cow;

use smallvec::SmallVec;

use super::children::forget_children;
use super::due::{self, DueIndex};
use super::extras::Rows;
use super::{Engine, Stop, fair, lanes, shared};
use crate::api::job::JobEventKind;
use crate::api::{Counters, Kind, Lane, QueueId};
use crate::head::{Head, HeldPermits, State as Standing};
use crate::keys::Space;
use crate::kv::{State, View};
use crate::place::Place;
use crate::queue::QueueState;
use crate::spec::Spec;
use crate::time::Time;

/// Why a message is there no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Gone {
    /// Somebody removed it, or its queue keeps messages no longer.
    Removed,
    /// It has finished, and was kept for as long as such are.
    KeptLongEnough,
}

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
        self.prepare_permits(state, &head)?;
        shared::prepare(state, space.namespace, &head)?;
        if let Some(lane) = head.lane
            && let Some(owner) = self.spaces.get(&space.id).and_then(|queue| self.queues.get(queue))
        {
            if head.lane_on(owner.public.kind).is_some() {
                // On a standard queue the end of a lease reads nothing of the lane but its record.
                let is_alone = owner.public.kind == Kind::Standard && head.state == Standing::Leased;
                prepare_lane(state, owner, lane, if is_alone { 0 } else { 2 })?;
            }
            if let Some(target) = self.next_dead_letter_queue(owner, &head).and_then(|id| self.queues.get(&id)) {
                prepare_lane(state, target, lane, 2)?;
            }
        }
        if head.has_spec {
            let owner = self.spaces.get(&space.id).and_then(|queue| self.queues.get(queue));
            let target = owner.and_then(|owner| self.next_dead_letter_queue(owner, &head));
            self.prepare_spec(state, space, id, &head, target, ahead)?;
        }
        Ok(Some(head))
    }

    /// Where the message may go with its next transition: what a worker has can fail for good.
    fn next_dead_letter_queue(&self, queue: &QueueState, head: &Head) -> Option<QueueId> {
        if head.state == Standing::Leased { self.redrive_target(queue) } else { self.dead_letter_queue(queue, head) }
    }

    /// Where the message goes instead of being delivered once more, if it has been delivered often enough.
    pub(super) fn dead_letter_queue(&self, queue: &QueueState, head: &Head) -> Option<QueueId> {
        let redrive = queue.config().redrive.as_ref()?;
        if head.receives_here() < redrive.receives_max {
            return None;
        }
        self.redrive_target(queue)
    }

    /// The queue's dead-letter queue, if there is one that can be.
    pub(super) fn redrive_target(&self, queue: &QueueState) -> Option<QueueId> {
        let redrive = queue.config().redrive.as_ref()?;
        let names = self.names.get(&queue.space.namespace)?;
        let target = self.queues.get(names.get(&redrive.target)?)?;
        (target.id() != queue.id() && target.public.kind == queue.public.kind).then(|| target.id())
    }

    /// Brings a message into a queue. It holds nothing of limiters.
    pub(super) fn enter<S: State>(
        &mut self,
        state: &mut S,
        id: QueueId,
        message: u64,
        head: &Head,
    ) -> Result<(), Stop> {
        let head = &*without_permits(head);
        if let Some(queue) = self.queues.get_mut(&id) {
            state.insert(&queue.space.message(message), head.write().finish());
            queue.message_gaps.occupy((message, 0));
            prepared(stand(state, queue, &mut self.due, message, head))?;
        }
        self.stood(state, id, message, None, Some(head))?;
        if let Some(retention_ms) = self.queues.get(&id).map(|queue| queue.config().retention_ms) {
            self.look_by(id, Time(head.sent_at.0.saturating_add(retention_ms)));
        }
        Ok(())
    }

    /// Takes a message out of a queue, whatever its standing. Its body and its extras stay; its options are answered.
    pub(super) fn leave<S: State>(
        &mut self,
        state: &mut S,
        id: QueueId,
        message: u64,
        head: &Head,
    ) -> Result<Option<Spec>, Stop> {
        let spec = self.spec_of(state, id, message, head)?;
        self.lease_ended(state, message, head)?;
        if let Some(queue) = self.queues.get_mut(&id) {
            state.delete(&queue.space.message(message));
            prepared(unstand(state, queue, message, head))?;
        }
        if let Some(spec) = &spec {
            self.remove_spec(state, id, message, spec);
        }
        self.stood(state, id, message, Some(head), None)?;
        Ok(spec)
    }

    /// Removes a message for good, finished or not.
    pub(super) fn remove<S: State>(&mut self, state: &mut S, queue: QueueId, id: u64, head: &Head) -> Result<(), Stop> {
        self.take_away(state, queue, id, head, Gone::Removed)
    }

    /// Nothing is kept any more of a job that has finished: whom it kept away for a time, it keeps away until that is over.
    pub(super) fn forget<S: State>(&mut self, state: &mut S, queue: QueueId, id: u64, head: &Head) -> Result<(), Stop> {
        self.take_away(state, queue, id, head, Gone::KeptLongEnough)
    }

    fn take_away<S: State>(
        &mut self,
        state: &mut S,
        queue: QueueId,
        id: u64,
        head: &Head,
        gone: Gone,
    ) -> Result<(), Stop> {
        let spec = self.vanish(state, queue, id, head)?;
        self.ended(queue, id, head, spec.as_ref(), None);
        self.happened(queue, id, || JobEventKind::Removed);
        match spec {
            Some(spec) => self.tell_removed(state, queue, id, &spec, gone == Gone::Removed),
            None => Ok(()),
        }
    }

    /// Removes a message for good, of whose end all have been told whom it concerns. Its options are answered.
    pub(super) fn vanish<S: State>(
        &mut self,
        state: &mut S,
        queue: QueueId,
        id: u64,
        head: &Head,
    ) -> Result<Option<Spec>, Stop> {
        let spec = self.leave(state, queue, id, head)?;
        if let Some(queue) = self.queues.get(&queue) {
            let namespace = queue.space.namespace;
            prepared(shared::drop_body(state, namespace, id, head))?;
            Rows { namespace, job: id }.remove(state, &head.extras);
            if head.has_children {
                forget_children(state, namespace, id);
            }
        }
        Ok(spec)
    }

    /// Changes the head of a message that stays in its queue. What only leased messages have goes with the lease.
    pub(super) fn restand<S: State>(
        &mut self,
        state: &mut S,
        id: QueueId,
        message: u64,
        before: &Head,
        after: &Head,
    ) -> Result<(), Stop> {
        let mut after = Cow::Borrowed(after);
        if before.state == Standing::Leased && after.state != Standing::Leased {
            self.lease_ended(state, message, before)?;
            after = Cow::Owned(after.into_owned().without_lease());
        }
        if let Some(queue) = self.queues.get_mut(&id) {
            state.put(&queue.space.message(message), after.write().finish());
            prepared(restand(state, queue, &mut self.due, message, before, &after))?;
        }
        self.stood(state, id, message, Some(before), Some(&after))?;
        if matches!(before.state, Standing::Completed | Standing::Failed) {
            // Retention may take it again.
            self.look_soon(id);
        }
        Ok(())
    }

    /// A message came to stand, or stands no more: what follows for its queue.
    fn stood<S: State>(
        &mut self,
        state: &S,
        id: QueueId,
        message: u64,
        before: Option<&Head>,
        after: Option<&Head>,
    ) -> Result<(), Stop> {
        prepared(self.lanes_left(state, id))?;
        let is_held = |queue: &QueueState| queue.blocked.is_some() || queue.alone_blocked.is_some();
        if self.queues.get(&id).is_some_and(|queue| is_held(queue) && changes_front(queue, message, before, after)) {
            self.unblock(id);
        }
        self.touched(id);
        Ok(())
    }
}

/// A message that is not leased holds nothing.
fn without_permits(head: &Head) -> Cow<'_, Head> {
    if head.permits.is_empty() || head.state == Standing::Leased {
        return Cow::Borrowed(head);
    }
    Cow::Owned(Head { permits: HeldPermits::new(), ..head.clone() })
}

/// Whether something else may stand first now in a queue that is held back by a limiter: that may be let through.
fn changes_front(queue: &QueueState, message: u64, before: Option<&Head>, after: Option<&Head>) -> bool {
    let held = [queue.blocked, queue.alone_blocked].into_iter().flatten();
    let mut places = held.map(|(_, (place, _))| place);
    let left = before.is_some_and(|head| match head.state {
        Standing::Ready => places.clone().any(|place| place.id() == message),
        // The lane of a lease that ended may run.
        Standing::Leased => queue.public.kind == Kind::Fifo,
        _ => false,
    });
    // Among lanes the order of places is not all that counts.
    let by_lanes = queue.laned > 0 || queue.public.kind == Kind::Fifo;
    let came = after.is_some_and(|head| {
        head.state == Standing::Ready && (by_lanes || places.any(|place| head.place(message) < place))
    });
    left || came
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
    count_in(state, queue, due, id, head);
    let space = queue.space;
    match head.state {
        Standing::Ready | Standing::Delayed | Standing::Leased => {}
        Standing::Waiting => {
            state.insert(&space.waiting(id), &[]);
            return Ok(());
        }
        Standing::Completed | Standing::Failed => {
            let own_end: &[u8] = if head.has_own_end() { &[1] } else { &[] };
            state.insert(&space.finished(head.state == Standing::Completed, head.due, id), own_end);
            state.insert(&space.newest(head.state == Standing::Completed, head.due, id), &[]);
            return Ok(());
        }
    }
    if let Some(lane) = fair_lane(queue, head) {
        return fair::stand(state, queue, lane, (id, head));
    }
    match (head.lane_on(queue.public.kind), head.state) {
        (Some(lane), Standing::Leased) => lanes::lease(state, queue, lane),
        (Some(lane), _) => lanes::wait(state, queue, lane, id, head),
        (None, Standing::Ready) => {
            state.insert(&space.ready(head.place(id)), &[]);
            queue.ready_gaps.occupy(head.place(id).position());
            Ok(())
        }
        (None, _) => Ok(()),
    }
}

/// Undoes [`stand`].
fn unstand<S: State>(state: &mut S, queue: &mut QueueState, id: u64, head: &Head) -> Result<(), Stop> {
    count_out(state, queue, id, head);
    let space = queue.space;
    match head.state {
        Standing::Ready | Standing::Delayed | Standing::Leased => {}
        Standing::Waiting => {
            state.delete(&space.waiting(id));
            return Ok(());
        }
        Standing::Completed | Standing::Failed => {
            state.delete(&space.finished(head.state == Standing::Completed, head.due, id));
            state.delete(&space.newest(head.state == Standing::Completed, head.due, id));
            return Ok(());
        }
    }
    if let Some(lane) = fair_lane(queue, head) {
        return fair::unstand(state, queue, lane, (id, head));
    }
    match (head.lane_on(queue.public.kind), head.state) {
        (Some(lane), Standing::Leased) => lanes::settle(state, queue, lane),
        (Some(lane), _) => lanes::unwait(state, queue, lane, id),
        (None, Standing::Ready) => {
            state.delete(&space.ready(head.place(id)));
            Ok(())
        }
        (None, _) => Ok(()),
    }
}

/// [`unstand`] and [`stand`] for a message that stays: at once where it stays in its lane.
fn restand<S: State>(
    state: &mut S,
    queue: &mut QueueState,
    due: &mut DueIndex,
    id: u64,
    before: &Head,
    after: &Head,
) -> Result<(), Stop> {
    match fair_lane(queue, before) {
        Some(lane) if fair_lane(queue, after) == Some(lane) => {
            count_out(state, queue, id, before);
            count_in(state, queue, due, id, after);
            fair::restand(state, queue, lane, id, before, after)
        }
        _ => {
            unstand(state, queue, id, before)?;
            stand(state, queue, due, id, after)
        }
    }
}

/// The lane of a standard queue in which a message counts that is not finished.
fn fair_lane(queue: &QueueState, head: &Head) -> Option<Lane> {
    let is_current = matches!(head.state, Standing::Ready | Standing::Delayed | Standing::Leased);
    if queue.public.kind == Kind::Standard && is_current { head.lane_on(Kind::Standard) } else { None }
}

/// Counts a message, and writes when something of it is due.
fn count_in<S: State>(state: &mut S, queue: &mut QueueState, due: &mut DueIndex, id: u64, head: &Head) {
    queue.stands(id, head);
    *counter(&mut queue.counters, head.state) += 1;
    if head.state == Standing::Ready {
        queue.priorities.add(head.priority);
    }
    for at in due_times(head) {
        due.insert(state, at, queue.space, id);
    }
}

/// Undoes [`count_in`].
fn count_out<S: State>(state: &mut S, queue: &mut QueueState, id: u64, head: &Head) {
    let count = counter(&mut queue.counters, head.state);
    *count = count.checked_sub(1).expect("a message that stands was counted");
    if head.state == Standing::Ready {
        queue.priorities.remove(head.priority, queue.counters.ready);
    }
    for at in due_times(head) {
        due::remove(state, at, queue.space, id);
    }
}

/// The times at which something of a message is due.
pub(super) fn due_times(head: &Head) -> SmallVec<[Time; 2]> {
    let mut times = SmallVec::new();
    if matches!(head.state, Standing::Delayed | Standing::Leased) {
        times.push(head.due);
    }
    if matches!(head.state, Standing::Ready | Standing::Delayed | Standing::Waiting)
        && let Some(at) = head.expires_at
        && !times.contains(&at)
    {
        times.push(at);
    }
    if head.has_own_end() {
        times.extend(head.expires_at.filter(|&at| at < Time::NEVER));
    }
    times
}

fn counter(counters: &mut Counters, state: Standing) -> &mut u64 {
    match state {
        Standing::Ready => &mut counters.ready,
        Standing::Delayed => &mut counters.delayed,
        Standing::Leased => &mut counters.leased,
        Standing::Waiting => &mut counters.waiting,
        Standing::Completed => &mut counters.completed,
        Standing::Failed => &mut counters.failed,
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

    /// Whether it is finished, and goes at `expires_at`, whatever its queue keeps.
    pub(super) fn has_own_end(&self) -> bool {
        matches!(self.state, Standing::Completed | Standing::Failed) && self.expires_at.is_some()
    }

    /// The place of the message among those that are ready.
    pub(super) fn place(&self, id: u64) -> Place {
        Place::new(self.priority, id, self.lifo)
    }
}
