//! Clients that are gone by the time of their answers: what they were granted is taken back.

use weir_core::api::limit::Acquired;
use weir_core::api::{Command, Reply};

use super::Run;
use crate::model::Checked;

impl Run {
    /// Whether who was granted something is not there any more.
    pub(super) fn is_gone(&mut self, command: &Command, reply: Option<&Reply>) -> bool {
        let granted = match (command, reply) {
            (Command::Acquire { .. }, Some(Reply::Acquired(Acquired::Granted { .. }))) => true,
            (Command::Lease { .. }, Some(Reply::Received(deliveries))) => !deliveries.is_empty(),
            _ => false,
        };
        let draining = self.step >= self.profile.steps;
        granted && self.profile.varied && !draining && !self.closing && self.workload.chance(1, 6)
    }

    /// The door takes back what it could not hand over.
    pub(super) fn take_back(&mut self, command: &Command, reply: Option<&Reply>) -> Checked {
        match (command, reply) {
            (Command::Acquire { limiter, .. }, Some(Reply::Acquired(Acquired::Granted { permit, .. }))) => {
                self.coverage.permits_returned += 1;
                self.submit(Command::PermitReturned { limiter: *limiter, permit: *permit })
            }
            (Command::Lease { queue, .. }, Some(Reply::Received(deliveries))) => {
                self.coverage.leases_returned += 1;
                let handles = deliveries.iter().map(|delivery| delivery.handle).collect();
                self.submit(Command::Return { queue: *queue, handles })
            }
            _ => Ok(()),
        }
    }
}
