//! The end of a subscription.

use std::sync::Arc;

use super::super::{Answer, Engine};
use crate::api::topic::SubscriptionId;
use crate::api::{Event, Output, Reply};
use crate::keys;
use crate::kv::State;

impl Engine {
    pub(in crate::engine) fn unsubscribe<S: State>(
        &mut self,
        state: &mut S,
        id: SubscriptionId,
        out: &mut Output,
    ) -> Answer {
        let topic = self.topics.subscription(id)?.public.topic;
        self.end_subscription(state, id, out);
        self.topics.changed(topic, out);
        Ok(Reply::Done)
    }

    /// Takes a subscription away, with what is its own. What came to the queue that it fed stays there.
    pub(super) fn end_subscription<S: State>(&mut self, state: &mut S, id: SubscriptionId, out: &mut Output) {
        let Some(subscription) = self.topics.subscriptions.remove(&id) else { return };
        let public = Arc::clone(&subscription.public);
        if let Some(topic) = self.topics.by_id.get_mut(&public.topic) {
            topic.remove(&public);
        }
        if let Some(until) = public.pending_until {
            self.topics.pending.remove(&(until, id));
        }
        self.forget_replays(state, public.namespace, id, out);
        state.delete(&keys::subscription(public.namespace, id));
        state.delete(&keys::subscription_counters(public.namespace, id));
        for queue in [public.queue, public.held].into_iter().flatten() {
            self.drop_queue(state, queue, out);
        }
        out.events.push(Event::SubscriptionDeleted(public));
    }
}
