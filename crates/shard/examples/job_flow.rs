//! The processor time of a job's life, without a disk and without HTTP: added, leased and completed a thousand at a time,
//! 32 000 of them waiting, on one thread over files in memory. With no limiter, with one that all share, and with one of
//! a thousand keys; none is ever in the way. `cargo run --release -p weir-shard --example job_flow [JOBS [WHICH]]`.

#![expect(clippy::print_stdout, reason = "the figures are what it is run for")]

use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use weir_core::Time;
use weir_core::api::job::{Keep, NewJob, Settlement};
use weir_core::api::limit::{LimitKey, LimiterUse, Limits};
use weir_core::api::{Command, Config, Handle, Kind, Namespace, NewMessage, Queue, Reply, Tags, Token};
use weir_core::limiter::{Counts, Terms, Unknown, Window};
use weir_shard::{Answer, Driver, Respond, Work};
use weir_store::{LogWriter, MemoryDisk, Options};

const BATCH: u64 = 1_000;
const WAITING: u64 = 32_000;
const KEYS: u64 = 1_000;

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
    sender: Sender<Answer>,
    answers: Receiver<Answer>,
    /// Time of the log and the checkpoints, which are other threads' elsewhere.
    elsewhere: Duration,
}

impl World {
    fn submit(&mut self, command: Command) {
        self.tokens += 1;
        self.driver.submit(self.now, Token(self.tokens), command, Some(Back(self.sender.clone())));
    }

    /// Makes all that was submitted durable, and gives the answers.
    fn commit(&mut self) -> Vec<Reply> {
        self.now = Time(self.now.0 + 1);
        while let Some(work) = self.driver.poll_work(self.now) {
            let began = processor_time();
            let writer = matches!(work, Work::Append(_)).then_some(&mut self.writer);
            let done = work.run(writer);
            self.elsewhere += processor_time().saturating_sub(began);
            self.driver.done(self.now, done);
        }
        self.answers.try_iter().map(|answer| answer.expect("every command makes sense").reply).collect()
    }

    fn ask(&mut self, command: Command) -> Reply {
        self.submit(command);
        self.commit().pop().expect("an answer to every command")
    }
}

/// What the engine's thread had to do.
#[derive(Default)]
struct Spent {
    adding: Duration,
    leasing: Duration,
    settling: Duration,
    committing: Duration,
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let jobs = arguments.next().and_then(|count| count.parse().ok()).unwrap_or(1_000_000_u64);
    let which = arguments.next();
    println!(
        "ns a job on the engine's thread  {:>8} {:>8} {:>8} {:>8} {:>8}",
        "add", "lease", "settle", "commit", "all"
    );
    let all: [(&str, &[Option<&str>]); 3] = [("none", &[]), ("shared", &[None]), ("keyed", &[Some("data.key")])];
    for (name, uses) in all {
        if which.as_deref().is_none_or(|which| which == name) {
            let spent = run(jobs, uses);
            let each = |spent: Duration| spent.as_nanos() / u128::from(jobs);
            let Spent { adding, leasing, settling, committing } = spent;
            let (add, lease, settle, commit) = (each(adding), each(leasing), each(settling), each(committing));
            let sum = add + lease + settle + commit;
            println!("limiter: {name:<24} {add:>8} {lease:>8} {settle:>8} {commit:>8} {sum:>8}");
        }
    }
}

fn run(jobs: u64, uses: &[Option<&str>]) -> Spent {
    let (driver, writer, _) = Driver::open(MemoryDisk::new(), Options::default()).expect("an empty store opens");
    let (sender, answers) = channel();
    let now = Time(1_700_000_000_000);
    let mut world = World { driver, writer, now, tokens: 0, sender, answers, elsewhere: Duration::ZERO };
    let queue = create(&mut world, uses);
    let mut spent = Spent::default();
    for first in 0..WAITING / BATCH {
        world.submit(add(&queue, first * BATCH, uses.len()));
        world.commit();
    }
    world.elsewhere = Duration::ZERO;
    for round in 0..jobs / BATCH {
        let jobs = add(&queue, (WAITING / BATCH + round) * BATCH, uses.len());
        timed(&mut spent.adding, || world.submit(jobs));
        timed(&mut spent.committing, || world.commit());
        timed(&mut spent.leasing, || world.submit(lease(&queue)));
        let answers = timed(&mut spent.committing, || world.commit());
        let handles: Vec<Handle> = answers.iter().flat_map(handles).collect();
        assert_eq!(handles.len() as u64, BATCH, "every lease is full");
        if !uses.is_empty() {
            let handles = handles.iter().copied().collect();
            timed(&mut spent.leasing, || world.submit(Command::Released { queue: queue.id, handles }));
        }
        let entries = handles.into_iter().map(|handle| (handle, Settlement::Complete { result: None })).collect();
        timed(&mut spent.settling, || world.submit(Command::Settle { queue: queue.id, entries, seed: round }));
        timed(&mut spent.committing, || world.commit());
    }
    spent.committing = spent.committing.saturating_sub(world.elsewhere);
    spent
}

fn timed<T>(spent: &mut Duration, work: impl FnOnce() -> T) -> T {
    let began = processor_time();
    let outcome = work();
    *spent += processor_time().saturating_sub(began);
    outcome
}

/// What this thread has had of the processor: others may use the machine too.
fn processor_time() -> Duration {
    clock_gettime(ClockId::ThreadCPUTime).try_into().unwrap_or_default()
}

fn handles(reply: &Reply) -> Vec<Handle> {
    match reply {
        Reply::Received(deliveries) => deliveries.iter().map(|delivery| delivery.handle).collect(),
        _ => Vec::new(),
    }
}

fn create(world: &mut World, uses: &[Option<&str>]) -> std::sync::Arc<Queue> {
    let namespace = Namespace(0);
    for _ in uses {
        // More than is used, so that nothing waits.
        let windows = vec![Window { max: 900_000_000, per_ms: 1_000, counts: Counts::Starts }];
        let terms = Terms { windows, concurrency: Some(900_000_000), ..Terms::default() };
        world.ask(Command::PutLimiter { namespace, name: "wide".into(), terms, unknown: Unknown::Full });
    }
    let limiters =
        uses.iter().map(|key| LimiterUse { limiter: "wide".into(), key: key.map(str::to_owned), cost: None });
    let config = Config { limiters: limiters.collect(), keep_completed: Keep::NONE, ..Config::default() };
    let (kind, tags) = (Kind::Standard, Tags::new());
    match world.ask(Command::CreateQueue { namespace, name: "a".into(), kind, config, tags, seed: [1; 16] }) {
        Reply::Queue { queue, .. } => queue,
        other => panic!("{other:?}"),
    }
}

fn add(queue: &Queue, first: u64, uses: usize) -> Command {
    let job = |n: u64| {
        let key = Some(LimitKey((u128::from(n % KEYS + 1) << 64).to_be_bytes()));
        let limits = (uses > 0).then(|| Box::new(Limits { uses: vec![(key, 1); uses] }));
        let message = NewMessage { payload: vec![b'x'; 256], limits, ..NewMessage::default() };
        NewJob { queue: queue.id, version: queue.version, message }
    };
    Command::AddJobs { jobs: (first..first + BATCH).map(job).collect(), idempotency: None }
}

fn lease(queue: &Queue) -> Command {
    Command::Lease {
        queue: queue.id,
        max: BATCH as u32,
        bytes_max: u64::MAX,
        lease_ms: Some(3_600_000),
        wait_ms: 0,
        linger_ms: 0,
        one_lane: false,
    }
}
