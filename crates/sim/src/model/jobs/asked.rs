//! Pauses that workers ask for as they put a job back: of a limiter's keys, or of the queue.

use weir_core::api::QueueId;
use weir_core::api::job::{PauseKeys, Settlement};

use super::super::Model;
use super::limits::Key;

/// The pause that comes with a settlement.
pub(super) fn pause_of(settlement: &Settlement) -> Option<&PauseKeys> {
    match settlement {
        Settlement::Release { pause, .. } => pause.as_ref(),
        _ => None,
    }
}

impl Model {
    /// The keys that a worker asks to be left alone on behalf of a job: none where it is the queue that is meant, nothing
    /// where the limiter that it names is none of the queue's.
    pub(super) fn keys_to_pause(&self, queue: QueueId, id: u64, pause: &PauseKeys) -> Option<Vec<Key>> {
        let job = self.jobs.all.get(&id)?;
        let all: Vec<Key> = self.uses_of(queue, job).iter().map(|started| started.key).collect();
        if let Some(name) = &pause.limiter {
            let named = self.limiter_named(name);
            return all.into_iter().find(|key| Some(key.0) == named).map(|key| vec![key]);
        }
        let some_own = all.iter().any(|key| key.1.is_some());
        Some(all.into_iter().filter(|key| key.1.is_some() || !some_own).collect())
    }

    /// A worker asked for these keys, or for the queue, to be left alone. A longer pause goes on.
    pub(super) fn left_alone(&mut self, queue: QueueId, keys: &[Key], for_ms: u64, at: u64) {
        if for_ms == 0 {
            return;
        }
        let until = at.saturating_add(for_ms);
        for &key in keys {
            let limits = &mut self.jobs.limits;
            limits.touched.insert(key.0, at);
            let paused = limits.paused.entry(key).or_insert(0);
            *paused = until.max(*paused);
        }
        if let Some(queue) = self.jobs.queues.get_mut(&queue).filter(|_| keys.is_empty()) {
            queue.paused_until = until.max(queue.paused_until);
        }
    }
}
