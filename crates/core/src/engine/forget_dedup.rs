//! A deduplication id is made free: the job that has it keeps no others away any more.

use super::{Answer, Engine, Stop};
use crate::api::job::{JobDedup, JobRef};
use crate::api::{Error, QueueId, Reply};
use crate::kv::State;

impl Engine {
    /// Where `job` is given, only if it is the one that has the id. A duplicate that was kept back until the job has
    /// finished comes at once, and has the id then.
    pub(super) fn forget_dedup<S: State>(
        &mut self,
        state: &mut S,
        id: QueueId,
        hash: [u8; 16],
        job: Option<JobRef>,
    ) -> Result<Answer, Stop> {
        let queue = match self.queue(id) {
            Ok(queue) => queue,
            Err(error) => return Ok(Err(error)),
        };
        let Some(first) = self.dedup_job(state, queue, hash)? else { return Ok(Err(Error::JobNotFound)) };
        if let Some(job) = job
            && self.resolve(state, queue, job)? != Some(first)
        {
            return Ok(Err(Error::JobNotFound));
        }
        let dedup = JobDedup {
            hash,
            ttl_ms: None,
            extend: false,
            replace: false,
            reschedule: false,
            keep_last_if_active: false,
        };
        self.end_dedup(state, id, &dedup, first, true)?;
        Ok(Ok(Reply::Done))
    }
}
