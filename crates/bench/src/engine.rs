//! Life cycles in process: send, receive and delete, one message a command, through the shard that the server runs.
//!
//! There is no thread that makes load: each life cycle gives its next command when the last is answered, on the engine
//! thread. So what is measured is one engine thread that does everything, and a log that fsyncs before each answer.

mod bare_log;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use smallvec::smallvec;
use weir_core::api::{Command, Config, Handle, Kind, Namespace, NewMessage, QueueId, Reply};
use weir_shard::{Answer, Metrics, Refused, Respond, Shard};
use weir_store::{FileDisk, Options};

use crate::arguments::{Common, Engine};
use crate::child::memory_peak;
use crate::report::{Report, rate};
use crate::samples::Samples;
use crate::work_dir;

/// Messages of one command while the backlog is made.
const BATCH: u64 = 1000;
/// How often the figures of the shard are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// One life cycle in so many is timed.
const TIMED: usize = 64;

pub(crate) fn run(common: &Common, engine: &Engine) -> anyhow::Result<()> {
    let dir = work_dir::fresh(&common.dir)?;
    let (shard, _) = Shard::open(FileDisk::new(dir.path().join("data"))?, Options::default())?;
    let queues = create_queues(&shard, engine.queues)?;
    load(&shard, &queues, common.body, engine.backlog)?;
    let mut measured = measure(&shard, queues, common.body, engine)?;
    shard.close();
    let written = measured.log_bytes / measured.groups.max(1);
    let bare = bare_log::run(dir.path(), written as usize, Duration::from_secs(engine.seconds.min(30)))?;

    // Of the same groups, with as many life cycles in each.
    let cycles_per_group = rate(measured.cycles, measured.took) / rate(measured.groups, measured.took);
    let bare_cycles = rate(bare.groups, bare.took) * cycles_per_group;
    let cycles = rate(measured.cycles, measured.took);
    let mut report = Report::new(format!("engine, {} queues, backlog {}", engine.queues, engine.backlog));
    report.value("seconds", engine.seconds, "s").value("life cycles at once", engine.at_once, "");
    report.value("life cycles", cycles.round(), "/s");
    report.millis("answer, p50", measured.samples.percentile(50.0));
    report.millis("answer, p99", measured.samples.percentile(99.0));
    report.millis("longest commit", measured.longest_commit);
    report.rate("commits", measured.groups, measured.took, "/s");
    report.value("bytes of a commit", written, "B");
    report.value("checkpoints", measured.checkpoints, "").value("refused for a moment", measured.refused, "");
    report.value("bare log, life cycles", bare_cycles.round(), "/s");
    report.millis("bare log, longest commit", bare.longest);
    report.ratio("engine to bare log", cycles / bare_cycles);
    report.value("peak memory", memory_peak(std::process::id())? >> 20, "MiB");
    report.print()
}

/// What came of a run.
struct Measured {
    cycles: u64,
    took: Duration,
    samples: Samples,
    longest_commit: Duration,
    groups: u64,
    log_bytes: u64,
    checkpoints: u64,
    refused: u64,
}

/// Who takes an answer.
enum Taker {
    /// Somebody who waits for it.
    Waiting(Sender<Answer>),
    /// A life cycle.
    Cycle(Box<Cycle>),
}

impl Respond for Taker {
    fn respond(self, answer: Answer) {
        match self {
            // Nobody waits any more: the run has failed already.
            Taker::Waiting(sender) => drop(sender.send(answer)),
            Taker::Cycle(cycle) => cycle.go_on(answer),
        }
    }
}

/// One of the life cycles that go on at once: where it stands.
struct Cycle {
    bench: Arc<Bench>,
    queue: usize,
    step: Step,
    began: Instant,
    samples: Option<Samples>,
}

enum Step {
    Send,
    Receive,
    Delete(Handle),
}

