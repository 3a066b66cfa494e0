//! Who sends dead letters to whom: which queues may, and which do.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

use super::send::within;
use super::{Answer, Engine};
use crate::api::{BATCH_MAX, Config, Error, Namespace, Queue, QueueId, Redrive, Reply};

/// The names of the queues that name each name as their dead-letter queue.
#[derive(Debug, Default)]
pub(super) struct Sources(BTreeMap<(Namespace, String), BTreeSet<String>>);

impl Sources {
    pub(super) fn add(&mut self, queue: &Queue) {
        if let Some(redrive) = &queue.config.redrive {
            let sources = self.0.entry((queue.namespace, redrive.target.clone())).or_default();
            sources.insert(queue.name.clone());
        }
    }

    pub(super) fn remove(&mut self, queue: &Queue) {
        let Some(redrive) = &queue.config.redrive else { return };
        let target = (queue.namespace, redrive.target.clone());
        if let Some(sources) = self.0.get_mut(&target) {
            sources.remove(&queue.name);
            if sources.is_empty() {
                self.0.remove(&target);
            }
        }
    }
}

impl Engine {
    /// Whether the dead-letter queue of `config`, if it is not what `before` has already, takes dead letters of the queue
    /// called `name`. One that does not exist cannot object.
    pub(super) fn allowed(
        &self,
        namespace: Namespace,
        name: &str,
        before: Option<&Redrive>,
        config: &Config,
    ) -> Result<(), Error> {
        let Some(redrive) = config.redrive.as_ref().filter(|redrive| Some(*redrive) != before) else { return Ok(()) };
        let target = self.names.get(&namespace).and_then(|names| names.get(&redrive.target));
        match target.and_then(|id| self.queues.get(id)) {
            Some(target) if !target.config().redrive_allow.allows(name) => {
                Err(Error::RedriveNotAllowed { target: redrive.target.clone(), source_queue: name.to_owned() })
            }
            _ => Ok(()),
        }
    }

    pub(super) fn dead_letter_sources(&self, id: QueueId, after: Option<&str>, max: u32) -> Answer {
        let max = max.max(1);
        within("queues of a page", BATCH_MAX as u64, u64::from(max))?;
        let queue = &self.queue(id)?.public;
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let sources = self.sources.0.get(&(queue.namespace, queue.name.clone()));
        let mut names = sources.into_iter().flat_map(|sources| sources.range::<str, _>((from, Bound::Unbounded)));
        let found = |name: &String| self.names.get(&queue.namespace)?.get(name).and_then(|id| self.queues.get(id));
        let queues = names.by_ref().filter_map(found).map(|source| Arc::clone(&source.public));
        let queues: Vec<_> = queues.take(max as usize).collect();
        Ok(Reply::Queues { queues, more: names.next().is_some() })
    }
}
