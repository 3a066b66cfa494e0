//! Who works on a job has it wait for children that were added meanwhile.

use super::fail::Failure;
use super::finish::Ending;
use super::{Engine, Stop};
use crate::api::QueueId;
use crate::api::job::FailureKind;
use crate::head::{Head, State as Standing};
use crate::kv::State;

impl Engine {
    /// No attempt is counted. Says how the job stands then: nothing where it left the queue.
    pub(super) fn wait_for_children<S: State>(
        &mut self,
        state: &mut S,
        id: QueueId,
        message: u64,
        before: &Head,
    ) -> Result<Option<Head>, Stop> {
        let spec = self.spec_of(state, id, message, before)?;
        let child_failed = spec.as_ref().is_some_and(|spec| spec.child_failed);
        if child_failed || before.cancel {
            let kind = if child_failed { FailureKind::ChildFailed } else { FailureKind::Cancelled };
            let failure = Failure { kind, said: None };
            let ending = Ending { queue: id, job: message, before, spec: spec.as_ref() };
            return self.fail_for_good(state, ending, before.clone(), failure);
        }
        let unfinished = spec.and_then(|spec| spec.children).map_or(0, |(unfinished, _)| unfinished);
        let receives = before.receives.saturating_sub(1);
        let state_after = if unfinished > 0 { Standing::Waiting } else { Standing::Ready };
        let head = Head { state: state_after, due: self.now, receives, ..before.clone().without_lease() };
        self.restand(state, id, message, before, &head)?;
        self.waits_now(id, message, &head);
        Ok(Some(head))
    }
}