/// What all life cycles share.
struct Bench {
    shard: Shard<Taker>,
    queues: Vec<QueueId>,
    body: Vec<u8>,
    over: AtomicBool,
    cycles: AtomicU64,
    refused: AtomicU64,
    /// Life cycles that were refused for a moment, and those that ended.
    back: Sender<Result<Box<Cycle>, String>>,
}

impl Cycle {
    /// Takes the answer to the last command and gives the next.
    fn go_on(mut self: Box<Self>, answer: Answer) {
        if let Some(samples) = &mut self.samples {
            samples.push(self.began.elapsed());
        }
        let next = match answer {
            Ok(answered) => self.after(&answered.reply),
            Err(Refused::Overloaded { .. }) => {
                self.bench.refused.fetch_add(1, Ordering::Relaxed);
                return self.hand_back();
            }
            Err(refused) => Err(refused.to_string()),
        };
        match next {
            Ok(Some(step)) => {
                self.step = step;
                self.submit();
            }
            Ok(None) => self.hand_back(),
            Err(reason) => drop(self.bench.back.clone().send(Err(reason))),
        }
    }

    /// The step after a reply; `None` when the time is over.
    fn after(&mut self, reply: &Reply) -> Result<Option<Step>, String> {
        match (&self.step, reply) {
            (Step::Send, Reply::Sent(sent)) if sent.iter().all(Result::is_ok) => Ok(Some(Step::Receive)),
            (Step::Receive, Reply::Received(deliveries)) => {
                let [delivery] = deliveries.as_slice() else { return Err("nothing to receive".to_owned()) };
                Ok(Some(Step::Delete(delivery.handle)))
            }
            (Step::Delete(_), Reply::Settled(settled)) if settled.iter().all(Result::is_ok) => {
                self.bench.cycles.fetch_add(1, Ordering::Relaxed);
                self.queue = (self.queue + 1) % self.bench.queues.len();
                Ok((!self.bench.over.load(Ordering::Relaxed)).then_some(Step::Send))
            }
            (_, reply) => Err(format!("answered {reply:?}")),
        }
    }

    fn submit(mut self: Box<Self>) {
        let Some(&queue) = self.bench.queues.get(self.queue) else { return };
        let command = match self.step {
            Step::Send => Command::Send { queue, version: 1, messages: smallvec![message(&self.bench.body)] },
            Step::Receive => {
                Command::Receive { queue, max: 1, bytes_max: u64::MAX, visibility_ms: None, attempt: None, wait_ms: 0 }
            }
            Step::Delete(handle) => Command::Delete { queue, handles: smallvec![handle] },
        };
        self.began = Instant::now();
        let bench = Arc::clone(&self.bench);
        if let Err(refused) = bench.shard.submit(command, Taker::Cycle(self)) {
            drop(bench.back.send(Err(refused.to_string())));
        }
    }

    fn hand_back(self: Box<Self>) {
        let bench = Arc::clone(&self.bench);
        drop(bench.back.send(Ok(self)));
    }
}

fn measure(shard: &Shard<Taker>, queues: Vec<QueueId>, body_bytes: usize, engine: &Engine) -> anyhow::Result<Measured> {
    let (back, handed_back) = channel();
    let bench = Arc::new(Bench {
        shard: shard.clone(),
        queues,
        body: vec![b'x'; body_bytes],
        over: AtomicBool::new(false),
        cycles: AtomicU64::new(0),
        refused: AtomicU64::new(0),
        back,
    });
    let before = shard.metrics();
    let began = Instant::now();
    for slot in 0..engine.at_once {
        let cycle = Cycle {
            bench: Arc::clone(&bench),
            queue: slot % bench.queues.len(),
            step: Step::Send,
            began,
            samples: (slot % TIMED == 0).then(Samples::default),
        };
        Box::new(cycle).submit();
    }
    let mut bytes = LogBytes::new(&before);
    while began.elapsed() < Duration::from_secs(engine.seconds) {
        std::thread::sleep(LOOK_EVERY);
        bytes.look(&shard.metrics());
        while let Ok(refused) = handed_back.try_recv() {
            refused.map_err(anyhow::Error::msg)?.submit();
        }
    }
    let (cycles, took, after) = (bench.cycles.load(Ordering::Relaxed), began.elapsed(), shard.metrics());
    bench.over.store(true, Ordering::Relaxed);
    let samples = collect(&handed_back, engine.at_once)?;
    Ok(Measured {
        cycles,
        took,
        samples,
        longest_commit: after.commit_seconds.longest,
        groups: after.figures.groups - before.figures.groups,
        log_bytes: bytes.sum,
        checkpoints: after.figures.checkpoints - before.figures.checkpoints,
        refused: bench.refused.load(Ordering::Relaxed),
    })
}

