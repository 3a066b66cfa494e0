//! A shard on its threads, over memory and over files.

use std::sync::mpsc::{Receiver, Sender, channel};

use weir_core::api::*;
use weir_shard::{Answer, Answered, OpenShardError, Refused, Shard};
use weir_store::disk::{Disk, DiskFile};
use weir_store::{FileDisk, MemoryDisk, OpenError, Options};

type Responder = Box<dyn FnOnce(Answer) + Send>;

struct Client {
    shard: Shard<Responder>,
}

impl Client {
    fn open<D: Disk>(disk: D, options: Options) -> Self {
        let (shard, _) = Shard::open(disk, options).expect("the shard opens");
        Self { shard }
    }

    fn start(&self, command: Command) -> (Token, Receiver<Answer>) {
        let (sender, receiver) = channel();
        let respond: Responder = Box::new(move |answer| sender.send(answer).unwrap_or_default());
        (self.shard.submit(command, respond).expect("room for a command"), receiver)
    }

    fn ask(&self, command: Command) -> Result<Answered, Refused> {
        self.start(command).1.recv().expect("an answer")
    }

    fn create(&self, name: &str) -> QueueId {
        let command = Command::CreateQueue {
            namespace: Namespace(0),
            name: name.into(),
            kind: Kind::Standard,
            config: Config::default(),
            tags: Tags::new(),
            seed: [1; 16],
        };
        match self.ask(command).expect("a queue").reply {
            Reply::Queue { queue, .. } => queue.id,
            other => panic!("{other:?}"),
        }
    }

    fn send(&self, queue: QueueId, text: &str) {
        self.ask(send(queue, text)).expect("sent");
    }

    fn receive(&self, queue: QueueId, max: u32) -> Vec<(Handle, String)> {
        let answer = self.ask(receive(queue, max, 0)).expect("received");
        let Reply::Received(deliveries) = answer.reply else { panic!("not what a receive gets") };
        let handles = deliveries.into_iter().map(|delivery| delivery.handle);
        let texts = answer.payloads.iter().map(|payload| String::from_utf8_lossy(payload).into_owned());
        handles.zip(texts).collect()
    }

    fn delete(&self, queue: QueueId, handle: Handle) {
        self.ask(Command::Delete { queue, handles: [handle].into_iter().collect() }).expect("deleted");
    }
}

fn send(queue: QueueId, text: &str) -> Command {
    let message = NewMessage {
        uuid: [0; 16],
        payload: text.as_bytes().to_vec(),
        delay_ms: None,
        priority: 0,
        lane: None,
        dedup: None,
        ..NewMessage::default()
    };
    Command::Send { queue, version: 1, messages: [message].into_iter().collect() }
}

fn receive(queue: QueueId, max: u32, wait_ms: u64) -> Command {
    Command::Receive { queue, max, bytes_max: u64::MAX, visibility_ms: None, attempt: None, wait_ms }
}

/// So small that a few hundred messages make segments, checkpoints and windows come and go.
fn tiny() -> Options {
    Options {
        segment_bytes: 16 << 10,
        checkpoint_log_bytes: 32 << 10,
        checkpoint_overlay_bytes: 64 << 10,
        body_cache_bytes: 4 << 10,
        window_bytes_max: 16 << 10,
        ..Options::default()
    }
}

#[test]
fn two_commands_that_are_handed_over_together_are_one_commit_in_their_order() {
    let client = Client::open(MemoryDisk::new(), tiny());
    let queue = client.create("a");
    for n in 0..50 {
        let before = client.shard.metrics().commit_seconds.count();
        let (sender, receiver) = channel();
        let respond = |to: Sender<Answer>| -> Responder { Box::new(move |answer| to.send(answer).unwrap_or_default()) };
        let text = format!("message {n}");
        let both = client
            .shard
            .submit_both((send(queue, &text), respond(sender.clone())), (receive(queue, 1, 20_000), respond(sender)));
        let (first, second) = both.expect("room for two commands");
        assert!(first < second);
        let sent = receiver.recv().expect("an answer").expect("sent").reply;
        assert!(matches!(sent, Reply::Sent(_)), "{sent:?}");
        let brought = receiver.recv().expect("an answer").expect("received");
        assert_eq!(brought.payloads, [text.as_bytes()]);
        assert_eq!(client.shard.metrics().commit_seconds.count(), before + 1);
    }
}

#[test]
fn messages_survive_a_close_and_a_reopening_in_order() {
    let folder = tempfile::tempdir().expect("a folder");
    let open = || Client::open(FileDisk::new(folder.path()).expect("a disk"), tiny());
    let client = open();
    let queue = client.create("a");
    let text = |n: usize| format!("{n:04} {}", "x".repeat(200));
    for n in 0..1_000 {
        client.send(queue, &text(n));
    }
    for (n, (handle, got)) in client.receive(queue, 10).into_iter().enumerate() {
        assert_eq!(got, text(n));
        client.delete(queue, handle);
    }
    client.shard.close();
    let client = open();
    assert_eq!(client.shard.directory().find(Namespace(0), "a").expect("the queue").id, queue);
    let mut next = 10;
    while next < 1_000 {
        let got = client.receive(queue, 7);
        assert!(!got.is_empty(), "{next} of 1000");
        for (handle, got) in got {
            assert_eq!(got, text(next));
            client.delete(queue, handle);
            next += 1;
        }
    }
    assert!(client.receive(queue, 1).is_empty());
    assert!(client.shard.metrics().figures.checkpoints > 0);
    client.shard.close();
}

