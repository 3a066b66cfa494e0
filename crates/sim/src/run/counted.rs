//! Which paths jobs in groups and in batches took.

use weir_core::api::job::Hold;
use weir_core::api::{Command, Reply};

use super::Run;
use crate::model::Effect;

impl Run {
    /// Counts what a command came to, before the model takes it in.
    pub(super) fn count_varied(&mut self, effect: &Effect) {
        let coverage = &mut self.coverage;
        match (&effect.command, &effect.reply) {
            (Command::Lease { queue, .. }, Some(Ok(Reply::Received(deliveries))))
                if !deliveries.is_empty() && self.model.is_fifo(*queue) =>
            {
                coverage.ordered_jobs_leased += deliveries.len() as u64;
                coverage.groups_held += u64::from(self.model.groups_held(*queue) > 0);
            }
            (_, Some(Ok(Reply::Explained(explanation)))) => {
                let grouped = explanation.holds.iter().any(|hold| matches!(hold, Hold::Group { .. }));
                coverage.jobs_explained_by_their_group += u64::from(grouped);
            }
            _ => {}
        }
    }
}
