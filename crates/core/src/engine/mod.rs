//! The engine of one shard.
//!
//! [`Engine::apply`] carries out a command, [`Engine::tick`] what has become due. Both follow one rule: a handler reads
//! everything that may be missing from memory before it writes anything, so that [`Stop::Need`] leaves no trace and the
//! command is simply applied again. One file for each transition.

mod add;
mod attempts;
mod awaited;
mod change_jobs;
mod child_ended;
mod children;
mod chores;
mod complete;
mod dedup;
mod delete;
mod describe;
mod dispatch;
mod due;
mod ends;
mod expire;
mod explain;
mod extras;
mod fail;
mod fair;
mod finish;
mod flow_tasks;
mod flows;
mod forget_dedup;
mod idempotency;
mod job_dedup;
mod job_moves;
mod job_ref;
mod keeping;
mod lanes;
mod lease;
mod lease_end;
mod limits;
mod linger;
mod list;
mod list_jobs;
mod message;
mod move_tasks;
mod moving;
mod oldest;
mod open;
mod parking;
mod pause;
mod queues;
mod receive;
mod reclaim;
mod redrive;
mod remove_children;
mod report;
mod send;
mod settle;
mod shared;
mod spec_row;
mod tags;
mod tell_end;
mod topics;
mod visibility;
mod wait_for_children;
mod watch;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use crate::api::{Command, Counters, Error, Event, Namespace, Output, Queue, QueueId, Reply, Token};
use crate::codec::{Unreadable, Writer};
use crate::keys::{self, Space};
use crate::kv::{Need, State};
use crate::queue::{Dispatch, Finished, QueueState, Wanted};
use crate::time::Time;

use due::DueIndex;
pub(crate) use oldest::Which;

/// Version 2 counts openings.
const META_VERSION: u8 = 2;
const META_WHAT: &str = "the shard's counters";

/// The most rows that one slice of background work touches.
const SLICE_ROWS: usize = 256;

/// Why the engine could not go on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Stop {
    /// Rows are not in memory. Nothing was changed: load them all, then try again. There may be more to come.
    #[error("rows have to be loaded first")]
    Need(Needs),
    /// A stored value makes no sense. The shard must stop.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
}

/// The rows that a command needs: those of all its entries, so that they are loaded side by side.
pub type Needs = SmallVec<[Need; 1]>;

impl From<Need> for Stop {
    fn from(need: Need) -> Self {
        Stop::Need(SmallVec::from_buf([need]))
    }
}

/// Runs `prepare` for each entry of a command, and stops for what any of them needs.
fn prepare_each<T>(
    entries: impl Iterator<Item = T>,
    mut prepare: impl FnMut(T) -> Result<(), Stop>,
) -> Result<(), Stop> {
    let mut needs = Needs::new();
    for entry in entries {
        match prepare(entry) {
            Err(Stop::Need(more)) => needs.extend(more),
            prepared => prepared?,
        }
    }
    if needs.is_empty() { Ok(()) } else { Err(Stop::Need(needs)) }
}

