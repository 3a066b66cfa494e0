//! The end of a lease, however it came: what a message has only while it is leased goes.

use super::{Engine, Stop};
use crate::head::Head;
use crate::kv::State;

impl Engine {
    /// A lease has ended, or goes with its message: `head` is the message as it was leased, and what it held of limiters
    /// is given back. Every end of a lease comes by here once, before anything is written of it.
    pub(super) fn lease_ended<S: State>(&mut self, state: &mut S, message: u64, head: &Head) -> Result<(), Stop> {
        if head.permits.is_empty() {
            return Ok(());
        }
        self.end_permits(state, message, head.priority, &head.permits)
    }
}

impl Head {
    /// Takes away what only leased messages have.
    pub(super) fn without_lease(mut self) -> Self {
        self.worker = false;
        self.timeout_at = None;
        self.permits.clear();
        self
    }
}
