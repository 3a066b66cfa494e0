//! What a directory of the past has lived through, and what must be found in it.

use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use weir_core::Time;
use weir_core::api::*;
use weir_shard::{Answer, Answered, Driver};
use weir_store::{LogWriter, MemoryDisk, Options, Recovery};

use crate::archive::Notes;

type Responder = Box<dyn FnOnce(Answer) + Send>;

const START: Time = Time(1_700_000_000_000);
const HOUR: Duration = Duration::from_hours(1);

/// A shard that is driven by hand, at moments that are told to it.
struct Stepped {
    driver: Driver<MemoryDisk, Responder>,
    writer: LogWriter<MemoryDisk>,
    now: Time,
    tokens: u64,
}

fn options() -> Options {
    Options { segment_bytes: 16 << 10, reserve_segments: 0, reserve_bytes: 0, salt: 7, ..Options::default() }
}

impl Stepped {
    fn open(disk: MemoryDisk, now: Time) -> (Self, Recovery) {
        let (driver, writer, recovery) = Driver::open(disk, options()).expect("the shard opens");
        (Self { driver, writer, now, tokens: 0 }, recovery)
    }

    fn ask(&mut self, command: Command) -> Answered {
        let (sender, receiver): (_, Receiver<Answer>) = channel();
        self.tokens += 1;
        let respond: Responder = Box::new(move |answer| sender.send(answer).unwrap_or_default());
        self.driver.submit(self.now, Token(self.tokens), command, Some(respond));
        self.work();
        receiver.try_recv().expect("an answer").expect("no error")
    }

    fn work(&mut self) {
        while let Some(work) = self.driver.poll_work(self.now) {
            let done = work.run(Some(&mut self.writer));
            self.driver.done(self.now, done);
        }
    }

    fn go_to(&mut self, now: Time) {
        self.now = now;
        while self.driver.next_deadline() <= now {
            self.driver.tick(now);
            self.work();
        }
    }

    fn checkpoint(&mut self) {
        self.driver.want_backup();
        self.work();
        self.driver.take_backup().expect("a checkpoint");
    }

    fn create(&mut self, name: &str, kind: Kind, config: Config, seed: u8) -> QueueId {
        let tags = [("origin".to_owned(), name.to_owned())].into();
        let seed = [seed; 16];
        let command = Command::CreateQueue { namespace: Namespace(0), name: name.into(), kind, config, tags, seed };
        match self.ask(command).reply {
            Reply::Queue { queue, .. } => queue.id,
            other => panic!("{other:?}"),
        }
    }

    fn send(&mut self, queue: QueueId, message: NewMessage) -> Sent {
        match self.ask(Command::Send { queue, version: 1, messages: [message].into_iter().collect() }).reply {
            Reply::Sent(sent) => sent.into_iter().next().expect("one result").expect("sent"),
            other => panic!("{other:?}"),
        }
    }

    /// Receives everything: one receive brings what is in memory, and has the rest loaded for the next.
    fn receive_all(&mut self, queue: QueueId) -> Vec<(Delivery, String)> {
        let mut all = Vec::new();
        loop {
            match self.receive(queue, 10, HOUR) {
                some if some.is_empty() => return all,
                some => all.extend(some),
            }
        }
    }

    fn receive(&mut self, queue: QueueId, max: u32, visibility: Duration) -> Vec<(Delivery, String)> {
        let visibility_ms = u64::try_from(visibility.as_millis()).ok();
        let answer =
            self.ask(Command::Receive { queue, max, bytes_max: u64::MAX, visibility_ms, attempt: None, wait_ms: 0 });
        let Reply::Received(deliveries) = answer.reply else { panic!("not what a receive gets") };
        let texts = answer.payloads.iter().map(|payload| String::from_utf8_lossy(payload).into_owned());
        deliveries.into_iter().zip(texts).collect()
    }

    fn delete(&mut self, queue: QueueId, handle: Handle) {
        let answer = self.ask(Command::Delete { queue, handles: [handle].into_iter().collect() });
        assert_eq!(answer.reply, Reply::Settled([Ok(())].into_iter().collect()));
    }

    fn find(&self, name: &str) -> Queue {
        let queue = self.driver.directory().find(Namespace(0), name);
        Queue::clone(&queue.unwrap_or_else(|| panic!("queue {name} is there")))
    }

    fn counters(&mut self, name: &str) -> (u64, u64, u64) {
        let queue = self.find(name).id;
        match self.ask(Command::QueueStats { queue }).reply {
            Reply::Stats { counters, .. } => (counters.ready, counters.delayed, counters.leased),
            other => panic!("{other:?}"),
        }
    }
}

fn message(name: &str) -> NewMessage {
    NewMessage {
        uuid: [9; 16],
        payload: payload(name).into(),
        delay_ms: None,
        priority: 0,
        lane: None,
        dedup: None,
        ..NewMessage::default()
    }
}

