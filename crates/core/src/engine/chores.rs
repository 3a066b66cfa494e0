//! Retention, and the end of buckets: looked at when the oldest could be over, in slices.

use std::time::Duration;

use super::oldest::{self, First};
use super::{Engine, SLICE_ROWS, Stop, Which};
use crate::api::{ATTEMPT_WINDOW_MS, Output, QueueId};
use crate::keys;
use crate::kv::State;
use crate::queue::QueueState;
use crate::time::Time;

impl Engine {
    pub(super) fn run_chores<S: State>(&mut self, state: &mut S, out: &mut Output) -> Result<(), Stop> {
        if self.chores_stalled {
            return Ok(());
        }
        let mut rows = SLICE_ROWS;
        while let Some(&(at, id)) = self.chores.first() {
            if at > self.now || rows == 0 {
                return Ok(());
            }
            match self.look_after(state, id, &mut rows) {
                Ok(next) => {
                    self.chores.remove(&(at, id));
                    if let Some(queue) = self.queues.get_mut(&id) {
                        queue.chores_at = next;
                        self.chores.extend(next.map(|next| (next, id)));
                    }
                }
                Err(Stop::Need(need)) => {
                    self.chores_stalled = true;
                    out.needs.extend(need);
                    return Ok(());
                }
                Err(stop) => return Err(stop),
            }
        }
        Ok(())
    }

    /// Has a queue looked after with the next tick.
    pub(super) fn look_soon(&mut self, id: QueueId) {
        self.look_by(id, self.now);
    }

    /// Has a queue looked after at `by`, if it is not to be earlier anyhow.
    pub(super) fn look_by(&mut self, id: QueueId, by: Time) {
        let Some(queue) = self.queues.get_mut(&id) else { return };
        if queue.chores_at.is_some_and(|at| at <= by) {
            return;
        }
        if let Some(later) = queue.chores_at.replace(by) {
            self.chores.remove(&(later, id));
        }
        self.chores.insert((by, id));
    }

    /// Does what is to be done for one queue, and says when to look again.
    fn look_after<S: State>(&mut self, state: &mut S, id: QueueId, rows: &mut usize) -> Result<Option<Time>, Stop> {
        let retention_at = self.retain(state, id, rows)?;
        let kept_until = self.keep_house(state, id, rows)?;
        let dedup_at = self.drop_dedup(state, id, rows)?;
        let now = self.now;
        let Some(queue) = self.queues.get_mut(&id) else { return Ok(None) };
        if drop_buckets(state, queue, now) {
            self.touched(id);
        }
        let Some(queue) = self.queues.get_mut(&id) else { return Ok(None) };
        let next = retention_at.min(kept_until).min(buckets_over(queue)).min(dedup_at);
        Ok((next < Time::NEVER).then_some(next))
    }

    /// Removes the messages that have been kept long enough, and says when the next one has.
    fn retain<S: State>(&mut self, state: &mut S, id: QueueId, rows: &mut usize) -> Result<Time, Stop> {
        loop {
            let Some(queue) = self.queues.get_mut(&id) else { return Ok(Time::NEVER) };
            if queue.unfinished() == 0 {
                return Ok(Time::NEVER);
            }
            let (message, head) = match oldest::first(state, queue, Which::Retained)? {
                First::Is(message, head) => (message, head),
                First::None => return Ok(Time::NEVER),
                First::More => return Ok(self.now),
            };
            let gone_at = head.sent_at.after(Duration::from_millis(queue.config().retention_ms));
            if gone_at > self.now {
                return Ok(gone_at);
            }
            if *rows == 0 {
                return Ok(self.now);
            }
            *rows -= 1;
            let space = queue.space;
            self.prepare_message(state, space, message, SLICE_ROWS)?;
            self.remove(state, id, message, &head)?;
            if let Some(queue) = self.queues.get_mut(&id) {
                queue.message_gaps.clear((message, 0), (message + 1, 0));
                queue.passed(Which::Retained, message + 1);
            }
        }
    }
}

/// When a queue that just got its first message or deduplication row is looked after.
pub(super) fn first_look(queue: &QueueState, now: Time) -> Time {
    now.after(Duration::from_millis(queue.config().retention_ms)).min(buckets_over(queue))
}

/// When the first bucket of rows is over.
pub(super) fn buckets_over(queue: &QueueState) -> Time {
    let dedup = queue.dedup_buckets.over(queue.config().dedup_window_ms);
    dedup.min(queue.attempt_buckets.over(ATTEMPT_WINDOW_MS))
}

/// Drops the rows of deduplication and attempts that count no more, by whole buckets. Says whether there were any.
fn drop_buckets<S: State>(state: &mut S, queue: &mut QueueState, now: Time) -> bool {
    let window_ms = queue.config().dedup_window_ms;
    let over = [
        (keys::DEDUP, queue.dedup_buckets.drop_over(now, window_ms)),
        (keys::ATTEMPT, queue.attempt_buckets.drop_over(now, ATTEMPT_WINDOW_MS)),
    ];
    let mut any = false;
    for (kind, over) in over {
        if let Some((first, last)) = over {
            state.delete_range(&keys::bucket(queue.space, kind, first), &keys::bucket(queue.space, kind, last + 1));
            any = true;
        }
    }
    any
}
