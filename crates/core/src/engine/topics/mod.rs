//! Topics and their subscriptions.
//!
//! Which publications a subscription lets through is found at the door, for the topic's *revision*, which changes with
//! every change to the topic or to its subscriptions; a publish for an older one is refused, and prepared anew. So is
//! nothing delivered by a filter that is not in force, and no filter is read on the engine's thread.

mod archive;
mod chores;
mod confirm;
mod entity;
mod pause;
mod publish;
mod replay;
mod subscribe;
mod unsubscribe;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::Engine;
use crate::api::topic::{Replay, ReplayId, Subscription, SubscriptionId, Topic, TopicId};
use crate::api::{Error, Event, Namespace, Output};
use crate::codec::Unreadable;
use crate::keys;
use crate::kv::State;
use crate::time::Time;
use crate::topic::{SubscriptionState, TopicState};

/// The topics of a shard.
#[derive(Debug, Default)]
pub(super) struct Topics {
    by_id: FxHashMap<TopicId, TopicState>,
    names: BTreeMap<Namespace, FxHashMap<String, TopicId>>,
    subscriptions: FxHashMap<SubscriptionId, SubscriptionState>,
    /// Whose counters are to be written.
    dirty: Vec<TopicId>,
    dirty_subscriptions: Vec<SubscriptionId>,
    /// Deleted topics of which something is still to go.
    leaving: BTreeSet<TopicId>,
    /// When subscriptions go that were not confirmed.
    pending: BTreeSet<(Time, SubscriptionId)>,
    /// When topics are looked after.
    chores: BTreeSet<(Time, TopicId)>,
    /// Subscriptions of which moves out of queues of their own have ended.
    followed: Vec<SubscriptionId>,
    replays: BTreeMap<ReplayId, Replay>,
    /// Whether work on archives waits for rows to be loaded.
    pub(super) stalled: bool,
}

impl Topics {
    /// When there is something to do next.
    pub(super) fn next(&self, now: Time) -> Time {
        if !self.followed.is_empty() || !self.leaving.is_empty() && !self.stalled {
            return now;
        }
        let pending = self.pending.first().map_or(Time::NEVER, |&(at, _)| at);
        let chores = self.chores.first().filter(|_| !self.stalled);
        chores.map_or(Time::NEVER, |&(at, _)| at).min(pending)
    }

    /// Writes the counters that changed.
    pub(super) fn flush<S: State>(&mut self, state: &mut S) {
        for id in self.dirty.drain(..) {
            if let Some(topic) = self.by_id.get_mut(&id) {
                topic.dirty = false;
                state.put(&keys::topic_counters(topic.space.namespace, id), topic.write_counters().finish());
            }
        }
        for id in self.dirty_subscriptions.drain(..) {
            if let Some(subscription) = self.subscriptions.get_mut(&id) {
                subscription.dirty = false;
                let key = keys::subscription_counters(subscription.public.namespace, id);
                state.put(&key, subscription.write_counters().finish());
            }
        }
    }

    /// A topic that was not deleted.
    fn topic(&self, id: TopicId) -> Result<&TopicState, Error> {
        self.by_id.get(&id).filter(|topic| !topic.deleted).ok_or(Error::TopicNotFound)
    }

    fn subscription(&self, id: SubscriptionId) -> Result<&SubscriptionState, Error> {
        let subscription = self.subscriptions.get(&id).ok_or(Error::SubscriptionNotFound)?;
        // Those of a deleted topic are only still to be taken away.
        self.topic(subscription.public.topic).map_err(|_| Error::SubscriptionNotFound)?;
        Ok(subscription)
    }

    fn touch(&mut self, id: TopicId) {
        if let Some(topic) = self.by_id.get_mut(&id)
            && !std::mem::replace(&mut topic.dirty, true)
        {
            self.dirty.push(id);
        }
    }

    fn touch_subscription(&mut self, id: SubscriptionId) {
        if let Some(subscription) = self.subscriptions.get_mut(&id)
            && !std::mem::replace(&mut subscription.dirty, true)
        {
            self.dirty_subscriptions.push(id);
        }
    }

    /// Takes a subscription, new or read from the store, among the entities.
    fn add_subscription(&mut self, subscription: SubscriptionState) {
        let public = Arc::clone(&subscription.public);
        if let Some(topic) = self.by_id.get_mut(&public.topic) {
            topic.add(&public);
        }
        self.pending.extend(public.pending_until.map(|until| (until, public.id)));
        // Whether what was held follows is looked at.
        self.followed.extend(public.held.map(|_| public.id));
        self.subscriptions.insert(public.id, subscription);
    }

    pub(super) fn read_counters(&mut self, id: u64, bytes: &[u8]) -> Result<(), Unreadable> {
        let topic = self.by_id.get_mut(&TopicId(id));
        topic.ok_or(Unreadable::Damaged { what: "counters without a topic" })?.read_counters(bytes)?;
        self.look_at(TopicId(id));
        Ok(())
    }

    pub(super) fn read_subscription(&mut self, namespace: Namespace, id: u64, bytes: &[u8]) -> Result<(), Unreadable> {
        let subscription = SubscriptionState::read(namespace, SubscriptionId(id), bytes)?;
        if !self.by_id.contains_key(&subscription.public.topic) {
            return Err(Unreadable::Damaged { what: "a subscription without a topic" });
        }
        self.add_subscription(subscription);
        Ok(())
    }

    pub(super) fn read_subscription_counters(&mut self, id: u64, bytes: &[u8]) -> Result<(), Unreadable> {
        let subscription = self.subscriptions.get_mut(&SubscriptionId(id));
        subscription.ok_or(Unreadable::Damaged { what: "counters without a subscription" })?.read_counters(bytes)
    }

    /// The topic, or something about its subscriptions, is another from now on: told behind what changed.
    fn changed(&mut self, id: TopicId, out: &mut Output) {
        let Some(topic) = self.by_id.get_mut(&id).filter(|topic| !topic.deleted) else { return };
        Arc::make_mut(&mut topic.public).revision += 1;
        out.events.push(Event::TopicChanged(Arc::clone(&topic.public)));
    }

    /// Stores a subscription that changed, and tells of it.
    fn put_subscription<S: State>(
        &mut self,
        state: &mut S,
        id: SubscriptionId,
        public: Subscription,
        out: &mut Output,
    ) -> Arc<Subscription> {
        let public = Arc::new(public);
        if let Some(subscription) = self.subscriptions.get_mut(&id) {
            subscription.public = Arc::clone(&public);
            state.put(&keys::subscription(public.namespace, id), subscription.write().finish());
            out.events.push(Event::SubscriptionChanged(Arc::clone(&public)));
        }
        self.changed(public.topic, out);
        public
    }
}

impl Engine {
    /// All topics, by id.
    pub fn topics(&self) -> Vec<Arc<Topic>> {
        let topics = self.topics.by_id.values().filter(|topic| !topic.deleted);
        let mut topics: Vec<_> = topics.map(|topic| Arc::clone(&topic.public)).collect();
        topics.sort_unstable_by_key(|topic| topic.id);
        topics
    }

    /// All subscriptions, by id.
    pub fn subscriptions(&self) -> Vec<Arc<Subscription>> {
        let all = self.topics.subscriptions.values();
        let mut all: Vec<_> = all.map(|subscription| Arc::clone(&subscription.public)).collect();
        all.sort_unstable_by_key(|subscription| subscription.id);
        all
    }
}
