//! The children of a job, as it sees them: one row for each, and what came of it in another.

use std::ops::ControlFlow;

use super::send::within;
use super::{Answer, Engine, Stop};
use crate::api::job::{Child, JobRef, JobState};
use crate::api::{Error, LIST_MAX, Namespace, QueueId, Reply};
use crate::codec::{Reader, Unreadable, Writer};
use crate::keys;
use crate::kv::{State, View};

const VERSION: u8 = 1;
const WHAT: &str = "the row of a child";
const PLACE_VERSION: u8 = 1;
const PLACE_WHAT: &str = "the queue of a parent that was moved";

/// How a child stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ChildRecord {
    /// The queue that it was added to.
    pub(super) queue: QueueId,
    /// `Waiting` until its parent was told of its end.
    pub(super) state: JobState,
    /// Whether its parent waits for it.
    pub(super) counts: bool,
    /// Whether there is a row of what came of it.
    pub(super) has_result: bool,
}

impl ChildRecord {
    pub(super) fn new(queue: QueueId) -> Self {
        Self { queue, state: JobState::Waiting, counts: true, has_result: false }
    }

    pub(super) fn write(&self) -> Writer {
        let mut writer = Writer::new(VERSION);
        writer.number(self.queue.0);
        writer.byte(match self.state {
            JobState::Completed => 1,
            JobState::Failed => 2,
            JobState::Removed => 3,
            _ => 0,
        });
        writer.byte(u8::from(self.counts) | u8::from(self.has_result) << 1);
        writer
    }

    pub(super) fn read(bytes: &[u8]) -> Result<Self, Unreadable> {
        let mut reader = Reader::new(WHAT, bytes, VERSION)?;
        let queue = QueueId(reader.number()?);
        let state = match reader.byte()? {
            0 => JobState::Waiting,
            1 => JobState::Completed,
            2 => JobState::Failed,
            3 => JobState::Removed,
            _ => return Err(reader.damaged()),
        };
        let flags = reader.byte()?;
        reader.end()?;
        Ok(Self { queue, state, counts: flags & 1 != 0, has_result: flags & 2 != 0 })
    }
}

impl Engine {
    pub(super) fn job_children<S: View>(
        &self,
        state: &S,
        id: QueueId,
        job: JobRef,
        after: Option<(QueueId, u64)>,
        max: u32,
    ) -> Result<Answer, Stop> {
        let queue = match self.queue(id) {
            Ok(queue) => queue,
            Err(error) => return Ok(Err(error)),
        };
        if let Err(error) = within("children of a page", LIST_MAX as u64, u64::from(max)) {
            return Ok(Err(error));
        }
        let Some((parent, _)) = self.find_job(state, queue, job)? else { return Ok(Err(Error::JobNotFound)) };
        let max = max.max(1) as usize;
        let after = after.map_or(0, |(_, id)| id);
        let namespace = queue.space.namespace;
        let mut records = records(state, namespace, parent, after, max + 1)?;
        let more = records.len() > max;
        records.truncate(max);
        let children = records.into_iter().map(|(id, ChildRecord { queue, state, has_result, .. })| {
            let result = has_result.then(|| keys::child_result(namespace, parent, id).to_key());
            Child { queue, id, state, result }
        });
        Ok(Ok(Reply::Children { children: children.collect(), more }))
    }
}

/// The children of a job behind `after`, up to `max` of them.
pub(super) fn records<S: View>(
    state: &S,
    namespace: Namespace,
    parent: u64,
    after: u64,
    max: usize,
) -> Result<Vec<(u64, ChildRecord)>, Stop> {
    let mut records = Vec::new();
    let mut outcome = Ok(());
    let from = keys::child(namespace, parent, after.saturating_add(1));
    let (_, to) = keys::children(namespace, keys::CHILD, parent);
    state.scan(&from, &to, &mut |key, value| {
        match (keys::numbers(key), ChildRecord::read(value)) {
            (Some([_, id]), Ok(record)) => records.push((id, record)),
            (_, Err(error)) => outcome = Err(error),
            (None, Ok(_)) => {}
        }
        if records.len() >= max || outcome.is_err() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    outcome?;
    Ok(records)
}

/// A job that has children is in another queue from now on than where these were added to it. It stands where a child
/// without an id would.
pub(super) fn put_parent_place<S: State>(state: &mut S, namespace: Namespace, parent: u64, queue: QueueId) {
    let mut writer = Writer::new(PLACE_VERSION);
    writer.number(queue.0);
    state.put(&keys::child(namespace, parent, 0), writer.finish());
}

/// The queue that a job with children was taken to, if it was.
pub(super) fn parent_place<S: View>(state: &S, namespace: Namespace, parent: u64) -> Result<Option<QueueId>, Stop> {
    let Some(bytes) = state.get(&keys::child(namespace, parent, 0), 0)? else { return Ok(None) };
    let mut reader = Reader::new(PLACE_WHAT, bytes, PLACE_VERSION)?;
    let queue = QueueId(reader.number()?);
    reader.end()?;
    Ok(Some(queue))
}

/// Forgets the children of a job that is not there any more.
pub(super) fn forget_children<S: State>(state: &mut S, namespace: Namespace, parent: u64) {
    for kind in [keys::CHILD, keys::CHILD_RESULT] {
        let (from, to) = keys::children(namespace, kind, parent);
        state.delete_range(&from, &to);
    }
}
