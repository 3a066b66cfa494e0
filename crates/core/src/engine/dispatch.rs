//! Dispatch: messages that may run go to the receivers of their queue, in the order in which these came.

use super::lease::Leased;
use super::{Engine, Needs, Stop};
use crate::api::{Output, QueueId, Reply};
use crate::kv::State;
use crate::queue::{Dispatch, Wanted};

impl Engine {
    /// Serves the receivers of all queues where something has changed.
    pub(super) fn serve<S: State>(&mut self, state: &mut S, out: &mut Output) -> Result<(), Stop> {
        self.run_flow_tasks(state, out)?;
        self.remove_crowded(state)?;
        loop {
            self.serve_queues(state, out)?;
            // Who is first in line for a key of a limiter may have a queue to be served.
            self.serve_lines(state, out)?;
            if self.dispatch.is_empty() {
                break;
            }
        }
        out.events.append(&mut self.events);
        self.answer_ended(state, out)
    }

    fn serve_queues<S: State>(&mut self, state: &mut S, out: &mut Output) -> Result<(), Stop> {
        // Serving may move dead letters, which may list further queues.
        while let Some(id) = self.dispatch.pop() {
            let Some(queue) = self.queues.get_mut(&id) else { continue };
            if queue.dispatch != Dispatch::Listed {
                continue;
            }
            queue.dispatch = Dispatch::Idle;
            self.dispatch_queue(state, id, out)?;
            if self.queues.get(&id).is_some_and(|queue| queue.dispatch != Dispatch::Stalled) {
                self.end_call(id);
                self.end_overdue(id, out);
            }
        }
        Ok(())
    }

    /// Goes on serving queues where a slice of dead letters stood first.
    pub(super) fn resume(&mut self) {
        for id in std::mem::take(&mut self.unfinished) {
            self.list_again(id);
        }
    }

    /// Serves the receivers of a queue that was stalled.
    pub(super) fn list_again(&mut self, id: QueueId) {
        if let Some(queue) = self.queues.get_mut(&id) {
            queue.dispatch = Dispatch::Listed;
            self.dispatch.push(id);
        }
    }

    /// Serves the receivers of one queue, first come first served, while there is something for them.
    pub(super) fn dispatch_queue<S: State>(
        &mut self,
        state: &mut S,
        id: QueueId,
        out: &mut Output,
    ) -> Result<(), Stop> {
        loop {
            match self.serve_again(state, id, out) {
                Err(Stop::Need(needs)) => {
                    self.stall(id, needs, out);
                    return Ok(());
                }
                served => served?,
            }
            let Some(queue) = self.queues.get(&id) else { return Ok(()) };
            if queue.counters.ready == 0 || queue.is_paused(self.now) || queue.blocked.is_some() {
                return Ok(());
            }
            let index = match self.next_waiter(state, id) {
                Ok(Some(index)) => index,
                Ok(None) => return Ok(()),
                Err(Stop::Need(needs)) => {
                    self.stall(id, needs, out);
                    return Ok(());
                }
                Err(stop) => return Err(stop),
            };
            let waiter = self.queues.get(&id).and_then(|queue| queue.waiters.get(index)).cloned();
            let Some(waiter) = waiter else { return Ok(()) };
            match self.lease_for(state, id, waiter.wanted) {
                Ok(Leased::All(deliveries)) if deliveries.is_empty() => {
                    self.fill_anew(id, index);
                    return Ok(());
                }
                Ok(Leased::More) => {
                    if let Some(queue) = self.queues.get_mut(&id) {
                        queue.dispatch = Dispatch::Stalled;
                    }
                    self.unfinished.push(id);
                    return Ok(());
                }
                Ok(Leased::All(deliveries)) => {
                    if let Some(queue) = self.queues.get_mut(&id) {
                        queue.waiters.remove(index);
                        queue.served_attempts.extend(waiter.wanted.attempt);
                    }
                    self.forget_waiter(waiter.token);
                    out.replies.push((waiter.token, Ok(Reply::Received(deliveries))));
                }
                Err(Stop::Need(needs)) => {
                    self.stall(id, needs, out);
                    return Ok(());
                }
                Err(stop) => return Err(stop),
            }
        }
    }

    /// Serves the receivers that wait, anywhere in the line, under an attempt's id by which another one was just served:
    /// they have the same messages, though there may be none for those before them.
    fn serve_again<S: State>(&mut self, state: &mut S, id: QueueId, out: &mut Output) -> Result<(), Stop> {
        loop {
            let Some(queue) = self.queues.get_mut(&id) else { return Ok(()) };
            let Some(&attempt) = queue.served_attempts.last() else { return Ok(()) };
            let at = queue.waiters.iter().position(|waiter| waiter.wanted.attempt == Some(attempt));
            let Some((at, waiter)) = at.and_then(|at| Some((at, queue.waiters.get(at).cloned()?))) else {
                queue.served_attempts.pop();
                continue;
            };
            let deliveries = self.repeat_attempt(state, id, waiter.wanted)?;
            let Some(queue) = self.queues.get_mut(&id) else { return Ok(()) };
            let Some(deliveries) = deliveries else {
                // The attempt is void already: whoever waits under it is a receiver like any other.
                queue.served_attempts.pop();
                continue;
            };
            queue.waiters.remove(at);
            self.forget_waiter(waiter.token);
            out.replies.push((waiter.token, Ok(Reply::Received(deliveries))));
        }
    }

    /// The receivers of a queue wait until rows are loaded.
    fn stall(&mut self, id: QueueId, needs: Needs, out: &mut Output) {
        if let Some(queue) = self.queues.get_mut(&id) {
            queue.dispatch = Dispatch::Stalled;
        }
        self.stalled.push(id);
        out.needs.extend(needs);
    }

    /// What a receiver gets: what it got before by the same attempt, or messages that may run.
    fn lease_for<S: State>(&mut self, state: &mut S, id: QueueId, wanted: Wanted) -> Result<Leased, Stop> {
        if let Some(deliveries) = self.repeat_attempt(state, id, wanted)? {
            return Ok(Leased::All(deliveries));
        }
        let leased = self.lease_messages(state, id, wanted)?;
        if let Leased::All(deliveries) = &leased
            && !deliveries.is_empty()
        {
            self.keep_attempt(state, id, wanted, deliveries);
        }
        Ok(leased)
    }
}
