//! Deduplication of jobs: a row under the hash of a deduplication id names the job that keeps others of that id away.
//!
//! Without a time the row lives until its job has finished. With one it lives until then, even where the job is done and
//! nothing is kept of it any more; a row in the order of such times has it removed. A duplicate may start the time anew, take the place of a job
//! that is still delayed or give it another time, or, while the job is being worked on, wait to come after it: then its payload is stored under
//! an id of its own, and its head with the row.

use std::ops::ControlFlow;
use std::time::Duration;

use super::flow_tasks::Task;
use super::message::prepare_lane;
use super::{Engine, SLICE_ROWS, Stop, prepare_each, shared};
use crate::api::job::{JobDedup, JobEventKind};
use crate::api::{NewMessage, QueueId};
use crate::codec::{Reader, Unreadable, Writer};
use crate::head::{Head, State as Standing};
use crate::keys::{self, Space};
use crate::kv::{Key, State, View};
use crate::queue::QueueState;
use crate::spec::Spec;
use crate::time::Time;

const VERSION: u8 = 1;
const WHAT: &str = "the deduplication row of a job";

/// The job that keeps others away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DedupRow {
    pub(super) job: u64,
    /// When it ends; `None` with the job.
    until: Option<Time>,
    /// The duplicate that comes when the job has finished.
    kept: Option<Kept>,
}

/// A duplicate that is kept back.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Kept {
    id: u64,
    head: Head,
    spec: Spec,
}

/// What a duplicate changes of what is there, with all that was read for it.
#[derive(Clone, Debug)]
pub(super) enum Duplicate {
    /// Nothing but the time for which the row counts.
    Passed(DedupRow),
    /// It takes the place of a job that is delayed.
    Replaces(DedupRow, Box<Head>),
    /// A job that is delayed gets its time.
    Reschedules(DedupRow, Box<Head>),
    /// It comes after the job that is being worked on.
    Follows(DedupRow),
}

impl Duplicate {
    /// The job that it is a duplicate of.
    pub(super) fn of(&self) -> u64 {
        match self {
            Duplicate::Passed(row)
            | Duplicate::Replaces(row, _)
            | Duplicate::Reschedules(row, _)
            | Duplicate::Follows(row) => row.job,
        }
    }
}

impl JobDedup {
    /// Whether what it does depends on how the first one stands.
    fn reads_its_job(&self) -> bool {
        self.replace || self.reschedule || self.keep_last_if_active
    }
}

impl DedupRow {
    /// Whether others are kept away. Where one is kept back, its place is taken until it has come.
    fn counts(&self, now: Time) -> bool {
        self.kept.is_some() || self.until.is_none_or(|until| until > now)
    }

    fn write(&self) -> Writer {
        let mut writer = Writer::new(VERSION);
        writer.number(self.job);
        writer.time(self.until.unwrap_or(Time(0)));
        if let Some(Kept { id, head, spec }) = &self.kept {
            writer.number(*id);
            writer.bytes(head.write().finish());
            writer.bytes(spec.write().finish());
        } else {
            writer.number(0);
        }
        writer
    }

    fn read(bytes: &[u8]) -> Result<Self, Unreadable> {
        let mut reader = Reader::new(WHAT, bytes, VERSION)?;
        let job = reader.number()?;
        let until = Some(reader.time()?).filter(|until| *until > Time(0));
        let kept = match reader.number()? {
            0 => None,
            id => Some(Kept { id, head: Head::read(reader.bytes()?)?, spec: Spec::read(reader.bytes()?)? }),
        };
        reader.end()?;
        Ok(Self { job, until, kept })
    }
}

