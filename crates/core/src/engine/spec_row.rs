//! The row of a job's options, and the names that it is known by: they come and go with the job.

use super::children::put_parent_place;
use super::{Engine, Stop};
use crate::api::QueueId;
use crate::api::job::JobEventKind;
use crate::codec::Unreadable;
use crate::head::Head;
use crate::keys::Space;
use crate::kv::{State, View};
use crate::spec::Spec;

/// The options of a job; most messages have none.
pub(super) fn read<S: View>(state: &S, space: Space, id: u64, head: &Head) -> Result<Option<Spec>, Stop> {
    if !head.has_spec {
        return Ok(None);
    }
    let bytes = state.get(&space.spec(id), 0)?;
    let bytes = bytes.ok_or(Unreadable::Damaged { what: "a job: its options are missing" })?;
    Ok(Some(Spec::read(bytes)?))
}

impl Engine {
    pub(super) fn spec_of<S: View>(
        &self,
        state: &S,
        queue: QueueId,
        id: u64,
        head: &Head,
    ) -> Result<Option<Spec>, Stop> {
        match self.queues.get(&queue) {
            Some(queue) => read(state, queue.space, id, head),
            None => Ok(None),
        }
    }

    /// Keeps the options of a job that has just entered a queue.
    pub(super) fn put_spec<S: State>(&mut self, state: &mut S, queue: QueueId, id: u64, spec: &Spec) {
        if let Some(queue) = self.queues.get(&queue) {
            state.insert(&queue.space.spec(id), spec.write().finish());
        }
        if let Some(hash) = spec.custom_id {
            self.name_job(state, queue, hash, id);
        }
    }

    /// The options of a job go, since it leaves the queue.
    pub(super) fn remove_spec<S: State>(&mut self, state: &mut S, queue: QueueId, id: u64, spec: &Spec) {
        if let Some(queue) = self.queues.get(&queue) {
            state.delete(&queue.space.spec(id));
        }
        if let Some(hash) = spec.custom_id {
            self.forget_name(state, queue, hash);
        }
    }

    /// Reads what the options of a message, and the names in them, read when it leaves for one of these queues.
    pub(super) fn prepare_spec<S: View>(
        &self,
        state: &S,
        space: Space,
        id: u64,
        head: &Head,
        target: Option<QueueId>,
        ahead: usize,
    ) -> Result<(), Stop> {
        if !head.has_spec {
            return Ok(());
        }
        state.get(&space.spec(id), ahead)?;
        let Some(spec) = read(state, space, id, head)? else { return Ok(()) };
        if let Some(dedup) = &spec.dedup {
            state.get(&space.job_dedup(dedup.hash), 0)?;
        }
        if let (Some(hash), Some(target)) = (spec.custom_id, target.and_then(|id| self.queues.get(&id))) {
            state.get(&target.space.job_id(hash), 0)?;
        }
        Ok(())
    }

    /// Takes a message from one queue to another with all that belongs to it. `head` is how it stands there; attempts are
    /// counted anew.
    pub(super) fn carry<S: State>(
        &mut self,
        state: &mut S,
        (from, to): (QueueId, QueueId),
        id: u64,
        before: &Head,
        head: Head,
    ) -> Result<(), Stop> {
        let spec = self.leave(state, from, id, before)?;
        let head = Head {
            receives_before: head.receives,
            in_lane: head.lane.is_some(),
            failures: 0,
            stalls: 0,
            cancel: false,
            failed: None,
            started_at: None,
            ..head.without_lease()
        };
        self.enter(state, to, id, &head)?;
        if head.has_children
            && let Some(queue) = self.queues.get(&to)
        {
            put_parent_place(state, queue.space.namespace, id, to);
        }
        self.happened(to, id, || JobEventKind::Added(head.state.of_job(), None));
        if let Some(mut spec) = spec {
            // What it keeps away, it keeps away from its own queue.
            if let Some(dedup) = spec.dedup.take() {
                self.end_dedup(state, from, &dedup, id, false)?;
            }
            // Who has the name there keeps it.
            if let (Some(hash), Some(target)) = (spec.custom_id, self.queues.get(&to))
                && state.get(&target.space.job_id(hash), 0)?.is_some()
            {
                spec.custom_id = None;
            }
            self.put_spec(state, to, id, &spec);
        }
        Ok(())
    }
}
