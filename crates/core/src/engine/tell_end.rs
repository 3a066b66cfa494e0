//! Who is concerned by the end of a job: its parent, and those that it kept away.

use super::finish::End;
use super::flow_tasks::How;
use super::{Engine, Stop};
use crate::api::QueueId;
use crate::api::job::OnChildFailure;
use crate::kv::State;
use crate::spec::Spec;

impl Engine {
    /// A job is done, or has failed for good.
    pub(super) fn tell_finished<S: State>(
        &mut self,
        state: &mut S,
        queue: QueueId,
        id: u64,
        spec: &Spec,
        end: End<'_>,
    ) -> Result<(), Stop> {
        let how = match end {
            End::Completed(result) => (How::Completed, result),
            End::Failed(_, said) => (How::Failed(spec.on_failure), said),
        };
        self.tell_end(state, queue, id, spec, how, false)
    }

    /// Nothing is kept of a job that has just finished. Who waits for a failed one to be tried again would wait in vain.
    pub(super) fn tell_vanished<S: State>(
        &mut self,
        state: &mut S,
        queue: QueueId,
        id: u64,
        spec: &Spec,
        end: End<'_>,
    ) {
        let waits = matches!(end, End::Failed(..)) && spec.on_failure == OnChildFailure::Wait;
        if let (true, Some(queue)) = (waits, self.queues.get(&queue)) {
            let namespace = queue.space.namespace;
            self.tell_parent(state, namespace, spec, id, (How::Removed, None));
        }
    }

    /// A job is gone, which ends it if it has not finished. `frees` says whether it keeps nobody away from now on.
    pub(super) fn tell_removed<S: State>(
        &mut self,
        state: &mut S,
        queue: QueueId,
        id: u64,
        spec: &Spec,
        frees: bool,
    ) -> Result<(), Stop> {
        self.tell_end(state, queue, id, spec, (How::Removed, None), frees)
    }

    fn tell_end<S: State>(
        &mut self,
        state: &mut S,
        queue: QueueId,
        id: u64,
        spec: &Spec,
        how: (How, Option<&[u8]>),
        removed: bool,
    ) -> Result<(), Stop> {
        let Some(namespace) = self.queues.get(&queue).map(|queue| queue.space.namespace) else { return Ok(()) };
        self.tell_parent(state, namespace, spec, id, how);
        match &spec.dedup {
            Some(dedup) => self.end_dedup(state, queue, dedup, id, removed),
            None => Ok(()),
        }
    }
}
