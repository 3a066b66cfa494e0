//! A world in memory for the engine: rows that can be cold, time that is set, messages known by their text.

#![allow(dead_code, reason = "each test program uses a part of it")]
#![expect(unreachable_pub, reason = "a module of tests has no public")]
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that stops here has failed")]
#![expect(clippy::case_sensitive_file_extension_comparisons, reason = "the names of FIFO queues are case-sensitive")]

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use weir_core::api::job::*;
use weir_core::api::*;
use weir_core::kv::{Key, Need, RowVisitor, State, View};
use weir_core::{Engine, Stop, Time};

/// Rows that a walk has loaded at once.
const SCAN_ROWS: usize = 8;

/// Rows of which only those in loaded stretches, and those written since, may be read, as in a store.
#[derive(Debug, Default)]
pub struct Rows {
    pub all: BTreeMap<Key, Vec<u8>>,
    /// Stretches from a key (inclusive) to another (exclusive). `None`: every row is in memory.
    loaded: Option<Vec<(Key, Key)>>,
    written: BTreeSet<Key>,
    /// Keys that were never anywhere but in memory, and are still there.
    born: BTreeSet<Key>,
    /// Whether those are read without a load, as in a store before its first checkpoint of them.
    keeps_born: bool,
    wrote: std::cell::Cell<bool>,
    /// Rows asked for, and rows that walks came by.
    pub reads: std::cell::Cell<usize>,
    /// Rows written or deleted.
    pub writes: usize,
    /// Stretches of rows that were loaded.
    pub loads: usize,
}

impl Rows {
    /// Where the loaded stretch around `at` ends.
    fn loaded_end(&self, at: &[u8], to: &[u8]) -> Option<Key> {
        let Some(loaded) = &self.loaded else { return Some(Key::from_slice(to)) };
        let around = loaded.iter().filter(|(from, end)| from.as_slice() <= at && at < end.as_slice());
        around.map(|(_, end)| end.clone().min(Key::from_slice(to))).max()
    }

    pub fn load(&mut self, need: &Need) {
        self.loads += 1;
        let mut rows = self.all.range(need.from.clone()..need.to.clone());
        let end = rows.nth(need.rows.max(1)).map_or(need.to.clone(), |(key, _)| key.clone());
        if let Some(loaded) = &mut self.loaded {
            loaded.push((need.from.clone(), end));
        }
    }

    /// Makes every row cold.
    pub fn forget(&mut self) {
        if let Some(loaded) = &mut self.loaded {
            loaded.clear();
        }
        self.written.clear();
    }

    fn write(&mut self, key: &[u8]) {
        self.wrote.set(true);
        self.writes += 1;
        self.written.insert(Key::from_slice(key));
    }
}

impl View for Rows {
    fn get(&self, key: &[u8], _ahead: usize) -> Result<Option<&[u8]>, Need> {
        self.reads.set(self.reads.get() + 1);
        let mut to = Key::from_slice(key);
        to.push(0);
        let in_memory = self.written.contains(key) || self.keeps_born && self.born.contains(key);
        if !in_memory && self.loaded_end(key, &to).is_none() {
            return Err(Need { from: Key::from_slice(key), to, rows: 1 });
        }
        Ok(self.all.get(key).map(Vec::as_slice))
    }

    fn scan(&self, from: &[u8], to: &[u8], row: RowVisitor<'_>) -> Result<(), Need> {
        let mut at = Key::from_slice(from);
        while at.as_slice() < to {
            let Some(end) = self.loaded_end(&at, to) else {
                return Err(Need { from: at, to: Key::from_slice(to), rows: SCAN_ROWS });
            };
            for (key, value) in self.all.range(at..end.clone()) {
                self.reads.set(self.reads.get() + 1);
                if row(key, value) == ControlFlow::Break(()) {
                    return Ok(());
                }
            }
            at = end;
        }
        Ok(())
    }
}

impl State for Rows {
    fn put(&mut self, key: &[u8], value: &[u8]) {
        self.write(key);
        self.all.insert(Key::from_slice(key), value.to_vec());
    }

