//! What the members of flows are still to be told: that a child has ended, that a parent was removed, that a job that was
//! kept back may come. Each is a row, written in the commit of what it is about and carried out, in order, in slices:
//! most of them within the same command.
//!
//! So the end of a job reads nothing of its parent, and neither a long chain of parents nor a purge of a million children
//! is ever walked through by one command.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use super::{Engine, SLICE_ROWS, Stop};
use crate::api::job::OnChildFailure;
use crate::api::{Namespace, Output, QueueId};
use crate::codec::{Reader, Unreadable, Writer};
use crate::keys;
use crate::kv::{State, View};
use crate::spec::{policy_byte, read_policy};

/// Version 2 knows children that leave.
const VERSION: u8 = 2;
const WHAT: &str = "a task of a flow";
/// Stands for a child that leaves: behind the policies of those that failed.
const LEFT: u8 = 16;

/// How a child has ended, for its parent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How {
    /// It is done.
    Completed,
    /// It failed for good.
    Failed(OnChildFailure),
    /// It was removed.
    Removed,
    /// It is tried again after its end.
    Again,
    /// It is a child no more.
    Left,
}

/// Something to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Task {
    /// A child has ended.
    Ended { parent: (QueueId, u64), child: u64, how: How, has_result: bool },
    /// A job was removed: those of its children that have not begun go too, from this one on.
    RemoveChildren { parent: u64, after: u64 },
    /// The job that a deduplication id stands for has ended: the one kept back meanwhile comes.
    AddKept { queue: QueueId, hash: [u8; 16] },
}

/// Where the tasks of each namespace are.
#[derive(Debug, Default)]
pub(super) struct FlowTasks {
    /// The first task that there may be, and the last one; `None` where that is not known.
    namespaces: BTreeMap<Namespace, (u64, Option<u64>)>,
    /// Whether they wait for rows to be loaded.
    pub(super) stalled: bool,
}

impl FlowTasks {
    /// A namespace whose tasks are not known yet.
    pub(super) fn add_namespace(&mut self, namespace: Namespace) {
        self.namespaces.insert(namespace, (0, None));
    }

    /// Whether there may be something to do.
    pub(super) fn is_waiting(&self) -> bool {
        !self.stalled && !self.namespaces.is_empty()
    }
}

impl Task {
    fn write(&self) -> Writer {
        let mut writer = Writer::new(VERSION);
        match self {
            Task::Ended { parent, child, how, has_result } => {
                writer.byte(0);
                writer.number(parent.0.0);
                writer.number(parent.1);
                writer.number(*child);
                writer.byte(match how {
                    How::Completed => 0,
                    How::Removed => 1,
                    How::Again => 2,
                    How::Left => LEFT,
                    How::Failed(policy) => 3 + policy_byte(*policy),
                });
                writer.byte(u8::from(*has_result));
            }
            Task::RemoveChildren { parent, after } => {
                writer.byte(1);
                writer.number(*parent);
                writer.number(*after);
            }
            Task::AddKept { queue, hash } => {
                writer.byte(2);
                writer.number(queue.0);
                writer.fixed(hash);
            }
        }
        writer
    }

    fn read(bytes: &[u8]) -> Result<Self, Unreadable> {
        let mut reader = Reader::new(WHAT, bytes, VERSION)?;
        let task = match reader.byte()? {
            0 => Task::Ended {
                parent: (QueueId(reader.number()?), reader.number()?),
                child: reader.number()?,
                how: match reader.byte()? {
                    0 => How::Completed,
                    1 => How::Removed,
                    2 => How::Again,
                    LEFT => How::Left,
                    byte => How::Failed(read_policy(byte - 3).ok_or_else(|| reader.damaged())?),
                },
                has_result: reader.byte()? != 0,
            },
            1 => Task::RemoveChildren { parent: reader.number()?, after: reader.number()? },
            2 => Task::AddKept { queue: QueueId(reader.number()?), hash: reader.fixed()? },
            _ => return Err(reader.damaged()),
        };
        reader.end()?;
        Ok(task)
    }
}

impl Engine {
    /// Has something told, after all that is to be told already.
    pub(super) fn tell<S: State>(&mut self, state: &mut S, namespace: Namespace, task: &Task) {
        let number = self.new_id();
        state.insert(&keys::flow_task(namespace, number), task.write().finish());
        let known = self.flow_tasks.namespaces.entry(namespace).or_insert((number, Some(number)));
        if known.1.is_some() {
            known.1 = Some(number);
        }
    }

    /// Carries out a slice of what is to be told.
    pub(super) fn run_flow_tasks<S: State>(&mut self, state: &mut S, out: &mut Output) -> Result<(), Stop> {
        let mut rows = SLICE_ROWS;
        while rows > 0 && self.flow_tasks.is_waiting() {
            let Some((&namespace, &known)) = self.flow_tasks.namespaces.first_key_value() else { return Ok(()) };
            match self.run_flow_task(state, namespace, known) {
                Err(Stop::Need(needs)) => {
                    self.flow_tasks.stalled = true;
                    out.needs.extend(needs);
                }
                ran => ran?,
            }
            rows -= 1;
        }
        Ok(())
    }

    /// Carries out the first task of a namespace.
    fn run_flow_task<S: State>(
        &mut self,
        state: &mut S,
        namespace: Namespace,
        (first, last): (u64, Option<u64>),
    ) -> Result<(), Stop> {
        let Some((number, task)) = first_task(state, namespace, first, last)? else {
            self.flow_tasks.namespaces.remove(&namespace);
            return Ok(());
        };
        match task {
            Task::Ended { parent, child, how, has_result } => {
                self.child_ended(state, namespace, parent, child, (how, has_result))?;
            }
            Task::RemoveChildren { parent, after } => self.remove_children(state, namespace, parent, after)?,
            Task::AddKept { queue, hash } => self.add_kept(state, queue, hash)?,
        }
        state.delete(&keys::flow_task(namespace, number));
        // What it had told further stands behind it.
        if let Some(known) = self.flow_tasks.namespaces.get_mut(&namespace) {
            known.0 = number + 1;
            if known.1 == Some(number) {
                self.flow_tasks.namespaces.remove(&namespace);
            }
        }
        Ok(())
    }
}

fn first_task<S: View>(
    state: &S,
    namespace: Namespace,
    first: u64,
    last: Option<u64>,
) -> Result<Option<(u64, Task)>, Stop> {
    if last == Some(first) {
        // The common case: it was written by this very command, and needs no walk.
        return Ok(match state.get(&keys::flow_task(namespace, first), 0)? {
            Some(bytes) => Some((first, Task::read(bytes)?)),
            None => None,
        });
    }
    let mut task = Ok(None);
    let end = match last {
        Some(last) => keys::flow_task(namespace, last).byte(0),
        None => keys::entities(namespace).kind(keys::FLOW_TASK + 1),
    };
    state.scan(&keys::flow_task(namespace, first), &end, &mut |key, value| {
        if let Some([number]) = keys::numbers(key) {
            task = Task::read(value).map(|task| Some((number, task)));
        }
        ControlFlow::Break(())
    })?;
    Ok(task?)
}