fn in_lane(text: &str, lane: u8) -> NewMessage {
    let mut dedup = [0; 16];
    dedup[..text.len()].copy_from_slice(text.as_bytes());
    NewMessage { lane: Some(Lane([lane; 16])), dedup: Some(dedup), ..message(text) }
}

fn work_config() -> Config {
    Config { redrive: Some(Redrive { target: "dead".into(), receives_max: 1 }), ..Config::default() }
}

/// Longer than a segment of the log.
const LARGE: &str = "b 100000 times";
/// Longer than a row.
const LONG: &str = "c 10000 times";

/// The payload that a name stands for.
fn payload(name: &str) -> String {
    match name {
        LARGE => "b".repeat(100_000),
        LONG => "c".repeat(10_000),
        name => name.to_owned(),
    }
}

/// Lives the story. Returns the directory as a kill leaves it, as a clean end leaves it, and a handle given out.
pub(crate) fn live() -> (MemoryDisk, MemoryDisk, Notes) {
    let disk = MemoryDisk::new();
    let (mut shard, _) = Stepped::open(disk.clone(), START);
    shard.create("dead", Kind::Standard, Config::default(), 1);
    let work = shard.create("work", Kind::Standard, work_config(), 2);
    let fifo = shard.create("work.fifo", Kind::Fifo, Config::default(), 3);
    let gone = shard.create("gone", Kind::Standard, Config::default(), 4);
    shard.send(work, NewMessage { priority: 5, ..message("low") });
    shard.send(work, message("high"));
    shard.send(work, NewMessage { delay_ms: Some(600_000), ..message("later") });
    shard.send(work, message(LARGE));
    for (text, lane) in [("a1", 1), ("a2", 1), ("b1", 2)] {
        shard.send(fifo, in_lane(text, lane));
    }
    shard.send(gone, message("gone"));
    shard.checkpoint();

    // What follows is in the log alone.
    shard.go_to(START.after(Duration::from_secs(1)));
    shard.send(work, message(LONG));
    let high = shard.receive(work, 1, HOUR / 2);
    assert_eq!(high[0].1, "high");
    let first = shard.receive(fifo, 1, HOUR);
    assert_eq!(first[0].1, "a1");
    let taken = shard.receive(gone, 1, HOUR);
    shard.delete(gone, taken[0].0.handle);
    let killed = disk.copy();

    shard.driver.close();
    shard.work();
    shard.driver.into_store().close().expect("a clean end");
    let Handle { space, message, grant, proof } = first[0].0.handle;
    let notes = [("space", space), ("message", message), ("grant", grant.into()), ("proof", proof)];
    (killed, disk.copy(), notes.map(|(name, value)| (name.to_owned(), value.to_string())).into())
}

/// Opens a directory that has lived the story, and looks for all of it.
pub(crate) fn check(disk: MemoryDisk, notes: &Notes, clean: bool) {
    let (mut shard, recovery) = Stepped::open(disk, START.after(Duration::from_secs(2)));
    assert_eq!((recovery.clean, recovery.torn), (clean, None));
    assert!(recovery.last_time >= START.after(Duration::from_secs(1)));

    let work = shard.find("work");
    assert_eq!((work.kind, &work.config, work.version), (Kind::Standard, &work_config(), 1));
    assert_eq!(work.tags, [("origin".to_owned(), "work".to_owned())].into());
    let fifo = shard.find("work.fifo");
    assert_eq!((fifo.kind, fifo.created_at), (Kind::Fifo, START));
    assert_eq!(shard.counters("work"), (3, 1, 1), "low, large and long; later; high");
    assert_eq!(shard.counters("work.fifo"), (2, 0, 1));
    assert_eq!((shard.counters("gone"), shard.counters("dead")), ((0, 0, 0), (0, 0, 0)));

    assert!(shard.send(fifo.id, in_lane("a2", 1)).duplicate, "five minutes are not over");
    assert_eq!(names(&shard.receive_all(fifo.id)), ["b1"], "group 1 waits for its head");
    let number = |name: &str| notes[name].parse::<u64>().expect("a number");
    let grant = u32::try_from(number("grant")).expect("a small number");
    let handle = Handle { space: number("space"), message: number("message"), grant, proof: number("proof") };
    shard.delete(fifo.id, handle);
    assert_eq!(names(&shard.receive_all(fifo.id)), ["a2"]);

    shard.go_to(START.after(HOUR));
    let came = shard.receive_all(work.id);
    assert_eq!(names(&came), ["later", LARGE, LONG, "low"], "by priority, then in the order of sending");
    assert!(came.iter().all(|(delivery, _)| delivery.grants == 1));
    let dead = shard.find("dead").id;
    let came = shard.receive_all(dead);
    assert_eq!(names(&came), ["high"]);
    assert_eq!(came[0].0.dead_letter_source.as_deref(), Some("work"));
}

/// The names of what came, which is whole.
fn names(came: &[(Delivery, String)]) -> Vec<&str> {
    let name = |text: &str| [LARGE, LONG].into_iter().find(|name| payload(name) == text);
    came.iter().map(|(_, text)| name(text).unwrap_or(text)).collect()
}