    fn insert(&mut self, key: &[u8], value: &[u8]) {
        assert!(!self.all.contains_key(key), "inserted a key that is there: {key:?}");
        self.put(key, value);
        self.born.insert(Key::from_slice(key));
    }

    fn insert_bulk(&mut self, key: &[u8], parts: &[&[u8]]) {
        self.insert(key, &parts.concat());
    }

    fn delete(&mut self, key: &[u8]) {
        self.write(key);
        self.all.remove(key);
        if self.born.remove(key) {
            // Of what was born and died in memory a store knows nothing any more.
            self.written.remove(key);
        }
    }

    fn delete_range(&mut self, from: &[u8], to: &[u8]) {
        self.wrote.set(true);
        self.all.retain(|key, _| key.as_slice() < from || key.as_slice() >= to);
    }
}

/// The kind of the rows that count what finished, minute by minute.
pub const MINUTES: u8 = 42;

pub const START: Time = Time(1_700_000_000_000);

/// A message as a test sees it.
#[derive(Clone, Debug)]
pub struct Got {
    pub text: String,
    pub handle: Handle,
    pub delivery: Delivery,
}

pub struct World {
    pub engine: Engine,
    pub rows: Rows,
    pub now: Time,
    last_token: u64,
    answers: BTreeMap<Token, Result<Reply, Error>>,
    /// Rows that were asked for and not loaded yet.
    unloaded: Vec<Need>,
    /// What happened, until somebody takes it.
    pub events: Vec<Event>,
    pub queues: BTreeMap<String, QueueId>,
    versions: BTreeMap<QueueId, u64>,
    /// How often waiting receivers had rows loaded.
    pub rounds: usize,
}

impl World {
    pub fn new() -> Self {
        Self::over(Rows::default())
    }

    /// A world in which every row has to be loaded anew for each command.
    pub fn cold() -> Self {
        Self::over(Rows { loaded: Some(Vec::new()), ..Rows::default() })
    }

    /// A world in which rows are in memory as long as they live, and what else there may be has to be loaded.
    pub fn newborn() -> Self {
        Self::over(Rows { loaded: Some(Vec::new()), keeps_born: true, ..Rows::default() })
    }

    fn over(rows: Rows) -> Self {
        let mut world = World {
            engine: Engine::new(),
            rows,
            now: START,
            last_token: 0,
            answers: BTreeMap::new(),
            unloaded: Vec::new(),
            events: Vec::new(),
            queues: BTreeMap::new(),
            versions: BTreeMap::new(),
            rounds: 0,
        };
        world.open();
        world
    }

    fn open(&mut self) {
        self.engine = Engine::new();
        loop {
            match self.engine.open(self.now, &self.rows) {
                Ok(()) => return,
                Err(Stop::Need(needs)) => needs.iter().for_each(|need| self.rows.load(need)),
                Err(stop) => panic!("{stop}"),
            }
        }
    }

    /// Stops and opens again over the same rows.
    pub fn restart(&mut self) {
        self.engine.flush(&mut self.rows);
        self.open();
        self.run_until(self.now);
    }

    /// Gives a command and returns its token.
    #[expect(clippy::needless_pass_by_value, reason = "a command is given away")]
    pub fn give(&mut self, command: Command) -> Token {
        let (token, out) = self.apply(&command);
        self.take(out);
        token
    }

    /// Gives a command. What else is to be done, and needs rows, waits until the next command was carried out.
    #[expect(clippy::needless_pass_by_value, reason = "a command is given away")]
    pub fn give_without_loads(&mut self, command: Command) {
        let (_, out) = self.apply(&command);
        self.unloaded.extend(out.needs);
        self.answers.extend(out.replies);
    }

