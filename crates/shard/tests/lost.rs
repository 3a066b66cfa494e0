//! What a repair of the store has cut: messages whose payload is gone are given up, and the rest is served.

use std::sync::mpsc::channel;

use weir_core::api::job::{Extra, FailureKind, JobRef, JobState, NewJob};
use weir_core::api::*;
use weir_shard::{Answer, Answered, Shard};
use weir_store::disk::{Disk, DiskFile};
use weir_store::{Cut, MemoryDisk, Options, repair};

type Responder = Box<dyn FnOnce(Answer) + Send>;

/// Payloads of 200 bytes are blobs.
fn options() -> Options {
    Options { segment_bytes: 16 << 10, blob_bytes_min: 200, blob_segment_bytes: 64 << 10, ..Options::default() }
}

fn open(disk: &MemoryDisk) -> Shard<Responder> {
    Shard::open(disk.clone(), options()).expect("the shard opens").0
}

fn ask(shard: &Shard<Responder>, command: Command) -> Answered {
    let (sender, receiver) = channel();
    let respond: Responder = Box::new(move |answer| sender.send(answer).unwrap_or_default());
    shard.submit(command, respond).expect("room for a command");
    receiver.recv().expect("an answer").expect("no refusal")
}

fn create(shard: &Shard<Responder>, kind: Kind) -> QueueId {
    let name = if kind == Kind::Fifo { "a.fifo" } else { "a" }.to_owned();
    let (namespace, config, tags) = (Namespace(0), Config::default(), Tags::new());
    match ask(shard, Command::CreateQueue { namespace, name, kind, config, tags, seed: [1; 16] }).reply {
        Reply::Queue { queue, .. } => queue.id,
        other => panic!("{other:?}"),
    }
}

fn message(text: &str, lane: Option<Lane>) -> NewMessage {
    NewMessage { payload: text.as_bytes().to_vec(), lane, ..NewMessage::default() }
}

fn send(shard: &Shard<Responder>, queue: QueueId, text: &str, lane: Option<Lane>) {
    let messages = std::iter::once(message(text, lane)).collect();
    ask(shard, Command::Send { queue, version: 1, messages });
}

fn receive(shard: &Shard<Responder>, queue: QueueId, wait_ms: u64) -> Vec<(Handle, String)> {
    let command = Command::Receive { queue, max: 10, bytes_max: u64::MAX, visibility_ms: None, attempt: None, wait_ms };
    received(ask(shard, command))
}

fn received(answer: Answered) -> Vec<(Handle, String)> {
    let Reply::Received(deliveries) = answer.reply else { panic!("not what a receive gets") };
    assert_eq!(deliveries.len(), answer.payloads.len());
    let texts = answer.payloads.iter().map(|payload| String::from_utf8_lossy(payload).into_owned());
    deliveries.into_iter().map(|delivery| delivery.handle).zip(texts).collect()
}

fn counters(shard: &Shard<Responder>, queue: QueueId) -> Counters {
    match ask(shard, Command::QueueStats { queue }).reply {
        Reply::Stats { counters, .. } => counters,
        other => panic!("{other:?}"),
    }
}

/// Damages the one place on the disk where `text` stands, and lets it be repaired.
fn lose(disk: &MemoryDisk, text: &str) {
    let mut found = 0;
    for name in disk.names() {
        let file = disk.open(&name, false).expect("a file");
        let mut bytes = vec![0; usize::try_from(file.len().expect("a length")).expect("a small file")];
        file.read_at(&mut bytes, 0).expect("its content");
        if let Some(at) = bytes.windows(text.len()).position(|window| window == text.as_bytes()) {
            file.write_at(b"?", at as u64).expect("written");
            found += 1;
        }
    }
    assert_eq!(found, 1, "the payload is in one place");
    let cuts = repair(disk, &options()).expect("repaired");
    assert!(matches!(cuts.as_slice(), [Cut::Blob { .. }]), "{cuts:?}");
}

fn long(text: &str) -> String {
    text.repeat(100)
}