#[test]
fn a_close_answers_who_waits_and_refuses_who_comes() {
    let client = Client::open(MemoryDisk::new(), Options::default());
    let queue = client.create("a");
    let (_, waiting) = client.start(receive(queue, 1, 3_600_000));
    client.shard.close();
    let answer = waiting.recv().expect("an answer").expect("an empty receive");
    assert_eq!(answer.reply, Reply::Received(Vec::new()));
    let respond: Responder = Box::new(|_| {});
    assert_eq!(client.shard.submit(send(queue, "x"), respond), Err(Refused::Closed));
}

#[test]
fn a_message_goes_to_the_receiver_who_waits_unless_it_was_withdrawn() {
    let client = Client::open(MemoryDisk::new(), Options::default());
    let queue = client.create("a");
    let (token, first) = client.start(receive(queue, 1, 3_600_000));
    let (_, second) = client.start(receive(queue, 1, 3_600_000));
    client.shard.cancel(token);
    assert_eq!(first.recv().expect("an answer").expect("empty").reply, Reply::Received(Vec::new()));
    client.send(queue, "hello");
    assert_eq!(second.recv().expect("an answer").expect("a message").payloads, ["hello"]);
    client.shard.close();
}

#[test]
fn a_failing_disk_stops_acknowledgements_and_a_restart_has_what_was_acknowledged() {
    let disk = MemoryDisk::new();
    let client = Client::open(disk.clone(), Options::default());
    let queue = client.create("a");
    client.send(queue, "acknowledged");
    disk.set_failing(true);
    assert!(matches!(client.ask(send(queue, "not")), Err(Refused::Poisoned { .. })));
    assert!(matches!(client.ask(receive(queue, 1, 0)), Err(Refused::Poisoned { .. })));
    client.shard.close();
    disk.set_failing(false);
    let client = Client::open(disk, Options::default());
    assert_eq!(client.receive(queue, 10).len(), 1);
    client.shard.close();
}

#[test]
fn a_backup_made_while_serving_opens_with_all_that_was_acknowledged() {
    let client = Client::open(MemoryDisk::new(), tiny());
    let queue = client.create("a");
    for n in 0..100 {
        client.send(queue, &format!("{n}"));
    }
    let backup = client.shard.backup().expect("a backup");
    client.send(queue, "later");
    let copy = MemoryDisk::new();
    backup.run(&copy).expect("copied");
    // One more, though nothing was written since the last checkpoint but what the first one left.
    client.shard.backup().expect("another backup");
    client.shard.close();
    assert!(matches!(client.shard.backup(), Err(Refused::Closed)));
    let copied = Client::open(copy, tiny());
    let mut texts = Vec::new();
    while texts.len() < 100 {
        let got = copied.receive(queue, 10);
        assert!(!got.is_empty(), "{} of 100", texts.len());
        texts.extend(got.into_iter().map(|(_, text)| text));
    }
    assert_eq!(texts, (0..100).map(|n| n.to_string()).collect::<Vec<_>>());
    assert!(copied.receive(queue, 1).is_empty());
    copied.shard.close();
}

#[test]
fn a_copy_that_outlives_its_shard_keeps_the_directory_locked() {
    let disk = MemoryDisk::new();
    let client = Client::open(disk.clone(), tiny());
    client.create("a");
    let backup = client.shard.backup().expect("a backup");
    client.shard.close();
    let again = Shard::<Responder>::open(disk.clone(), tiny());
    let error = again.expect_err("refused");
    assert!(matches!(error, OpenShardError::Store(OpenError::Locked)), "{error}");
    drop(backup);
    Client::open(disk, tiny()).shard.close();
}

#[test]
fn a_payload_that_changed_on_the_disk_while_it_was_served_is_never_delivered() {
    let disk = MemoryDisk::new();
    let client = Client::open(disk.clone(), Options { body_cache_bytes: 0, ..tiny() });
    let queue = client.create("a");
    let text = "needle ".repeat(40);
    client.send(queue, &text);
    let mut found = 0;
    for name in disk.names() {
        // A spare segment may be renamed meanwhile; it holds nothing.
        let Ok(file) = disk.open(&name, false) else { continue };
        let mut bytes = vec![0; usize::try_from(file.len().expect("a length")).expect("a small file")];
        file.read_at(&mut bytes, 0).expect("its content");
        if let Some(at) = bytes.windows(text.len()).position(|window| window == text.as_bytes()) {
            file.write_at(b"N", at as u64).expect("written");
            found += 1;
        }
    }
    assert_eq!(found, 1, "the payload is in the log");
    assert!(matches!(client.ask(receive(queue, 1, 0)), Err(Refused::Poisoned { .. })));
    client.shard.close();
}