    fn apply(&mut self, command: &Command) -> (Token, Output) {
        self.last_token += 1;
        let token = Token(self.last_token);
        self.rows.forget();
        let mut out = Output::default();
        loop {
            self.rows.wrote.set(false);
            match self.engine.apply(self.now, &mut self.rows, token, command, &mut out) {
                Ok(()) => break,
                Err(Stop::Need(needs)) => {
                    assert!(!self.rows.wrote.get(), "{command:?} wrote before it needed {needs:?}");
                    for need in &needs {
                        self.rows.load(need);
                    }
                }
                Err(stop) => panic!("{stop}"),
            }
        }
        (token, out)
    }

    fn take(&mut self, out: Output) {
        self.answers.extend(out.replies);
        for event in out.events {
            if let Event::QueueChanged(queue) = &event {
                self.versions.insert(queue.id, queue.version);
            }
            self.events.push(event);
        }
        let mut needs = out.needs;
        needs.append(&mut self.unloaded);
        if !needs.is_empty() {
            self.rounds += 1;
            for need in &needs {
                self.rows.load(need);
            }
            let mut out = Output::default();
            self.engine.loaded(self.now, &mut self.rows, &mut out).unwrap();
            self.take(out);
        }
    }

    /// Whether the last command wrote something, so that it is answered no sooner than that is durable.
    pub fn wrote(&self) -> bool {
        self.rows.wrote.get()
    }

    /// Gives a command that is answered at once.
    pub fn ask(&mut self, command: Command) -> Result<Reply, Error> {
        let token = self.give(command);
        self.answer(token).expect("an answer at once")
    }

    pub fn answer(&mut self, token: Token) -> Option<Result<Reply, Error>> {
        self.answers.remove(&token)
    }

    /// Moves time on by so many milliseconds, doing what becomes due when it does.
    pub fn after(&mut self, ms: u64) {
        self.run_until(Time(self.now.0 + ms));
    }

    fn run_until(&mut self, end: Time) {
        let mut rounds = 0;
        while self.engine.next_deadline() <= end {
            self.now = self.now.max(self.engine.next_deadline());
            self.tick();
            rounds += 1;
            assert!(rounds < 10_000, "ticks without end at {:?}", self.engine.next_deadline());
        }
        self.now = end;
        self.tick();
    }

    fn tick(&mut self) {
        self.rows.forget();
        loop {
            let mut out = Output::default();
            self.engine.tick(self.now, &mut self.rows, &mut out).unwrap();
            let done = out.needs.is_empty();
            self.take(out);
            if done {
                return;
            }
        }
    }

    pub fn create(&mut self, name: &str, config: Config) -> QueueId {
        let kind = if name.ends_with(".fifo") { Kind::Fifo } else { Kind::Standard };
        let command = Command::CreateQueue {
            namespace: Namespace(0),
            name: name.into(),
            kind,
            config,
            tags: Tags::new(),
            seed: [7; 16],
        };
        match self.ask(command).unwrap() {
            Reply::Queue { queue, .. } => {
                self.queues.insert(name.into(), queue.id);
                self.versions.insert(queue.id, queue.version);
                queue.id
            }
            other => panic!("{other:?}"),
        }
    }

    pub fn send(&mut self, queue: QueueId, message: NewMessage) -> Result<Sent, Error> {
        let version = self.versions[&queue];
        match self.ask(Command::Send { queue, version, messages: [message].into_iter().collect() })? {
            Reply::Sent(mut sent) => sent.remove(0),
            other => panic!("{other:?}"),
        }
    }

    pub fn configure(&mut self, queue: QueueId, config: Config) {
        let version = self.versions[&queue];
        self.ask(Command::ConfigureQueue { queue, version, config }).unwrap();
    }

    /// Receives without waiting.
    pub fn receive(&mut self, queue: QueueId, max: u32) -> Vec<Got> {
        let token = self.wait(queue, max, 0);
        self.got(token).expect("an answer at once")
    }

    /// Receives up to ten messages, of no more than so many bytes.
    pub fn receive_within(&mut self, queue: QueueId, bytes_max: u64) -> Vec<Got> {
        let token =
            self.give(Command::Receive { queue, max: 10, bytes_max, visibility_ms: None, attempt: None, wait_ms: 0 });
        self.got(token).expect("an answer at once")
    }