impl Engine {
    /// Whether a job with this deduplication id is kept away, and by what. Of lanes it reads nothing: what is added by one
    /// command is prepared before any of it is written.
    pub(super) fn find_duplicate<S: View>(
        &self,
        state: &S,
        queue: &QueueState,
        dedup: &JobDedup,
    ) -> Result<Option<Duplicate>, Stop> {
        let row = read(state, queue.space, dedup.hash)?;
        let Some(row) = row.filter(|row| row.counts(self.now)) else { return Ok(None) };
        if !dedup.reads_its_job() {
            return Ok(Some(Duplicate::Passed(row)));
        }
        // What is over counts no more, whether that was noticed or not.
        let head = state.get(&queue.space.message(row.job), 0)?.map(Head::read).transpose()?;
        let head = head.filter(|head| head.due > self.now && !head.is_expired(self.now));
        Ok(Some(match head {
            Some(head) if dedup.replace && head.state == Standing::Delayed => Duplicate::Replaces(row, Box::new(head)),
            Some(head) if dedup.reschedule && head.state == Standing::Delayed => {
                Duplicate::Reschedules(row, Box::new(head))
            }
            Some(head) if dedup.keep_last_if_active && head.state == Standing::Leased => Duplicate::Follows(row),
            _ => Duplicate::Passed(row),
        }))
    }

    /// The job that keeps others of a deduplication id away.
    pub(super) fn dedup_job<S: View>(
        &self,
        state: &S,
        queue: &QueueState,
        hash: [u8; 16],
    ) -> Result<Option<u64>, Stop> {
        let row = read(state, queue.space, hash)?;
        Ok(row.filter(|row| row.counts(self.now)).map(|row| row.job))
    }

    /// Reads all that adding a job with a deduplication id reads, also where another one of the same command is first.
    pub(super) fn prepare_dedup<S: View>(
        &self,
        state: &S,
        queue: &QueueState,
        message: &NewMessage,
    ) -> Result<(), Stop> {
        let Some(dedup) = message.options.as_ref().and_then(|options| options.dedup) else { return Ok(()) };
        let (lane, _) = queue.limits_of(message.lane, message.limits.as_deref());
        let lane = lane.map_or(Ok(()), |lane| prepare_lane(state, queue, lane, 2));
        prepare_each([lane, self.prepare_first(state, queue, &dedup)].into_iter(), |prepared| prepared)
    }

    /// Reads all that may be changed of the job that keeps others away.
    fn prepare_first<S: View>(&self, state: &S, queue: &QueueState, dedup: &JobDedup) -> Result<(), Stop> {
        let Some(row) = read(state, queue.space, dedup.hash)? else { return Ok(()) };
        if !dedup.reads_its_job() {
            return Ok(());
        }
        let head = self.prepare_message(state, queue.space, row.job, 0)?;
        head.and_then(|head| head.lane).map_or(Ok(()), |lane| prepare_lane(state, queue, lane, 2))
    }

    /// Does what a duplicate asks for. `head` and `spec` are those that it would have as a job of its own.
    pub(super) fn pass_duplicate<S: State>(
        &mut self,
        state: &mut S,
        id: QueueId,
        duplicate: Duplicate,
        dedup: &JobDedup,
        (message, head, spec): (&NewMessage, Head, Spec),
    ) -> Result<(), Stop> {
        let Some(queue) = self.queues.get(&id) else { return Ok(()) };
        let namespace = queue.space.namespace;
        // Children that it was to wait for do not come with it.
        let standing = if head.due > self.now { Standing::Delayed } else { Standing::Ready };
        let head = Head { state: standing, has_children: false, ..head };
        let mut row = match duplicate {
            Duplicate::Passed(row) => row,
            Duplicate::Replaces(row, before) => {
                let after = Head {
                    sent_at: before.sent_at,
                    grants: before.grants,
                    starts_before: before.starts_before,
                    receives: before.receives,
                    receives_before: before.receives_before,
                    failures: before.failures,
                    stalls: before.stalls,
                    first_received_at: before.first_received_at,
                    source: before.source.clone(),
                    has_spec: before.has_spec,
                    has_children: before.has_children,
                    started_at: before.started_at,
                    extras: before.extras,
                    // One that was begun is not too late any more.
                    expires_at: head.expires_at.filter(|_| before.receives == 0),
                    ..head
                };
                shared::drop_body(state, namespace, row.job, &before)?;
                state.insert_bulk(&keys::body(namespace, row.job), &[&message.payload]);
                self.restand(state, id, row.job, &before, &after)?;
                self.waits_now(id, row.job, &after);
                row
            }
            Duplicate::Reschedules(row, before) => {
                let after = Head { state: head.state, due: head.due, ..(*before).clone() };
                if after != *before {
                    self.restand(state, id, row.job, &before, &after)?;
                    self.waits_now(id, row.job, &after);
                }
                row
            }
            Duplicate::Follows(mut row) => {
                if let Some(kept) = &row.kept {
                    state.delete(&keys::body(namespace, kept.id));
                }
                let new = self.new_id();
                state.insert_bulk(&keys::body(namespace, new), &[&message.payload]);
                // Nobody waits for it, and it cannot have a name that the first one may have.
                let spec = Spec { custom_id: None, parent: None, children: None, ..spec };
                row.kept = Some(Kept { id: new, head: Head { has_spec: true, ..head }, spec });
                self.put_dedup(state, id, dedup.hash, &row);
                row
            }
        };
        if let (true, Some(ttl_ms)) = (dedup.extend, dedup.ttl_ms) {
            let before = row.until;
            row.until = Some(self.now.after(Duration::from_millis(ttl_ms)));
            self.move_dedup_end(state, id, dedup.hash, before, row.until);
            self.put_dedup(state, id, dedup.hash, &row);
        }
        Ok(())
    }

