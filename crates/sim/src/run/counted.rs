//! Which paths jobs in groups and in batches took.

use weir_core::api::job::{Hold, Settlement};
use weir_core::api::{Command, Reply};

use super::Run;
use crate::model::Effect;

impl Run {
    /// Counts what a command came to, before the model takes it in.
    pub(super) fn count_varied(&mut self, effect: &Effect) {
        self.count_batch(effect);
        let coverage = &mut self.coverage;
        match (&effect.command, &effect.reply) {
            (Command::Lease { queue, .. }, Some(Ok(Reply::Received(deliveries))))
                if !deliveries.is_empty() && self.model.is_fifo(*queue) =>
            {
                coverage.ordered_jobs_leased += deliveries.len() as u64;
                coverage.groups_held += u64::from(self.model.groups_held(*queue) > 0);
            }
            (_, Some(Ok(Reply::Logs { lines, .. }))) => coverage.log_lines_read += lines.len() as u64,
            (_, Some(Ok(Reply::Explained(explanation)))) => {
                let grouped = explanation.holds.iter().any(|hold| matches!(hold, Hold::Group { .. }));
                coverage.jobs_explained_by_their_group += u64::from(grouped);
            }
            (Command::Settle { queue, entries, .. }, Some(Ok(Reply::JobsSettled(settled)))) => {
                let pauses = entries.iter().zip(settled).filter(|((_, settlement), settled)| {
                    let pause = match settlement {
                        Settlement::Release { pause, .. } => pause.as_ref(),
                        _ => None,
                    };
                    settled.is_ok() && pause.is_some_and(|pause| pause.for_ms > 0)
                });
                let queue = self.model.jobs.queues.get(queue);
                let limited = queue.is_some_and(|queue| !queue.config().limiters.is_empty());
                *(if limited { &mut coverage.keys_left_alone } else { &mut coverage.queues_left_alone }) +=
                    pauses.count() as u64;
            }
            _ => {}
        }
    }

    fn count_batch(&mut self, effect: &Effect) {
        let Command::Lease { linger_ms, one_lane, .. } = effect.command else { return };
        let Some(Ok(Reply::Received(deliveries))) = &effect.reply else { return };
        if !deliveries.is_empty() && linger_ms > 0 {
            let over = effect.at >= effect.submitted + linger_ms;
            *(if over { &mut self.coverage.batches_over } else { &mut self.coverage.batches_filled }) += 1;
        }
        self.coverage.batches_of_one_group += u64::from(one_lane && deliveries.len() > 1);
    }
}
