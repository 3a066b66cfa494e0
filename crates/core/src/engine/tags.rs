//! Tags of a queue: changes are said as such, so that none is lost where two meet.

use std::sync::Arc;

use super::send::within;
use super::{Answer, Engine};
use crate::api::{Error, Event, Output, Queue, QueueId, Reply, Tags};
use crate::keys;
use crate::kv::State;

impl Engine {
    pub(super) fn tag_queue<S: State>(
        &mut self,
        state: &mut S,
        id: QueueId,
        remove: &[String],
        add: &Tags,
        max: u64,
        out: &mut Output,
    ) -> Answer {
        let queue = self.queues.get_mut(&id).ok_or(Error::QueueNotFound)?;
        let mut tags = queue.public.tags.clone();
        tags.retain(|key, _| !remove.contains(key));
        let kept = tags.len();
        tags.extend(add.iter().map(|(key, value)| (key.clone(), value.clone())));
        // Who only takes tags away, or changes values, is not refused for there being too many.
        if tags.len() > kept {
            within("tags of a queue", max, tags.len() as u64)?;
        }
        if tags != queue.public.tags {
            queue.public = Arc::new(Queue { tags, ..(*queue.public).clone() });
            state.put(&keys::queue(queue.space.namespace, id.0), queue.write().finish());
            out.events.push(Event::QueueChanged(Arc::clone(&queue.public)));
        }
        Ok(Reply::Queue { queue: Arc::clone(&queue.public), created: false })
    }
}