    /// From now on a job keeps others of its deduplication id away. [`Engine::find_duplicate`] has found none.
    pub(super) fn remember_job<S: State>(
        &mut self,
        state: &mut S,
        id: QueueId,
        dedup: &JobDedup,
        job: u64,
    ) -> Result<(), Stop> {
        let Some(queue) = self.queues.get(&id) else { return Ok(()) };
        // One that is over may still be there.
        let before = read(state, queue.space, dedup.hash)?.and_then(|row| row.until);
        let until = dedup.ttl_ms.map(|ttl_ms| self.now.after(Duration::from_millis(ttl_ms)));
        self.move_dedup_end(state, id, dedup.hash, before, until);
        self.put_dedup(state, id, dedup.hash, &DedupRow { job, until, kept: None });
        Ok(())
    }

    /// A job that had finished is tried again, and keeps others away again, unless another one does so by now.
    pub(super) fn remember_again<S: State>(
        &mut self,
        state: &mut S,
        id: QueueId,
        dedup: &JobDedup,
        job: u64,
    ) -> Result<(), Stop> {
        let Some(queue) = self.queues.get(&id) else { return Ok(()) };
        let taken = read(state, queue.space, dedup.hash)?.is_some_and(|row| row.counts(self.now));
        if taken || dedup.ttl_ms.is_some() { Ok(()) } else { self.remember_job(state, id, dedup, job) }
    }

    /// A job has finished, or was removed without having.
    pub(super) fn end_dedup<S: State>(
        &mut self,
        state: &mut S,
        id: QueueId,
        dedup: &JobDedup,
        job: u64,
        removed: bool,
    ) -> Result<(), Stop> {
        let Some(queue) = self.queues.get(&id) else { return Ok(()) };
        let space = queue.space;
        let row = match read(state, queue.space, dedup.hash) {
            // It went by this very command, and a store may have forgotten that it is not there.
            Err(Stop::Need(_)) => None,
            row => row?,
        };
        let Some(mut row) = row.filter(|row| row.job == job) else { return Ok(()) };
        if let Some(kept) = &row.kept {
            let before = row.until;
            row.job = kept.id;
            let ttl_ms = kept.spec.dedup.and_then(|dedup| dedup.ttl_ms);
            row.until = ttl_ms.map(|ttl_ms| self.now.after(Duration::from_millis(ttl_ms)));
            self.move_dedup_end(state, id, dedup.hash, before, row.until);
            self.put_dedup(state, id, dedup.hash, &row);
            self.tell(state, space.namespace, &Task::AddKept { queue: id, hash: dedup.hash });
        } else if removed || row.until.is_none() {
            self.move_dedup_end(state, id, dedup.hash, row.until, None);
            state.delete(&space.job_dedup(dedup.hash));
        }
        Ok(())
    }

    /// The job that was kept back until another one had finished comes now.
    pub(super) fn add_kept<S: State>(&mut self, state: &mut S, id: QueueId, hash: [u8; 16]) -> Result<(), Stop> {
        let Some(queue) = self.queues.get(&id) else { return Ok(()) };
        let space = queue.space;
        let Some(mut row) = read(state, queue.space, hash)? else { return Ok(()) };
        let Some(Kept { id: job, head, spec }) = row.kept.take() else { return Ok(()) };
        if let Some(lane) = head.lane {
            prepare_lane(state, queue, lane, 2)?;
        }
        let delay = head.due.since(head.sent_at);
        // It keeps its id, and so its place by age.
        let head = Head { due: self.now.after(delay), ..head };
        state.put(&space.spec(job), spec.write().finish());
        self.put_dedup(state, id, hash, &row);
        self.enter(state, id, job, &head)?;
        self.happened(id, job, || JobEventKind::Added(head.state.of_job(), None));
        Ok(())
    }

