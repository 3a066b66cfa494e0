//! A job was removed: so are those of its children that have not begun, and theirs, a slice at a time.

use super::children::{forget_children, records};
use super::flow_tasks::Task;
use super::{Engine, SLICE_ROWS, Stop};
use crate::api::{Namespace, QueueId};
use crate::head::{Head, State as Standing};
use crate::kv::State;

/// Children of a slice: for each there are several rows.
const CHILDREN: usize = SLICE_ROWS / 8;

impl Engine {
    pub(super) fn remove_children<S: State>(
        &mut self,
        state: &mut S,
        namespace: Namespace,
        parent: u64,
        after: u64,
    ) -> Result<(), Stop> {
        let records = records(state, namespace, parent, after, CHILDREN)?;
        let jobs: Vec<(QueueId, u64)> = records.iter().map(|(id, record)| (record.queue, *id)).collect();
        let found = self.prepare_jobs(state, &jobs)?;
        for (&(queue, id), head) in jobs.iter().zip(found) {
            let begun = |head: &Head| !matches!(head.state, Standing::Ready | Standing::Delayed | Standing::Waiting);
            if let Some(head) = head.filter(|head| !begun(head)) {
                self.remove_with_children(state, queue, id, &head)?;
            }
        }
        match jobs.last() {
            Some(&(_, after)) if jobs.len() >= CHILDREN => {
                self.tell(state, namespace, &Task::RemoveChildren { parent, after });
            }
            _ => forget_children(state, namespace, parent),
        }
        Ok(())
    }

    /// Removes a job for good, and has its children removed.
    pub(super) fn remove_with_children<S: State>(
        &mut self,
        state: &mut S,
        queue: QueueId,
        id: u64,
        head: &Head,
    ) -> Result<(), Stop> {
        if head.has_children
            && let Some(queue) = self.queues.get(&queue)
        {
            let namespace = queue.space.namespace;
            self.tell(state, namespace, &Task::RemoveChildren { parent: id, after: 0 });
        }
        // Their rows stay until they are removed.
        self.remove(state, queue, id, &Head { has_children: false, ..head.clone() })
    }
}
