//! Progress and lines for the log of a job, from anybody.

use std::sync::Arc;

use super::extras::Rows;
use super::settle::check_report;
use super::{Answer, Engine, Stop};
use crate::api::job::{JobEventKind, JobRef};
use crate::api::{Error, QueueId, Reply};
use crate::kv::State;

impl Engine {
    pub(super) fn report<S: State>(
        &mut self,
        state: &mut S,
        id: QueueId,
        job: JobRef,
        progress: Option<&[u8]>,
        logs: &[Vec<u8>],
        logs_max: Option<u64>,
    ) -> Result<Answer, Stop> {
        let queue = match self.queue(id) {
            Ok(queue) => queue,
            Err(error) => return Ok(Err(error)),
        };
        if let Err(error) = check_report(progress, logs) {
            return Ok(Err(error));
        }
        let Some((job, mut head)) = self.find_job(state, queue, job)? else { return Ok(Err(Error::JobNotFound)) };
        let space = queue.space;
        let rows = Rows { namespace: space.namespace, job };
        if let Some(progress) = progress {
            rows.set_progress(state, &mut head.extras, progress);
            self.happened(id, job, || JobEventKind::Progress(Arc::from(progress)));
        }
        rows.add_logs(state, &mut head.extras, logs);
        if let Some(max) = logs_max {
            rows.trim_logs(state, &mut head.extras, max);
        }
        // It stands where it stood.
        state.put(&space.message(job), head.write().finish());
        Ok(Ok(Reply::Done))
    }
}