    /// Removes the rows whose time is over, and says when the next one is.
    pub(super) fn drop_dedup<S: State>(&mut self, state: &mut S, id: QueueId, rows: &mut usize) -> Result<Time, Stop> {
        loop {
            let Some(queue) = self.queues.get(&id) else { return Ok(Time::NEVER) };
            if queue.dedup_ends_at == Time::NEVER {
                return Ok(Time::NEVER);
            }
            let space = queue.space;
            let first = first_dedup_end(state, queue)?;
            let Some((at, hash)) = first.filter(|(at, _)| *at <= self.now && *rows > 0) else {
                let next = first.map_or(Time::NEVER, |(at, _)| at);
                if let Some(queue) = self.queues.get_mut(&id) {
                    queue.dedup_ends_at = next;
                }
                return Ok(next);
            };
            *rows -= 1;
            let row = read(state, queue.space, hash)?;
            state.delete(&space.dedup_end(at, hash));
            if row.is_some_and(|row| row.until == Some(at) && row.kept.is_none()) {
                state.delete(&space.job_dedup(hash));
            }
            if let Some(queue) = self.queues.get_mut(&id) {
                queue.dedup_ends_at = at;
            }
        }
    }

    fn put_dedup<S: State>(&mut self, state: &mut S, id: QueueId, hash: [u8; 16], row: &DedupRow) {
        if let Some(queue) = self.queues.get(&id) {
            state.put(&queue.space.job_dedup(hash), row.write().finish());
        }
    }

    fn move_dedup_end<S: State>(
        &mut self,
        state: &mut S,
        id: QueueId,
        hash: [u8; 16],
        before: Option<Time>,
        after: Option<Time>,
    ) {
        let Some(queue) = self.queues.get_mut(&id).filter(|_| before != after) else { return };
        if let Some(before) = before {
            state.delete(&queue.space.dedup_end(before, hash));
        }
        if let Some(after) = after {
            state.insert(&queue.space.dedup_end(after, hash), &[]);
            queue.dedup_ends_at = queue.dedup_ends_at.min(after);
            self.look_by(id, after);
        }
    }
}

/// What is kept back in a space that was left behind goes with it, a slice of it. Says whether all has gone.
pub(super) fn forget_kept<S: State>(state: &mut S, space: Space) -> Result<bool, Stop> {
    let (from, to) = (space.kind(keys::JOB_DEDUP), space.kind(keys::JOB_DEDUP + 1));
    let mut rows = Vec::new();
    state.scan(&from, &to, &mut |key, value| {
        rows.push((Key::from_slice(key), DedupRow::read(value)));
        if rows.len() >= SLICE_ROWS { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    let full = rows.len() >= SLICE_ROWS;
    for (key, row) in rows {
        if let Some(kept) = row?.kept {
            state.delete(&keys::body(space.namespace, kept.id));
        }
        state.delete(&key);
    }
    Ok(!full)
}

fn read<S: View>(state: &S, space: Space, hash: [u8; 16]) -> Result<Option<DedupRow>, Stop> {
    Ok(state.get(&space.job_dedup(hash), 0)?.map(DedupRow::read).transpose()?)
}

fn first_dedup_end<S: View>(state: &S, queue: &QueueState) -> Result<Option<(Time, [u8; 16])>, Stop> {
    let from = queue.space.kind(keys::DEDUP_END).number(queue.dedup_ends_at.0);
    let mut first = None;
    state.scan(&from, &queue.space.kind(keys::DEDUP_END + 1), &mut |key, _| {
        let place = keys::after_kind(key).and_then(crate::kv::split_ordered);
        first = place.and_then(|(at, hash)| Some((Time(at), hash.try_into().ok()?)));
        ControlFlow::Break(())
    })?;
    Ok(first)
}
