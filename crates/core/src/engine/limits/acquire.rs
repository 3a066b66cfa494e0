//! Permits for programs outside: asked for, waited for, settled, and ended when their time is over.

use std::num::NonZeroU32;
use std::time::Duration;

use super::line::{InLine, Waiter};
use super::permit::PermitRecord;
use crate::api::limit::{Acquired, LimitKey, LimiterId, PERMIT_MS_MAX, PermitId};
use crate::api::{Error, Output, Reply, Token};
use crate::engine::send::within;
use crate::engine::{Answer, Engine, Stop, due};
use crate::head::{HeldPermit, HeldPermits};
use crate::keys::{self, OneKey, Space};
use crate::kv::State;
use crate::limiter::{Blocked, Permit, UNITS_MAX, What};
use crate::place::Place;
use crate::queue::Turn;
use crate::time::Time;

/// One who waits for a permit.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waiting {
    wish: Wish,
    turn: Turn,
    deadline: Time,
}

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub(in crate::engine) struct Wish {
    pub(in crate::engine) limiter: LimiterId,
    pub(in crate::engine) key: Option<LimitKey>,
    pub(in crate::engine) cost: u32,
    pub(in crate::engine) priority: u32,
    pub(in crate::engine) lease_ms: u64,
}

impl Wish {
    fn key(&self) -> OneKey {
        (self.limiter, self.key)
    }

    fn cost(&self) -> NonZeroU32 {
        NonZeroU32::new(self.cost).unwrap_or(NonZeroU32::MIN)
    }

    fn check(&self) -> Result<(), Error> {
        if self.cost == 0 {
            return Err(Error::Invalid { field: "cost", reason: "a permit costs 1 or more" });
        }
        if self.lease_ms == 0 {
            return Err(Error::Invalid { field: "lease_ms", reason: "a permit lasts for 1 ms or more" });
        }
        within("cost of a permit", u64::from(UNITS_MAX), u64::from(self.cost))?;
        within("milliseconds of a permit", PERMIT_MS_MAX, self.lease_ms)
    }
}

impl Engine {
    pub(in crate::engine) fn acquire<S: State>(
        &mut self,
        state: &mut S,
        token: Token,
        wish: Wish,
        wait_ms: u64,
        out: &mut Output,
    ) -> Result<(), Stop> {
        let (now, key) = (self.now, wish.key());
        if let Err(error) = wish.check() {
            out.replies.push((token, Err(error)));
            return Ok(());
        }
        if !self.limits.load(state, key, now)? {
            out.replies.push((token, Err(Error::LimiterNotFound)));
            return Ok(());
        }
        self.limits.learn_first_lane(state, key)?;
        self.tidy_line(key);
        // Behind every message that is there already.
        let place = Place::new(wish.priority, self.last_id.max(1), false);
        let Some(blocked) = self.blocked_wish(&wish, place) else {
            self.grant_permit(state, token, wish, out);
            return Ok(());
        };
        if wait_ms == 0 || self.waits_ended {
            out.replies.push((token, Ok(Reply::Acquired(Acquired::Blocked(blocked)))));
            return Ok(());
        }
        self.limits.last_turn += 1;
        let turn = (place, self.limits.last_turn);
        let deadline = now.after(Duration::from_millis(wait_ms));
        self.limits.acquires.insert(token, Waiting { wish, turn, deadline });
        self.limits.acquire_ends.insert((deadline, token));
        self.limits.join(key, turn, InLine { who: Waiter::Permit(token), cost: wish.cost() });
        Ok(())
    }

    /// What a wish waits for, if it does. Its key was loaded.
    fn blocked_wish(&mut self, wish: &Wish, place: Place) -> Option<Blocked> {
        let now = self.now;
        let is_behind = self.limits.is_behind(wish.key(), place);
        let (entry, limit) = self.limits.ask(wish.key())?;
        let blocked = entry.state.waits_for(limit, now, wish.cost(), wish.priority);
        blocked.or(is_behind.then_some(Blocked { until: None, by: What::Behind }))
    }

