//! Listing the jobs of a queue in one state, page by page, in the order of the state.
//!
//! A page costs what it holds, wherever it stands: each state has an order in the store. Two orders are shared. What is
//! due stands in one order for the whole namespace, so a page of delayed or leased jobs may hold fewer than asked for,
//! or none, while it passes what is due in other queues. Messages in lanes stand in the order of their lane, so they are
//! listed after those without one, lane by lane; which lane's turn comes when depends on what happens until then.

use std::ops::ControlFlow;

use smallvec::smallvec;

use super::lease::walk_from;
use super::list::listed;
use super::send::within;
use super::{Answer, Engine, SLICE_ROWS, Stop, prepare_each};
use crate::api::job::{JobPage, JobState, PageMark};
use crate::api::{Error, Kind, LIST_MAX, QueueId, Reply};
use crate::codec::Unreadable;
use crate::gaps::{Position, following};
use crate::head::{Head, State as Standing};
use crate::keys;
use crate::kv::{KeyBuf, View, split_ordered};
use crate::place::Place;
use crate::queue::QueueState;
use crate::time::Time;

/// In the first number of a mark: the message stands before all others of its priority.
const LIFO: u64 = 1 << 32;

/// Places in an order, each with its message.
#[derive(Default)]
struct Places {
    found: Vec<(PageMark, u64)>,
    /// The last place that was looked at; nothing at the end of the order.
    last: Option<PageMark>,
}

impl Engine {
    pub(super) fn list_jobs<S: View>(
        &self,
        state: &S,
        id: QueueId,
        standing: JobState,
        after: Option<&PageMark>,
        max: u32,
        payload_bytes_max: Option<u64>,
    ) -> Result<Answer, Stop> {
        let queue = match self.queue(id) {
            Ok(queue) => queue,
            Err(error) => return Ok(Err(error)),
        };
        if let Err(error) = within("jobs of a page", LIST_MAX as u64, u64::from(max)) {
            return Ok(Err(error));
        }
        let after = after.map_or(&[][..], |mark| mark.as_slice());
        let max = max.max(1) as usize;
        let counters = queue.counters;
        let (wanted, places) = match standing {
            JobState::Ready => (Standing::Ready, ready(state, queue, after, max)?),
            JobState::Delayed => (Standing::Delayed, self.due(state, queue, after, max, counters.delayed)?),
            JobState::Leased => (Standing::Leased, self.due(state, queue, after, max, counters.leased)?),
            JobState::Waiting => (Standing::Waiting, waiting(state, queue, after, max)?),
            JobState::Completed => (Standing::Completed, newest(state, queue, true, after, max)?),
            JobState::Failed => (Standing::Failed, newest(state, queue, false, after, max)?),
            JobState::Removed => {
                return Ok(Err(Error::Invalid { field: "state", reason: "removed jobs are not kept" }));
            }
        };
        let mut jobs = Vec::new();
        let mut bytes = 0_u64;
        let mut next = places.last;
        let heads = heads(state, queue, &places.found)?;
        let mut passed = None;
        for ((mark, message), head) in places.found.into_iter().zip(heads) {
            // A row of what is due may be that of an expiry, and a FIFO queue's lanes hold delayed messages too.
            if head.state == wanted
                && (standing != JobState::Delayed && standing != JobState::Leased || is_due(&head, &mark))
            {
                bytes = bytes.saturating_add(head.bytes);
                if payload_bytes_max.is_some_and(|bytes_max| bytes > bytes_max) && !jobs.is_empty() {
                    next = passed;
                    break;
                }
                jobs.push(listed(queue, message, head));
            }
            passed = Some(mark);
        }
        Ok(Ok(Reply::Jobs(JobPage { jobs, payloads: payload_bytes_max.is_some(), next })))
    }

    /// What is due in the queue, of a slice of what is due in its namespace. `count` is how many there are to find.
    fn due<S: View>(
        &self,
        state: &S,
        queue: &QueueState,
        after: &[u64],
        max: usize,
        count: u64,
    ) -> Result<Places, Stop> {
        let mut places = Places::default();
        if count == 0 {
            return Ok(places);
        }
        let from = match *after {
            [at, space, id] => Some((Time(at), space, id)),
            _ => None,
        };
        let rows = self.due_after(state, queue.space.namespace, from, SLICE_ROWS)?;
        let whole = rows.len() < SLICE_ROWS;
        for (at, space, id) in rows {
            let mark: PageMark = smallvec![at.0, space, id];
            if space == queue.space.id {
                places.found.push((mark.clone(), id));
            }
            places.last = Some(mark);
            if places.found.len() >= max {
                return Ok(places);
            }
        }
        if whole {
            places.last = None;
        }
        Ok(places)
    }
}

