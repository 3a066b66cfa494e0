//! Moves of all messages of a queue, in the background: started, paced, cancelled, listed, ended.

use std::collections::{BTreeMap, BTreeSet};

use super::list::walk;
use super::{Answer, Engine, SLICE_ROWS, Stop};
use crate::api::{Error, MOVES_KEPT, MoveFailure, MoveId, MoveStatus, MoveTask, Output, QueueId, Reply, States};
use crate::codec::Unreadable;
use crate::head::Head;
use crate::keys;
use crate::kv::{State, View};
use crate::move_task::MoveRecord;
use crate::pace::Pace;
use crate::time::Time;

/// The moves of a shard.
#[derive(Debug, Default)]
pub(super) struct Moves {
    tasks: BTreeMap<MoveId, MoveRecord>,
    by_queue: BTreeSet<(QueueId, MoveId)>,
    /// Those that run, by the time of their next step.
    due: BTreeSet<(Time, MoveId)>,
    /// Whether they wait for rows to be loaded.
    pub(super) stalled: bool,
}

impl Moves {
    /// When there is something to do next.
    pub(super) fn next(&self) -> Time {
        if self.stalled { Time::NEVER } else { self.due.first().map_or(Time::NEVER, |&(at, _)| at) }
    }

    fn of(&self, queue: QueueId) -> impl DoubleEndedIterator<Item = &MoveRecord> {
        let ids = self.by_queue.range((queue, MoveId(0))..=(queue, MoveId(u64::MAX)));
        ids.filter_map(|(_, id)| self.tasks.get(id))
    }

    fn insert(&mut self, record: MoveRecord) {
        if record.task.status == MoveStatus::Running {
            self.due.insert((record.pace.next_at, record.task.id));
        }
        self.by_queue.insert((record.task.queue, record.task.id));
        self.tasks.insert(record.task.id, record);
    }

    fn remove(&mut self, id: MoveId) -> Option<MoveRecord> {
        let record = self.tasks.remove(&id)?;
        self.by_queue.remove(&(record.task.queue, id));
        self.due.remove(&(record.pace.next_at, id));
        Some(record)
    }
}

/// Messages that are moved in one step, each with its way, and what was seen of those that have none.
#[derive(Default)]
struct Step {
    ways: Vec<(u64, Head, QueueId)>,
    left: u64,
    failure: Option<MoveFailure>,
    /// The last message seen; nothing at the end.
    next: Option<u64>,
}

impl Engine {
    pub(super) fn start_move<S: State>(
        &mut self,
        state: &mut S,
        id: QueueId,
        to: Option<QueueId>,
        per_second: Option<u32>,
    ) -> Answer {
        let counters = self.queue(id)?.counters;
        if let Some(to) = to {
            self.can_move(id, to)?;
        }
        if let Some(active) = self.moves.of(id).find(|record| record.task.status == MoveStatus::Running) {
            return Err(Error::MoveActive { task: active.task.id });
        }
        let per_second = per_second.map(|rate| rate.max(1));
        let until = self.last_id;
        let task = MoveTask {
            id: MoveId(self.new_id()),
            queue: id,
            to,
            per_second,
            status: MoveStatus::Running,
            moved: 0,
            total: counters.ready + counters.delayed,
            left: 0,
            failure: None,
            started_at: self.now,
            ended_at: None,
        };
        let pace = Pace::new(per_second, self.now);
        let record = MoveRecord { task: task.clone(), after: 0, until, pace, rows: SLICE_ROWS };
        self.keep_move(state, record);
        Ok(Reply::MoveTask(task))
    }

    pub(super) fn cancel_move<S: State>(&mut self, state: &mut S, id: MoveId) -> Answer {
        let record = self.moves.tasks.get(&id).ok_or(Error::MoveNotFound)?;
        if record.task.status != MoveStatus::Running {
            return Err(Error::MoveEnded);
        }
        Ok(self
            .moves
            .remove(id)
            .map_or(Reply::Done, |record| Reply::MoveTask(self.end_move(state, record, MoveStatus::Cancelled))))
    }

    /// Ends the move that runs out of a queue, if one does.
    pub(super) fn stop_move<S: State>(&mut self, state: &mut S, queue: QueueId) {
        let running = self.moves.of(queue).find(|record| record.task.status == MoveStatus::Running);
        if let Some(record) = running.map(|record| record.task.id).and_then(|id| self.moves.remove(id)) {
            self.end_move(state, record, MoveStatus::Cancelled);
        }
    }

    /// How the last move out of a queue stands.
    pub(super) fn last_move(&self, queue: QueueId) -> Option<MoveStatus> {
        self.moves.of(queue).next_back().map(|record| record.task.status)
    }

    pub(super) fn move_tasks(&self, id: QueueId) -> Answer {
        self.queue(id)?;
        Ok(Reply::MoveTasks(self.moves.of(id).rev().map(|record| record.task.clone()).collect()))
    }

    /// Takes a move read from the store among the entities.
    pub(super) fn add_move(&mut self, id: u64, value: &[u8]) -> Result<(), Unreadable> {
        self.moves.insert(MoveRecord::read(id, value)?);
        Ok(())
    }

