//! Topics and their subscriptions, by name and by id.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use rustc_hash::FxHashMap;
use weir_core::api::Namespace;
use weir_core::api::topic::{Replay, ReplayId, ReplayStatus, Subscription, SubscriptionId, Topic, TopicId};

/// A topic with all its subscriptions, as of one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicView {
    /// The topic: its revision is that of what is here.
    pub topic: Arc<Topic>,
    /// Its subscriptions, in the order of their ids; those that are not confirmed too.
    pub subscriptions: Vec<Arc<Subscription>>,
}

#[derive(Debug, Default)]
struct Entry {
    topic: Option<Arc<Topic>>,
    subscriptions: BTreeMap<SubscriptionId, Arc<Subscription>>,
    view: Option<Arc<TopicView>>,
}

#[derive(Debug, Default)]
pub(super) struct Topics {
    names: BTreeMap<(Namespace, String), TopicId>,
    entries: FxHashMap<TopicId, Entry>,
    subscriptions: BTreeMap<(Namespace, SubscriptionId), Arc<Subscription>>,
    ids: FxHashMap<SubscriptionId, Namespace>,
    uuids: FxHashMap<(Namespace, [u8; 16]), SubscriptionId>,
    /// Those that are under way.
    replays: BTreeMap<ReplayId, Replay>,
}

impl Topics {
    pub(super) fn named(&self, namespace: Namespace, name: &str) -> Option<Arc<Topic>> {
        self.by_id(*self.names.get(&(namespace, name.to_owned()))?)
    }

    pub(super) fn by_id(&self, id: TopicId) -> Option<Arc<Topic>> {
        self.entries.get(&id)?.topic.clone()
    }

    pub(super) fn list(&self, namespace: Namespace, prefix: &str, after: Option<&str>, max: usize) -> Vec<Arc<Topic>> {
        let start = match after {
            Some(name) if name >= prefix => Bound::Excluded((namespace, name.to_owned())),
            _ => Bound::Included((namespace, prefix.to_owned())),
        };
        let names = self.names.range((start, Bound::Unbounded));
        let page = names.take_while(|((ns, name), _)| *ns == namespace && name.starts_with(prefix));
        page.filter_map(|(_, id)| self.by_id(*id)).take(max).collect()
    }

    pub(super) fn view(&self, id: TopicId) -> Option<Arc<TopicView>> {
        self.entries.get(&id)?.view.clone()
    }

    pub(super) fn make_view(&mut self, id: TopicId) -> Option<Arc<TopicView>> {
        let entry = self.entries.get_mut(&id)?;
        if entry.view.is_none() {
            let subscriptions = entry.subscriptions.values().cloned().collect();
            entry.view = Some(Arc::new(TopicView { topic: entry.topic.clone()?, subscriptions }));
        }
        entry.view.clone()
    }

    pub(super) fn subscription(&self, id: SubscriptionId) -> Option<Arc<Subscription>> {
        self.subscriptions.get(&(*self.ids.get(&id)?, id)).cloned()
    }

    pub(super) fn subscription_by_uuid(&self, namespace: Namespace, uuid: [u8; 16]) -> Option<Arc<Subscription>> {
        self.subscriptions.get(&(namespace, *self.uuids.get(&(namespace, uuid))?)).cloned()
    }

    pub(super) fn subscriptions(
        &self,
        namespace: Namespace,
        topic: Option<TopicId>,
        after: Option<SubscriptionId>,
        max: usize,
    ) -> Vec<Arc<Subscription>> {
        let after = after.unwrap_or(SubscriptionId(0));
        let Some(topic) = topic else {
            let all = self.subscriptions.range((Bound::Excluded((namespace, after)), Bound::Unbounded));
            let page = all.take_while(|((ns, _), _)| *ns == namespace);
            return page.take(max).map(|(_, subscription)| Arc::clone(subscription)).collect();
        };
        let Some(entry) = self.entries.get(&topic) else { return Vec::new() };
        let page = entry.subscriptions.range((Bound::Excluded(after), Bound::Unbounded));
        page.take(max).map(|(_, subscription)| Arc::clone(subscription)).collect()
    }

    pub(super) fn put_replay(&mut self, replay: &Replay) {
        if replay.status == ReplayStatus::Running {
            self.replays.insert(replay.id, *replay);
        } else {
            self.replays.remove(&replay.id);
        }
    }

    pub(super) fn replays(&self) -> Vec<Replay> {
        self.replays.values().copied().collect()
    }

    pub(super) fn put(&mut self, topic: &Arc<Topic>) {
        self.names.insert((topic.namespace, topic.name.clone()), topic.id);
        let entry = self.entries.entry(topic.id).or_default();
        entry.topic = Some(Arc::clone(topic));
        entry.view = None;
    }

    /// Its subscriptions are told to be gone one by one.
    pub(super) fn remove(&mut self, topic: &Topic) {
        self.names.remove(&(topic.namespace, topic.name.clone()));
        if let Some(entry) = self.entries.get_mut(&topic.id) {
            entry.topic = None;
            entry.view = None;
            self.forget_empty(topic.id);
        }
    }

    pub(super) fn put_subscription(&mut self, subscription: &Arc<Subscription>) {
        let (namespace, id) = (subscription.namespace, subscription.id);
        self.subscriptions.insert((namespace, id), Arc::clone(subscription));
        self.ids.insert(id, namespace);
        self.uuids.insert((namespace, subscription.uuid), id);
        let entry = self.entries.entry(subscription.topic).or_default();
        entry.subscriptions.insert(id, Arc::clone(subscription));
        entry.view = None;
    }

    pub(super) fn remove_subscription(&mut self, subscription: &Subscription) {
        let (namespace, id) = (subscription.namespace, subscription.id);
        self.subscriptions.remove(&(namespace, id));
        self.ids.remove(&id);
        if self.uuids.get(&(namespace, subscription.uuid)) == Some(&id) {
            self.uuids.remove(&(namespace, subscription.uuid));
        }
        if let Some(entry) = self.entries.get_mut(&subscription.topic) {
            entry.subscriptions.remove(&id);
            entry.view = None;
            self.forget_empty(subscription.topic);
        }
    }

    fn forget_empty(&mut self, id: TopicId) {
        if self.entries.get(&id).is_some_and(|entry| entry.topic.is_none() && entry.subscriptions.is_empty()) {
            self.entries.remove(&id);
        }
    }
}
