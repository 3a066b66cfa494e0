//! Lanes: the order within a message group, and which groups may run.
//!
//! A lane stands among the runnable ones, by its first message, exactly while it has no message under a lease and its
//! first message is ready.

use std::ops::ControlFlow;

use smallvec::SmallVec;

use super::{Needs, Stop, parking};
use crate::api::Lane;
use crate::codec::Unreadable;
use crate::head::{Head, State as Standing};
use crate::keys::{self, Space};
use crate::kv::{State, View};
use crate::lane::LaneRecord;
use crate::place::Place;
use crate::queue::QueueState;

/// The messages that wait at the front of a lane, in order.
pub(super) type Front = SmallVec<[(u64, Head); 2]>;

/// Reads the lane and its first `count` waiting messages: what [`unwait`], [`lease`] and [`settle`] read; [`wait`] reads
/// the record alone.
pub(super) fn prepare<S: View>(state: &S, space: Space, lane: Lane, count: usize) -> Result<(LaneRecord, Front), Stop> {
    let record = read(state, space, lane)?;
    parking::prepare(state, space, &record)?;
    if record.waiting == 0 {
        return Ok((record, Front::new()));
    }
    let front = front(state, space, lane, &record, count)?;
    Ok((record, front))
}

/// Reads what is read of a lane when `count` messages leave it at most, of which some may come by the same command, none
/// of them before `first`: behind them stands one that is read here, or nobody.
pub(super) fn prepare_leaving<S: View>(
    state: &S,
    space: Space,
    lane: Lane,
    first: u64,
    count: usize,
) -> Result<(), Stop> {
    let record = read(state, space, lane)?;
    parking::prepare(state, space, &record)?;
    let first = if record.waiting == 0 { first } else { first.min(record.first) };
    waiting_from(state, space, lane, first, count + 1).map(|_| ())
}

/// A message, ready or delayed, takes its place in the lane.
pub(super) fn wait<S: State>(
    state: &mut S,
    queue: &mut QueueState,
    lane: Lane,
    id: u64,
    head: &Head,
) -> Result<(), Stop> {
    let mut record = read(state, queue.space, lane)?;
    let mut value = crate::codec::Writer::new(1);
    value.number(u64::from(head.priority));
    state.insert(&queue.space.lane_waiting(lane, id), value.finish());
    let leads = record.waiting == 0 || id < record.first;
    record.waiting += 1;
    if leads {
        record.first = id;
    }
    // Without a lease `first` is the first message itself, so whether this one leads is known without a walk.
    if leads && record.leased == 0 {
        let head = (head.state == Standing::Ready).then(|| head.place(id));
        place(state, queue, lane, &mut record, head);
    }
    write(state, queue.space, lane, &record);
    Ok(())
}

/// A waiting message leaves its place.
pub(super) fn unwait<S: State>(state: &mut S, queue: &mut QueueState, lane: Lane, id: u64) -> Result<(), Stop> {
    let mut record = read(state, queue.space, lane)?;
    state.delete(&queue.space.lane_waiting(lane, id));
    record.waiting = record.waiting.checked_sub(1).expect("a message that waits was counted in its lane");
    if record.first == id {
        record.first = id + 1;
    }
    refresh(state, queue, lane, record)
}

/// A message of the lane is leased.
pub(super) fn lease<S: State>(state: &mut S, queue: &mut QueueState, lane: Lane) -> Result<(), Stop> {
    let mut record = read(state, queue.space, lane)?;
    record.leased += 1;
    refresh(state, queue, lane, record)
}

/// A lease of the lane has ended.
pub(super) fn settle<S: State>(state: &mut S, queue: &mut QueueState, lane: Lane) -> Result<(), Stop> {
    let mut record = read(state, queue.space, lane)?;
    record.leased = record.leased.checked_sub(1).expect("a message that is leased was counted in its lane");
    refresh(state, queue, lane, record)
}

/// Puts the lane where its record says that it belongs among the runnable ones, and stores the record.
fn refresh<S: State>(state: &mut S, queue: &mut QueueState, lane: Lane, mut record: LaneRecord) -> Result<(), Stop> {
    let space = queue.space;
    let head = if record.leased > 0 || record.waiting == 0 {
        None
    } else {
        let front = front(state, space, lane, &record, 1)?;
        let first = front.first();
        if let Some(&(id, _)) = first {
            record.first = id;
        }
        first.filter(|(_, head)| head.state == Standing::Ready).map(|(id, head)| head.place(*id))
    };
    place(state, queue, lane, &mut record, head);
    write(state, space, lane, &record);
    Ok(())
}

/// Moves the row by which the lane stands among the runnable ones.
fn place<S: State>(state: &mut S, queue: &mut QueueState, lane: Lane, record: &mut LaneRecord, head: Option<Place>) {
    if head == record.head {
        return;
    }
    parking::step_out(state, queue, lane, record);
    if let Some(head) = head {
        parking::step_in(state, queue, lane, false, head);
    }
    record.head = head;
}

pub(super) fn read<S: View>(state: &S, space: Space, lane: Lane) -> Result<LaneRecord, Stop> {
    match state.get(&space.lane(lane), 0)? {
        Some(bytes) => Ok(LaneRecord::read(bytes)?),
        None => Ok(LaneRecord::default()),
    }
}

pub(super) fn write<S: State>(state: &mut S, space: Space, lane: Lane, record: &LaneRecord) {
    if record.waiting == 0 && record.leased == 0 {
        state.delete(&space.lane(lane));
    } else {
        state.put(&space.lane(lane), record.write().finish());
    }
}

/// The first `count` waiting messages with their heads.
fn front<S: View>(state: &S, space: Space, lane: Lane, record: &LaneRecord, count: usize) -> Result<Front, Stop> {
    let wanted = count.min(usize::try_from(record.waiting).unwrap_or(usize::MAX));
    if wanted == 0 {
        return Ok(Front::new());
    }
    // The first one may have come back by the very command that asks, in front of all that is loaded: a walk from it
    // would come to rows that nobody read before.
    if wanted == 1 && state.get(&space.lane_waiting(lane, record.first), 0)?.is_some() {
        return Ok(Front::from_iter([(record.first, head(state, space, record.first)?)]));
    }
    waiting_from(state, space, lane, record.first, wanted)
}

/// Up to `wanted` messages that wait in a lane, from an id on.
fn waiting_from<S: View>(state: &S, space: Space, lane: Lane, first: u64, wanted: usize) -> Result<Front, Stop> {
    let (_, to) = space.lane_waiting_range(lane);
    let mut ids: SmallVec<[u64; 8]> = SmallVec::new();
    let scanned = state.scan(&space.lane_waiting(lane, first), &to, &mut |key, _| {
        let id = keys::after_kind(key).and_then(|rest| rest.get(16..)).and_then(crate::kv::split_ordered);
        ids.extend(id.map(|(id, _)| id));
        if ids.len() >= wanted { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    scanned?;
    let mut front = Front::new();
    let mut needs = Needs::new();
    for id in ids {
        match head(state, space, id) {
            Ok(head) => front.push((id, head)),
            Err(Stop::Need(more)) => needs.extend(more),
            Err(stop) => return Err(stop),
        }
    }
    if needs.is_empty() { Ok(front) } else { Err(Stop::Need(needs)) }
}

fn head<S: View>(state: &S, space: Space, id: u64) -> Result<Head, Stop> {
    let bytes = state.get(&space.message(id), 0)?;
    let bytes = bytes.ok_or(Stop::Unreadable(Unreadable::Damaged { what: "a lane: a message of it is missing" }))?;
    Ok(Head::read(bytes)?)
}
