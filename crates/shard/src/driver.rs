//! A shard, step by step: commands go in, work for the disk comes out, its results go in, answers come out.
//!
//! The driver owns no thread, no clock and does no IO. It holds back every answer and event until the state that it
//! speaks of is committed, and parks commands whose rows have to be loaded first.

mod answers;
mod lost;
mod rows;

use std::sync::Arc;
use std::time::Duration;

use rustc_hash::FxHashMap;
use weir_core::api::{Command, Event, Output, Token};
use weir_core::{Engine, Stop, Time};
use weir_store::disk::Disk;
use weir_store::{
    Backup, Checkpoint, Durability, Group, LogWriter, OpenError, Options, Pressure, Recovery, Store, StoreError,
};

use self::answers::{Answers, Asked};
use self::lost::Taker;
use self::rows::Rows;
use crate::answer::{Refused, Respond};
use crate::directory::Directory;
use crate::work::{Done, LoadedRows, Work};

/// When a producer that was refused for want of memory may try again.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// How long to leave a disk alone that is full, or fails to read, before trying again.
const DISK_PAUSE: Duration = Duration::from_secs(1);

/// How many bytes of writes the engine may be ahead of the disk. Past that, commands wait.
const AHEAD_BYTES_MAX: usize = 32 << 20;

/// How many ids an opening leaves out for each life before it of which a loss of power may have taken something: more
/// than a life writes between two syncs, which is bounded in bytes.
const IDS_OF_A_LIFE: u64 = 1 << 24;

/// Rows and payloads that one piece of work loads at most, so that several readers share what there is.
const LOADS_TOGETHER_MAX: usize = 256;

/// The token of commands that the driver gives itself. Nobody else's is 0.
const OWN: Token = Token(0);

/// What a driver did so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Commands applied.
    pub commands: u64,
    /// Groups that were committed.
    pub groups: u64,
    /// Commands that had to wait for rows.
    pub parked: u64,
    /// Rows loaded for.
    pub loads: u64,
    /// Payloads loaded.
    pub body_loads: u64,
    /// Checkpoints finished.
    pub checkpoints: u64,
    /// Checkpoints that could not read what they had to, and were tried again.
    pub checkpoints_unread: u64,
    /// Messages that were to be delivered and had no payload any more.
    pub payloads_lost: u64,
}

/// One shard without threads.
#[expect(clippy::struct_excessive_bools, reason = "each says of one piece of work whether it is under way")]
#[derive(Debug)]
pub struct Driver<D: Disk, R: Respond> {
    engine: Engine,
    store: Store<D>,
    output: Output,
    responders: FxHashMap<Token, Asked<R>>,
    rows: Rows<D>,
    answers: Answers<D, R>,
    /// Sequence up to which everything may be acknowledged.
    committed: u64,
    /// Sequence up to which everything is synced, as far as is known here.
    synced: u64,
    durability: Durability,
    /// When the groups that are acknowledged and not synced have to be.
    sync_at: Time,
    syncing: bool,
    appending: bool,
    /// A group for which the disk had no room.
    unwritten: Option<Group>,
    /// The sequence that a backup asked for has to hold.
    backup_from: Option<u64>,
    /// A checkpoint whose last group is not synced yet.
    frozen: Option<Checkpoint<D>>,
    checkpointing: bool,
    keeping_up: bool,
    /// While the disk is full: when to try again what needs room.
    room_after: Time,
    directory: Arc<Directory>,
    poisoned: Option<String>,
    closing: bool,
    figures: Figures,
}

impl<D: Disk, R: Respond> Driver<D, R> {
    /// Opens the store and reads the entities: recovers whatever was acknowledged before.
    pub fn open(disk: D, options: Options) -> Result<(Self, LogWriter<D>, Recovery), OpenShardError> {
        let durability = options.durability;
        let (mut store, writer, recovery) = Store::open(disk, options)?;
        let mut engine = Engine::new();
        loop {
            match engine.open(Time(recovery.last_time.0), &store) {
                Ok(()) => break,
                Err(Stop::Need(needs)) => needs.iter().try_for_each(|need| store.load_now(need))?,
                Err(Stop::Unreadable(error)) => return Err(error.into()),
            }
        }
        let recovered = store.sequence();
        if recovery.lives_lost > 0 {
            engine.skip_ids(recovery.lives_lost.saturating_mul(IDS_OF_A_LIFE));
            // With the first group, even if the shard is closed with nothing else in it.
            engine.flush(&mut store);
        }
        let directory = Arc::new(Directory::default());
        let queues = engine.queues().into_iter().map(Event::QueueChanged);
        let limiters = engine.limiters().into_iter().map(Event::LimiterChanged);
        let subscriptions = engine.subscriptions().into_iter().map(Event::SubscriptionChanged);
        let topics = engine.topics().into_iter().map(Event::TopicChanged);
        let replays = engine.running_replays().into_iter().map(Event::ReplayChanged);
        for event in queues.chain(limiters).chain(subscriptions).chain(topics).chain(replays) {
            directory.record(&event);
        }
        let driver = Self {
            engine,
            store,
            output: Output::default(),
            responders: FxHashMap::default(),
            rows: Rows::default(),
            answers: Answers::default(),
            committed: recovered,
            synced: recovered,
            durability,
            sync_at: Time::NEVER,
            syncing: false,
            appending: false,
            unwritten: None,
            backup_from: None,
            frozen: None,
            checkpointing: false,
            keeping_up: false,
            room_after: Time(0),
            directory,
            poisoned: None,
            closing: false,
            figures: Figures::default(),
        };
        Ok((driver, writer, recovery))
    }

