//! Names of jobs: the ids that their senders chose, each known for as long as its job is there.

use super::{Engine, Stop};
use crate::api::QueueId;
use crate::api::job::JobRef;
use crate::codec::{Reader, Writer};
use crate::head::Head;
use crate::kv::{State, View};
use crate::queue::QueueState;

const VERSION: u8 = 1;
const WHAT: &str = "the custom id of a job";

impl Engine {
    /// The id of the job that is meant. One that was given by its own id may not be there.
    pub(super) fn resolve<S: View>(&self, state: &S, queue: &QueueState, job: JobRef) -> Result<Option<u64>, Stop> {
        let hash = match job {
            JobRef::Id(id) => return Ok(Some(id)),
            JobRef::Custom(hash) => hash,
            JobRef::Deduplicating(hash) => return self.dedup_job(state, queue, hash),
        };
        let Some(bytes) = state.get(&queue.space.job_id(hash), 0)? else { return Ok(None) };
        let mut reader = Reader::new(WHAT, bytes, VERSION)?;
        let id = reader.number()?;
        reader.end()?;
        Ok(Some(id))
    }

    /// The job that is meant, with its head, if it is there.
    pub(super) fn find_job<S: View>(
        &self,
        state: &S,
        queue: &QueueState,
        job: JobRef,
    ) -> Result<Option<(u64, Head)>, Stop> {
        let Some(id) = self.resolve(state, queue, job)? else { return Ok(None) };
        match state.get(&queue.space.message(id), 0)? {
            Some(bytes) => Ok(Some((id, Head::read(bytes)?))),
            None => Ok(None),
        }
    }

    /// Has a job be known by the id that its sender chose, which nobody else has.
    pub(super) fn name_job<S: State>(&self, state: &mut S, queue: QueueId, hash: [u8; 16], id: u64) {
        if let Some(queue) = self.queues.get(&queue) {
            let mut writer = Writer::new(VERSION);
            writer.number(id);
            state.insert(&queue.space.job_id(hash), writer.finish());
        }
    }

    /// The job of that id is not there any more.
    pub(super) fn forget_name<S: State>(&self, state: &mut S, queue: QueueId, hash: [u8; 16]) {
        if let Some(queue) = self.queues.get(&queue) {
            state.delete(&queue.space.job_id(hash));
        }
    }
}
