//! A shard, step by step: commands go in, work for the disk comes out, its results go in, answers come out.
//!
//! The driver owns no thread, no clock and does no IO. It holds back every answer and event until the state that it
//! speaks of is committed, and parks commands whose rows have to be loaded first.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rustc_hash::FxHashMap;
use weir_core::api::{Command, Error, Event, Output, Reply, Token};
use weir_core::kv::Need;
use weir_core::{Engine, Stop, Time};
use weir_store::disk::Disk;
use weir_store::{
    Backup, Body, BodyLoad, Checkpoint, Durability, Group, Load, LogWriter, OpenError, Options, Pressure, Recovery,
    Store, StoreError,
};

use crate::answer::{Answer, Answered, Refused, Respond};
use crate::directory::Directory;
use crate::work::{BodyWork, Done, LoadWork, LoadedBody, LoadedRows, Place, Range, Work};

/// When a producer that was refused for want of memory may try again.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// How long to leave a full disk alone before trying again.
const FULL_DISK_PAUSE: Duration = Duration::from_secs(1);

/// How many bytes of writes the engine may be ahead of the disk. Past that, commands wait.
const AHEAD_BYTES_MAX: usize = 32 << 20;

/// How many ids an opening leaves out for each life before it of which a loss of power may have taken something: more
/// than a life writes between two syncs, which is bounded in bytes.
const IDS_OF_A_LIFE: u64 = 1 << 24;

/// How many pieces of work that load rows are given out at once. What is asked for meanwhile goes out together with the
/// next, so that a thousand commands that wait cost a few wake-ups.
const LOADS_MAX: usize = 2;

/// Rows and payloads that one piece of work loads at most, so that several readers share what there is.
const LOADS_TOGETHER_MAX: usize = 256;

/// An answer, or an event, that waits for its state to be committed or for payloads.
#[derive(Debug)]
enum Held<R> {
    Answer { responder: R, answer: Answer },
    Event(Event),
}

/// A command that waits for rows.
#[derive(Debug)]
struct Parked {
    token: Token,
    command: Command,
    /// How many loads are still under way for it.
    missing: usize,
}

/// An answer whose payloads are being loaded.
#[derive(Debug)]
struct Incomplete<R> {
    sequence: u64,
    responder: R,
    reply: Reply,
    payloads: Vec<Option<Bytes>>,
    missing: usize,
}

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
}