    /// Takes a command. `responder` is answered once; commands that have no answer need none.
    /// `token` must not be that of another command that is still unanswered.
    pub fn submit(&mut self, now: Time, token: Token, command: Command, responder: Option<R>) {
        if let Some(refused) = self.refusal(&command) {
            if let Some(responder) = responder {
                responder.respond(Err(refused));
            }
            return;
        }
        if let Some(responder) = responder {
            self.responders.insert(token, Asked { responder, taker: Taker::of(&command) });
        }
        self.apply(now, token, command);
    }

    /// Does what has become due.
    pub fn tick(&mut self, now: Time) {
        if self.poisoned.is_none() {
            let ticked = self.engine.tick(now, &mut self.store, &mut self.output);
            self.take_output(ticked);
        }
    }

    /// When [`Driver::tick`] has something to do next.
    pub fn next_deadline(&self) -> Time {
        if self.poisoned.is_some() {
            return Time::NEVER;
        }
        let retry = if self.room_after > self.engine.now() { self.room_after } else { Time::NEVER };
        let retry = if self.syncing { retry } else { retry.min(self.sync_at) };
        // An engine that is ahead of the disk must not write more on its own either; what waits for room is tried again
        // all the same, since nothing else may come to wake the shard.
        if self.is_ahead() { retry } else { self.engine.next_deadline().min(retry) }
    }

    /// Whether the engine is so far ahead of the disk that commands should wait outside.
    pub fn is_ahead(&self) -> bool {
        self.store.unsealed_bytes() + self.store.unsynced_bytes() > AHEAD_BYTES_MAX
    }

    /// The next piece of work, if any. Call again after each [`Driver::done`], and after commands.
    pub fn poll_work(&mut self, now: Time) -> Option<Work<D>> {
        self.settle_lost(now);
        if self.poisoned.is_some() {
            return None;
        }
        let has_room = now >= self.room_after;
        if let Some(group) = self.unwritten.take_if(|_| has_room) {
            return Some(Work::Append(group));
        }
        if !self.appending
            && self.store.unsealed_bytes() > 0
            && let Some(group) = self.seal(now)
        {
            self.appending = true;
            return Some(Work::Append(group));
        }
        if self.frozen.is_none()
            && has_room
            && !self.checkpointing
            && self.store.unsealed_bytes() == 0
            && (self.store.checkpoint_due() || self.backup_from.is_some())
        {
            self.frozen = self.store.freeze();
            self.checkpointing = self.frozen.is_some();
        }
        if let Some(sync) = self.poll_sync(now) {
            return Some(sync);
        }
        if let Some(checkpoint) = self.frozen.take_if(|checkpoint| checkpoint.sequence() <= self.synced) {
            return Some(Work::Checkpoint(checkpoint));
        }
        if has_room
            && !self.keeping_up
            && let Some(upkeep) = self.store.upkeep()
        {
            self.keeping_up = true;
            return Some(Work::Upkeep(upkeep));
        }
        self.answers.poll().map(Work::Bodies).or_else(|| self.rows.poll().map(Work::Load))
    }

    /// A sync of what was acknowledged, when it is time for one or something waits for it.
    fn poll_sync(&mut self, now: Time) -> Option<Work<D>> {
        if self.synced == self.committed {
            self.sync_at = Time::NEVER;
        }
        let is_waited_for = self.closing || self.frozen.is_some();
        if self.syncing || self.synced == self.committed || !(is_waited_for || now >= self.sync_at) {
            return None;
        }
        let sync = self.store.sync();
        self.sync_at = Time::NEVER;
        self.syncing = sync.is_some();
        if !self.syncing {
            // The log synced by itself, since it had got too far ahead.
            self.synced = self.store.synced().min(self.committed);
        }
        sync.map(Work::Sync)
    }