/// Whether the row of what is due is that of the end of a delay or a lease.
fn is_due(head: &Head, mark: &PageMark) -> bool {
    mark.first() == Some(&head.due.0)
}

/// Those that stand alone, in the order of delivery, then those in lanes, lane by lane.
fn ready<S: View>(state: &S, queue: &QueueState, after: &[u64], max: usize) -> Result<Places, Stop> {
    let mut places = Places::default();
    let start: Option<Position> = match *after {
        [] => Some((0, 0)),
        [priority, id] => {
            let place = Place::new(priority as u32, id, priority & LIFO != 0);
            Some(following(place.position()))
        }
        _ => None,
    };
    if let Some(start) = start.filter(|_| queue.public.kind == Kind::Standard) {
        walk_from(state, queue, &queue.ready_gaps, keys::READY, start, &mut |_, place| {
            let lifo = if place.is_lifo() { LIFO } else { 0 };
            places.found.push((smallvec![u64::from(place.priority) | lifo, place.id()], place.id()));
            places.found.len() < max
        })?;
    }
    let kind = match queue.public.kind {
        Kind::Standard => keys::LANE_READY,
        Kind::Fifo => keys::LANE_WAITING,
    };
    let from = match *after {
        [high, low, ref rest @ ..] if !rest.is_empty() => {
            let lane = (u128::from(high) << 64 | u128::from(low)).to_be_bytes();
            rest.iter().fold(queue.space.kind(kind).hash(lane), |key, &number| key.number(number)).byte(0)
        }
        _ => queue.space.kind(kind),
    };
    fill(state, &mut places, &from, &queue.space.kind(kind + 1), max, |key| {
        let (lane, mut rest) = keys::after_kind(key)?.split_first_chunk::<16>()?;
        let lane = u128::from_be_bytes(*lane);
        let mut mark: PageMark = smallvec![(lane >> 64) as u64, lane as u64];
        while let Some((number, after)) = split_ordered(rest) {
            mark.push(number);
            rest = after;
        }
        let id = match *mark.get(2..)? {
            [id] | [_, id] => id,
            [_, _, complement] => !complement,
            _ => return None,
        };
        Some((mark, id))
    })?;
    Ok(places)
}

fn waiting<S: View>(state: &S, queue: &QueueState, after: &[u64], max: usize) -> Result<Places, Stop> {
    let mut places = Places::default();
    let from = queue.space.waiting(after.first().map_or(0, |id| id.saturating_add(1)));
    fill(state, &mut places, &from, &queue.space.kind(keys::WAITING + 1), max, |key| {
        keys::numbers(key).map(|[id]| (smallvec![id], id))
    })?;
    Ok(places)
}

fn newest<S: View>(state: &S, queue: &QueueState, completed: bool, after: &[u64], max: usize) -> Result<Places, Stop> {
    let mut places = Places::default();
    let from = match *after {
        [at, id] => queue.space.newest(completed, Time(at), id).byte(0),
        _ => queue.space.newest_of(completed),
    };
    let to = if completed { queue.space.newest_of(false) } else { queue.space.kind(keys::NEWEST + 1) };
    fill(state, &mut places, &from, &to, max, |key| keys::numbers(key).map(|[_, at, id]| (smallvec![!at, !id], !id)))?;
    Ok(places)
}

/// Adds the places from a key on until there are `max`.
fn fill<S: View>(
    state: &S,
    places: &mut Places,
    from: &KeyBuf,
    to: &KeyBuf,
    max: usize,
    place: impl Fn(&[u8]) -> Option<(PageMark, u64)>,
) -> Result<(), Stop> {
    if places.found.len() < max {
        state.scan(from, to, &mut |key, _| {
            places.found.extend(place(key));
            if places.found.len() < max { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
    }
    if places.found.len() >= max {
        places.last = places.found.last().map(|(mark, _)| mark.clone());
    }
    Ok(())
}

fn heads<S: View>(state: &S, queue: &QueueState, places: &[(PageMark, u64)]) -> Result<Vec<Head>, Stop> {
    let mut heads = Vec::with_capacity(places.len());
    prepare_each(places.iter(), |&(_, id)| {
        let bytes = state.get(&queue.space.message(id), 0)?;
        let bytes = bytes.ok_or(Unreadable::Damaged { what: "an order of jobs: a job is missing" })?;
        heads.push(Head::read(bytes)?);
        Ok(())
    })?;
    Ok(heads)
}
