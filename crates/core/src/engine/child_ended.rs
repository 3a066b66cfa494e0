//! A parent learns what became of a child: it counts one less to wait for, runs, fails, or goes on waiting.

use super::children::{ChildRecord, parent_place};
use super::fail::Failure;
use super::finish::Ending;
use super::flow_tasks::{How, Task};
use super::{Engine, Stop};
use crate::api::job::{FailureKind, JobState, OnChildFailure};
use crate::api::{Error, Namespace, QueueId};
use crate::head::{Head, State as Standing};
use crate::keys;
use crate::kv::State;
use crate::spec::Spec;

/// What becomes of a parent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    Waits,
    Runs,
    Fails,
}

impl Engine {
    /// Notes, for the parent of a job, how that has ended. What it left is copied, so that it may go.
    pub(super) fn tell_parent<S: State>(
        &mut self,
        state: &mut S,
        namespace: Namespace,
        spec: &Spec,
        child: u64,
        (how, left): (How, Option<&[u8]>),
    ) {
        let Some(parent) = spec.parent else { return };
        if let Some(left) = left {
            // It may have ended before, and was tried again.
            state.delete(&keys::child_result(namespace, parent.1, child));
            state.insert_bulk(&keys::child_result(namespace, parent.1, child), &[left]);
        }
        self.tell(state, namespace, &Task::Ended { parent, child, how, has_result: left.is_some() });
    }

    pub(super) fn child_ended<S: State>(
        &mut self,
        state: &mut S,
        namespace: Namespace,
        (mut queue, id): (QueueId, u64),
        child: u64,
        (how, has_result): (How, bool),
    ) -> Result<(), Stop> {
        let row = state.get(&keys::child(namespace, id, child), 0)?.map(ChildRecord::read).transpose()?;
        let mut parent = self.prepare_in(state, queue, id)?;
        if parent.is_none()
            && let Some(to) = parent_place(state, namespace, id)?
        {
            // It was moved, or is a dead letter by now.
            (queue, parent) = (to, self.prepare_in(state, to, id)?);
        }
        let is_known = row.is_some();
        let (Some(mut row), Some(head)) = (row, parent) else {
            // Nobody waits for it any more.
            if has_result {
                state.delete(&keys::child_result(namespace, id, child));
            }
            if is_known && how == How::Left {
                // It does not go with those that are still to be removed.
                state.delete(&keys::child(namespace, id, child));
            }
            return Ok(());
        };
        let mut spec = self.spec_of(state, queue, id, &head)?.unwrap_or_default();
        let (mut unfinished, mut all) = spec.children.unwrap_or_default();
        let counted = row.counts;
        let mut then = row.end(how, has_result);
        if counted && !row.counts {
            unfinished = unfinished.saturating_sub(1);
        }
        if matches!(how, How::Failed(OnChildFailure::Remove) | How::Left) {
            all = all.saturating_sub(1);
            state.delete(&keys::child(namespace, id, child));
            state.delete(&keys::child_result(namespace, id, child));
        } else {
            state.put(&keys::child(namespace, id, child), row.write().finish());
        }
        if unfinished == 0 && then == Then::Waits {
            then = Then::Runs;
        }
        spec.children = Some((unfinished, all));
        spec.child_failed |= then == Then::Fails && head.state == Standing::Leased;
        if let Some(queue) = self.queues.get(&queue) {
            state.put(&queue.space.spec(id), spec.write().finish());
        }
        match then {
            Then::Runs if head.state == Standing::Waiting => {
                let after = self.awake(&head);
                self.restand(state, queue, id, &head, &after)?;
                self.waits_now(queue, id, &after);
                Ok(())
            }
            Then::Fails if head.state == Standing::Waiting => {
                let failure = Failure { kind: FailureKind::ChildFailed, said: None };
                let ending = Ending { queue, job: id, before: &head, spec: Some(&spec) };
                self.fail_for_good(state, ending, head.clone(), failure)?;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn prepare_in<S: State>(&self, state: &S, queue: QueueId, id: u64) -> Result<Option<Head>, Stop> {
        match self.queues.get(&queue) {
            Some(queue) => self.prepare_message(state, queue.space, id, 0),
            None => Ok(None),
        }
    }

    /// A job is its parent's child no more, unless it has ended for that.
    pub(super) fn leave_parent<S: State>(
        &mut self,
        state: &mut S,
        queue: QueueId,
        id: u64,
        head: &Head,
    ) -> Result<Result<(), Error>, Stop> {
        let Some(mut spec) = self.spec_of(state, queue, id, head)?.filter(|spec| spec.parent.is_some()) else {
            return Ok(Err(Error::NoParent));
        };
        let is_waited_for = match head.state {
            Standing::Completed => false,
            Standing::Failed => spec.on_failure == OnChildFailure::Wait,
            Standing::Ready | Standing::Delayed | Standing::Leased | Standing::Waiting => true,
        };
        if !is_waited_for {
            return Ok(Err(Error::JobState { state: head.state.of_job() }));
        }
        let Some(space) = self.queues.get(&queue).map(|queue| queue.space) else {
            return Ok(Err(Error::QueueNotFound));
        };
        self.tell_parent(state, space.namespace, &spec, id, (How::Left, None));
        spec.parent = None;
        state.put(&space.spec(id), spec.write().finish());
        Ok(Ok(()))
    }

    /// A job that has waited for its children long enough.
    pub(super) fn awake(&self, head: &Head) -> Head {
        if head.due > self.now {
            Head { state: Standing::Delayed, ..head.clone() }
        } else {
            Head { state: Standing::Ready, due: self.now, ..head.clone() }
        }
    }
}

impl ChildRecord {
    /// The child has ended, or begins again.
    fn end(&mut self, how: How, has_result: bool) -> Then {
        match how {
            How::Completed => self.state = JobState::Completed,
            // What became of it before is what its parent remembers.
            How::Removed if !self.counts => return Then::Waits,
            How::Removed => self.state = JobState::Removed,
            How::Left => {
                self.counts = false;
                return Then::Waits;
            }
            How::Again => {
                self.state = JobState::Waiting;
                return Then::Waits;
            }
            How::Failed(_) => self.state = JobState::Failed,
        }
        self.has_result = has_result;
        self.counts &= how == How::Failed(OnChildFailure::Wait);
        match how {
            How::Failed(OnChildFailure::Fail) => Then::Fails,
            How::Failed(OnChildFailure::Continue) => Then::Runs,
            _ => Then::Waits,
        }
    }
}
