//! Sweeping: after a limiter was changed, after it was deleted, and after queues left it, all lanes that wait for its keys
//! are looked at, in slices.

use std::collections::VecDeque;
use std::ops::ControlFlow;

use super::line::read_lane;
use crate::api::limit::LimiterId;
use crate::api::{Namespace, Output, QueueId};
use crate::engine::{Engine, SLICE_ROWS, Stop};
use crate::keys::{self, OneKey, WaitingLane};
use crate::kv::{KeyBuf, State};
use crate::queue::Use;

/// The sweeps under way, first come first served.
#[derive(Debug, Default)]
pub(super) struct Sweeps {
    all: VecDeque<Sweep>,
    /// Whether they wait for rows to be loaded.
    pub(super) stalled: bool,
}

#[derive(Debug)]
struct Sweep {
    namespace: Namespace,
    limiter: LimiterId,
    /// Where it goes on.
    from: KeyBuf,
}

impl Sweeps {
    /// Begins a sweep, or begins it anew.
    pub(super) fn start(&mut self, namespace: Namespace, limiter: LimiterId) {
        self.all.retain(|sweep| sweep.limiter != limiter);
        let (from, _) = keys::of_limiter(namespace, keys::LIMIT_WAITING, limiter);
        self.all.push_back(Sweep { namespace, limiter, from });
    }

    pub(super) fn are_due(&self) -> bool {
        !self.all.is_empty() && !self.stalled
    }
}

impl Engine {
    /// Sweeps a slice.
    pub(in crate::engine) fn run_sweeps<S: State>(&mut self, state: &mut S, out: &mut Output) -> Result<(), Stop> {
        if !self.limits.sweeps.are_due() {
            return Ok(());
        }
        match self.sweep_slice(state) {
            Err(Stop::Need(needs)) => {
                self.limits.sweeps.stalled = true;
                out.needs.extend(needs);
                Ok(())
            }
            swept => swept,
        }
    }

    fn sweep_slice<S: State>(&mut self, state: &mut S) -> Result<(), Stop> {
        let Some(&Sweep { namespace, limiter, from }) = self.limits.sweeps.all.front() else { return Ok(()) };
        let (_, to) = keys::of_limiter(namespace, keys::LIMIT_WAITING, limiter);
        let mut lanes = Vec::new();
        let scanned = state.scan(&from, &to, &mut |row, value| {
            lanes.push(read_lane(row, value));
            if lanes.len() < SLICE_ROWS { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        let more = lanes.len() >= SLICE_ROWS;
        let mut last: Option<OneKey> = None;
        for lane in lanes {
            let (waiting, _) = lane?;
            let key = (waiting.limiter, waiting.key);
            let is_there = self.limits.load(state, key, self.now)?;
            self.prepare_waiting(state, &waiting)?;
            if !is_there || !self.waits_rightly(&waiting) {
                self.drop_waiting(state, namespace, &waiting)?;
            } else if last.replace(key) != Some(key) {
                self.limits.wake(key);
            }
            if let Some(sweep) = self.limits.sweeps.all.front_mut() {
                sweep.from = keys::limit_waiting(namespace, &waiting).byte(0);
            }
        }
        scanned?;
        if !more {
            self.limits.sweeps.all.pop_front();
            self.end_sweep(state, namespace, limiter);
        }
        Ok(())
    }

    fn end_sweep<S: State>(&mut self, state: &mut S, namespace: Namespace, id: LimiterId) {
        if self.limits.by_id.contains_key(&id) {
            return self.limits.swept(state, id);
        }
        // Nobody waits any more for the limiter that was deleted.
        for kind in [keys::LIMIT_KEY, keys::PERMIT] {
            let (from, to) = keys::of_limiter(namespace, kind, id);
            state.delete_range(&from, &to);
        }
        state.delete(&keys::limiter(namespace, id));
    }

    fn prepare_waiting<S: State>(&self, state: &S, waiting: &WaitingLane) -> Result<(), Stop> {
        let queue = self.spaces.get(&waiting.space).and_then(|id| self.queues.get(id));
        queue.map_or(Ok(()), |queue| crate::engine::lanes::read(state, queue.space, waiting.lane).map(|_| ()))
    }

    /// A lane does not wait any more that had no reason to.
    fn drop_waiting<S: State>(
        &mut self,
        state: &mut S,
        namespace: Namespace,
        waiting: &WaitingLane,
    ) -> Result<(), Stop> {
        let owner: Option<QueueId> = self.spaces.get(&waiting.space).copied();
        if owner.is_some() || self.limits.by_id.contains_key(&waiting.limiter) {
            return self.bring_back(state, waiting).map(|_| ());
        }
        state.delete(&keys::limit_waiting(namespace, waiting));
        Ok(())
    }

    /// A queue was configured anew: what waits on its behalf for limiters that it has left is brought back.
    pub(in crate::engine) fn left_limiters<S: State>(&mut self, state: &mut S, id: QueueId, before: &[Use]) {
        let Some(queue) = self.queues.get(&id) else { return };
        let stays = |used: &Use| queue.uses.iter().any(|now| now.limiter == used.limiter);
        let left: Vec<Use> = before.iter().filter(|used| !stays(used)).copied().collect();
        self.left_behind(state, &left);
        self.unblock(id);
    }

    /// Lanes that wait for these limiters may be gone, or have no reason to wait.
    pub(in crate::engine) fn left_behind<S: State>(&mut self, state: &mut S, uses: &[Use]) {
        for used in uses {
            self.limits.sweep(state, used.limiter);
        }
    }
}