    pub fn texts_within(&mut self, queue: QueueId, bytes_max: u64) -> Vec<String> {
        self.receive_within(queue, bytes_max).into_iter().map(|got| got.text).collect()
    }

    pub fn wait(&mut self, queue: QueueId, max: u32, wait_ms: u64) -> Token {
        self.give(Command::Receive { queue, max, bytes_max: u64::MAX, visibility_ms: None, attempt: None, wait_ms })
    }

    /// What a receive got, if it was answered.
    pub fn got(&mut self, token: Token) -> Option<Vec<Got>> {
        match self.answer(token)?.unwrap() {
            Reply::Received(deliveries) => Some(deliveries.into_iter().map(|delivery| self.read(delivery)).collect()),
            other => panic!("{other:?}"),
        }
    }

    fn read(&self, delivery: Delivery) -> Got {
        let text = String::from_utf8(self.rows.all[&delivery.body].clone()).unwrap();
        Got { text, handle: delivery.handle, delivery }
    }

    pub fn texts(&mut self, queue: QueueId, max: u32) -> Vec<String> {
        self.receive(queue, max).into_iter().map(|got| got.text).collect()
    }

    pub fn delete(&mut self, queue: QueueId, handle: Handle) -> Result<(), Error> {
        match self.ask(Command::Delete { queue, handles: [handle].into_iter().collect() })? {
            Reply::Settled(mut settled) => settled.remove(0),
            other => panic!("{other:?}"),
        }
    }

    pub fn change(&mut self, queue: QueueId, handle: Handle, visibility_ms: u64) -> Result<(), Error> {
        match self.ask(Command::ChangeVisibility { queue, changes: [(handle, visibility_ms)].into_iter().collect() })? {
            Reply::Settled(mut settled) => settled.remove(0),
            other => panic!("{other:?}"),
        }
    }

    /// Adds jobs: all of them or none.
    pub fn add_all(&mut self, jobs: Vec<(QueueId, NewMessage)>) -> Result<Vec<Added>, Error> {
        let job = |(queue, message)| NewJob { queue, version: self.versions[&queue], message };
        let jobs = jobs.into_iter().map(job).collect();
        match self.ask(Command::AddJobs { jobs, idempotency: None })? {
            Reply::Added(added) => Ok(added),
            other => panic!("{other:?}"),
        }
    }

    /// Adds a job.
    pub fn add(&mut self, queue: QueueId, message: NewMessage) -> Result<Added, Error> {
        Ok(self.add_all(vec![(queue, message)])?.remove(0))
    }

    /// Leases jobs to a worker without waiting: as often as one lease gets fewer since rows are cold.
    pub fn lease(&mut self, queue: QueueId, max: u32) -> Vec<Got> {
        let mut leased = Vec::new();
        loop {
            let token = self.give(lease(queue, max - leased.len() as u32));
            let got = self.got(token).expect("an answer at once");
            let none = got.is_empty();
            leased.extend(got);
            if none || leased.len() >= max as usize {
                return leased;
            }
        }
    }

    /// Leases the one job that there is.
    pub fn lease_one(&mut self, queue: QueueId) -> Got {
        let mut got = self.lease(queue, 10);
        assert_eq!(got.len(), 1, "{got:?}");
        got.remove(0)
    }

    pub fn settle_all(
        &mut self,
        queue: QueueId,
        entries: Vec<(Handle, Settlement)>,
    ) -> Result<Vec<Result<Settled, Error>>, Error> {
        match self.ask(Command::Settle { queue, entries: entries.into_iter().collect(), seed: 1 })? {
            Reply::JobsSettled(settled) => Ok(settled.into_vec()),
            other => panic!("{other:?}"),
        }
    }

    pub fn settle(&mut self, queue: QueueId, handle: Handle, settlement: Settlement) -> Result<Settled, Error> {
        self.settle_all(queue, vec![(handle, settlement)])?.remove(0)
    }

