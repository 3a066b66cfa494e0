//! The end of a lease, however it came: what a message has only while it is leased goes.

use super::Engine;
use crate::head::Head;
use crate::kv::State;

impl Engine {
    /// A lease has ended, or goes with its message: `head` is the message as it was leased. Every end of a lease comes
    /// by here once.
    #[expect(clippy::unused_self, reason = "what was held while the message was leased is given back here")]
    pub(super) fn lease_ended<S: State>(&mut self, _state: &mut S, _head: &Head) {}
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