/// All entities of a shard, and the engine time.
#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each says of other work that it waits or has ended")]
pub struct Engine {
    now: Time,
    /// Last id given out: to queues, spaces and messages.
    last_id: u64,
    last_id_written: u64,
    queues: FxHashMap<QueueId, QueueState>,
    names: BTreeMap<Namespace, FxHashMap<String, QueueId>>,
    /// Which queue lives in which space.
    spaces: FxHashMap<u64, QueueId>,
    /// Which queues send their dead letters where.
    sources: redrive::Sources,
    due: DueIndex,
    /// Queues whose counters are to be written.
    dirty: Vec<QueueId>,
    /// Queues with waiting receivers to serve.
    dispatch: Vec<QueueId>,
    /// Queues whose receivers wait for rows to be loaded.
    stalled: Vec<QueueId>,
    /// Queues whose receivers wait until the dead letters before them are moved, slice by slice.
    unfinished: Vec<QueueId>,
    /// When waiting receives end. Those of stalled queues end once the rows are there.
    waits: BTreeSet<(Time, Token)>,
    waiting: FxHashMap<Token, (QueueId, Time)>,
    /// Whether receives are answered at once, whatever they ask for.
    waits_ended: bool,
    /// When queues are due for retention and deduplication chores.
    chores: BTreeSet<(Time, QueueId)>,
    /// Spaces left behind, and the message id from which each is still to be reclaimed.
    garbage: VecDeque<(Space, u64)>,
    moves: move_tasks::Moves,
    flow_tasks: flow_tasks::FlowTasks,
    idempotency: idempotency::Idempotency,
    /// Who waits for the end of a job.
    awaited: awaited::Awaited,
    /// What happened to jobs of queues that are watched, to be told with the command's answer.
    events: Vec<Event>,
    /// Queues with more finished jobs than they keep.
    crowded: Vec<(QueueId, Finished)>,
    limits: limits::Limiters,
    topics: topics::Topics,
    /// When pauses of queues end by themselves.
    pauses: BTreeSet<(Time, QueueId)>,
    /// Whether background work waits for rows to be loaded.
    due_stalled: bool,
    chores_stalled: bool,
    garbage_stalled: bool,
    opening: open::Progress,
}

impl Engine {
    /// An engine without entities. Call [`Engine::open`] before anything else.
    pub fn new() -> Self {
        Self::default()
    }

