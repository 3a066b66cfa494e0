//! Confirming a subscription: whoever answers at its endpoint was told a token, and gives it back.

use std::sync::Arc;

use super::super::{Answer, Engine};
use crate::api::topic::{Subscription, SubscriptionId, TopicId};
use crate::api::{Error, Output, Reply};
use crate::kv::State;

impl Engine {
    pub(in crate::engine) fn confirm_subscription<S: State>(
        &mut self,
        state: &mut S,
        topic: TopicId,
        token: &str,
        out: &mut Output,
    ) -> Answer {
        let subscriptions = &self.topics.topic(topic)?.subscriptions;
        let mut found = subscriptions.iter().filter_map(|id| self.topics.subscriptions.get(id));
        let found = found.find(|subscription| subscription.public.token.as_deref() == Some(token));
        let public = Arc::clone(&found.ok_or(Error::TokenInvalid)?.public);
        match public.pending_until {
            Some(_) => self.confirmed(state, public.id, out),
            None => Ok(Reply::Subscription { subscription: public, created: false }),
        }
    }

    /// A subscription is confirmed: from now on it is delivered to.
    pub(super) fn confirmed<S: State>(&mut self, state: &mut S, id: SubscriptionId, out: &mut Output) -> Answer {
        let subscription = self.topics.subscriptions.get_mut(&id).ok_or(Error::SubscriptionNotFound)?;
        let public = Arc::clone(&subscription.public);
        if let Some(topic) = self.topics.by_id.get_mut(&public.topic) {
            topic.pending -= 1;
            subscription.published_before = topic.counters.published;
        }
        if let Some(until) = public.pending_until {
            self.topics.pending.remove(&(until, id));
        }
        self.topics.touch_subscription(id);
        let confirmed = Subscription { pending_until: None, modified_at: self.now, ..(*public).clone() };
        let subscription = self.topics.put_subscription(state, id, confirmed, out);
        Ok(Reply::Subscription { subscription, created: false })
    }
}
