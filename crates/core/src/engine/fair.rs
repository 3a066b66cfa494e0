//! Fairness on standard queues: messages of a group share a lane, which holds none of them back, and lanes that take
//! more than their part come after the others.
//!
//! A lane's ready messages stand in its own order, by priority and id, and the first of them stands for the lane among
//! all: in one order for the quiet lanes, in another for the noisy ones. Messages without a group stand in the order of
//! ready messages, and are merged with the quiet lanes. Whether a lane is noisy is decided whenever its messages or
//! leases change, and again when its turn comes, since the share that it holds changes with the leases of others.

use std::ops::ControlFlow;

use smallvec::SmallVec;

use super::lanes::{read, write};
use super::lease::{self, LANES_AHEAD, Leased, Room, walk};
use super::message::prepare_lane;
use super::{Engine, Needs, SLICE_ROWS, Stop, parking};
use crate::api::{Kind, Lane, QueueId};
use crate::codec::Unreadable;
use crate::head::{Head, HeldPermits, State as Standing};
use crate::keys::{self, Space};
use crate::kv::{State, View};
use crate::lane::LaneRecord;
use crate::place::Place;
use crate::queue::{QueueState, Wanted};

/// Leases from which on a lane can be noisy: SQS fair queues, "at least 30".
const NOISY_LEASES_MIN: u64 = 30;
/// A lane is noisy when it holds more than this part of all leases, one in so many: SQS fair queues, "more than 10 %".
const NOISY_PART: u64 = 10;
/// Only so many lanes can be noisy at once, less one: a longer list has one that is not any more.
const NOISY_LANES: usize = NOISY_PART as usize;

/// How many heads are loaded with one that is not in memory: messages of different lanes do not lie far apart, and do
/// not come one after the other.
const AHEAD: usize = 32;

/// The next message to come, with its head.
pub(super) type Next = (u64, Head);

