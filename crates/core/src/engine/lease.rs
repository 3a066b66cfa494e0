//! Leasing: which messages come out next, and what becomes of them as they do; and what becomes of a lease at its end.

use std::hash::Hasher;
use std::ops::ControlFlow;

use siphasher::sip::SipHasher13;
use smallvec::SmallVec;

use super::finish::End;
use super::message::Picked;
use super::{Engine, Needs, SLICE_ROWS, Stop, lanes, shared};
use crate::api::job::FailureKind;
use crate::api::job::JobEventKind;
use crate::api::{Delivery, Handle, Kind, Lane, QueueId};
use crate::codec::Unreadable;
use crate::gaps::{Gaps, Position, following};
use crate::head::{Head, HeldPermits, State as Standing};
use crate::keys;
use crate::kv::{KeyBuf, Need, State, View};
use crate::place::{self, Place};
use crate::queue::{QueueState, Wanted};

/// For so many lanes at the front rows are loaded together when those of the first are missing. Fewer than the ranges that
/// a store keeps in any case, so that they do not drive each other out.
pub(super) const LANES_AHEAD: usize = 16;

/// What came of leasing.
pub(super) enum Leased {
    /// What there was to lease.
    All(Vec<Delivery>),
    /// Nothing yet: so many dead letters stood first that the rest is for another slice.
    More,
}

impl Engine {
    /// Leases messages of a queue, those that may run, in order, as many as are wanted. Messages delivered often enough
    /// already go to the dead-letter queue instead; where a slice of them went and nothing was leased, there is more to do
    /// before anybody knows what can be.
    pub(super) fn lease_messages<S: State>(
        &mut self,
        state: &mut S,
        id: QueueId,
        wanted: Wanted,
    ) -> Result<Leased, Stop> {
        let mut deliveries = Vec::new();
        let mut dead = 0;
        loop {
            let Some(queue) = self.queues.get(&id) else { return Ok(Leased::All(deliveries)) };
            if !queue.uses.is_empty() {
                return self.lease_limited(state, id, wanted);
            }
            let (picked, last) = match queue.public.kind {
                Kind::Standard if queue.laned > 0 => return self.lease_fairly(state, id, wanted),
                Kind::Standard => self.pick_ready(state, queue, Room::of(wanted)),
                Kind::Fifo => self.pick_lanes(state, queue, Room::of(wanted), wanted.one_lane),
            }?;
            if picked.is_empty() {
                return Ok(Leased::All(deliveries));
            }
            // Whatever came first is taken, so nothing stands before the last one taken any more.
            let fifo = queue.public.kind == Kind::Fifo;
            if let Some(queue) = self.queues.get_mut(&id) {
                let gaps = if fifo { &mut queue.head_gaps } else { &mut queue.ready_gaps };
                gaps.clear((0, 0), following(last));
            }
            for (message, head) in picked {
                match self.queues.get(&id).and_then(|queue| self.dead_letter_queue(queue, &head)) {
                    _ if head.is_expired(self.now) => {
                        self.expire(state, id, message, &head)?;
                        dead += 1;
                    }
                    Some(target) => {
                        self.move_dead_letter(state, id, target, message, &head)?;
                        dead += 1;
                    }
                    None => deliveries.push(self.grant(state, id, message, &head, wanted, HeldPermits::new())?),
                }
            }
            // A visibility of zero releases at once: taking more would be the same messages again.
            if !deliveries.is_empty() {
                return Ok(Leased::All(deliveries));
            }
            if dead >= SLICE_ROWS {
                return Ok(Leased::More);
            }
        }
    }