    /// Takes the result of a piece of work.
    pub fn done(&mut self, now: Time, done: Done) {
        match done {
            Done::Appended(group, Ok(())) => self.appended(now, group.sequence()),
            Done::Synced(Ok(sequence)) => {
                self.syncing = false;
                // A group that was written meanwhile may be synced before it is known here to be written.
                self.synced = self.synced.max(sequence.min(self.committed));
            }
            Done::Appended(group, Err(StoreError::DiskFull { .. })) if !self.closing => {
                // Nothing of it was written. Nothing is acknowledged until there is room again.
                self.unwritten = Some(group);
                self.room_after = now.after(DISK_PAUSE);
            }
            Done::Checkpointed(Ok(done)) => {
                self.checkpointing = false;
                self.figures.checkpoints += 1;
                self.store.checkpointed(done);
            }
            Done::Loaded(Ok(loaded)) => self.loaded(now, loaded),
            Done::Bodies(loaded) => {
                if let Err(error) = self.answers.loaded(&self.store, self.committed, loaded) {
                    self.poison(error.to_string());
                }
            }
            Done::Panicked(reason) => self.poison(reason),
            Done::KeptUp(Ok(())) => self.keeping_up = false,
            // What needs room waits. What is stored stays as it is, and the log goes on in the segments it has.
            Done::Checkpointed(Err(StoreError::DiskFull { .. })) => {
                self.checkpointing = false;
                self.room_after = now.after(DISK_PAUSE);
            }
            // What could not be read may be read later. What is stored stays as it is here too.
            Done::Checkpointed(Err(StoreError::Unread { what, source })) => {
                tracing::warn!(%what, error = %source, "a checkpoint could not read; it is tried again");
                self.figures.checkpoints_unread += 1;
                self.checkpointing = false;
                self.room_after = now.after(DISK_PAUSE);
            }
            Done::KeptUp(Err(StoreError::DiskFull { .. })) => {
                self.keeping_up = false;
                self.room_after = now.after(DISK_PAUSE);
            }
            Done::Appended(_, Err(error))
            | Done::Synced(Err(error))
            | Done::Checkpointed(Err(error))
            | Done::KeptUp(Err(error))
            | Done::Loaded(Err(error)) => self.poison(error.to_string()),
        }
        // Whoever was answered by now, and asks next, finds what was lost settled.
        self.settle_lost(now);
    }

    /// The committed queues, limiters and topics: known there before the command that made or changed them is answered.
    pub fn directory(&self) -> &Arc<Directory> {
        &self.directory
    }

    /// Asks for a copy of everything that is answered by now: a checkpoint is made for it.
    pub fn want_backup(&mut self) {
        self.backup_from = Some(self.store.sequence());
    }

    /// The copy asked for, once the checkpoint is there.
    pub fn take_backup(&mut self) -> Option<Backup> {
        let backup = self.store.backup();
        self.backup_from.take_if(|from| *from <= backup.sequence())?;
        Some(backup)
    }

    /// Begins the end: waiting receives are answered as empty, and later commands are refused. Work goes on until
    /// [`Driver::is_idle`].
    pub fn close(&mut self) {
        self.closing = true;
        if self.poisoned.is_none() {
            self.engine.end_all_waits(&mut self.output);
            self.take_output(Ok(()));
        }
        if self.unwritten.is_some() {
            // Who closes does not wait for room: what is not acknowledged is given up.
            self.poison("the disk is full".to_owned());
        }
    }

    /// Whether every command is answered, nothing is left to be written and no checkpoint is under way.
    pub fn is_idle(&self) -> bool {
        self.poisoned.is_some()
            || (self.responders.is_empty()
                && self.answers.is_empty()
                && !self.appending
                && !self.syncing
                && self.synced == self.committed
                && !self.checkpointing
                && self.store.unsealed_bytes() == 0)
    }

    /// The store, for looking at it.
    pub fn store(&self) -> &Store<D> {
        &self.store
    }

    /// The store, to be closed. Dropping the driver instead is like a crash.
    pub fn into_store(self) -> Store<D> {
        self.store
    }

    /// The engine, for looking at it.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// What failed, if storage did.
    pub fn poisoned(&self) -> Option<&str> {
        self.poisoned.as_deref()
    }

    /// What was done so far.
    pub fn figures(&self) -> Figures {
        self.figures
    }

    /// How many commands wait for their answer.
    pub fn unanswered(&self) -> usize {
        self.responders.len() + self.answers.len()
    }

    /// Sequence up to which everything may be acknowledged: it is as durable as the operator wants it to be.
    pub fn committed(&self) -> u64 {
        self.committed
    }

    /// Sequence up to which everything is synced: no loss of power takes it.
    pub fn synced(&self) -> u64 {
        self.synced
    }

    /// When something may be acknowledged.
    pub fn durability(&self) -> Durability {
        self.durability
    }

