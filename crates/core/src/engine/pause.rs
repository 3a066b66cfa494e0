//! Pausing a queue: nothing of it is given out, at any door, until it is resumed or its time is over.

use std::sync::Arc;
use std::time::Duration;

use super::{Answer, Engine};
use crate::api::{Event, Output, Queue, QueueId, Reply};
use crate::keys;
use crate::kv::State;
use crate::queue::{Dispatch, QueueState};
use crate::time::Time;

impl Engine {
    pub(super) fn pause_queue<S: State>(
        &mut self,
        state: &mut S,
        id: QueueId,
        for_ms: u64,
        out: &mut Output,
    ) -> Answer {
        self.queue(id)?;
        let until = match for_ms {
            0 => None,
            u64::MAX => Some(Time::NEVER),
            _ => Some(self.now.after(Duration::from_millis(for_ms))),
        };
        self.set_pause(state, id, until, out);
        let queue = Arc::clone(&self.queue(id)?.public);
        Ok(Reply::Queue { queue, created: false })
    }

    /// A worker asks for the queue to be held back for so long. A longer pause goes on.
    pub(super) fn hold_queue<S: State>(&mut self, state: &mut S, id: QueueId, for_ms: u64) {
        let until = self.now.after(Duration::from_millis(for_ms));
        let longer = |queue: &QueueState| queue.public.paused_until.is_some_and(|paused| paused >= until);
        if for_ms == 0 || self.queues.get(&id).is_none_or(longer) {
            return;
        }
        let mut out = Output::default();
        self.set_pause(state, id, Some(until), &mut out);
        self.events.append(&mut out.events);
    }

    /// Lets the queues go on whose pause is over.
    pub(super) fn end_pauses<S: State>(&mut self, state: &mut S, out: &mut Output) {
        while let Some((_, id)) = self.pauses.first().copied().filter(|(at, _)| *at <= self.now) {
            self.pauses.pop_first();
            self.set_pause(state, id, None, out);
        }
    }

    /// Has the pause of a queue end by itself, if it is to.
    pub(super) fn end_pause_at(&mut self, id: QueueId, until: Option<Time>) {
        self.pauses.extend(until.filter(|until| *until < Time::NEVER).map(|until| (until, id)));
    }

    pub(super) fn set_pause<S: State>(&mut self, state: &mut S, id: QueueId, until: Option<Time>, out: &mut Output) {
        let Some(queue) = self.queues.get_mut(&id) else { return };
        if queue.public.paused_until == until {
            return;
        }
        if let Some(before) = queue.public.paused_until {
            self.pauses.remove(&(before, id));
        }
        queue.public = Arc::new(Queue { paused_until: until, ..(*queue.public).clone() });
        state.put(&keys::queue(queue.space.namespace, id.0), queue.write().finish());
        out.events.push(Event::QueueChanged(Arc::clone(&queue.public)));
        if until.is_none() && queue.dispatch == Dispatch::Idle {
            self.list_again(id);
        }
        self.end_pause_at(id, until);
    }
}
