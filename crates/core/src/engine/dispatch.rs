//! Dispatch: messages that may run go to the receivers of their queue, in the order in which these came.

use super::{Engine, Stop};
use crate::api::{Delivery, Output, QueueId, Reply};
use crate::kv::State;
use crate::queue::{Dispatch, Wanted};

impl Engine {
    /// Serves the receivers of all queues where something has changed.
    pub(super) fn serve<S: State>(&mut self, state: &mut S, out: &mut Output) -> Result<(), Stop> {
        // Serving may move dead letters, which may list further queues.
        while let Some(id) = self.dispatch.pop() {
            let Some(queue) = self.queues.get_mut(&id) else { continue };
            if queue.dispatch != Dispatch::Listed {
                continue;
            }
            queue.dispatch = Dispatch::Idle;
            self.dispatch_queue(state, id, out)?;
            if self.queues.get(&id).is_some_and(|queue| queue.dispatch != Dispatch::Stalled) {
                self.end_overdue(id, out);
            }
        }
        Ok(())
    }

    /// Serves the receivers of one queue, first come first served, while there is something for them.
    pub(super) fn dispatch_queue<S: State>(
        &mut self,
        state: &mut S,
        id: QueueId,
        out: &mut Output,
    ) -> Result<(), Stop> {
        loop {
            let Some(queue) = self.queues.get(&id) else { return Ok(()) };
            if queue.counters.ready == 0 {
                return Ok(());
            }
            let Some(waiter) = queue.waiters.front().cloned() else { return Ok(()) };
            match self.lease_for(state, id, waiter.wanted) {
                Ok(deliveries) if deliveries.is_empty() => return Ok(()),
                Ok(deliveries) => {
                    if let Some(queue) = self.queues.get_mut(&id) {
                        queue.waiters.pop_front();
                    }
                    self.forget_waiter(waiter.token);
                    out.replies.push((waiter.token, Ok(Reply::Received(deliveries))));
                }
                Err(Stop::Need(need)) => {
                    if let Some(queue) = self.queues.get_mut(&id) {
                        queue.dispatch = Dispatch::Stalled;
                    }
                    self.stalled.push(id);
                    out.needs.extend(need);
                    return Ok(());
                }
                Err(stop) => return Err(stop),
            }
        }
    }

    /// What a receiver gets: what it got before by the same attempt, or messages that may run.
    fn lease_for<S: State>(&mut self, state: &mut S, id: QueueId, wanted: Wanted) -> Result<Vec<Delivery>, Stop> {
        if let Some(deliveries) = self.repeat_attempt(state, id, wanted)? {
            return Ok(deliveries);
        }
        let deliveries = self.lease_messages(state, id, wanted)?;
        if !deliveries.is_empty() {
            self.keep_attempt(state, id, wanted, &deliveries);
        }
        Ok(deliveries)
    }
}