    /// Serves one who waited, whose turn it is and for whom there is room.
    pub(super) fn serve_acquire<S: State>(&mut self, state: &mut S, token: Token, out: &mut Output) {
        if let Some(Waiting { wish, deadline, .. }) = self.limits.acquires.remove(&token) {
            self.limits.acquire_ends.remove(&(deadline, token));
            self.grant_permit(state, token, wish, out);
        }
    }

    /// Grants a permit for which there is room.
    fn grant_permit<S: State>(&mut self, state: &mut S, token: Token, wish: Wish, out: &mut Output) {
        let (now, key) = (self.now, wish.key());
        let Some(namespace) = self.limits.namespace(key.0) else { return };
        let Some((entry, limit)) = self.limits.change(key) else { return };
        let granted = entry.state.start(limit, now, wish.cost(), wish.priority);
        let Permit { seq, cost, priority } = granted.expect("a start that waits for nothing is granted");
        self.limits.arm(state, key, now);
        self.limits.wake_if_waited_for(key);
        let permit = PermitId(self.new_id());
        let until = now.after(Duration::from_millis(wish.lease_ms));
        let held = HeldPermit { limiter: key.0, key: key.1, seq, cost };
        self.expect_release(permit.0, 0, priority, &HeldPermits::from_iter([held]));
        let record = PermitRecord { held, priority, until };
        state.insert(&keys::permit(namespace, key.0, permit.0), record.write().finish());
        self.due.insert(state, until, Space { namespace, id: key.0.0 }, permit.0);
        out.replies.push((token, Ok(Reply::Acquired(Acquired::Granted { permit, until }))));
    }

    pub(in crate::engine) fn settle_permit<S: State>(
        &mut self,
        state: &mut S,
        id: LimiterId,
        permit: PermitId,
        cost: Option<u32>,
        done: bool,
    ) -> Result<Answer, Stop> {
        let now = self.now;
        let Some(namespace) = self.limits.namespace(id) else { return Ok(Err(Error::LimiterNotFound)) };
        if let Err(error) = within("cost of a permit", u64::from(UNITS_MAX), u64::from(cost.unwrap_or(0))) {
            return Ok(Err(error));
        }
        let Some(mut record) = PermitRecord::find(state, namespace, id, permit)? else {
            return Ok(Err(Error::PermitNotFound));
        };
        let key = (id, record.held.key);
        self.limits.load(state, key, now)?;
        if let Some(cost) = cost
            && let Some((entry, limit)) = self.limits.change(key)
        {
            let mut settled = Permit { seq: record.held.seq, cost: record.held.cost, priority: record.priority };
            entry.state.settle(limit, &mut settled, cost, now);
            record.held.cost = settled.cost;
            self.limits.wake_if_waited_for(key);
            // What is still to leave, or to end, is what it costs now.
            if let Some(unreleased) = self.limits.unreleased.get_mut(&permit.0) {
                unreleased.permits = record.permits();
            }
        }
        if done {
            self.end_permit(state, namespace, id, permit, &record)?;
        } else {
            state.put(&keys::permit(namespace, id, permit.0), record.write().finish());
        }
        Ok(Ok(Reply::Done))
    }

    /// A permit's grant has left for who asked for it.
    pub(in crate::engine) fn permit_released<S: State>(
        &mut self,
        state: &mut S,
        id: LimiterId,
        permit: PermitId,
    ) -> Result<(), Stop> {
        let unreleased = self.limits.unreleased.get(&permit.0);
        if unreleased.is_some_and(|kept| kept.permits.iter().all(|held| held.limiter == id)) {
            self.have_left(state, &[permit.0])?;
        }
        Ok(())
    }

    /// A permit's grant never left: it is as if it had not been granted.
    pub(in crate::engine) fn permit_returned<S: State>(
        &mut self,
        state: &mut S,
        id: LimiterId,
        permit: PermitId,
    ) -> Result<(), Stop> {
        let Some(namespace) = self.limits.namespace(id) else { return Ok(()) };
        let Some(record) = PermitRecord::find(state, namespace, id, permit)? else { return Ok(()) };
        self.withdraw_permits(state, permit.0, record.priority, &record.permits())?;
        Self::forget_permit(state, namespace, id, permit, &record);
        Ok(())
    }

