//! The queues and limiters of a shard, as the doors look them up.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Bound;
use std::sync::Arc;

use parking_lot::RwLock;
use weir_core::api::limit::Limiter;
use weir_core::api::{Event, Namespace, Queue};

/// The durable queues and limiters of a shard by namespace and name. Shared between the engine thread, which keeps it, and the
/// doors, which read it.
#[derive(Debug, Default)]
pub struct Directory {
    queues: RwLock<BTreeMap<(Namespace, String), Arc<Queue>>>,
    limiters: RwLock<BTreeMap<(Namespace, String), Arc<Limiter>>>,
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

    /// Up to `max` queues whose names start with `prefix`, in the order of their names, from the one after `after` on.
    pub fn list(&self, namespace: Namespace, prefix: &str, after: Option<&str>, max: usize) -> Vec<Arc<Queue>> {
        let start = match after {
            Some(name) if name >= prefix => Bound::Excluded((namespace, name.to_owned())),
            _ => Bound::Included((namespace, prefix.to_owned())),
        };
        self.queues
            .read()
            .range((start, Bound::Unbounded))
            .take_while(|((ns, name), _)| *ns == namespace && name.starts_with(prefix))
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
                self.queues.write().insert((queue.namespace, queue.name.clone()), Arc::clone(queue));
            }
            Event::QueueDeleted(queue) => {
                self.queues.write().remove(&(queue.namespace, queue.name.clone()));
            }
            Event::LimiterChanged(limiter) => {
                self.limiters.write().insert((limiter.namespace, limiter.name.clone()), Arc::clone(limiter));
            }
            Event::LimiterDeleted(limiter) => {
                self.limiters.write().remove(&(limiter.namespace, limiter.name.clone()));
            }
            // What happens to jobs is for who watches.
            Event::Job(_) => {}
        }
    }
}