/// Takes all life cycles back.
fn collect(handed_back: &Receiver<Result<Box<Cycle>, String>>, count: usize) -> anyhow::Result<Samples> {
    let mut samples = Samples::default();
    let mut ended = 0;
    while ended < count {
        let cycle = handed_back.recv_timeout(Duration::from_mins(1)).context("a life cycle is not answered")?;
        let mut cycle = cycle.map_err(anyhow::Error::msg)?;
        if let Step::Delete(_) = cycle.step {
            ended += 1;
            samples.extend(cycle.samples.take().unwrap_or_default());
        } else {
            cycle.submit();
        }
    }
    Ok(samples)
}

/// The bytes that a log grew by, from figures that start over at every checkpoint.
pub(crate) struct LogBytes {
    last: u64,
    pub(crate) sum: u64,
}

impl LogBytes {
    pub(crate) fn new(metrics: &Metrics) -> Self {
        Self { last: metrics.store.log_bytes, sum: 0 }
    }

    pub(crate) fn look(&mut self, metrics: &Metrics) {
        let now = metrics.store.log_bytes;
        self.sum += now.checked_sub(self.last).unwrap_or(now);
        self.last = now;
    }
}

fn message(body: &[u8]) -> NewMessage {
    NewMessage {
        uuid: [7; 16],
        payload: body.to_vec(),
        delay_ms: None,
        priority: 0,
        lane: None,
        dedup: None,
        ..NewMessage::default()
    }
}

fn create_queues(shard: &Shard<Taker>, count: usize) -> anyhow::Result<Vec<QueueId>> {
    (0..count)
        .map(|n| {
            let command = Command::CreateQueue {
                namespace: Namespace(0),
                name: format!("bench-{n}"),
                kind: Kind::Standard,
                config: Config::default(),
                tags: weir_core::api::Tags::new(),
                seed: [9; 16],
            };
            match ask(shard, command)? {
                Reply::Queue { queue, .. } => Ok(queue.id),
                reply => bail!("answered {reply:?}"),
            }
        })
        .collect()
}

/// Puts `count` messages into the first queue.
fn load(shard: &Shard<Taker>, queues: &[QueueId], body_bytes: usize, count: u64) -> anyhow::Result<()> {
    let &queue = queues.first().context("no queue")?;
    let body = vec![b'x'; body_bytes];
    let mut left = count;
    while left > 0 {
        let batch = left.min(BATCH);
        let messages = (0..batch).map(|_| message(&body)).collect();
        let (sender, answer) = channel();
        shard.submit(Command::Send { queue, version: 1, messages }, Taker::Waiting(sender))?;
        match answer.recv()? {
            Ok(_) => left -= batch,
            Err(Refused::Overloaded { .. }) => std::thread::sleep(LOOK_EVERY),
            Err(refused) => return Err(refused.into()),
        }
    }
    Ok(())
}

fn ask(shard: &Shard<Taker>, command: Command) -> anyhow::Result<Reply> {
    let (sender, answer) = channel();
    shard.submit(command, Taker::Waiting(sender))?;
    Ok(answer.recv()??.reply)
}