    pub(super) fn grant<S: State>(
        &mut self,
        state: &mut S,
        id: QueueId,
        message: u64,
        before: &Head,
        wanted: Wanted,
        permits: HeldPermits,
    ) -> Result<Delivery, Stop> {
        let spec = if wanted.worker { self.spec_of(state, id, message, before)? } else { None };
        let queue = self.queues.get(&id).expect("a message was picked from this queue");
        let config = queue.config();
        let mut head = before.clone();
        head.state = Standing::Leased;
        head.grants += 1;
        head.receives += 1;
        head.due = self.lease_end(wanted.visibility_ms.unwrap_or(config.visibility_ms));
        head.first_received_at.get_or_insert(self.now);
        if wanted.worker {
            head.worker = true;
            head.started_at = Some(self.now);
            let timeout_ms = spec.and_then(|spec| spec.timeout_ms).or(config.timeout_ms);
            head.timeout_at = timeout_ms.map(|timeout_ms| self.lease_end(timeout_ms));
            head.due = head.timeout_at.map_or(head.due, |timeout_at| timeout_at.min(head.due));
        }
        self.expect_release(message, head.grants, head.priority, &permits);
        head.permits = permits;
        self.restand(state, id, message, before, &head)?;
        self.happened(id, message, || JobEventKind::Started);
        let queue = self.queues.get(&id).expect("a message was picked from this queue");
        Ok(delivery(queue, message, &head))
    }

    /// Messages of a FIFO queue that may run, lane by lane, as many of each as there is room for; and the position of
    /// the last lane among the runnable ones.
    pub(super) fn pick_lanes<S: View>(
        &self,
        state: &S,
        queue: &QueueState,
        mut room: Room,
        one_lane: bool,
    ) -> Result<(Picked, Position), Stop> {
        let whole = room;
        let (lanes, walked) = first_lanes(state, queue, if one_lane { 1 } else { room.messages });
        let mut picked = Picked::new();
        let mut last = (0, 0);
        for (at, lane) in lanes {
            match self.pick_lane(state, queue, lane, &mut room) {
                // The lane stays where it stands: its first message finds no room.
                Ok(messages) if messages.is_empty() => return Ok((picked, last)),
                Ok(messages) => picked.extend(messages),
                Err(Stop::Need(needs)) if picked.is_empty() => {
                    return Err(Stop::Need(self.needs_of_lanes(state, queue, whole, needs)?));
                }
                Err(stop) if picked.is_empty() => return Err(stop),
                Err(_) => return Ok((picked, last)),
            }
            last = at.position();
            if room.messages == 0 {
                return Ok((picked, last));
            }
        }
        match walked {
            Err(need) if picked.is_empty() => Err(need.into()),
            _ => Ok((picked, last)),
        }
    }

    /// Adds to what the first lane needs what the next ones will: their rows are loaded side by side, and the receives
    /// that follow do not wait one after the other.
    pub(super) fn needs_of_lanes<S: View>(
        &self,
        state: &S,
        queue: &QueueState,
        room: Room,
        mut needs: Needs,
    ) -> Result<Needs, Stop> {
        let (lanes, walked) = first_lanes(state, queue, LANES_AHEAD);
        needs.extend(walked.err());
        for (_, lane) in lanes.into_iter().skip(1) {
            match self.pick_lane(state, queue, lane, &mut room.clone()) {
                Err(Stop::Need(more)) => needs.extend(more),
                picked => drop(picked?),
            }
        }
        Ok(needs)
    }

    pub(super) fn pick_lane<S: View>(
        &self,
        state: &S,
        queue: &QueueState,
        lane: Lane,
        room: &mut Room,
    ) -> Result<Picked, Stop> {
        // One more than may be taken: it becomes the lane's head if those before it move away as dead letters.
        let (_, front) = lanes::prepare(state, queue.space, lane, room.messages + 1)?;
        let mut left = *room;
        let ready = front.into_iter().take_while(|(_, head)| head.state == Standing::Ready && left.take(head));
        let picked: Picked = ready.collect();
        for (message, head) in &picked {
            if let Some(target) = self.dead_letter_queue(queue, head).and_then(|id| self.queues.get(&id)) {
                lanes::prepare(state, target.space, lane, 2)?;
            }
            let target = self.dead_letter_queue(queue, head);
            self.prepare_spec(state, queue.space, *message, head, target, 0)?;
        }
        *room = left;
        Ok(picked)
    }

