//! Starting: what a message takes of the limiters of its queue, all of it or nothing.

use std::num::NonZeroU32;

use smallvec::SmallVec;

use super::Unreleased;
use crate::api::QueueId;
use crate::api::job::Hold;
use crate::engine::{Engine, Stop, prepare_each};
use crate::head::{Head, HeldPermit, HeldPermits};
use crate::keys::OneKey;
use crate::kv::{State, View};
use crate::limiter::{Blocked, UNITS_MAX, What};
use crate::queue::QueueState;
use crate::time::Time;

/// What a message asks of one limiter.
#[derive(Clone, Copy, Debug)]
struct Ask {
    key: OneKey,
    cost: NonZeroU32,
    /// Whether messages of the queue may have other keys.
    is_keyed: bool,
}

/// Whether a message may start.
pub(in crate::engine) enum Start {
    /// It does, and holds these until its lease ends.
    Granted(HeldPermits),
    /// It waits for this key, at the longest.
    Held(Held),
}

/// What holds a message back.
#[derive(Clone, Copy, Debug)]
pub(in crate::engine) struct Held {
    pub(super) key: OneKey,
    pub(super) cost: NonZeroU32,
    pub(super) is_keyed: bool,
    pub(super) until: Option<Time>,
}

impl Held {
    /// Whether it holds back for longer than `other`. A key of its own goes first: others need not wait with it.
    fn is_worse_than(&self, other: &Held) -> bool {
        match (self.is_keyed, other.is_keyed) {
            (true, false) => true,
            (false, true) => false,
            _ => self.until.unwrap_or(Time::NEVER) > other.until.unwrap_or(Time::NEVER),
        }
    }
}

impl Engine {
    /// Lets a message start that is about to be leased, if all limiters let it. It reads before it changes anything.
    pub(in crate::engine) fn try_start<S: State>(
        &mut self,
        state: &mut S,
        id: QueueId,
        message: u64,
        head: &Head,
    ) -> Result<Start, Stop> {
        let now = self.now;
        let Some(queue) = self.queues.get(&id) else { return Ok(Start::Granted(HeldPermits::new())) };
        let asks = asks(queue, head);
        prepare_each(asks.iter(), |ask| {
            self.limits.load(state, ask.key, now)?;
            self.limits.learn_first_lane(state, ask.key)
        })?;
        self.end_call(id);
        let place = head.place(message);
        let mut worst: Option<Held> = None;
        for &Ask { key, cost, is_keyed } in &asks {
            self.tidy_line(key);
            let is_behind = self.limits.is_behind(key, place);
            let Some((entry, limit)) = self.limits.ask(key) else { continue };
            let blocked = entry.state.waits_for(limit, now, cost, head.priority);
            if blocked.is_some() || is_behind {
                // Who stands before it is woken in time.
                let until = blocked.and_then(|blocked| blocked.until).filter(|_| !is_behind);
                let by = Held { key, cost, is_keyed, until };
                if worst.as_ref().is_none_or(|worst| by.is_worse_than(worst)) {
                    worst = Some(by);
                }
            }
        }
        if let Some(worst) = worst {
            return Ok(Start::Held(worst));
        }
        let mut permits = HeldPermits::new();
        for Ask { key, cost, .. } in asks {
            let Some((entry, limit)) = self.limits.change(key) else { continue };
            let permit = entry.state.start(limit, now, cost, head.priority);
            let permit = permit.expect("a start that waits for nothing is granted");
            permits.push(HeldPermit { limiter: key.0, key: key.1, seq: permit.seq, cost: permit.cost });
            self.limits.arm(state, key, now);
            self.limits.wake_if_waited_for(key);
        }
        Ok(Start::Granted(permits))
    }

    /// Sees to it that the limiters can be asked for a message without a stop.
    pub(in crate::engine) fn prepare_start<S: View>(
        &self,
        state: &S,
        queue: &QueueState,
        head: &Head,
    ) -> Result<(), Stop> {
        prepare_each(asks(queue, head).into_iter(), |ask| self.limits.prepare(state, ask.key))
    }

    /// Remembers what was granted until it is known to have left.
    pub(in crate::engine) fn expect_release(&mut self, id: u64, grant: u32, priority: u32, permits: &HeldPermits) {
        if !permits.is_empty() {
            let permits = permits.clone();
            self.limits.unreleased.insert(id, Unreleased { grant, priority, permits });
        }
    }

    /// Why the limiters of its queue do not let a ready message start, and what each waits for.
    pub(in crate::engine) fn limiter_holds<S: View>(
        &self,
        state: &S,
        queue: &QueueState,
        message: u64,
        head: &Head,
    ) -> Result<Vec<Hold>, Stop> {
        let place = head.place(message);
        let mut holds = Vec::new();
        for Ask { key, cost, .. } in asks(queue, head) {
            let is_behind = self.limits.stands_behind(state, key, place)?;
            let Some((mut found, limiter)) = self.limits.look(state, key, self.now)? else { continue };
            let blocked = found.waits_for(&limiter.limit, self.now, cost, head.priority);
            let blocked = blocked.or(is_behind.then_some(Blocked { until: None, by: What::Behind }));
            let name = limiter.public.name.clone();
            holds.extend(blocked.map(|blocked| Hold::Limiter { name, key: key.1, blocked }));
        }
        Ok(holds)
    }
}

/// What a message asks of the limiters of its queue.
fn asks(queue: &QueueState, head: &Head) -> SmallVec<[Ask; 2]> {
    let asks = queue.uses.iter().map(|used| {
        let own = head.limits.as_ref().and_then(|limits| limits.uses.iter().find(|own| own.tag == used.tag));
        let cost = own.map_or(1, |own| own.cost.clamp(1, UNITS_MAX));
        let key = own.and_then(|own| own.key).filter(|_| used.is_keyed);
        let cost = NonZeroU32::new(cost).unwrap_or(NonZeroU32::MIN);
        Ask { key: (used.limiter, key), cost, is_keyed: used.is_keyed }
    });
    asks.collect()
}

/// The keys of a message, for the limiters of its queue, and whether each is its own.
pub(super) fn keys_of(queue: &QueueState, head: &Head) -> SmallVec<[(OneKey, bool); 2]> {
    asks(queue, head).into_iter().map(|ask| (ask.key, ask.key.1.is_some())).collect()
}