    /// A permit whose time is over ends. The row by which it was found belongs to it, or to one that has ended.
    pub(in crate::engine) fn expire_permit<S: State>(
        &mut self,
        state: &mut S,
        at: Time,
        space: Space,
        permit: u64,
    ) -> Result<(), Stop> {
        let (id, permit) = (LimiterId(space.id), PermitId(permit));
        let record = match self.limits.namespace(id) {
            Some(namespace) => PermitRecord::find(state, namespace, id, permit)?,
            None => None,
        };
        match record {
            Some(record) if record.until == at => self.end_permit(state, space.namespace, id, permit, &record),
            _ => {
                due::remove(state, at, space, permit.0);
                Ok(())
            }
        }
    }

    fn end_permit<S: State>(
        &mut self,
        state: &mut S,
        namespace: crate::api::Namespace,
        id: LimiterId,
        permit: PermitId,
        record: &PermitRecord,
    ) -> Result<(), Stop> {
        self.end_permits(state, permit.0, record.priority, &record.permits())?;
        Self::forget_permit(state, namespace, id, permit, record);
        Ok(())
    }

    fn forget_permit<S: State>(
        state: &mut S,
        namespace: crate::api::Namespace,
        id: LimiterId,
        permit: PermitId,
        record: &PermitRecord,
    ) {
        state.delete(&keys::permit(namespace, id, permit.0));
        due::remove(state, record.until, Space { namespace, id: id.0 }, permit.0);
    }

    /// Withdraws one who waits for a permit. Says whether there was such a one.
    pub(in crate::engine) fn cancel_acquire(&mut self, token: Token, out: &mut Output) -> bool {
        let Some(Waiting { wish, turn, deadline }) = self.limits.acquires.remove(&token) else { return false };
        self.limits.acquire_ends.remove(&(deadline, token));
        self.limits.leave(wish.key(), turn);
        let blocked = self.blocked_wish(&wish, turn.0);
        let blocked = blocked.unwrap_or(Blocked { until: Some(self.now), by: What::Behind });
        out.replies.push((token, Ok(Reply::Acquired(Acquired::Blocked(blocked)))));
        true
    }

    /// Answers those whose time to wait is over. Where ends of leases and permits, or their line, wait for rows, they get
    /// what the rows bring first.
    pub(in crate::engine) fn end_acquires(&mut self, out: &mut Output) {
        while let Some(&(at, token)) = self.limits.acquire_ends.first() {
            if at > self.now {
                return;
            }
            let key = self.limits.acquires.get(&token).map(|waiting| waiting.wish.key());
            let stalled = self.due_stalled || self.limits.wakes.stalled;
            if stalled || key.is_some_and(|key| self.limits.stalled.contains(&key)) {
                self.limits.acquire_ends.remove(&(at, token));
                self.limits.overdue.push((at, token));
            } else {
                self.cancel_acquire(token, out);
            }
        }
    }

    /// Answers all of them.
    pub(in crate::engine) fn end_all_acquires(&mut self, out: &mut Output) {
        while let Some((&token, _)) = self.limits.acquires.first_key_value() {
            self.cancel_acquire(token, out);
        }
    }

    /// A limiter is gone: who asked for permits of it is told, and the queues that stood in line for it go on.
    pub(super) fn disperse(&mut self, id: LimiterId, out: &mut Output) {
        let of_it = self.limits.acquires.iter().filter(|(_, waiting)| waiting.wish.limiter == id);
        let tokens: Vec<Token> = of_it.map(|(&token, _)| token).collect();
        for token in tokens {
            if let Some(waiting) = self.limits.acquires.remove(&token) {
                self.limits.acquire_ends.remove(&(waiting.deadline, token));
                out.replies.push((token, Err(Error::LimiterNotFound)));
            }
        }
    }
}