    pub fn complete(&mut self, queue: QueueId, handle: Handle) -> Result<Settled, Error> {
        self.settle(queue, handle, Settlement::Complete { result: None })
    }

    pub fn fail(&mut self, queue: QueueId, handle: Handle) -> Result<Settled, Error> {
        self.settle(queue, handle, Settlement::Fail { failure: b"broken".to_vec(), again: Again::ByPolicy })
    }

    pub fn counters(&mut self, queue: QueueId) -> Counters {
        match self.ask(Command::QueueStats { queue }).unwrap() {
            Reply::Stats { counters, .. } => counters,
            other => panic!("{other:?}"),
        }
    }

    /// Insists that nothing is left but the entities: what belongs to no message is a leak.
    pub fn assert_no_rows_of_jobs(&self) {
        let kinds = self.row_kinds();
        assert!(kinds.keys().all(|kind| (16..=18).contains(kind)), "{kinds:?}");
    }

    /// How many rows are left, but for the counts of what finished in the last minutes.
    pub fn rows_left(&self) -> usize {
        self.row_kinds().into_iter().filter(|(kind, _)| *kind != MINUTES).map(|(_, rows)| rows).sum()
    }

    /// Kinds of rows that are left, with the number of each.
    pub fn row_kinds(&self) -> BTreeMap<u8, usize> {
        let mut kinds = BTreeMap::new();
        for key in self.rows.all.keys() {
            let (_, rest) = weir_core::kv::split_ordered(key).unwrap();
            let (_, rest) = weir_core::kv::split_ordered(rest).unwrap();
            *kinds.entry(rest[0]).or_default() += 1;
        }
        kinds
    }

    /// Receives and deletes all that is there, and says what it was, without what made it long.
    pub fn take_all(&mut self, queue: QueueId) -> Vec<String> {
        let mut texts = Vec::new();
        loop {
            let got = self.receive(queue, 10);
            if got.is_empty() {
                return texts;
            }
            for got in got {
                texts.push(got.text.trim_end_matches('.').to_owned());
                self.delete(queue, got.handle).unwrap();
            }
        }
    }

    pub fn rows_of(&self, kind: u8) -> usize {
        self.row_kinds().get(&kind).copied().unwrap_or(0)
    }

    /// What is left once a space that was left behind is reclaimed.
    pub fn reclaim(&mut self) {
        self.after(1);
        self.engine.flush(&mut self.rows);
    }

    /// Ready, delayed and leased.
    pub fn counts(&mut self, queue: QueueId) -> [u64; 3] {
        match self.ask(Command::QueueStats { queue }).unwrap() {
            Reply::Stats { counters, .. } => [counters.ready, counters.delayed, counters.leased],
            other => panic!("{other:?}"),
        }
    }
}

pub fn message(text: &str) -> NewMessage {
    NewMessage {
        uuid: [9; 16],
        payload: text.as_bytes().to_vec(),
        delay_ms: None,
        priority: 0,
        lane: None,
        dedup: None,
        ..NewMessage::default()
    }
}

pub fn grouped(text: &str, group: u8) -> NewMessage {
    NewMessage { lane: Some(Lane([group; 16])), ..message(text) }
}

/// A message with options of a job.
pub fn job(text: &str, options: JobOptions) -> NewMessage {
    NewMessage { options: Some(Box::new(options)), ..message(text) }
}

/// A command that leases jobs without waiting.
pub fn lease(queue: QueueId, max: u32) -> Command {
    let (bytes_max, lease_ms) = (u64::MAX, None);
    Command::Lease { queue, max, bytes_max, lease_ms, wait_ms: 0, linger_ms: 0, one_lane: false }
}

/// A retry policy without jitter.
pub fn retry(attempts_max: u32, delay_ms: u64) -> Retry {
    Retry { attempts_max, backoff: Backoff::Fixed { delay_ms }, jitter_permille: 0, ..Retry::default() }
}

/// Each world in which rows may have to be loaded in another way.
pub fn worlds() -> [World; 3] {
    [World::new(), World::cold(), World::newborn()]
}
