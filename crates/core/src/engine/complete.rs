//! A worker has done its work: the job is completed, and kept with its result or removed.

use super::finish::{End, Ending};
use super::{Engine, Stop};
use crate::api::QueueId;
use crate::head::Head;
use crate::kv::State;

impl Engine {
    /// The message as it stands then; nothing where it was removed.
    pub(super) fn complete<S: State>(
        &mut self,
        state: &mut S,
        id: QueueId,
        message: u64,
        before: &Head,
        result: Option<&[u8]>,
    ) -> Result<Option<Head>, Stop> {
        let spec = self.spec_of(state, id, message, before)?;
        let ending = Ending { queue: id, job: message, before, spec: spec.as_ref() };
        self.finish(state, ending, before.clone(), End::Completed(result))
    }
}
