//! What becomes due of topics: subscriptions that nobody confirmed, deduplication that counts no more, and what deleted
//! topics leave, in slices.

use super::super::{Engine, SLICE_ROWS, Stop};
use super::Topics;
use crate::api::Output;
use crate::api::topic::{SubscriptionId, TopicId};
use crate::keys;
use crate::kv::State;
use crate::time::Time;
use crate::topic::TopicState;

impl Topics {
    /// Has a topic looked after when it is time for that.
    pub(super) fn look_at(&mut self, id: TopicId) {
        let Some(topic) = self.by_id.get_mut(&id) else { return };
        let at = Some(next_chore(topic)).filter(|&at| at < Time::NEVER);
        if topic.chores_at == at {
            return;
        }
        if let Some(before) = std::mem::replace(&mut topic.chores_at, at) {
            self.chores.remove(&(before, id));
        }
        self.chores.extend(at.map(|at| (at, id)));
    }
}

/// When there is something to do for a topic next.
fn next_chore(topic: &TopicState) -> Time {
    topic.dedup_buckets.over(topic.public.config.dedup_window_ms).min(topic.archive_over())
}

impl Engine {
    pub(in crate::engine) fn run_topics<S: State>(&mut self, state: &mut S, out: &mut Output) -> Result<(), Stop> {
        self.end_unconfirmed(state, out);
        self.end_held(state, out);
        while let Some(&(at, id)) = self.topics.chores.first().filter(|_| !self.topics.stalled) {
            if at > self.now {
                break;
            }
            self.drop_publications(state, id);
            let more = self.drop_archived(state, id, false, out)?;
            self.topics.look_at(id);
            if more {
                break;
            }
        }
        match self.topics.leaving.first() {
            Some(&id) if !self.topics.stalled => self.leave_topic(state, id, out),
            _ => Ok(()),
        }
    }

    fn end_unconfirmed<S: State>(&mut self, state: &mut S, out: &mut Output) {
        while let Some(&(at, id)) = self.topics.pending.first() {
            if at > self.now {
                return;
            }
            let topic = self.topics.subscriptions.get(&id).map(|subscription| subscription.public.topic);
            self.end_subscription(state, id, out);
            self.topics.pending.remove(&(at, id));
            if let Some(topic) = topic {
                self.topics.changed(topic, out);
            }
        }
    }

    /// Drops the deduplication rows that count no more.
    fn drop_publications<S: State>(&mut self, state: &mut S, id: TopicId) {
        let now = self.now;
        let Some(topic) = self.topics.by_id.get_mut(&id) else { return };
        let window_ms = topic.public.config.dedup_window_ms;
        if let Some((first, last)) = topic.dedup_buckets.drop_over(now, window_ms) {
            let bucket = |id| keys::bucket(topic.space, keys::DEDUP, id);
            state.delete_range(&bucket(first), &bucket(last + 1));
            self.topics.touch(id);
        }
    }

    /// Takes away a slice of what a deleted topic leaves, and the topic itself with the last.
    fn leave_topic<S: State>(&mut self, state: &mut S, id: TopicId, out: &mut Output) -> Result<(), Stop> {
        if self.drop_archived(state, id, true, out)? {
            return Ok(());
        }
        let Some(topic) = self.topics.by_id.get(&id) else { return Ok(()) };
        let (space, chores_at) = (topic.space, topic.chores_at);
        let slice: Vec<SubscriptionId> = topic.subscriptions.iter().copied().take(SLICE_ROWS).collect();
        let is_last = slice.len() < SLICE_ROWS;
        for subscription in slice {
            self.end_subscription(state, subscription, out);
        }
        if is_last {
            let (first, end) = space.range();
            state.delete_range(&first, &end);
            state.delete(&keys::topic(space.namespace, id));
            state.delete(&keys::topic_counters(space.namespace, id));
            if let Some(at) = chores_at {
                self.topics.chores.remove(&(at, id));
            }
            self.topics.by_id.remove(&id);
            self.topics.leaving.remove(&id);
        }
        Ok(())
    }
}