    /// Carries out `command`, putting its answer (at once or later) into `out` under `token`.
    ///
    /// # Errors
    /// [`Stop::Need`]: nothing was done; apply it again once the rows are loaded.
    pub fn apply<S: State>(
        &mut self,
        now: Time,
        state: &mut S,
        token: Token,
        command: &Command,
        out: &mut Output,
    ) -> Result<(), Stop> {
        self.advance(now);
        let reply = match command {
            Command::CreateQueue { namespace, name, kind, config, tags, seed } => {
                self.create_queue(state, *namespace, name, *kind, config, tags, *seed, out)
            }
            Command::ConfigureQueue { queue, version, config } => {
                self.configure_queue(state, *queue, *version, config, out)
            }
            Command::TagQueue { queue, remove, add, max } => self.tag_queue(state, *queue, remove, add, *max, out),
            Command::DeadLetterSources { queue, after, max } => {
                self.dead_letter_sources(*queue, after.as_deref(), *max)
            }
            Command::DeleteQueue { queue } => self.delete_queue(state, *queue, out),
            Command::PurgeQueue { queue } => self.purge_queue(state, *queue),
            Command::QueueStats { queue } => self.queue_stats(state, *queue)?,
            Command::QueueEnds { queue, from, to } => self.queue_ends(state, *queue, *from, *to)?,
            Command::Send { queue, version, messages } => self.send(state, *queue, *version, messages)?,
            Command::Delete { queue, handles } => self.delete(state, *queue, handles)?,
            Command::ChangeVisibility { queue, changes } => self.change_visibility(state, *queue, changes)?,
            Command::Receive { queue, max, bytes_max, visibility_ms, attempt, wait_ms } => {
                let (bytes, visibility_ms) = (*bytes_max, *visibility_ms);
                let wanted = Wanted { messages: *max, bytes, visibility_ms, attempt: *attempt, ..Wanted::default() };
                self.receive(state, token, *queue, wanted, *wait_ms, out)?;
                return self.serve(state, out);
            }
            Command::Lease { queue, max, bytes_max, lease_ms, wait_ms, linger_ms, one_lane } => {
                let wanted = Wanted {
                    messages: *max,
                    bytes: *bytes_max,
                    visibility_ms: *lease_ms,
                    attempt: None,
                    worker: true,
                    linger_ms: *linger_ms,
                    one_lane: *one_lane,
                };
                self.receive(state, token, *queue, wanted, *wait_ms, out)?;
                return self.serve(state, out);
            }
            Command::AddJobs { jobs, idempotency } => self.add_jobs(state, jobs, *idempotency)?,
            Command::Settle { queue, entries, seed } => self.settle(state, *queue, entries, *seed)?,
            Command::Report { queue, job, progress, logs, logs_max } => {
                self.report(state, *queue, *job, progress.as_deref(), logs, *logs_max)?
            }
            Command::DescribeJob { queue, job, wait_ms } => {
                return self.describe_job(state, token, *queue, *job, *wait_ms, out);
            }
            Command::ForgetDedup { queue, hash, job } => self.forget_dedup(state, *queue, *hash, *job)?,
            Command::JobLogs { queue, job, from, max } => self.job_logs(state, *queue, *job, *from, *max)?,
            Command::WatchQueue { queue, watch } => self.watch_queue(*queue, *watch),
            Command::List { queue, states, after, max, payload_bytes_max } => {
                self.list(state, *queue, *states, (*after, *max), *payload_bytes_max)?
            }
            Command::Move { queue, to, ids } => self.move_messages(state, *queue, *to, ids)?,
            Command::StartMove { queue, to, per_second } => self.start_move(state, *queue, *to, *per_second),
            Command::CancelMove { task } => self.cancel_move(state, *task),
            Command::MoveTasks { queue } => self.move_tasks(*queue),
            Command::Cancel { receive } => {
                self.end_await(state, *receive, out)?;
                if self.cancel_acquire(*receive, out) {
                    return self.serve(state, out);
                }
                self.cancel(*receive, out);
                return Ok(());
            }
            Command::Return { queue, handles } => {
                self.give_back(state, *queue, handles)?;
                return self.serve(state, out);
            }
            Command::ChangeJobs { queue, jobs, change } => self.change_jobs(state, *queue, jobs, change)?,
            Command::JobChildren { queue, job, after, max } => self.job_children(state, *queue, *job, *after, *max)?,
            Command::Explain { queue, job } => self.explain(state, *queue, *job)?,
            Command::Released { queue, handles } => {
                self.released(state, *queue, handles)?;
                return self.serve(state, out);
            }
            Command::PermitReleased { limiter, permit } => {
                self.permit_released(state, *limiter, *permit)?;
                return self.serve(state, out);
            }
            Command::PermitReturned { limiter, permit } => {
                self.permit_returned(state, *limiter, *permit)?;
                return self.serve(state, out);
            }
            Command::PutLimiter { namespace, name, terms, unknown } => {
                self.put_limiter(state, *namespace, name, terms, *unknown, out)
            }
            Command::DeleteLimiter { limiter } => self.delete_limiter(state, *limiter, out),
            Command::LimiterStats { limiter, key } => self.limiter_stats(state, *limiter, *key)?,
            Command::PauseKey { limiter, key, for_ms } => self.pause_key(state, *limiter, *key, *for_ms)?,
            Command::Acquire { limiter, key, cost, priority, lease_ms, wait_ms } => {
                let (limiter, key, lease_ms) = (*limiter, *key, *lease_ms);
                let wish = limits::Wish { limiter, key, cost: *cost, priority: *priority, lease_ms };
                self.acquire(state, token, wish, *wait_ms, out)?;
                return self.serve(state, out);
            }
            Command::SettlePermit { limiter, permit, cost, done } => {
                self.settle_permit(state, *limiter, *permit, *cost, *done)?
            }
            Command::CreateTopic { namespace, name, kind, config, tags, seed } => {
                self.create_topic(state, *namespace, name, *kind, config, tags, *seed, out)
            }
            Command::ConfigureTopic { topic, version, config } => {
                self.configure_topic(state, *topic, *version, config, out)
            }
            Command::TagTopic { topic, remove, add, max } => self.tag_topic(state, *topic, remove, add, *max, out),
            Command::DeleteTopic { topic } => self.delete_topic(state, *topic, out),
            Command::TopicStats { topic } => self.topic_stats(*topic),
            Command::Subscribe { topic, subscription, queue, seed } => {
                self.subscribe(state, *topic, subscription, queue, *seed, out)
            }
            Command::ConfigureSubscription { subscription, version, config } => {
                self.configure_subscription(state, *subscription, *version, config, out)
            }
            Command::ConfirmSubscription { topic, token } => self.confirm_subscription(state, *topic, token, out),
            Command::Unsubscribe { subscription } => self.unsubscribe(state, *subscription, out),
            Command::PauseSubscription { subscription, paused, seed } => {
                self.pause_subscription(state, *subscription, *paused, *seed, out)
            }
            Command::ListArchive { topic, from, until, after, max, payload_bytes_max } => {
                self.list_archive(state, *topic, (*from, *until), *after, (*max, *payload_bytes_max))?
            }
            Command::StartReplay { subscription, from, until } => {
                self.start_replay(state, *subscription, (*from, *until), out)
            }
            Command::ReplayStep { replay, after, next, version, passed, deliver } => {
                self.replay_step(state, *replay, (*after, *next), (*version, *passed), deliver, out)?
            }
            Command::CancelReplay { replay } => self.cancel_replay(state, *replay, out),
            Command::Replays { subscription } => self.list_replays(*subscription),
            Command::SubscriptionStats { subscription } => self.subscription_stats(*subscription),
            Command::Publish { topic, revision, publications } => {
                self.publish(state, *topic, *revision, publications)?
            }
            Command::PauseQueue { queue, for_ms } => self.pause_queue(state, *queue, *for_ms, out),
            Command::ListJobs { queue, state: standing, after, max, payload_bytes_max } => {
                self.list_jobs(state, *queue, *standing, after.as_ref(), *max, *payload_bytes_max)?
            }
        };
        let has_payloads = reply.as_ref().is_ok_and(|reply| !reply.payload_keys().is_empty());
        out.replies.push((token, reply));
        // What is to be read with the answer has to be there until the command is over.
        if has_payloads { Ok(()) } else { self.serve(state, out) }
    }