    /// The moves out of a queue go with it.
    pub(super) fn forget_moves<S: State>(&mut self, state: &mut S, queue: QueueId, namespace: crate::api::Namespace) {
        let ids: Vec<MoveId> = self.moves.of(queue).map(|record| record.task.id).collect();
        for id in ids {
            self.moves.remove(id);
            state.delete(&keys::move_task(namespace, id.0));
        }
    }

    /// Does the step of the move that is due first.
    pub(super) fn run_moves<S: State>(&mut self, state: &mut S, out: &mut Output) -> Result<(), Stop> {
        let Some(&(at, id)) = self.moves.due.first().filter(|_| !self.moves.stalled) else { return Ok(()) };
        if at > self.now {
            return Ok(());
        }
        let Some(mut record) = self.moves.remove(id) else { return Ok(()) };
        match self.prepare_step(state, &record) {
            Ok(step) => {
                record.rows = record.rows.saturating_mul(2).min(SLICE_ROWS);
                self.take_step(state, record, step)
            }
            Err(Stop::Need(needs)) => {
                // All rows of a step have to be in memory at once, so the next one is shorter.
                record.rows = (record.rows.min(SLICE_ROWS) / 2).max(1);
                self.moves.insert(record);
                self.moves.stalled = true;
                out.needs.extend(needs);
                Ok(())
            }
            Err(stop) => Err(stop),
        }
    }

    /// Looks for the messages of the next step, and reads all that moving them reads.
    fn prepare_step<S: View>(&self, state: &S, record: &MoveRecord) -> Result<Step, Stop> {
        let mut step = Step::default();
        let Some(queue) = self.queues.get(&record.task.queue) else { return Ok(step) };
        if record.task.to.is_some_and(|to| !self.queues.contains_key(&to)) {
            step.failure = Some(MoveFailure::TargetGone);
            return Ok(step);
        }
        let rows = record.rows.min(record.pace.share()).clamp(1, SLICE_ROWS);
        let slice = walk(state, queue, record.after, rows, |head| States::WAITING.contains(head.state.public()))?;
        step.next = slice.next.filter(|next| *next < record.until);
        for (id, head) in slice.messages.into_iter().take_while(|(id, _)| *id <= record.until) {
            match self.way(record, &head) {
                Ok(to) => step.ways.push((id, head, to)),
                Err(failure) => {
                    step.left += 1;
                    step.failure.get_or_insert(failure);
                }
            }
        }
        self.prepare_moves(state, record.task.queue, step.ways.iter().map(|(id, _, to)| (*id, *to)))?;
        Ok(step)
    }

    /// Where a message goes.
    fn way(&self, record: &MoveRecord, head: &Head) -> Result<QueueId, MoveFailure> {
        if let Some(to) = record.task.to {
            return Ok(to);
        }
        let name = head.source.as_ref().ok_or(MoveFailure::NoSource)?;
        let namespace = self.queues.get(&record.task.queue).map(|queue| queue.space.namespace);
        let names = namespace.and_then(|namespace| self.names.get(&namespace));
        let to = names.and_then(|names| names.get(&**name)).copied();
        to.filter(|to| self.can_move(record.task.queue, *to).is_ok())
            .ok_or_else(|| MoveFailure::SourceGone(name.as_ref().to_owned()))
    }

    fn take_step<S: State>(&mut self, state: &mut S, mut record: MoveRecord, step: Step) -> Result<(), Stop> {
        for (id, head, to) in &step.ways {
            self.move_message(state, record.task.queue, *to, *id, head)?;
        }
        let moved = step.ways.len() as u64;
        record.task.moved += moved;
        record.task.left += step.left;
        if record.task.failure.is_none() {
            record.task.failure = step.failure;
        }
        if let Some(next) = step.next {
            record.after = next;
            if moved > 0 {
                record.pace.step(self.now);
            }
            self.keep_move(state, record);
        } else {
            let status = if record.task.failure.is_none() { MoveStatus::Completed } else { MoveStatus::Failed };
            self.end_move(state, record, status);
        }
        Ok(())
    }

    fn end_move<S: State>(&mut self, state: &mut S, mut record: MoveRecord, status: MoveStatus) -> MoveTask {
        record.task.status = status;
        record.task.ended_at = Some(self.now);
        let task = record.task.clone();
        self.keep_move(state, record);
        self.held_moved(task.queue);
        let ended: Vec<MoveId> = self.moves.of(task.queue).map(|record| record.task.id).collect();
        for id in ended.iter().rev().skip(MOVES_KEPT) {
            self.moves.remove(*id);
            if let Some(queue) = self.queues.get(&task.queue) {
                state.delete(&keys::move_task(queue.space.namespace, id.0));
            }
        }
        task
    }

    fn keep_move<S: State>(&mut self, state: &mut S, record: MoveRecord) {
        if let Some(queue) = self.queues.get(&record.task.queue) {
            state.put(&keys::move_task(queue.space.namespace, record.task.id.0), record.write().finish());
            self.moves.insert(record);
        }
    }
}
