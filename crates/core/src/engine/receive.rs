//! Receiving: a receiver joins the line of its queue; whoever stands first gets what is there.

use std::time::Duration;

use super::send::within;
use super::{Engine, Stop};
use crate::api::{BATCH_MAX, Error, Output, QueueId, Reply, Token};
use crate::kv::State;
use crate::queue::{Dispatch, Waiter, Wanted};
use crate::time::Time;

impl Engine {
    pub(super) fn receive<S: State>(
        &mut self,
        state: &mut S,
        token: Token,
        id: QueueId,
        wanted: Wanted,
        wait_ms: u64,
        out: &mut Output,
    ) -> Result<(), Stop> {
        // One that had to wait for rows when all waits were ended does not begin to wait now.
        let wait_ms = if self.waits_ended { 0 } else { wait_ms };
        let deadline = if wait_ms == 0 { self.now } else { self.now.after(Duration::from_millis(wait_ms)) };
        if let Err(refusal) = self.check_wanted(id, wanted) {
            out.replies.push((token, Err(refusal)));
            return Ok(());
        }
        if wanted.attempt.is_some()
            && let Some(deliveries) = self.repeat_attempt(state, id, wanted)?
        {
            out.replies.push((token, Ok(Reply::Received(deliveries))));
            return Ok(());
        }
        let Some(queue) = self.queues.get_mut(&id) else { return Ok(()) };
        queue.waiters.push_back(Waiter { token, wanted, deadline, fills_until: None });
        if queue.dispatch != Dispatch::Stalled {
            self.dispatch_queue(state, id, out)?;
        }
        let Some(queue) = self.queues.get_mut(&id) else { return Ok(()) };
        // It stands last in the line, unless it was served.
        if let Some(waiter) = queue.waiters.back().filter(|waiter| waiter.token == token) {
            let wakes_at = waiter.wakes_at();
            if waiter.is_overdue(self.now) && queue.dispatch != Dispatch::Stalled {
                queue.waiters.pop_back();
                out.replies.push((token, Ok(Reply::Received(Vec::new()))));
            } else {
                self.waiting.insert(token, (id, wakes_at));
                self.waits.insert((wakes_at, token));
            }
        }
        Ok(())
    }

    fn check_wanted(&self, id: QueueId, wanted: Wanted) -> Result<(), Error> {
        let queue = self.queue(id)?;
        within("messages of a receive", BATCH_MAX as u64, u64::from(wanted.messages))?;
        if wanted.worker && wanted.visibility_ms.unwrap_or(queue.config().visibility_ms) == 0 {
            // It would be lost as it begins.
            return Err(Error::Invalid { field: "lease_ms", reason: "a worker's lease lasts a millisecond at least" });
        }
        Ok(())
    }

    /// Takes a waiting receive out of the line and answers it as empty.
    pub(super) fn cancel(&mut self, token: Token, out: &mut Output) {
        let Some((id, deadline)) = self.waiting.remove(&token) else { return };
        self.waits.remove(&(deadline, token));
        if let Some(queue) = self.queues.get_mut(&id) {
            queue.waiters.retain(|waiter| waiter.token != token);
            if queue.waiters.is_empty() {
                // It gives its place in line up: others need not wait behind it.
                self.unblock(id);
            }
        }
        out.replies.push((token, Ok(Reply::Received(Vec::new()))));
    }

    /// Answers the receives whose time is over. Those whose queue waits for rows get what the rows bring first.
    pub(super) fn end_waits(&mut self, out: &mut Output) {
        while let Some(&(at, token)) = self.waits.first() {
            if at > self.now {
                return;
            }
            self.waits.pop_first();
            let Some(&(id, _)) = self.waiting.get(&token) else { continue };
            let stalled = self.queues.get(&id).is_some_and(|queue| queue.dispatch == Dispatch::Stalled);
            if !stalled && !self.end_filling(id, token) {
                self.cancel(token, out);
            }
        }
    }

    /// Answers every waiting receive as empty, and who waits for jobs with what was known of them; and lets none wait from now on: nothing more will come.
    pub fn end_all_waits(&mut self, out: &mut Output) {
        self.waits_ended = true;
        let mut tokens: Vec<Token> = self.waiting.keys().copied().collect();
        tokens.sort_unstable();
        for token in tokens {
            self.cancel(token, out);
        }
        self.end_all_awaits(out);
        self.end_all_acquires(out);
    }

    /// Answers the receives of a queue whose time ended while rows were being loaded.
    pub(super) fn end_overdue(&mut self, id: QueueId, out: &mut Output) {
        let now = self.now;
        let overdue = |waiter: &Waiter| waiter.is_overdue(now);
        let tokens: Vec<Token> = match self.queues.get(&id) {
            Some(queue) => queue.waiters.iter().filter(|waiter| overdue(waiter)).map(|waiter| waiter.token).collect(),
            None => Vec::new(),
        };
        for token in tokens {
            self.cancel(token, out);
        }
        self.wait_on(id);
    }

    /// A waiting receive was answered.
    pub(super) fn forget_waiter(&mut self, token: Token) {
        if let Some((_, deadline)) = self.waiting.remove(&token) {
            self.waits.remove(&(deadline, token));
        }
    }

    /// The end of a lease that starts now.
    pub(super) fn lease_end(&self, visibility_ms: u64) -> Time {
        self.now.after(Duration::from_millis(visibility_ms))
    }
}
