//! The queues, limiters and topics of a shard, as the doors look them up.

mod topics;

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Bound;
use std::sync::Arc;

use parking_lot::RwLock;
use rustc_hash::FxHashMap;
use weir_core::api::limit::Limiter;
use weir_core::api::topic::{Replay, Subscription, SubscriptionId, Topic, TopicId};
use weir_core::api::{Event, Namespace, Queue, QueueId};

pub use topics::TopicView;

/// The durable queues, limiters and topics of a shard by namespace and name. Shared between the engine thread, which keeps it, and the
/// doors, which read it.
#[derive(Debug, Default)]
pub struct Directory {
    queues: RwLock<BTreeMap<(Namespace, String), Arc<Queue>>>,
    by_id: RwLock<FxHashMap<QueueId, Arc<Queue>>>,
    limiters: RwLock<BTreeMap<(Namespace, String), Arc<Limiter>>>,
    topics: RwLock<topics::Topics>,
    listener: RwLock<Told>,
}

/// Who is told of what happens, once it is durable. Called on the engine thread: it must neither block nor take long.
pub type Listener = Box<dyn Fn(&Event) + Send + Sync>;

/// The listener, if there is one.
#[derive(Default)]
struct Told(Option<Listener>);

impl fmt::Debug for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Told").field(&self.0.is_some()).finish()
    }
}

impl Directory {
    /// The queue called `name`.
    pub fn find(&self, namespace: Namespace, name: &str) -> Option<Arc<Queue>> {
        self.queues.read().get(&(namespace, name.to_owned())).cloned()
    }

    /// The queue of this id.
    pub fn queue(&self, id: QueueId) -> Option<Arc<Queue>> {
        self.by_id.read().get(&id).cloned()
    }

    /// Up to `max` queues whose names start with `prefix`, in the order of their names, from the one after `after` on. Those
    /// that belong to subscriptions are left out.
    pub fn list(&self, namespace: Namespace, prefix: &str, after: Option<&str>, max: usize) -> Vec<Arc<Queue>> {
        let start = match after {
            Some(name) if name >= prefix => Bound::Excluded((namespace, name.to_owned())),
            _ => Bound::Included((namespace, prefix.to_owned())),
        };
        self.queues
            .read()
            .range((start, Bound::Unbounded))
            .take_while(|((ns, name), _)| *ns == namespace && name.starts_with(prefix))
            .filter(|(_, queue)| queue.subscription.is_none())
            .take(max)
            .map(|(_, queue)| Arc::clone(queue))
            .collect()
    }

    /// All queues.
    pub fn all(&self) -> Vec<Arc<Queue>> {
        self.queues.read().values().cloned().collect()
    }

    /// The limiter called `name`.
    pub fn limiter(&self, namespace: Namespace, name: &str) -> Option<Arc<Limiter>> {
        self.limiters.read().get(&(namespace, name.to_owned())).cloned()
    }

    /// Up to `max` limiters, in the order of their names, from the one after `after` on.
    pub fn limiters(&self, namespace: Namespace, after: Option<&str>, max: usize) -> Vec<Arc<Limiter>> {
        let start = match after {
            Some(name) => Bound::Excluded((namespace, name.to_owned())),
            None => Bound::Included((namespace, String::new())),
        };
        let limiters = self.limiters.read();
        let page = limiters.range((start, Bound::Unbounded)).take_while(|((ns, _), _)| *ns == namespace);
        page.take(max).map(|(_, limiter)| Arc::clone(limiter)).collect()
    }

    /// The topic called `name`.
    pub fn topic(&self, namespace: Namespace, name: &str) -> Option<Arc<Topic>> {
        self.topics.read().named(namespace, name)
    }

    /// The topic of this id.
    pub fn topic_by_id(&self, id: TopicId) -> Option<Arc<Topic>> {
        self.topics.read().by_id(id)
    }

    /// Up to `max` topics whose names start with `prefix`, in the order of their names, from the one after `after` on.
    pub fn topics(&self, namespace: Namespace, prefix: &str, after: Option<&str>, max: usize) -> Vec<Arc<Topic>> {
        self.topics.read().list(namespace, prefix, after, max)
    }

    /// A topic with all its subscriptions, as of one moment. Made once for each change, and shared.
    pub fn topic_view(&self, id: TopicId) -> Option<Arc<TopicView>> {
        let known = self.topics.read().view(id);
        known.or_else(|| self.topics.write().make_view(id))
    }

    /// The subscription of this id.
    pub fn subscription(&self, id: SubscriptionId) -> Option<Arc<Subscription>> {
        self.topics.read().subscription(id)
    }

    /// The subscription of this public id.
    pub fn subscription_by_uuid(&self, namespace: Namespace, uuid: [u8; 16]) -> Option<Arc<Subscription>> {
        self.topics.read().subscription_by_uuid(namespace, uuid)
    }

    /// Up to `max` subscriptions of a topic, or of all, in the order of their ids, from the one after `after` on.
    pub fn subscriptions(
        &self,
        namespace: Namespace,
        topic: Option<TopicId>,
        after: Option<SubscriptionId>,
        max: usize,
    ) -> Vec<Arc<Subscription>> {
        self.topics.read().subscriptions(namespace, topic, after, max)
    }

    /// The replays that are under way.
    pub fn replays(&self) -> Vec<Replay> {
        self.topics.read().replays()
    }

    /// Tells `listener` of what happens from now on, in place of who was told before.
    pub fn listen(&self, listener: Listener) {
        self.listener.write().0 = Some(listener);
    }

    /// Takes in what happened, and tells of it.
    pub(crate) fn record(&self, event: &Event) {
        self.keep(event);
        if let Some(listener) = &self.listener.read().0 {
            listener(event);
        }
    }

    fn keep(&self, event: &Event) {
        match event {
            Event::QueueChanged(queue) => {
                self.by_id.write().insert(queue.id, Arc::clone(queue));
                self.queues.write().insert((queue.namespace, queue.name.clone()), Arc::clone(queue));
            }
            Event::QueueDeleted(queue) => {
                self.by_id.write().remove(&queue.id);
                self.queues.write().remove(&(queue.namespace, queue.name.clone()));
            }
            Event::LimiterChanged(limiter) => {
                self.limiters.write().insert((limiter.namespace, limiter.name.clone()), Arc::clone(limiter));
            }
            Event::LimiterDeleted(limiter) => {
                self.limiters.write().remove(&(limiter.namespace, limiter.name.clone()));
            }
            Event::TopicChanged(topic) => self.topics.write().put(topic),
            Event::TopicDeleted(topic) => self.topics.write().remove(topic),
            Event::SubscriptionChanged(subscription) => self.topics.write().put_subscription(subscription),
            Event::SubscriptionDeleted(subscription) => self.topics.write().remove_subscription(subscription),
            Event::ReplayChanged(replay) => self.topics.write().put_replay(replay),
            // What happens to jobs is for who watches.
            Event::Job(_) => {}
        }
    }
}