    /// Does what has become due, a slice of it: call again while [`Engine::next_deadline`] is not later than `now`.
    ///
    /// # Errors
    /// [`Stop::Unreadable`] only; rows that are missing are asked for in `out`.
    pub fn tick<S: State>(&mut self, now: Time, state: &mut S, out: &mut Output) -> Result<(), Stop> {
        self.advance(now);
        self.end_waits(out);
        self.run_due(state, out)?;
        self.run_chores(state, out)?;
        self.run_moves(state, out)?;
        self.reclaim(state, out)?;
        self.end_pauses(state, out);
        self.drop_answers(state);
        self.run_wakes(state, out)?;
        self.run_sweeps(state, out)?;
        self.run_topics(state, out)?;
        self.resume();
        self.serve(state, out)?;
        // Who has waited long enough is not refused when there is room by now, however late it is noticed.
        self.end_acquires(out);
        self.end_awaits(state, out)
    }

    /// Says that rows asked for were loaded: work that waited for them goes on with the next tick.
    ///
    /// # Errors
    /// [`Stop::Unreadable`] only.
    pub fn loaded<S: State>(&mut self, now: Time, state: &mut S, out: &mut Output) -> Result<(), Stop> {
        self.advance(now);
        self.due_stalled = false;
        self.chores_stalled = false;
        self.garbage_stalled = false;
        self.moves.stalled = false;
        self.awaited.stalled = false;
        self.flow_tasks.stalled = false;
        self.topics.stalled = false;
        self.limits.rows_loaded();
        for id in std::mem::take(&mut self.stalled) {
            self.list_again(id);
        }
        self.serve(state, out)
    }

