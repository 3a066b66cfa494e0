//! The end of a job: it is kept among the finished ones of its queue, or removed at once.

use std::sync::Arc;
use std::time::Duration;

use super::extras::Rows;
use super::{Engine, Stop};
use crate::api::QueueId;
use crate::api::job::{FailureKind, JobEventKind, Keep};
use crate::head::{Head, State as Standing};
use crate::kv::State;
use crate::queue::Finished;
use crate::spec::Spec;

/// How a job ends.
#[derive(Clone, Copy, Debug)]
pub(super) enum End<'a> {
    /// It is done: its result.
    Completed(Option<&'a [u8]>),
    /// It failed for good: how, and what its worker said.
    Failed(FailureKind, Option<&'a [u8]>),
}

/// A job at its end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ending<'a> {
    /// Its queue.
    pub(super) queue: QueueId,
    /// Its id.
    pub(super) job: u64,
    /// How it stands still.
    pub(super) before: &'a Head,
    /// Its options, where it has any.
    pub(super) spec: Option<&'a Spec>,
}

impl Engine {
    /// Ends a job; `head` is what is known of it by now. Says how it stands then: nothing where it was removed.
    pub(super) fn finish<S: State>(
        &mut self,
        state: &mut S,
        ending: Ending<'_>,
        head: Head,
        end: End<'_>,
    ) -> Result<Option<Head>, Stop> {
        let Ending { queue: id, job: message, before, spec } = ending;
        let Some(queue) = self.queues.get(&id) else { return Ok(None) };
        let config = queue.config();
        let (own, queues) = match end {
            End::Completed(_) => (spec.and_then(|spec| spec.keep_completed), config.keep_completed),
            End::Failed(..) => (spec.and_then(|spec| spec.keep_failed), config.keep_failed),
        };
        let keep = own.unwrap_or(queues);
        let rows = Rows { namespace: queue.space.namespace, job: message };
        if let Some(spec) = spec {
            self.tell_finished(state, id, message, spec, end)?;
        }
        self.ended(id, message, &head, spec, Some(end));
        self.happened(id, message, || end.event());
        if is_none(keep) {
            if let Some(spec) = spec {
                self.tell_vanished(state, id, message, spec, end);
            }
            self.vanish(state, id, message, before)?;
            return Ok(None);
        }
        let mut head = head.without_lease();
        head.due = self.now;
        match end {
            End::Completed(result) => {
                head.state = Standing::Completed;
                head.failed = None;
                rows.set_result(state, &mut head.extras, result);
            }
            End::Failed(kind, said) => {
                head.state = Standing::Failed;
                head.failed = Some(kind);
                rows.add_failed(state, &mut head.extras, (head.grants, kind, self.now), said);
            }
        }
        // What is kept longer or shorter than others of its queue has its own time to go.
        head.expires_at = own.map(|keep| self.now.after(Duration::from_millis(keep.age_ms)));
        self.restand(state, id, message, before, &head)?;
        let finished = if head.failed.is_none() { Finished::Completed } else { Finished::Failed };
        self.keep_last(id, finished, keep.count);
        if own.is_none() && keep.age_ms < u64::MAX {
            self.look_by(id, self.now.after(Duration::from_millis(keep.age_ms)));
        }
        Ok(Some(head))
    }
}

impl End<'_> {
    pub(super) fn event(&self) -> JobEventKind {
        match *self {
            End::Completed(result) => JobEventKind::Completed(result.map(Arc::from)),
            End::Failed(kind, said) => JobEventKind::Failed(kind, said.unwrap_or_default().into()),
        }
    }
}

/// Whether nothing is kept.
fn is_none(keep: Keep) -> bool {
    keep.age_ms == 0 || keep.count == 0
}