    fn refusal(&self, command: &Command) -> Option<Refused> {
        if let Some(reason) = &self.poisoned {
            return Some(Refused::Poisoned { reason: reason.clone() });
        }
        if self.closing {
            return Some(Refused::Closed);
        }
        let brings_more = matches!(
            command,
            Command::Send { .. }
                | Command::AddJobs { .. }
                | Command::CreateQueue { .. }
                | Command::ConfigureQueue { .. }
                | Command::Publish { .. }
                | Command::ReplayStep { .. }
                | Command::CreateTopic { .. }
                | Command::ConfigureTopic { .. }
                | Command::Subscribe { .. }
                | Command::ConfigureSubscription { .. }
        );
        if !brings_more {
            return None;
        }
        match self.store.pressure() {
            Pressure::None => None,
            Pressure::Lagging => Some(Refused::Overloaded { retry_after: RETRY_AFTER }),
            Pressure::DiskFull => Some(Refused::DiskFull),
        }
    }

    fn apply(&mut self, now: Time, token: Token, command: Command) {
        self.figures.commands += 1;
        match self.engine.apply(now, &mut self.store, token, &command, &mut self.output) {
            Err(Stop::Need(needs)) => {
                self.figures.parked += 1;
                self.figures.loads += self.rows.park(&self.store, token, command, &needs);
            }
            applied => self.take_output(applied),
        }
    }

    fn loaded(&mut self, now: Time, loaded: Vec<LoadedRows>) {
        let mut ranges = Vec::with_capacity(loaded.len());
        for LoadedRows { range, loaded } in loaded {
            self.store.loaded(loaded);
            ranges.push(range);
        }
        // First, so that what is needed again is loaded again.
        let complete = self.rows.loaded(&ranges);
        let resumed = self.engine.loaded(now, &mut self.store, &mut self.output);
        self.take_output(resumed);
        for (token, command) in complete {
            self.apply(now, token, command);
        }
    }

    /// Holds what the engine said until its state is committed.
    fn take_output(&mut self, outcome: Result<(), Stop>) {
        if let Err(stop) = outcome {
            return self.poison(stop.to_string());
        }
        let sequence = self.store.sequence();
        // Whoever is answered may ask at once, so the directory has to know before.
        for event in self.output.events.drain(..) {
            self.answers.hold_event(sequence, event);
        }
        for (token, reply) in self.output.replies.drain(..) {
            if let Some(mut asked) = self.responders.remove(&token) {
                asked.responder.made(sequence, &reply);
                self.figures.body_loads += self.answers.hold(&self.store, sequence, asked, reply);
            }
        }
        for need in self.output.needs.drain(..) {
            self.figures.loads += self.rows.want(&self.store, &need, None);
        }
        self.answers.release(self.committed, &self.directory);
    }

    /// Settles what can never be delivered.
    fn settle_lost(&mut self, now: Time) {
        for lost in self.answers.take_lost() {
            let (queue, message) = (lost.taker.queue().0, lost.handle.message);
            tracing::error!(queue, message, "the payload of a message is gone: the message is given up");
            self.figures.payloads_lost += 1;
            self.apply(now, OWN, lost.settlement());
        }
    }

    fn seal(&mut self, now: Time) -> Option<Group> {
        self.engine.flush(&mut self.store);
        self.store.seal(self.engine.now().max(now))
    }

    fn appended(&mut self, now: Time, sequence: u64) {
        self.figures.groups += 1;
        self.appending = false;
        self.store.committed(sequence);
        self.committed = sequence;
        match self.durability {
            Durability::Fsync => self.synced = sequence,
            // Only those of which no sync knows yet have to wait for the next.
            Durability::Interval(interval) => self.sync_at = self.sync_at.min(now.after(interval)),
        }
        self.answers.release(sequence, &self.directory);
        self.answers.release_all_complete(sequence);
    }

    /// Storage failed: nothing is acknowledged any more, and what is in memory is not to be trusted.
    fn poison(&mut self, reason: String) {
        if self.poisoned.is_some() {
            return;
        }
        self.frozen = None;
        self.rows.clear();
        let refused = Refused::Poisoned { reason: reason.clone() };
        self.answers.refuse(&refused);
        self.responders.drain().for_each(|(_, asked)| asked.responder.respond(Err(refused.clone())));
        self.poisoned = Some(reason);
    }
}

/// Why a shard did not open.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenShardError {
    /// The store did not open.
    #[error(transparent)]
    Store(#[from] OpenError),
    /// A read failed.
    #[error(transparent)]
    Read(#[from] StoreError),
    /// A stored value cannot be read by this program.
    #[error(transparent)]
    Unreadable(#[from] weir_core::Unreadable),
}
