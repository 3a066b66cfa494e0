//! Subscribing, and changing what is set of a subscription.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use super::super::limits::check_uses;
use super::super::queues::QUEUES_MAX;
use super::super::send::within;
use super::super::{Answer, Engine};
use crate::api::topic::{
    CONFIRM_WITHIN_MS_MAX, ENDPOINT_BYTES_MAX, Endpoint, NewSubscription, SUBSCRIPTIONS_MAX, Subscription,
    SubscriptionConfig, SubscriptionCounters, SubscriptionId, TopicId,
};
use crate::api::{Config, Error, Event, Kind, Output, Queue, QueueId, Redrive, Reply, Tags};
use crate::keys;
use crate::kv::State;
use crate::time::Time;
use crate::topic::SubscriptionState;

impl Engine {
    pub(in crate::engine) fn subscribe<S: State>(
        &mut self,
        state: &mut S,
        topic: TopicId,
        new: &NewSubscription,
        queue: &Config,
        seed: [u8; 16],
        out: &mut Output,
    ) -> Answer {
        let found = self.topics.topic(topic)?;
        new.endpoint.check()?;
        within("bytes of a subscription's owner", ENDPOINT_BYTES_MAX as u64, new.owner.len() as u64)?;
        let wait_ms = new.confirm.as_ref().map_or(0, |(_, wait_ms)| *wait_ms);
        within("milliseconds to confirm a subscription", CONFIRM_WITHIN_MS_MAX, wait_ms)?;
        if let Some(&id) = found.endpoints.get(&new.endpoint) {
            return self.subscribe_again(state, id, new, out);
        }
        let (kind, namespace, published_before) = (found.public.kind, found.public.namespace, found.counters.published);
        within("subscriptions of a topic", SUBSCRIPTIONS_MAX as u64, found.subscriptions.len() as u64 + 1)?;
        let mut own = None;
        if let Endpoint::Queue(name) = &new.endpoint {
            let fed = self.names.get(&namespace).and_then(|names| names.get(name)).and_then(|id| self.queues.get(id));
            if kind == Kind::Standard && fed.is_some_and(|queue| queue.public.kind == Kind::Fifo) {
                return Err(Error::SubscriptionKindDiffers);
            }
        } else {
            let name = queue_name("subscription", new.uuid);
            let config = own_queue_config(queue, &new.config);
            within("queues of a shard", QUEUES_MAX, self.queues.len() as u64 + 1)?;
            check_uses(&config)?;
            self.allowed(namespace, &name, None, &config)?;
            own = Some((name, config));
        }
        let id = SubscriptionId(self.new_id());
        let queue = own.map(|(name, config)| self.new_own_queue(state, id, (topic, kind), name, config, seed, out));
        let public = Arc::new(Subscription {
            id,
            uuid: new.uuid,
            namespace,
            topic,
            endpoint: new.endpoint.clone(),
            owner: new.owner.clone(),
            config: new.config.clone(),
            version: 1,
            token: new.confirm.as_ref().map(|(token, _)| token.clone()),
            pending_until: self.confirm_until(new),
            queue,
            paused: false,
            held: None,
            created_at: self.now,
            modified_at: self.now,
        });
        let subscription = SubscriptionState::new(Arc::clone(&public), published_before);
        state.insert(&keys::subscription(namespace, id), subscription.write().finish());
        self.topics.add_subscription(subscription);
        self.topics.dirty_subscriptions.push(id);
        out.events.push(Event::SubscriptionChanged(Arc::clone(&public)));
        self.topics.changed(topic, out);
        Ok(Reply::Subscription { subscription: public, created: true })
    }

    /// The endpoint is subscribed already.
    fn subscribe_again<S: State>(
        &mut self,
        state: &mut S,
        id: SubscriptionId,
        new: &NewSubscription,
        out: &mut Output,
    ) -> Answer {
        let public = Arc::clone(&self.topics.subscription(id)?.public);
        if let Some(field) = difference(&public.config, &new.config) {
            return Err(Error::SubscriptionExists { subscription: id, field: field.to_owned() });
        }
        if public.pending_until.is_none() {
            return Ok(Reply::Subscription { subscription: public, created: false });
        }
        match &new.confirm {
            None => self.confirmed(state, id, out),
            Some((token, _)) => {
                self.topics.pending.retain(|&(_, pending)| pending != id);
                let until = self.confirm_until(new);
                self.topics.pending.extend(until.map(|until| (until, id)));
                let again = Subscription {
                    token: Some(token.clone()),
                    pending_until: until,
                    modified_at: self.now,
                    ..(*public).clone()
                };
                let subscription = self.topics.put_subscription(state, id, again, out);
                Ok(Reply::Subscription { subscription, created: false })
            }
        }
    }