/// Reads a lane's record and the first `count` of its ready messages.
pub(super) fn prepare<S: View>(state: &S, space: Space, lane: Lane, count: usize) -> Result<(), Stop> {
    let record = read(state, space, lane)?;
    parking::prepare(state, space, &record)?;
    let mut rows = count.min(usize::try_from(record.waiting).unwrap_or(usize::MAX));
    // The first one is known by the record.
    if let (Some(head), true) = (record.head, rows > 1) {
        state.scan(&space.lane_ready(lane, head), &space.lane_ready_end(lane), &mut |_, _| {
            rows -= 1;
            if rows == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
    }
    Ok(())
}

/// How a message counts in its lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Counts {
    /// It does not: it is delayed, or not in the queue.
    Not,
    /// It is ready, and has this place.
    Waits(Place),
    /// It is leased.
    Leased,
}

impl Counts {
    fn of(id: u64, head: &Head) -> Self {
        match head.state {
            Standing::Ready => Self::Waits(head.place(id)),
            Standing::Leased => Self::Leased,
            _ => Self::Not,
        }
    }
}

/// A message of the lane comes to count in it as its head says.
pub(super) fn stand<S: State>(
    state: &mut S,
    queue: &mut QueueState,
    lane: Lane,
    (id, head): (u64, &Head),
) -> Result<(), Stop> {
    queue.laned += 1;
    let ungrouped = head.limits.as_ref().is_some_and(|limits| limits.ungrouped);
    change(state, queue, lane, Counts::Not, Counts::of(id, head), ungrouped)
}

/// A message that counts in the lane as its head says leaves it.
pub(super) fn unstand<S: State>(
    state: &mut S,
    queue: &mut QueueState,
    lane: Lane,
    (id, head): (u64, &Head),
) -> Result<(), Stop> {
    queue.laned = queue.laned.checked_sub(1).expect("a message in a lane was counted");
    let ungrouped = head.limits.as_ref().is_some_and(|limits| limits.ungrouped);
    change(state, queue, lane, Counts::of(id, head), Counts::Not, ungrouped)
}

/// A message that stays in the lane counts there as `after` from now on. The lane's record is read and written once.
pub(super) fn restand<S: State>(
    state: &mut S,
    queue: &mut QueueState,
    lane: Lane,
    id: u64,
    before: &Head,
    after: &Head,
) -> Result<(), Stop> {
    let ungrouped = after.limits.as_ref().is_some_and(|limits| limits.ungrouped);
    let (before, after) = (Counts::of(id, before), Counts::of(id, after));
    if let (Counts::Waits(_), Counts::Waits(_)) = (before, after) {
        // It comes anew: what held it back may not do so any more.
        change(state, queue, lane, before, Counts::Not, ungrouped)?;
        return change(state, queue, lane, Counts::Not, after, ungrouped);
    }
    change(state, queue, lane, before, after, ungrouped)
}

fn change<S: State>(
    state: &mut S,
    queue: &mut QueueState,
    lane: Lane,
    before: Counts,
    after: Counts,
    ungrouped: bool,
) -> Result<(), Stop> {
    if (before, after) == (Counts::Not, Counts::Not) {
        return Ok(());
    }
    let mut record = read(state, queue.space, lane)?;
    let mut head = record.head;
    match before {
        Counts::Not => {}
        Counts::Leased => {
            record.leased = record.leased.checked_sub(1).expect("a message that is leased was counted in its lane");
        }
        Counts::Waits(place) => {
            state.delete(&queue.space.lane_ready(lane, place));
            record.waiting = record.waiting.checked_sub(1).expect("a message that waits was counted in its lane");
            if head == Some(place) {
                head = if record.waiting > 0 { following(state, queue.space, lane, place)? } else { None };
            }
        }
    }
    match after {
        Counts::Not => {}
        Counts::Leased => record.leased += 1,
        Counts::Waits(place) => {
            record.ungrouped = ungrouped;
            state.insert(&queue.space.lane_ready(lane, place), &[]);
            record.waiting += 1;
            head = Some(head.map_or(place, |head| head.min(place)));
        }
    }
    settle_record(state, queue, lane, record, head);
    Ok(())
}

/// Whether a lane takes more than its part.
fn is_noisy(record: &LaneRecord, queue: &QueueState) -> bool {
    !record.ungrouped
        && record.leased >= NOISY_LEASES_MIN
        && record.leased.saturating_mul(NOISY_PART) > queue.counters.leased
}

/// Puts the lane where it belongs, with `head` as its first message, and stores the record.
fn settle_record<S: State>(
    state: &mut S,
    queue: &mut QueueState,
    lane: Lane,
    mut record: LaneRecord,
    head: Option<Place>,
) {
    let noisy = is_noisy(&record, queue);
    if record.head != head || (record.noisy != noisy && record.parked.is_none()) {
        parking::step_out(state, queue, lane, &mut record);
        if let Some(head) = head {
            parking::step_in(state, queue, lane, noisy, head);
        }
        record.head = head;
    }
    record.noisy = noisy;
    write(state, queue.space, lane, &record);
}

/// The ready message of a lane behind `place`.
fn following<S: View>(state: &S, space: Space, lane: Lane, place: Place) -> Result<Option<Place>, Stop> {
    let mut next = None;
    let from = space.lane_ready(lane, place).byte(0);
    state.scan(&from, &space.lane_ready_end(lane), &mut |key, _| {
        next = place_of(key);
        ControlFlow::Break(())
    })?;
    Ok(next)
}

fn place_of(key: &[u8]) -> Option<Place> {
    Place::split(keys::after_kind(key)?.get(16..)?).map(|(place, _)| place)
}

impl Engine {
    /// Leases messages of a standard queue that has lanes: one after the other, each the first as things then stand.
    pub(super) fn lease_fairly<S: State>(
        &mut self,
        state: &mut S,
        id: QueueId,
        wanted: Wanted,
    ) -> Result<Leased, Stop> {
        self.quieten(state, id)?;
        let mut room = Room::of(wanted);
        let mut deliveries = Vec::new();
        let mut dead = 0;
        let mut first_lane = None;
        while room.messages > 0 {
            let next = match first_lane {
                Some(lane) if wanted.one_lane => self.next_of_lane(state, id, lane),
                _ => self.next_fair(state, id),
            };
            let next = match next {
                Ok(Some(next)) => next,
                Ok(None) => break,
                Err(Stop::Need(_)) if !deliveries.is_empty() => break,
                Err(Stop::Need(needs)) => return Err(Stop::Need(self.needs_of_fair_lanes(state, id, wanted, needs)?)),
                Err(stop) => return Err(stop),
            };
            let (message, head) = next;
            let Some(queue) = self.queues.get(&id) else { break };
            match self.dead_letter_queue(queue, &head) {
                _ if head.is_expired(self.now) => {
                    self.expire(state, id, message, &head)?;
                    dead += 1;
                    if dead >= SLICE_ROWS && deliveries.is_empty() {
                        return Ok(Leased::More);
                    }
                }
                Some(target) => {
                    self.move_dead_letter(state, id, target, message, &head)?;
                    dead += 1;
                    if dead >= SLICE_ROWS && deliveries.is_empty() {
                        return Ok(Leased::More);
                    }
                }
                None if room.take(&head) => {
                    first_lane = Some(head.lane_on(Kind::Standard));
                    deliveries.push(self.grant(state, id, message, &head, wanted, HeldPermits::new())?);
                }
                None => break,
            }
        }
        Ok(Leased::All(deliveries))
    }

    /// The next message of one lane, or of those without one. All is read that its transitions may read.
    pub(super) fn next_of_lane<S: State>(
        &mut self,
        state: &mut S,
        id: QueueId,
        lane: Option<Lane>,
    ) -> Result<Option<Next>, Stop> {
        let Some(queue) = self.queues.get_mut(&id) else { return Ok(None) };
        let space = queue.space;
        let at = match lane {
            None => first_alone(state, queue)?,
            Some(lane) => {
                prepare_lane(state, queue, lane, 2)?;
                read(state, space, lane)?.head
            }
        };
        let Some(at) = at else { return Ok(None) };
        let head = self.prepare_message(state, space, at.id(), AHEAD)?;
        let head = head.ok_or(Unreadable::Damaged { what: "the order of a lane: a message is missing" })?;
        Ok(Some((at.id(), head)))
    }

    /// Adds to what the first message needs what those of the next lanes will: where each lane has a message or two, all
    /// that leads to it lies apart, and one receive would wait for rows as often as it takes messages.
    pub(super) fn needs_of_fair_lanes<S: View>(
        &self,
        state: &S,
        id: QueueId,
        wanted: Wanted,
        mut needs: Needs,
    ) -> Result<Needs, Stop> {
        let Some(queue) = self.queues.get(&id) else { return Ok(needs) };
        let ahead = (wanted.messages as usize).clamp(LANES_AHEAD, SLICE_ROWS);
        let (lanes, walked) = lease::first_lanes(state, queue, ahead);
        if let Err(need) = walked {
            // Which lanes these are comes first: what each needs is known at the same time then as of the first one.
            return Ok(Needs::from_iter([need]));
        }
        for (at, lane) in lanes {
            let record = read(state, queue.space, lane).map(|_| ());
            let message = match self.prepare_message(state, queue.space, at.id(), 0) {
                Ok(head) => head.map_or(Ok(()), |head| self.prepare_start(state, queue, &head)),
                Err(stop) => Err(stop),
            };
            for read in [record, message] {
                match read {
                    Err(Stop::Need(more)) => needs.extend(more),
                    read => read?,
                }
            }
        }
        Ok(needs)
    }

    /// Puts the lanes back among the quiet ones that are noisy no more.
    pub(super) fn quieten<S: State>(&mut self, state: &mut S, id: QueueId) -> Result<(), Stop> {
        loop {
            let Some(queue) = self.queues.get_mut(&id) else { return Ok(()) };
            let noisy = first_lanes(state, queue, keys::LANE_HEAD_NOISY, NOISY_LANES)?;
            let mut changed = false;
            for (_, lane) in noisy {
                let record = read(state, queue.space, lane)?;
                if !is_noisy(&record, queue) {
                    settle_record(state, queue, lane, record, record.head);
                    changed = true;
                }
            }
            if !changed {
                return Ok(());
            }
        }
    }

    /// The message that is next: the first of the quiet lanes and of those without a lane, else of the noisy lanes.
    /// All is read that its transitions may read.
    pub(super) fn next_fair<S: State>(&mut self, state: &mut S, id: QueueId) -> Result<Option<Next>, Stop> {
        loop {
            let Some(queue) = self.queues.get_mut(&id) else { return Ok(None) };
            let alone = if queue.alone_blocked.is_some() { None } else { first_alone(state, queue)? };
            if queue.laned == 0 && alone.is_none() {
                return Ok(None);
            }
            let quiet = if queue.laned == 0 { None } else { first_lanes(state, queue, keys::LANE_HEAD, 1)?.pop() };
            let (at, lane) = match (alone, quiet) {
                (Some(alone), Some((quiet, lane))) if quiet < alone => (quiet, Some(lane)),
                (Some(alone), _) => (alone, None),
                (None, Some((quiet, lane))) => (quiet, Some(lane)),
                (None, None) => match first_lanes(state, queue, keys::LANE_HEAD_NOISY, 1)?.pop() {
                    Some((at, lane)) => (at, Some(lane)),
                    None => return Ok(None),
                },
            };
            if let Some(lane) = lane {
                let record = read(state, queue.space, lane)?;
                if !record.noisy && is_noisy(&record, queue) {
                    settle_record(state, queue, lane, record, record.head);
                    continue;
                }
            }
            let space = queue.space;
            let head = self.prepare_message(state, space, at.id(), AHEAD)?;
            let head = head.ok_or(Unreadable::Damaged { what: "the order of lanes: a message is missing" })?;
            return Ok(Some((at.id(), head)));
        }
    }
}

/// The lane whose turn comes next; nothing where a message without a lane is next.
pub(super) fn next_lane<S: View>(state: &S, queue: &QueueState) -> Result<Option<Lane>, Stop> {
    let mut alone = None;
    walk(state, queue, &queue.ready_gaps, keys::READY, &mut |_, place| {
        alone = Some(place);
        false
    })?;
    for (kind, gaps) in [(keys::LANE_HEAD, &queue.head_gaps), (keys::LANE_HEAD_NOISY, &queue.noisy_gaps)] {
        let mut first = None;
        walk(state, queue, gaps, kind, &mut |key, place| {
            let lane = key.get(key.len().saturating_sub(16)..).and_then(|lane| lane.try_into().ok());
            first = lane.map(|lane| (place, Lane(lane)));
            false
        })?;
        match (first, alone) {
            (Some((place, _)), Some(alone)) if alone < place || kind == keys::LANE_HEAD_NOISY => return Ok(None),
            (Some((_, lane)), _) => return Ok(Some(lane)),
            (None, _) => {}
        }
    }
    Ok(None)
}

/// The first ready message without a lane.
fn first_alone<S: View>(state: &S, queue: &mut QueueState) -> Result<Option<Place>, Stop> {
    let mut first = None;
    walk(state, queue, &queue.ready_gaps, keys::READY, &mut |_, at| {
        first = Some(at);
        false
    })?;
    queue.ready_gaps.clear((0, 0), first.map_or(END, Place::position));
    Ok(first)
}

/// The first `count` lanes of an order, and their places in it.
fn first_lanes<S: View>(
    state: &S,
    queue: &mut QueueState,
    kind: u8,
    count: usize,
) -> Result<SmallVec<[(Place, Lane); 1]>, Stop> {
    let mut lanes = SmallVec::<[(Place, Lane); 1]>::new();
    let gaps = if kind == keys::LANE_HEAD { &queue.head_gaps } else { &queue.noisy_gaps };
    walk(state, queue, gaps, kind, &mut |key, at| {
        let lane = key.get(key.len().saturating_sub(16)..).and_then(|lane| lane.try_into().ok());
        lanes.extend(lane.map(|lane| (at, Lane(lane))));
        lanes.len() < count
    })?;
    let gaps = if kind == keys::LANE_HEAD { &mut queue.head_gaps } else { &mut queue.noisy_gaps };
    gaps.clear((0, 0), lanes.first().map_or(END, |(at, _)| at.position()));
    Ok(lanes)
}

/// Behind every place of an order.
const END: crate::gaps::Position = (u32::MAX as u64 + 1, 0);
