//! Lanes that wait for a key of a limiter: they step out of the order of runnable lanes into the line for the key, and
//! come back when the key may have room, or when something else comes to stand at their head.

use super::Stop;
use super::lanes::{read, write};
use crate::api::Lane;
use crate::keys::{self, OneKey, Space, WaitingLane};
use crate::kv::{KeyBuf, State, View};
use crate::lane::LaneRecord;
use crate::place::Place;
use crate::queue::QueueState;

/// Reads what a transition of the lane reads of the key for which it waits.
pub(super) fn prepare<S: View>(state: &S, space: Space, record: &LaneRecord) -> Result<(), Stop> {
    if let Some(key) = record.parked {
        state.get(&keys::limit_key(space.namespace, key), 0)?;
    }
    Ok(())
}

/// The lane, which stands among the runnable ones, waits for a key from now on.
pub(super) fn park<S: State>(
    state: &mut S,
    queue: &QueueState,
    lane: Lane,
    key: OneKey,
) -> Result<Option<WaitingLane>, Stop> {
    let mut record = read(state, queue.space, lane)?;
    let Some(head) = record.head else { return Ok(None) };
    state.delete(&runnable(queue.space, lane, record.noisy, head));
    record.parked = Some(key);
    write(state, queue.space, lane, &record);
    Ok(Some(waiting(queue.space, lane, key, head)))
}

/// The lane may run again, for all that is known.
pub(super) fn unpark<S: State>(state: &mut S, queue: &mut QueueState, from: &WaitingLane) -> Result<(), Stop> {
    let mut record = read(state, queue.space, from.lane)?;
    let key = (from.limiter, from.key);
    state.delete(&keys::limit_waiting(queue.space.namespace, from));
    queue.unparked.push((key, from.head));
    if record.head == Some(from.head) && record.parked.take_if(|parked| *parked == key).is_some() {
        step_in(state, queue, from.lane, record.noisy, from.head);
        write(state, queue.space, from.lane, &record);
    }
    Ok(())
}

/// The lane's head is not what it was: it does not stand by it any more, wherever that was.
pub(super) fn step_out<S: State>(state: &mut S, queue: &mut QueueState, lane: Lane, record: &mut LaneRecord) {
    let Some(head) = record.head.take() else { return };
    match record.parked.take() {
        Some(key) => {
            state.delete(&keys::limit_waiting(queue.space.namespace, &waiting(queue.space, lane, key, head)));
            queue.unparked.push((key, head));
        }
        None => state.delete(&runnable(queue.space, lane, record.noisy, head)),
    }
}

/// It stands among the runnable ones, by a head.
pub(super) fn step_in<S: State>(state: &mut S, queue: &mut QueueState, lane: Lane, noisy: bool, head: Place) {
    state.insert(&runnable(queue.space, lane, noisy, head), &[]);
    let gaps = if noisy { &mut queue.noisy_gaps } else { &mut queue.head_gaps };
    gaps.occupy(head.position());
}

fn runnable(space: Space, lane: Lane, noisy: bool, head: Place) -> KeyBuf {
    if noisy { space.lane_head_noisy(head, lane) } else { space.lane_head(head, lane) }
}

fn waiting(space: Space, lane: Lane, (limiter, key): OneKey, head: Place) -> WaitingLane {
    WaitingLane { limiter, key, head, space: space.id, lane }
}
