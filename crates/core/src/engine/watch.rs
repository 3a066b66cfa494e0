//! Watching a queue: what happens to its jobs is told while anybody watches, and costs nothing while nobody does.

use super::{Answer, Engine};
use crate::api::job::{JobEvent, JobEventKind};
use crate::api::{Error, Event, QueueId, Reply};
use crate::head::{Head, State as Standing};

impl Engine {
    pub(super) fn watch_queue(&mut self, id: QueueId, watch: bool) -> Answer {
        let queue = self.queues.get_mut(&id).ok_or(Error::QueueNotFound)?;
        queue.watchers = if watch { queue.watchers + 1 } else { queue.watchers.saturating_sub(1) };
        Ok(Reply::Done)
    }

    /// Something happened to a job.
    pub(super) fn happened(&mut self, id: QueueId, job: u64, kind: impl FnOnce() -> JobEventKind) {
        if let Some(queue) = self.queues.get(&id).filter(|queue| queue.watchers > 0) {
            let (namespace, queue) = (queue.space.namespace, queue.id());
            self.events.push(Event::Job(JobEvent { namespace, queue, job, at: self.now, kind: kind() }));
        }
    }

    /// A job that nobody works on, and that has not finished, stands as its head says.
    pub(super) fn waits_now(&mut self, id: QueueId, job: u64, head: &Head) {
        self.happened(id, job, || match head.state {
            Standing::Delayed => JobEventKind::Delayed(head.due),
            Standing::Waiting => JobEventKind::WaitingForChildren,
            _ => JobEventKind::Ready,
        });
    }
}