    fn confirm_until(&self, new: &NewSubscription) -> Option<Time> {
        new.confirm.as_ref().map(|(_, wait_ms)| self.now.after(Duration::from_millis(*wait_ms)))
    }

    #[expect(clippy::too_many_arguments, reason = "all that a queue of its own is made of")]
    fn new_own_queue<S: State>(
        &mut self,
        state: &mut S,
        subscription: SubscriptionId,
        (topic, kind): (TopicId, Kind),
        name: String,
        config: Config,
        seed: [u8; 16],
        out: &mut Output,
    ) -> QueueId {
        let id = QueueId(self.new_id());
        let namespace = self.topics.by_id.get(&topic).map(|topic| topic.public.namespace).unwrap_or_default();
        let queue = Queue {
            id,
            namespace,
            name,
            kind,
            config,
            version: 1,
            created_at: self.now,
            modified_at: self.now,
            tags: Tags::new(),
            paused_until: None,
            subscription: Some(subscription),
        };
        self.new_queue(state, queue, seed, out);
        id
    }

    pub(in crate::engine) fn configure_subscription<S: State>(
        &mut self,
        state: &mut S,
        id: SubscriptionId,
        version: u64,
        config: &SubscriptionConfig,
        out: &mut Output,
    ) -> Answer {
        let public = Arc::clone(&self.topics.subscription(id)?.public);
        if public.version != version {
            return Err(Error::TopicStale { version: public.version });
        }
        if let Some(queue) = public.queue.filter(|_| config.dead_letter != public.config.dead_letter) {
            let own = Arc::clone(&self.queue(queue)?.public);
            let config = own_queue_config(&own.config, config);
            self.configure_queue(state, queue, own.version, &config, out)?;
        }
        let changed =
            Subscription { config: config.clone(), version: version + 1, modified_at: self.now, ..(*public).clone() };
        let subscription = self.topics.put_subscription(state, id, changed, out);
        Ok(Reply::Subscription { subscription, created: false })
    }

    pub(in crate::engine) fn subscription_stats(&self, id: SubscriptionId) -> Answer {
        let subscription = self.topics.subscription(id)?;
        let public = Arc::clone(&subscription.public);
        let published = self.topics.topic(public.topic)?.counters.published;
        let (delivered, failed) = (subscription.delivered, subscription.failed);
        // While it is not confirmed its filter keeps nothing away.
        let seen = if public.pending_until.is_some() { 0 } else { published - subscription.published_before };
        let counters = SubscriptionCounters {
            delivered,
            failed,
            filtered: (seen + subscription.replayed).saturating_sub(delivered + failed),
            last_failure: subscription.last_failure,
        };
        Ok(Reply::SubscriptionStats { subscription: public, counters })
    }
}

/// The name of a queue of a subscription's own.
pub(super) fn queue_name(what: &str, uuid: [u8; 16]) -> String {
    let mut name = format!("{what}/");
    for byte in uuid {
        // Writing to a string cannot fail.
        let _ = write!(name, "{byte:02x}");
    }
    name
}

/// The configuration of a subscription's own queue: what fails for good goes to the subscription's dead letters, however
/// often it was tried.
fn own_queue_config(queue: &Config, config: &SubscriptionConfig) -> Config {
    let redrive = config.dead_letter.clone().map(|target| Redrive { target, receives_max: u32::MAX });
    Config { redrive, ..queue.clone() }
}

/// The first field in which a subscription differs from what a command would make.
fn difference(have: &SubscriptionConfig, config: &SubscriptionConfig) -> Option<&'static str> {
    let fields = [
        ("raw delivery", have.raw != config.raw),
        ("filter policy", have.filter != config.filter),
        ("filter policy scope", have.filter_scope != config.filter_scope),
        ("dead-letter queue", have.dead_letter != config.dead_letter),
        ("further attributes", have.attributes != config.attributes),
    ];
    fields.into_iter().find_map(|(field, differs)| differs.then_some(field))
}
