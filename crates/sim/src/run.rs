//! One run: a seed, played to its end.

mod client;
mod copy;
mod counted;
mod flows;
mod gone;
mod life;
mod power;
mod step;

use std::collections::BTreeMap;

use weir_core::api::job::JobRef;
use weir_core::api::{Command, Error, QueueId, Reply, Token};

use crate::clocks::{Clocks, START};
use crate::coverage::Coverage;
use crate::disk::SimDisk;
use crate::inbox::Inbox;
use crate::model::{Checked, Effect, Model, Starts, Use};
use crate::mutation::Mutation;
use crate::profile::Profile;
use crate::quiet::Filling;
use crate::rng::Rng;
use crate::workload::Clients;

use copy::Copying;
pub(crate) use life::Life;

/// What was wrong, and where.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The seed.
    pub seed: u64,
    /// The step.
    pub step: u64,
    /// What was wrong, in a sentence.
    pub wrong: String,
}

/// How a run ended well.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What it went through.
    pub coverage: Coverage,
    /// A number that follows from everything that was answered: the same for each run of a seed.
    pub digest: u64,
}

/// A command that is not answered yet.
#[derive(Clone, Debug)]
pub(crate) struct Pending {
    pub(crate) command: Command,
    submitted: u64,
    pub(crate) made: Option<Made>,
    pub(crate) canceled: bool,
}

/// The answer that a command will have.
#[derive(Clone, Debug)]
pub(crate) struct Made {
    sequence: u64,
    reply: Result<Reply, Error>,
    /// Numbers of the messages delivered.
    numbers: Vec<usize>,
    /// What comes along with a job that is told of.
    along: Vec<Vec<u8>>,
    /// What starts under limiters once the client has it, and until when it may.
    starts: Vec<(Use, u64)>,
}

/// A moment at which the shard was at rest.
#[derive(Clone, Copy, Debug)]
struct Rest {
    /// After so many commands.
    effects: usize,
    /// The state that it was in.
    sequence: u64,
    at: u64,
}

pub(crate) struct Run {
    seed: u64,
    pub(crate) profile: Profile,
    workload: Rng,
    schedule: Rng,
    pub(crate) power: Rng,
    /// When the process is killed.
    kills: Rng,
    /// What happens to the machine but for its power, and to copies.
    machine: Rng,
    pub(crate) disk: SimDisk,
    pub(crate) clocks: Clocks,
    /// Engine time, as the shard is told it.
    pub(crate) now: u64,
    step: u64,
    pub(crate) life: Option<Life>,
    inbox: Inbox,
    pub(crate) clients: Clients,
    pub(crate) network: Vec<Command>,
    pub(crate) pending: BTreeMap<Token, Pending>,
    next_token: u64,
    pub(crate) model: Model,
    /// The model as it was when the shard was opened, and what took effect since.
    base: Model,
    effects: Vec<Effect>,
    /// When the shard was at rest meanwhile.
    rests: Vec<Rest>,
    /// The highest sequence that an answer spoke of.
    acknowledged: u64,
    /// The highest sequence that no loss of power takes, as of the last opening or the end of the last life.
    synced: u64,
    /// Whether the disk may refuse to grow.
    pub(crate) is_full: bool,
    /// Whether the disk was made to fail since the shard was opened.
    failed_before: u64,
    /// How many reads had failed by then.
    reads_failed_before: u64,
    closed: bool,
    /// Whether the shard is being closed, and takes nothing more.
    closing: bool,
    copying: Copying,
    /// Batches that fill.
    pub(crate) filling: Filling,
    /// What left under limiters, whatever became of it.
    starts: Starts,
    pub(crate) coverage: Coverage,
    digest: u64,
    pub(crate) mutation: Option<Mutation>,
    trace: Option<Box<dyn FnMut(String)>>,
}

/// Plays the run of `seed`.
///
/// # Errors
/// What was found wrong.
pub fn run(seed: u64) -> Result<Outcome, Failure> {
    play(seed, None, None)
}

