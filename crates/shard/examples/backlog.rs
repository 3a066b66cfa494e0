//! Where the processor time goes over a deep backlog, without a disk and on one thread: what the engine takes, and what
//! loads, payloads, appends and checkpoints take. `cargo run --release --example backlog -- KIND MESSAGES GROUPS CYCLES`,
//! where KIND is `ready`, `delayed` or `fifo`.

#![expect(clippy::print_stdout, reason = "the figures are what it is run for")]
#![expect(clippy::cast_precision_loss, reason = "figures to be read")]

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use weir_core::Time;
use weir_core::api::{Command, Config, Kind, Lane, Namespace, NewMessage, QueueId, Reply, Token};
use weir_shard::{Answer, Driver, Respond, Work};
use weir_store::{LogWriter, MemoryDisk, Options};

/// Commands under way at once, while loading and afterwards.
const LOADERS: u64 = 4;
const WORKERS: u64 = 32;
/// Messages of a command while loading.
const BATCH: u64 = 500;

/// Sends the answer back.
#[derive(Debug)]
struct Back(Sender<Answer>);

impl Respond for Back {
    fn respond(self, answer: Answer) {
        // Nobody listens once the run is over.
        let _ = self.0.send(answer);
    }
}

struct World {
    driver: Driver<MemoryDisk, Back>,
    writer: LogWriter<MemoryDisk>,
    now: Time,
    tokens: u64,
    sent: u64,
    sender: Sender<Answer>,
    answers: Receiver<Answer>,
    /// What each kind of work took, and how often it was done.
    took: BTreeMap<&'static str, (u64, Duration)>,
}

impl World {
    fn submit(&mut self, command: Command) {
        self.tokens += 1;
        let began = Instant::now();
        self.driver.submit(self.now, Token(self.tokens), command, Some(Back(self.sender.clone())));
        self.note("engine", began);
    }

    fn note(&mut self, kind: &'static str, began: Instant) {
        let (count, took) = self.took.entry(kind).or_default();
        *count += 1;
        *took += began.elapsed();
    }

    /// Makes all that was submitted durable, and gives the answers.
    fn commit(&mut self) -> Vec<Answer> {
        self.now = Time(self.now.0 + 1);
        while let Some(work) = self.driver.poll_work(self.now) {
            let (kind, writer) = match &work {
                Work::Append(_) => ("append", Some(&mut self.writer)),
                Work::Checkpoint(_) => ("checkpoint", None),
                Work::Upkeep(_) => ("upkeep", None),
                Work::Load(_) => ("load", None),
                Work::Bodies(_) => ("body", None),
                Work::Sync(_) => ("sync", None),
            };
            let began = Instant::now();
            let done = work.run(writer);
            self.note(kind, began);
            let began = Instant::now();
            self.driver.done(self.now, done);
            self.note("engine", began);
        }
        if self.driver.next_deadline() <= self.now {
            self.driver.tick(self.now);
        }
        self.answers.try_iter().collect()
    }

    fn message(&mut self, kind: &str, lane: Option<u64>) -> NewMessage {
        self.sent += 1;
        let n = self.sent;
        NewMessage {
            uuid: [0; 16],
            payload: vec![b'x'; 256],
            delay_ms: (kind == "delayed").then_some(1_000_000_000),
            priority: 0,
            lane: lane.map(|lane| Lane(scatter(lane))),
            dedup: (kind == "fifo").then(|| scatter(n << 32)),
            ..NewMessage::default()
        }
    }

    fn report(&mut self, what: &str, count: u64, before: weir_shard::Figures) {
        let after = self.driver.figures();
        println!("{what}: {count}");
        for (kind, (times, took)) in std::mem::take(&mut self.took) {
            let each = took.as_nanos() as f64 / 1000.0 / count as f64;
            println!("  {kind:>10} {each:9.3} us each, {:8.3} times each", times as f64 / count as f64);
        }
        let part = |a: u64, b: u64| (a - b) as f64 / count as f64;
        println!(
            "  rows asked for {:.3}, parked {:.3}, bodies {:.3}; {} checkpoints",
            part(after.loads, before.loads),
            part(after.parked, before.parked),
            part(after.body_loads, before.body_loads),
            after.checkpoints - before.checkpoints,
        );
        println!("  {:?}", self.driver.store().stats());
    }
}

/// Hash-like bytes of a number.
fn scatter(n: u64) -> [u8; 16] {
    let mix = |n: u64| (n ^ (n >> 31)).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29);
    let (a, b) = (mix(mix(n + 1)), mix(mix(n + 7)));
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&a.to_be_bytes());
    bytes[8..].copy_from_slice(&b.to_be_bytes());
    bytes
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let number = |at: usize, otherwise| arguments.get(at).and_then(|n| n.parse().ok()).unwrap_or(otherwise);
    let kind = arguments.get(1).map_or("ready", String::as_str);
    let (messages, groups, cycles) = (number(2, 1_000_000_u64), number(3, 100_000), number(4, 100_000));
    let (driver, writer, _) = Driver::open(MemoryDisk::new(), Options::default()).expect("an empty store opens");
    let (sender, answers) = channel();
    let took = BTreeMap::new();
    let mut world = World { driver, writer, now: Time(1_700_000_000_000), tokens: 0, sent: 0, sender, answers, took };
    let queue = create(&mut world, kind);
    let before = world.driver.figures();
    while world.sent < messages {
        for _ in 0..LOADERS {
            let batch = (0..BATCH).map(|_| {
                let lane = (kind == "fifo").then_some(world.sent % groups);
                world.message(kind, lane)
            });
            let batch: Vec<NewMessage> = batch.collect();
            world.submit(Command::Send { queue, version: 1, messages: batch.into_iter().collect() });
        }
        for answer in world.commit() {
            assert!(answer.is_ok(), "{answer:?}");
        }
    }
    world.report("loaded", messages, before);
    let before = world.driver.figures();
    for _ in 0..cycles / WORKERS {
        for _ in 0..WORKERS {
            let lane = (kind == "fifo").then_some((1 << 40) + world.sent);
            let message = world.message("ready", lane);
            let dedup = (kind == "fifo").then(|| scatter(world.sent << 32));
            let message = NewMessage { dedup, ..message };
            world.submit(Command::Send { queue, version: 1, messages: [message].into_iter().collect() });
        }
        world.commit();
        for _ in 0..WORKERS {
            let visibility_ms = Some(600_000);
            world.submit(Command::Receive {
                queue,
                max: 1,
                bytes_max: u64::MAX,
                visibility_ms,
                attempt: None,
                wait_ms: 1,
            });
        }
        for answer in world.commit() {
            if let Ok(Reply::Received(deliveries)) = answer.map(|answered| answered.reply) {
                let handles = deliveries.iter().map(|delivery| delivery.handle).collect();
                world.submit(Command::Delete { queue, handles });
            }
        }
        world.commit();
    }
    world.report("life cycles", cycles, before);
}

fn create(world: &mut World, kind: &str) -> QueueId {
    let fifo = kind == "fifo";
    world.submit(Command::CreateQueue {
        namespace: Namespace(0),
        name: "a".into(),
        kind: if fifo { Kind::Fifo } else { Kind::Standard },
        config: Config::default(),
        tags: std::collections::BTreeMap::new(),
        seed: [1; 16],
    });
    match world.commit().pop() {
        Some(Ok(answered)) => match answered.reply {
            Reply::Queue { queue, .. } => queue.id,
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}
