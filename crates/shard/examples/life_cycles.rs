//! The processor time of a message's life, without a disk: send, receive and delete, each a command of its own, in
//! groups of 128 commands, on one thread over files in memory. `cargo run --release --example life_cycles [COUNT]`.

#![expect(clippy::print_stdout, reason = "the figure is what it is run for")]

use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Instant;

use weir_core::Time;
use weir_core::api::{Command, Config, Kind, Namespace, NewMessage, QueueId, Reply, Tags, Token};
use weir_shard::{Answer, Driver, Respond, Work};
use weir_store::{LogWriter, MemoryDisk, Options};

const GROUP: u64 = 128;

/// Sends the answer, and with it the number of the life cycle, back.
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
    sender: Sender<Answer>,
    answers: Receiver<Answer>,
}

impl World {
    fn submit(&mut self, command: Command) {
        self.tokens += 1;
        self.driver.submit(self.now, Token(self.tokens), command, Some(Back(self.sender.clone())));
    }

    /// Makes all that was submitted durable, and gives the answers.
    fn commit(&mut self) -> Vec<Answer> {
        self.now = Time(self.now.0 + 1);
        while let Some(work) = self.driver.poll_work(self.now) {
            let writer = matches!(work, Work::Append(_)).then_some(&mut self.writer);
            let done = work.run(writer);
            self.driver.done(self.now, done);
        }
        self.answers.try_iter().collect()
    }
}

fn main() {
    let cycles = std::env::args().nth(1).and_then(|count| count.parse().ok()).unwrap_or(1_000_000_u64);
    let (driver, writer, _) = Driver::open(MemoryDisk::new(), Options::default()).expect("an empty store opens");
    let (sender, answers) = channel();
    let mut world = World { driver, writer, now: Time(1_700_000_000_000), tokens: 0, sender, answers };
    let queue = create(&mut world);
    let started = Instant::now();
    for _ in 0..cycles / GROUP {
        for _ in 0..GROUP {
            world.submit(send(queue));
        }
        world.commit();
        for _ in 0..GROUP {
            world.submit(Command::Receive {
                queue,
                max: 1,
                bytes_max: u64::MAX,
                visibility_ms: None,
                attempt: None,
                wait_ms: 0,
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
    let ns = started.elapsed().as_nanos() / u128::from(cycles / GROUP * GROUP);
    println!("{ns} ns for a life cycle, of which {} checkpoints are a part", world.driver.figures().checkpoints);
}

fn create(world: &mut World) -> QueueId {
    world.submit(Command::CreateQueue {
        namespace: Namespace(0),
        name: "a".into(),
        kind: Kind::Standard,
        config: Config::default(),
        tags: Tags::new(),
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

fn send(queue: QueueId) -> Command {
    let message = NewMessage {
        uuid: [0; 16],
        payload: vec![b'x'; 256],
        delay_ms: None,
        priority: 0,
        lane: None,
        dedup: None,
        ..NewMessage::default()
    };
    Command::Send { queue, version: 1, messages: [message].into_iter().collect() }
}