    /// A delay has ended.
    pub(super) fn end_delay<S: State>(
        &mut self,
        state: &mut S,
        id: QueueId,
        message: u64,
        head: &Head,
    ) -> Result<(), Stop> {
        let ready = Head { state: Standing::Ready, ..head.clone() };
        self.restand(state, id, message, head, &ready)?;
        self.waits_now(id, message, &ready);
        Ok(())
    }

    /// The lease of a receive has ended, on its own or by its holder: the message is ready again, or a dead letter, or has
    /// come to its end if somebody cancelled it meanwhile.
    pub(super) fn release<S: State>(
        &mut self,
        state: &mut S,
        id: QueueId,
        message: u64,
        head: &Head,
    ) -> Result<(), Stop> {
        if head.cancel {
            return self.end_cancelled(state, id, message, head, head.clone()).map(|_| ());
        }
        match self.queues.get(&id).and_then(|queue| self.dead_letter_queue(queue, head)) {
            Some(target) => self.move_dead_letter(state, id, target, message, head),
            None => self.end_delay(state, id, message, head),
        }
    }

    pub(super) fn move_dead_letter<S: State>(
        &mut self,
        state: &mut S,
        from: QueueId,
        to: QueueId,
        message: u64,
        head: &Head,
    ) -> Result<(), Stop> {
        let spec = self.spec_of(state, from, message, head)?;
        let end = End::Failed(FailureKind::Reported, None);
        if let Some(spec) = &spec {
            self.tell_finished(state, from, message, spec, end)?;
        }
        self.ended(from, message, head, spec.as_ref(), Some(end));
        self.happened(from, message, || end.event());
        self.carry_dead_letter(state, from, to, message, head, head.clone())
    }

    /// `head` is what is known of it by now.
    pub(super) fn carry_dead_letter<S: State>(
        &mut self,
        state: &mut S,
        from: QueueId,
        to: QueueId,
        message: u64,
        before: &Head,
        head: Head,
    ) -> Result<(), Stop> {
        let source = self.queues.get(&from).map(|queue| queue.public.name.as_str().into());
        let head = Head { state: Standing::Ready, source, expires_at: None, ..head };
        self.carry(state, (from, to), message, before, head)
    }

    /// The first ready messages of a standard queue, and the position of the last one.
    fn pick_ready<S: View>(&self, state: &S, queue: &QueueState, mut room: Room) -> Result<(Picked, Position), Stop> {
        let mut rows: SmallVec<[Place; 10]> = SmallVec::new();
        let walked = walk(state, queue, &queue.ready_gaps, keys::READY, &mut |_, at| {
            rows.push(at);
            rows.len() < room.messages
        });
        let mut picked = Picked::new();
        let mut last = (0, 0);
        for &at in &rows {
            match state.get(&queue.space.message(at.id()), SLICE_ROWS) {
                Ok(Some(bytes)) => {
                    let head = Head::read(bytes)?;
                    if head.has_spec {
                        let target = self.dead_letter_queue(queue, &head);
                        match self.prepare_spec(state, queue.space, at.id(), &head, target, SLICE_ROWS) {
                            Err(Stop::Need(_)) if !picked.is_empty() => return Ok((picked, last)),
                            prepared => prepared?,
                        }
                    }
                    if !room.take(&head) {
                        return Ok((picked, last));
                    }
                    picked.push((at.id(), head));
                }
                Ok(None) => {
                    return Err(
                        Unreadable::Damaged { what: "the order of ready messages: a message is missing" }.into()
                    );
                }
                Err(need) if picked.is_empty() => return Err(need.into()),
                Err(_) => return Ok((picked, last)),
            }
            last = at.position();
        }
        match walked {
            Err(need) if picked.is_empty() => Err(need.into()),
            _ => Ok((picked, last)),
        }
    }
}

/// What a receive still has room for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    pub(super) messages: usize,
    bytes: u64,
    is_untouched: bool,
}

impl Room {
    pub(super) fn of(wanted: Wanted) -> Self {
        Self { messages: wanted.messages.max(1) as usize, bytes: wanted.bytes, is_untouched: true }
    }

