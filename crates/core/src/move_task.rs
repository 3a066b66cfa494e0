//! The record of a move of messages: what it is to do, and how far it is.

use crate::api::{MoveFailure, MoveId, MoveStatus, MoveTask, QueueId};
use crate::codec::{Reader, Unreadable, Writer};
use crate::pace::Pace;
use crate::time::Time;

const VERSION: u8 = 1;
const WHAT: &str = "a move of messages";

#[derive(Clone, Debug)]
pub(crate) struct MoveRecord {
    pub(crate) task: MoveTask,
    /// The message after which it goes on.
    pub(crate) after: u64,
    /// The last message that is moved.
    pub(crate) until: u64,
    pub(crate) pace: Pace,
    /// How many rows are looked at in one step: fewer when they were not in memory. Not stored.
    pub(crate) rows: usize,
}

impl MoveRecord {
    pub(crate) fn write(&self) -> Writer {
        let task = &self.task;
        let mut writer = Writer::new(VERSION);
        writer.number(task.queue.0);
        // Ids of queues and rates start from 1.
        writer.number(task.to.map_or(0, |to| to.0));
        writer.number(u64::from(task.per_second.unwrap_or(0)));
        writer.byte(match task.status {
            MoveStatus::Running => 0,
            MoveStatus::Completed => 1,
            MoveStatus::Cancelled => 2,
            MoveStatus::Failed => 3,
        });
        writer.number(task.moved);
        writer.number(task.total);
        writer.number(task.left);
        match &task.failure {
            None => writer.byte(0),
            Some(MoveFailure::TargetGone) => writer.byte(1),
            Some(MoveFailure::NoSource) => writer.byte(2),
            Some(MoveFailure::SourceGone(name)) => {
                writer.byte(3);
                writer.bytes(name.as_bytes());
            }
        }
        writer.time(task.started_at);
        writer.time(task.ended_at.unwrap_or_default());
        writer.number(self.after);
        writer.number(self.until);
        writer.time(self.pace.next_at);
        writer.number(self.pace.slot);
        writer
    }

    pub(crate) fn read(id: u64, bytes: &[u8]) -> Result<Self, Unreadable> {
        let mut reader = Reader::new(WHAT, bytes, VERSION)?;
        let task = MoveTask {
            id: MoveId(id),
            queue: QueueId(reader.number()?),
            to: Some(reader.number()?).filter(|to| *to > 0).map(QueueId),
            per_second: Some(reader.small()?).filter(|rate| *rate > 0),
            status: match reader.byte()? {
                0 => MoveStatus::Running,
                1 => MoveStatus::Completed,
                2 => MoveStatus::Cancelled,
                3 => MoveStatus::Failed,
                _ => return Err(reader.damaged()),
            },
            moved: reader.number()?,
            total: reader.number()?,
            left: reader.number()?,
            failure: match reader.byte()? {
                0 => None,
                1 => Some(MoveFailure::TargetGone),
                2 => Some(MoveFailure::NoSource),
                3 => Some(MoveFailure::SourceGone(reader.text()?.to_owned())),
                _ => return Err(reader.damaged()),
            },
            started_at: reader.time()?,
            ended_at: Some(reader.time()?).filter(|at| *at > Time(0)),
        };
        let (after, until) = (reader.number()?, reader.number()?);
        let pace = Pace { per_second: task.per_second, next_at: reader.time()?, slot: reader.number()? };
        reader.end()?;
        Ok(Self { task, after, until, pace, rows: usize::MAX })
    }
}