#[test]
fn a_message_whose_payload_was_cut_is_left_out_and_deleted_and_the_others_are_received() {
    let disk = MemoryDisk::new();
    let shard = open(&disk);
    let queue = create(&shard, Kind::Standard);
    for text in ["first ", "second ", "third "] {
        send(&shard, queue, &long(text), None);
    }
    shard.close();
    lose(&disk, &long("second "));
    let shard = open(&disk);
    let (states, payload_bytes_max) = (States { ready: true, ..States::default() }, Some(u64::MAX));
    let listed = ask(&shard, Command::List { queue, states, after: 0, max: 10, payload_bytes_max });
    let Reply::Listed { messages, .. } = listed.reply else { panic!("not a listing") };
    assert_eq!((messages.len(), listed.payloads.len()), (2, 2));
    assert_eq!(listed.payloads, [long("first "), long("third ")]);
    let texts: Vec<_> = receive(&shard, queue, 0).into_iter().map(|(_, text)| text).collect();
    assert_eq!(texts, [long("first "), long("third ")]);
    assert_eq!(counters(&shard, queue).leased, 2, "those that were delivered");
    assert_eq!(shard.metrics().poisoned, None);
    shard.close();
    assert_eq!(shard.metrics().figures.payloads_lost, 1);
    let shard = open(&disk);
    assert_eq!(counters(&shard, queue), Counters { leased: 2, ..Counters::default() }, "it is deleted for good");
    shard.close();
}

#[test]
fn a_group_goes_on_behind_a_message_whose_payload_was_cut() {
    let disk = MemoryDisk::new();
    let shard = open(&disk);
    let queue = create(&shard, Kind::Fifo);
    send(&shard, queue, &long("first "), Some(Lane([1; 16])));
    send(&shard, queue, "second", Some(Lane([1; 16])));
    shard.close();
    lose(&disk, &long("first "));
    let shard = open(&disk);
    let command =
        Command::Receive { queue, max: 1, bytes_max: u64::MAX, visibility_ms: None, attempt: None, wait_ms: 0 };
    assert_eq!(received(ask(&shard, command)), []);
    let second = receive(&shard, queue, 3_600_000);
    assert_eq!(second.iter().map(|(_, text)| text.as_str()).collect::<Vec<_>>(), ["second"]);
    shard.close();
}

#[test]
fn a_job_whose_payload_was_cut_fails_for_good_and_is_told_without_it() {
    let disk = MemoryDisk::new();
    let shard = open(&disk);
    let queue = create(&shard, Kind::Standard);
    for text in ["first ", "second "] {
        let job = NewJob { queue, version: 1, message: message(&long(text), None) };
        ask(&shard, Command::AddJobs { jobs: vec![job], idempotency: None });
    }
    shard.close();
    lose(&disk, &long("first "));
    let shard = open(&disk);
    let command = Command::Lease {
        queue,
        max: 10,
        bytes_max: u64::MAX,
        lease_ms: None,
        wait_ms: 0,
        linger_ms: 0,
        one_lane: false,
    };
    let leased = received(ask(&shard, command));
    let [(handle, text)] = leased.as_slice() else { panic!("{leased:?}") };
    assert_eq!(*text, long("second "));
    assert_eq!(counters(&shard, queue), Counters { leased: 1, failed: 1, ..Counters::default() });
    let job = JobRef::Id(handle.message - 1);
    let answer = ask(&shard, Command::DescribeJob { queue, job, wait_ms: 0 });
    let Reply::Job(job) = &answer.reply else { panic!("{answer:?}") };
    assert_eq!((job.state, job.body.clone(), job.failed), (JobState::Failed, None, Some(FailureKind::Reported)));
    let stored = job.history.iter().filter(|attempt| matches!(attempt.failure, Some(Extra::Stored(_)))).count();
    assert_eq!((job.history.len(), stored, answer.payloads.len()), (1, 1, 1));
    assert_eq!(answer.payloads, [r#"{"message":"the payload was lost when the store was repaired"}"#]);
    let (state, payload_bytes_max) = (JobState::Failed, Some(u64::MAX));
    let page = ask(&shard, Command::ListJobs { queue, state, after: None, max: 10, payload_bytes_max });
    assert!(matches!(&page.reply, Reply::Jobs(page) if page.jobs.is_empty()), "{page:?}");
    assert_eq!(shard.metrics().figures.payloads_lost, 1);
    shard.close();
}