/// Plays the run of `seed` and tells each step.
///
/// # Errors
/// What was found wrong.
pub fn tell(seed: u64, trace: Box<dyn FnMut(String)>) -> Result<Outcome, Failure> {
    play(seed, None, Some(trace))
}

/// Plays the run of `seed` with a deliberate fault.
///
/// # Errors
/// What was found wrong: hopefully something.
pub fn run_mutated(seed: u64, mutation: Mutation) -> Result<Outcome, Failure> {
    play(seed, Some(mutation), None)
}

fn play(seed: u64, mutation: Option<Mutation>, trace: Option<Box<dyn FnMut(String)>>) -> Result<Outcome, Failure> {
    let mut run = Run::new(seed, mutation, trace);
    match run.play() {
        Ok(()) => Ok(Outcome { coverage: run.coverage, digest: run.digest }),
        Err(wrong) => {
            run.say(|| format!("WRONG: {wrong}"));
            run.say_jobs();
            Err(Failure { seed, step: run.step, wrong })
        }
    }
}

impl Run {
    fn new(seed: u64, mutation: Option<Mutation>, trace: Option<Box<dyn FnMut(String)>>) -> Self {
        let profile = Profile::draw(&mut Rng::new(seed, "profile"), seed);
        let disk = SimDisk::new(Rng::new(seed, "faults"));
        disk.lie_about_syncs(mutation == Some(Mutation::SyncThatDoesNothing));
        disk.lie_about_reads(mutation == Some(Mutation::ReadThatFailsSilently));
        Self {
            seed,
            profile,
            workload: Rng::new(seed, "workload"),
            schedule: Rng::new(seed, "schedule"),
            power: Rng::new(seed, "power"),
            kills: Rng::new(seed, "kills"),
            machine: Rng::new(seed, "machine"),
            disk,
            clocks: Clocks::new(mutation),
            now: START,
            step: 0,
            life: None,
            inbox: Inbox::default(),
            clients: Clients::default(),
            network: Vec::new(),
            pending: BTreeMap::new(),
            next_token: 0,
            model: Model::default(),
            base: Model::default(),
            effects: Vec::new(),
            rests: Vec::new(),
            acknowledged: 0,
            synced: 0,
            is_full: false,
            failed_before: 0,
            reads_failed_before: 0,
            closed: false,
            closing: false,
            copying: Copying::default(),
            filling: Filling::default(),
            starts: Starts::default(),
            coverage: Coverage::default(),
            digest: 0,
            mutation,
            trace,
        }
    }

    fn play(&mut self) -> Checked {
        self.say_profile();
        self.open()?;
        while self.step < self.profile.steps {
            self.step += 1;
            self.one_step()?;
        }
        self.finish()
    }

    fn say_profile(&mut self) {
        let profile = format!("{:?}", self.profile);
        self.say(|| profile);
    }

    pub(crate) fn say(&mut self, line: impl FnOnce() -> String) {
        let (now, step) = (self.now.cast_signed() - START.cast_signed(), self.step);
        if let Some(trace) = &mut self.trace {
            trace(format!("{step:>4} {now:>9} {}", line()));
        }
    }

    /// Says of all jobs what they may be, and what the engine says of them.
    fn say_jobs(&mut self) {
        if self.trace.is_none() {
            return;
        }
        let jobs = self.model.jobs.all.iter();
        let lines: Vec<_> = jobs.map(|(id, job)| (*id, job.queue_now(), format!("job {id} is {job:?}"))).collect();
        for (id, queue, line) in lines {
            self.say(|| line);
            // What else is wrong is said, and does not matter any more.
            drop(self.submit(Command::DescribeJob { queue, job: JobRef::Id(id), wait_ms: 0 }));
            drop(self.submit(Command::Explain { queue, job: JobRef::Id(id) }));
            drop(self.work_off());
        }
    }

    /// Mixes what was seen into the digest.
    fn digest(&mut self, seen: &str) {
        for byte in seen.bytes() {
            self.digest = (self.digest ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3);
        }
    }

    pub(crate) fn queue_ids(&self) -> Vec<QueueId> {
        self.model.queues_alive().map(|(id, _)| id).collect()
    }
}
