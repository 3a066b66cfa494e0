//! A shard, step by step, on a disk without room.

use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use weir_core::Time;
use weir_core::api::*;
use weir_shard::{Answer, Driver, Work};
use weir_store::{LogWriter, MemoryDisk, Options};

type Responder = Box<dyn FnOnce(Answer) + Send>;

struct Stepped {
    driver: Driver<MemoryDisk, Responder>,
    writer: LogWriter<MemoryDisk>,
    now: Time,
    tokens: u64,
}

impl Stepped {
    fn submit(&mut self, command: Command) -> Receiver<Answer> {
        let (sender, receiver) = channel();
        self.tokens += 1;
        let respond: Responder = Box::new(move |answer| sender.send(answer).unwrap_or_default());
        self.driver.submit(self.now, Token(self.tokens), command, Some(respond));
        receiver
    }

    /// Does all the work that there is now. Says how many groups were to be appended.
    fn work(&mut self) -> usize {
        let mut appends = 0;
        while let Some(work) = self.driver.poll_work(self.now) {
            appends += usize::from(matches!(work, Work::Append(_)));
            let done = work.run(Some(&mut self.writer));
            self.driver.done(self.now, done);
        }
        appends
    }
}

fn megabyte(queue: QueueId) -> Command {
    let message = NewMessage {
        uuid: [0; 16],
        payload: vec![7; 1 << 20],
        delay_ms: None,
        priority: 0,
        lane: None,
        dedup: None,
        ..NewMessage::default()
    };
    Command::Send { queue, version: 1, messages: [message].into_iter().collect() }
}

/// Nothing else comes to wake such a shard: commands wait outside until it is less far ahead.
#[test]
fn a_group_that_found_no_room_is_tried_again_by_a_shard_that_is_far_ahead_of_its_disk() {
    let disk = MemoryDisk::new();
    let options = Options { segment_bytes: 1 << 20, reserve_segments: 0, reserve_bytes: 0, ..Options::default() };
    let (driver, writer, _) = Driver::open(disk.clone(), options).expect("a shard");
    let mut shard = Stepped { driver, writer, now: Time(1_700_000_000_000), tokens: 0 };
    let create = Command::CreateQueue {
        namespace: Namespace(0),
        name: "a".into(),
        kind: Kind::Standard,
        config: Config::default(),
        tags: Tags::new(),
        seed: [1; 16],
    };
    let created = shard.submit(create);
    shard.work();
    let Ok(Reply::Queue { queue, .. }) = created.recv().expect("an answer").map(|answer| answer.reply) else {
        panic!("no queue");
    };

    disk.set_room(disk.used());
    let answers: Vec<_> = (0..40).map(|_| shard.submit(megabyte(queue.id))).collect();
    assert_eq!(shard.work(), 1);
    assert!(shard.driver.is_ahead() && shard.driver.poisoned().is_none());
    assert!(answers.iter().all(|answer| answer.try_recv().is_err()), "nothing is acknowledged");
    assert_eq!(shard.work(), 0, "the disk is left alone for a while");

    let deadline = shard.driver.next_deadline();
    assert!(deadline > shard.now && deadline.since(shard.now) <= Duration::from_secs(1), "woken at {deadline}");
    disk.set_room(u64::MAX);
    shard.now = deadline;
    shard.driver.tick(deadline);
    assert_eq!(shard.work(), 1);
    assert!(answers.iter().all(|answer| answer.try_recv().is_ok_and(|answer| answer.is_ok())));
    assert!(!shard.driver.is_ahead());
}