    /// Writes what is written once for many commands. To be called before the writes since the last call are made
    /// durable, together with them.
    pub fn flush<S: State>(&mut self, state: &mut S) {
        for id in self.dirty.drain(..) {
            if let Some(queue) = self.queues.get_mut(&id) {
                queue.dirty = false;
                state.put(&keys::counters(queue.space.namespace, id.0), queue.write_counters().finish());
                ends::write(state, queue);
            }
        }
        self.idempotency.flush(state);
        self.topics.flush(state);
        let goes_on = self.unfinished.iter().chain(&self.dispatch).map(|id| (id, false));
        let waiting = self.stalled.iter().map(|id| (id, true)).chain(goes_on);
        let called = |(id, is_stalled)| {
            let called = self.queues.get(id).map_or(&[][..], |queue| &queue.called);
            called.iter().map(move |(key, _)| (*key, is_stalled))
        };
        let called: Vec<_> = waiting.flat_map(called).collect();
        self.limits.keep_wakes(state, &called, self.now);
        self.limits.flush(state, self.now);
        if self.last_id > self.last_id_written || !self.limits.opening_written {
            self.last_id_written = self.last_id;
            self.limits.opening_written = true;
            let mut writer = Writer::new(META_VERSION);
            writer.number(self.last_id);
            writer.number(self.limits.opening);
            state.put(&keys::meta(), writer.finish());
        }
    }

    /// When [`Engine::tick`] has something to do next; [`Time::NEVER`] for nothing.
    pub fn next_deadline(&self) -> Time {
        let mut next = Time::NEVER;
        if let Some(&(at, _)) = self.waits.first() {
            next = next.min(at);
        }
        if !self.due_stalled {
            next = next.min(self.due.next());
        }
        if let (Some(&(at, _)), false) = (self.chores.first(), self.chores_stalled) {
            next = next.min(at);
        }
        next = next.min(self.moves.next()).min(self.limits.next(self.now));
        next = next.min(self.awaited.next());
        next = next.min(self.idempotency.next()).min(self.topics.next(self.now));
        next = next.min(self.pauses.first().map_or(Time::NEVER, |&(at, _)| at));
        let unfinished = !self.unfinished.is_empty() || self.flow_tasks.is_waiting();
        if (!self.garbage.is_empty() && !self.garbage_stalled) || unfinished {
            next = next.min(self.now);
        }
        next
    }

    /// Engine time: that of the latest call.
    pub fn now(&self) -> Time {
        self.now
    }

    /// All queues, by id.
    pub fn queues(&self) -> Vec<Arc<Queue>> {
        let mut queues: Vec<_> = self.queues.values().map(|queue| Arc::clone(&queue.public)).collect();
        queues.sort_unstable_by_key(|queue| queue.id);
        queues
    }

    /// The counters of a queue as they are now, of which a crash may still take back what is not durable.
    pub fn counters(&self, id: QueueId) -> Option<Counters> {
        self.queues.get(&id).map(|queue| queue.counters)
    }

    /// How many receives wait for a message.
    pub fn waiting_receives(&self) -> usize {
        self.waiting.len()
    }

    fn advance(&mut self, now: Time) {
        self.now = self.now.max(now);
        if self.opening.is_done() {
            self.limits.began(self.now);
        }
    }

    fn new_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    fn queue(&self, id: QueueId) -> Result<&QueueState, Error> {
        self.queues.get(&id).ok_or(Error::QueueNotFound)
    }

    /// Notes that the counters of a queue changed and that its receivers may have something to get.
    fn touched(&mut self, id: QueueId) {
        let Some(queue) = self.queues.get_mut(&id) else { return };
        if !queue.dirty {
            queue.dirty = true;
            self.dirty.push(id);
        }
        if queue.chores_at.is_none() {
            let by = chores::first_look(queue, self.now);
            self.look_by(id, by);
        }
        self.offer(id);
    }

    /// Has the receivers of a queue looked after, if there may be something for them.
    fn offer(&mut self, id: QueueId) {
        if let Some(queue) = self.queues.get_mut(&id)
            && queue.dispatch == Dispatch::Idle
            && queue.blocked.is_none()
            && !queue.waiters.is_empty()
            && queue.counters.ready > 0
        {
            queue.dispatch = Dispatch::Listed;
            self.dispatch.push(id);
        }
    }
}

/// An answer that refuses a whole command.
type Answer = Result<Reply, Error>;
