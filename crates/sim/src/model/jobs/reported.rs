//! Progress and lines of a log, from anybody.

use weir_core::api::job::JobRef;
use weir_core::api::{Error, QueueId, Reply};

use super::super::{Checked, Model};

impl Model {
    pub(in crate::model) fn reported(
        &mut self,
        (id, reference): (QueueId, JobRef),
        progress: Option<&Vec<u8>>,
        (logs, logs_max): (&[Vec<u8>], Option<u64>),
        reply: &Result<Reply, Error>,
        at: u64,
    ) -> Checked {
        let found = self.find_job(id, reference);
        match (reply, found) {
            (Err(Error::QueueNotFound), _) if self.queue(id).is_err() => Ok(()),
            (Err(Error::JobNotFound), None) => Ok(()),
            (Err(Error::JobNotFound), Some(found)) => {
                self.job(found)?.see("was not found", |standing| standing.is_gone_from(id))
            }
            (Ok(Reply::Done), Some(found)) => {
                let job = self.job(found)?;
                job.see("was reported on", |standing| !standing.is_gone_from(id))?;
                if progress.is_some() {
                    job.progress = progress.cloned();
                }
                job.logs.extend(logs.iter().cloned());
                let first = logs_max.map_or(0, |max| (job.logs.len() as u64).saturating_sub(max));
                job.logs_from = job.logs_from.max(first);
                self.written_until = self.written_until.max(at);
                Ok(())
            }
            (reply, _) => Err(format!("a report was answered with {reply:?}")),
        }
    }
}