    /// Takes a message in, if there is room: for the first one there always is.
    pub(super) fn take(&mut self, head: &Head) -> bool {
        if self.messages == 0 || head.bytes > self.bytes && !self.is_untouched {
            return false;
        }
        self.messages -= 1;
        self.bytes = self.bytes.saturating_sub(head.bytes);
        self.is_untouched = false;
        true
    }
}

type Lanes = SmallVec<[(Place, Lane); 2]>;

/// The first lanes that may run, up to `max`; and what is missing to tell more.
pub(super) fn first_lanes<S: View>(state: &S, queue: &QueueState, max: usize) -> (Lanes, Result<(), Need>) {
    let mut lanes = Lanes::new();
    let walked = walk(state, queue, &queue.head_gaps, keys::LANE_HEAD, &mut |key, at| {
        let lane = key.get(key.len().saturating_sub(16)..).and_then(|lane| lane.try_into().ok());
        lanes.extend(lane.map(|lane| (at, Lane(lane))));
        lanes.len() < max
    });
    (lanes, walked)
}

/// Walks an order whose keys start with a place, jumping over its gaps, while `row` says so.
pub(super) fn walk<S: View>(
    state: &S,
    queue: &QueueState,
    gaps: &Gaps,
    kind: u8,
    row: &mut dyn FnMut(&[u8], Place) -> bool,
) -> Result<(), Need> {
    walk_from(state, queue, gaps, kind, (0, 0), row)
}

/// The same from a position on.
pub(super) fn walk_from<S: View>(
    state: &S,
    queue: &QueueState,
    gaps: &Gaps,
    kind: u8,
    from: Position,
    row: &mut dyn FnMut(&[u8], Place) -> bool,
) -> Result<(), Need> {
    let end = queue.space.kind(kind + 1);
    let mut go_on = true;
    let mut at = gaps.skip(from);
    // Positions past the last priority: the gap reaches to the end.
    while go_on && u32::try_from(at.0).is_ok() {
        let gap = gaps.next_gap(at);
        let to = gap.map_or_else(|| end, |gap| position_key(queue, kind, gap));
        let scanned = state.scan(&position_key(queue, kind, at), &to, &mut |key, _| {
            if let Some((place, _)) = keys::after_kind(key).and_then(Place::split) {
                go_on = row(key, place);
            }
            if go_on { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        // What is missing before a gap is loaded with what follows it: stretches of a row or two, each loaded by itself,
        // would be as many loads as there are gaps, and as many stretches to be kept in memory at once.
        scanned.map_err(|need| Need { to: end.to_key(), ..need })?;
        let Some(gap) = gap else { break };
        at = gaps.skip(gap);
    }
    Ok(())
}

fn position_key(queue: &QueueState, kind: u8, at: Position) -> KeyBuf {
    place::append(queue.space.kind(kind), at)
}

/// What a receiver is handed of a message that was just leased.
pub(super) fn delivery(queue: &QueueState, message: u64, head: &Head) -> Delivery {
    Delivery {
        handle: handle(queue, message, head.grants),
        body: shared::body(queue.space.namespace, message, head).to_key(),
        grants: head.receives,
        starts: head.starts(),
        sent_at: head.sent_at,
        first_received_at: head.first_received_at.unwrap_or(head.sent_at),
        deadline: head.due,
        priority: head.priority,
        dead_letter_source: head.source.clone(),
        failures: head.failures,
        stalls: head.stalls,
        timeout_at: head.timeout_at,
        origin: head.origin,
        limited: !head.permits.is_empty(),
    }
}

/// The handle of a grant.
pub(super) fn handle(queue: &QueueState, message: u64, grant: u32) -> Handle {
    let proof = proof(queue, queue.space.id, message, grant);
    Handle { space: queue.space.id, message, grant, proof }
}

/// What only this queue can know of a grant.
pub(super) fn proof(queue: &QueueState, space: u64, message: u64, grant: u32) -> u64 {
    let mut hasher = SipHasher13::new_with_key(&queue.secret);
    hasher.write_u64(space);
    hasher.write_u64(message);
    hasher.write_u32(grant);
    hasher.finish()
}
