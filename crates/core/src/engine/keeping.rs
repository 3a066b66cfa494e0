//! What remains of finished jobs, and for how long: the last ones, as many as are kept, until they are too old.
//!
//! By count the oldest go as soon as there are more than the job that finished last says, or its queue; by age they go
//! with the chores of the queue, except those that have an age of their own, which have their own time.

use std::ops::ControlFlow;
use std::time::Duration;

use super::{Engine, SLICE_ROWS, Stop};
use crate::api::{BATCH_MAX, QueueId};
use crate::keys;
use crate::kv::{State, View};
use crate::queue::{Finished, QueueState};
use crate::time::Time;

/// A finished job, in the order of the ends.
#[derive(Clone, Copy, Debug)]
struct Row {
    at: Time,
    id: u64,
    /// Whether it has its own time to go.
    own: bool,
}

/// How a pass over finished jobs ended.
enum Pass {
    /// There is nothing to do before then.
    Until(Time),
    /// There is more to do.
    More,
}

impl Engine {
    /// A job has finished, and so many of its queue are kept at most. Where those are still to go that an earlier one drove
    /// out, it comes to those that stay.
    pub(super) fn keep_last(&mut self, id: QueueId, finished: Finished, count: u64) {
        self.keep_at_most(id, finished, count, 1);
    }

    /// So many finished jobs of a queue are kept at most, and `came` of them have just come.
    pub(super) fn keep_at_most(&mut self, id: QueueId, finished: Finished, count: u64, came: u64) {
        let Some(queue) = self.queues.get_mut(&id) else { return };
        let stay = queue.keeping(finished).count.map_or(count, |stay| stay.saturating_add(came).min(count));
        if queue.finished(finished) > stay {
            queue.keeping(finished).count = Some(stay);
            if !self.crowded.contains(&(id, finished)) {
                self.crowded.push((id, finished));
            }
        }
    }

    /// Removes the finished jobs that are too many by now. What is not in memory is left to the chores.
    pub(super) fn remove_crowded<S: State>(&mut self, state: &mut S) -> Result<(), Stop> {
        while let Some((id, finished)) = self.crowded.pop() {
            match self.remove_excess(state, id, finished, BATCH_MAX) {
                Ok(true) => {}
                Ok(false) | Err(Stop::Need(_)) => self.look_soon(id),
                Err(stop) => return Err(stop),
            }
        }
        Ok(())
    }

    /// Removes the oldest finished jobs as long as there are too many, and not more than `max`. Says whether all is done.
    fn remove_excess<S: State>(
        &mut self,
        state: &mut S,
        id: QueueId,
        finished: Finished,
        max: usize,
    ) -> Result<bool, Stop> {
        let Some(queue) = self.queues.get_mut(&id) else { return Ok(true) };
        let all = queue.finished(finished);
        let Some(count) = queue.keeping(finished).count else { return Ok(true) };
        let excess = usize::try_from(all.saturating_sub(count)).unwrap_or(usize::MAX);
        let from = queue.keeping(finished).first;
        let (rows, scanned) = rows(state, queue, finished, (from, 0), excess.min(max));
        let removed = rows.len();
        for row in rows {
            self.remove_finished(state, id, row)?;
            if let Some(queue) = self.queues.get_mut(&id) {
                // Others may have finished in the same millisecond.
                queue.keeping(finished).first = row.at;
            }
        }
        scanned?;
        if removed < excess && removed == max {
            return Ok(false);
        }
        if let Some(queue) = self.queues.get_mut(&id) {
            queue.keeping(finished).count = None;
        }
        Ok(true)
    }

    fn remove_finished<S: State>(&mut self, state: &mut S, id: QueueId, row: Row) -> Result<(), Stop> {
        let Some(space) = self.queues.get(&id).map(|queue| queue.space) else { return Ok(()) };
        if let Some(head) = self.prepare_message(state, space, row.id, SLICE_ROWS)? {
            self.forget(state, id, row.id, &head)?;
        }
        Ok(())
    }

    /// Removes finished jobs that are too many or too old, a slice of them, and says when to look again.
    pub(super) fn keep_house<S: State>(&mut self, state: &mut S, id: QueueId, rows: &mut usize) -> Result<Time, Stop> {
        let mut next = Time::NEVER;
        for finished in Finished::BOTH {
            if !self.remove_excess(state, id, finished, *rows)? {
                return Ok(self.now);
            }
            match self.remove_old(state, id, finished, rows)? {
                Pass::Until(at) => next = next.min(at),
                Pass::More => return Ok(self.now),
            }
        }
        Ok(next)
    }

    fn remove_old<S: State>(
        &mut self,
        state: &mut S,
        id: QueueId,
        finished: Finished,
        left: &mut usize,
    ) -> Result<Pass, Stop> {
        let now = self.now;
        let Some(queue) = self.queues.get_mut(&id) else { return Ok(Pass::Until(Time::NEVER)) };
        let age_ms = queue.config().keep(finished).age_ms;
        if queue.finished(finished) == 0 || age_ms == u64::MAX {
            return Ok(Pass::Until(Time::NEVER));
        }
        let keeping = queue.keeping(finished);
        let from = keeping.passed.max((keeping.first, 0));
        let (rows, scanned) = rows(state, queue, finished, from, SLICE_ROWS);
        let full = rows.len() >= SLICE_ROWS;
        for row in rows {
            // In the present millisecond others may still finish in front of one that is passed.
            let age_ms = if row.own { 1 } else { age_ms };
            let gone_at = row.at.after(Duration::from_millis(age_ms));
            if gone_at > now {
                return Ok(Pass::Until(gone_at));
            }
            if *left == 0 {
                return Ok(Pass::More);
            }
            *left -= 1;
            if !row.own {
                self.remove_finished(state, id, row)?;
            }
            if let Some(queue) = self.queues.get_mut(&id) {
                queue.keeping(finished).passed = (row.at, row.id + 1);
            }
        }
        scanned?;
        Ok(if full { Pass::More } else { Pass::Until(Time::NEVER) })
    }
}

/// The first rows from a time on, up to `max`, and what is missing to tell more.
fn rows<S: View>(
    state: &S,
    queue: &QueueState,
    finished: Finished,
    (at, id): (Time, u64),
    max: usize,
) -> (Vec<Row>, Result<(), Stop>) {
    let mut rows = Vec::new();
    if max == 0 {
        return (rows, Ok(()));
    }
    let from = queue.space.finished(finished == Finished::Completed, at, id);
    let to = queue.space.finished_end(finished == Finished::Completed);
    let scanned = state.scan(&from, &to, &mut |key, value| {
        rows.extend(keys::numbers(key).map(|[_, at, id]| Row { at: Time(at), id, own: !value.is_empty() }));
        if rows.len() >= max { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    (rows, scanned.map_err(Stop::from))
}