/// One shard without threads.
#[expect(clippy::struct_excessive_bools, reason = "each says of one piece of work whether it is under way")]
#[derive(Debug)]
pub struct Driver<D: Disk, R: Respond> {
    engine: Engine,
    store: Store<D>,
    output: Output,
    responders: FxHashMap<Token, R>,
    /// Commands that wait for rows, by ticket.
    parked: FxHashMap<u64, Parked>,
    /// What is being loaded, and the tickets of the commands that wait for it. None: the engine itself waits.
    loading: FxHashMap<Range, Vec<u64>>,
    /// Loads that were not given out yet, and how many pieces of work for loads were.
    loads: BTreeMap<Range, Load<D>>,
    loads_out: usize,
    /// Payloads that were not given out to be loaded yet, and whether others are.
    bodies: VecDeque<(Place, BodyLoad<D>)>,
    bodies_out: bool,
    held: VecDeque<(u64, Held<R>)>,
    incomplete: FxHashMap<u64, Incomplete<R>>,
    last_ticket: u64,
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
        for queue in engine.queues() {
            directory.record(&Event::QueueChanged(queue));
        }
        let driver = Self {
            engine,
            store,
            output: Output::default(),
            responders: FxHashMap::default(),
            parked: FxHashMap::default(),
            loading: FxHashMap::default(),
            loads: BTreeMap::new(),
            loads_out: 0,
            bodies: VecDeque::new(),
            bodies_out: false,
            held: VecDeque::new(),
            incomplete: FxHashMap::default(),
            last_ticket: 0,
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
            self.responders.insert(token, responder);
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
        self.poll_loads()
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

    /// What is to be loaded, in the order of the keys: neighbours share pages.
    fn poll_loads(&mut self) -> Option<Work<D>> {
        if !self.bodies.is_empty() && !self.bodies_out {
            self.bodies_out = true;
            let together = self.bodies.len().min(LOADS_TOGETHER_MAX);
            return Some(Work::Bodies(BodyWork { loads: self.bodies.drain(..together).collect() }));
        }
        if self.loads.is_empty() || self.loads_out >= LOADS_MAX {
            return None;
        }
        self.loads_out += 1;
        let together = std::iter::from_fn(|| self.loads.pop_first());
        Some(Work::Load(LoadWork { loads: together.take(LOADS_TOGETHER_MAX).collect() }))
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
                self.room_after = now.after(FULL_DISK_PAUSE);
            }
            Done::Checkpointed(Ok(done)) => {
                self.checkpointing = false;
                self.figures.checkpoints += 1;
                self.store.checkpointed(done);
            }
            Done::Loaded(Ok(loaded)) => self.loaded(now, loaded),
            Done::Bodies(Ok(loaded)) => self.bodies_loaded(loaded),
            Done::Panicked(reason) => self.poison(reason),
            Done::KeptUp(Ok(())) => self.keeping_up = false,
            // What needs room waits. What is stored stays as it is, and the log goes on in the segments it has.
            Done::Checkpointed(Err(StoreError::DiskFull { .. })) => {
                self.checkpointing = false;
                self.room_after = now.after(FULL_DISK_PAUSE);
            }
            Done::KeptUp(Err(StoreError::DiskFull { .. })) => {
                self.keeping_up = false;
                self.room_after = now.after(FULL_DISK_PAUSE);
            }
            Done::Appended(_, Err(error))
            | Done::Synced(Err(error))
            | Done::Checkpointed(Err(error))
            | Done::KeptUp(Err(error))
            | Done::Loaded(Err(error))
            | Done::Bodies(Err(error)) => self.poison(error.to_string()),
        }
    }

    /// The committed queues: known there before the command that made or changed them is answered.
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
                && self.held.is_empty()
                && self.incomplete.is_empty()
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
        self.responders.len() + self.held.len() + self.incomplete.len()
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
                self.last_ticket += 1;
                let ticket = self.last_ticket;
                self.parked.insert(ticket, Parked { token, command, missing: needs.len() });
                for need in &needs {
                    self.load(need, Some(ticket));
                }
            }
            applied => self.take_output(applied),
        }
    }

    fn load(&mut self, need: &Need, ticket: Option<u64>) {
        let range = (need.from.clone(), need.to.clone());
        let waiting = self.loading.entry(range.clone());
        if let std::collections::hash_map::Entry::Vacant(_) = waiting {
            self.figures.loads += 1;
            self.loads.insert(range, self.store.load(need));
        }
        waiting.or_default().extend(ticket);
    }

    fn loaded(&mut self, now: Time, loaded: Vec<LoadedRows>) {
        self.loads_out = self.loads_out.saturating_sub(1);
        let mut tickets = Vec::new();
        for LoadedRows { range, loaded } in loaded {
            self.store.loaded(loaded);
            tickets.extend(self.loading.remove(&range).unwrap_or_default());
        }
        let resumed = self.engine.loaded(now, &mut self.store, &mut self.output);
        self.take_output(resumed);
        for ticket in tickets {
            let Some(parked) = self.parked.get_mut(&ticket) else { continue };
            parked.missing -= 1;
            if parked.missing == 0
                && let Some(Parked { token, command, .. }) = self.parked.remove(&ticket)
            {
                self.apply(now, token, command);
            }
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
            self.held.push_back((sequence, Held::Event(event)));
        }
        let mut replies = std::mem::take(&mut self.output.replies);
        for (token, reply) in replies.drain(..) {
            if let Some(mut responder) = self.responders.remove(&token) {
                responder.made(sequence, &reply);
                self.hold_reply(sequence, responder, reply);
            }
        }
        self.output.replies = replies;
        for need in std::mem::take(&mut self.output.needs) {
            self.load(&need, None);
        }
        self.release();
    }

    fn hold_reply(&mut self, sequence: u64, responder: R, reply: Result<Reply, Error>) {
        let reply = match reply {
            Ok(reply) => reply,
            Err(error) => {
                let answer = Err(Refused::Engine(error));
                return self.held.push_back((sequence, Held::Answer { responder, answer }));
            }
        };
        let keys = reply.payload_keys();
        let mut payloads = Vec::with_capacity(keys.len());
        let mut loads = Vec::new();
        for (slot, key) in keys.into_iter().enumerate() {
            payloads.push(match self.store.body(key) {
                Body::Ready(payload) => Some(payload),
                Body::Load(load) => {
                    loads.push((slot, load));
                    None
                }
                Body::Absent => return self.poison("a message's payload is missing".to_owned()),
            });
        }
        if loads.is_empty() {
            let answer = Ok(Answered { reply, payloads: payloads.into_iter().flatten().collect() });
            return self.held.push_back((sequence, Held::Answer { responder, answer }));
        }
        self.last_ticket += 1;
        let ticket = self.last_ticket;
        let missing = loads.len();
        self.figures.body_loads += missing as u64;
        self.incomplete.insert(ticket, Incomplete { sequence, responder, reply, payloads, missing });
        self.bodies.extend(loads.into_iter().map(|(slot, load)| ((ticket, slot), load)));
    }

    fn bodies_loaded(&mut self, loaded: Vec<LoadedBody>) {
        self.bodies_out = false;
        for LoadedBody { place: (ticket, slot), payload } in loaded {
            match payload {
                Some(payload) => self.body_loaded(ticket, slot, payload),
                None => return self.poison("a message's payload is missing".to_owned()),
            }
        }
    }

    fn body_loaded(&mut self, ticket: u64, slot: usize, payload: Bytes) {
        let Some(incomplete) = self.incomplete.get_mut(&ticket) else { return };
        if let Some(place) = incomplete.payloads.get_mut(slot)
            && place.replace(payload).is_none()
        {
            incomplete.missing -= 1;
        }
        self.release_complete(ticket);
    }

    /// Answers a receive whose payloads are there, if its state is committed.
    fn release_complete(&mut self, ticket: u64) {
        let ready = |incomplete: &Incomplete<R>| incomplete.missing == 0 && incomplete.sequence <= self.committed;
        if !self.incomplete.get(&ticket).is_some_and(ready) {
            return;
        }
        if let Some(complete) = self.incomplete.remove(&ticket) {
            let payloads = complete.payloads.into_iter().flatten().collect();
            complete.responder.respond(Ok(Answered { reply: complete.reply, payloads }));
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
        self.release();
        let mut tickets: Vec<u64> = self.incomplete.keys().copied().collect();
        tickets.sort_unstable();
        for ticket in tickets {
            self.release_complete(ticket);
        }
    }

    /// Lets go of what speaks of committed state.
    fn release(&mut self) {
        while let Some((_, held)) = self.held.pop_front_if(|(sequence, _)| *sequence <= self.committed) {
            match held {
                Held::Answer { responder, answer } => responder.respond(answer),
                Held::Event(event) => self.directory.record(&event),
            }
        }
    }

    /// Storage failed: nothing is acknowledged any more, and what is in memory is not to be trusted.
    fn poison(&mut self, reason: String) {
        if self.poisoned.is_some() {
            return;
        }
        self.loads.clear();
        self.bodies.clear();
        self.frozen = None;
        self.loading.clear();
        self.parked.clear();
        let refuse = |responder: R| responder.respond(Err(Refused::Poisoned { reason: reason.clone() }));
        for (_, held) in self.held.drain(..) {
            if let Held::Answer { responder, .. } = held {
                refuse(responder);
            }
        }
        self.incomplete.drain().for_each(|(_, incomplete)| refuse(incomplete.responder));
        self.responders.drain().for_each(|(_, responder)| refuse(responder));
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
