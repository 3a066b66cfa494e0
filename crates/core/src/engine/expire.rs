//! A job that was not started in time has failed.

use super::fail::Failure;
use super::finish::Ending;
use super::{Engine, Stop};
use crate::api::QueueId;
use crate::api::job::FailureKind;
use crate::head::{Head, State as Standing};
use crate::kv::State;
use crate::time::Time;

impl Engine {
    pub(super) fn expire<S: State>(
        &mut self,
        state: &mut S,
        id: QueueId,
        message: u64,
        head: &Head,
    ) -> Result<(), Stop> {
        let spec = self.spec_of(state, id, message, head)?;
        let failure = Failure { kind: FailureKind::Expired, said: None };
        let ending = Ending { queue: id, job: message, before: head, spec: spec.as_ref() };
        self.fail_for_good(state, ending, head.clone(), failure)?;
        Ok(())
    }
}

impl Head {
    /// Whether it can be started no more.
    pub(super) fn is_expired(&self, now: Time) -> bool {
        let unstarted = matches!(self.state, Standing::Ready | Standing::Delayed | Standing::Waiting);
        unstarted && self.expires_at.is_some_and(|at| at <= now)
    }
}
