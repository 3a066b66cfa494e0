//! What must hold of jobs: everything that each of them may be, narrowed by every answer.
//!
//! A job's transitions that a command causes are followed exactly. Those that time causes (the end of a lease, of a delay,
//! of a job's life) happen at a moment that only the engine knows, so each job is a set of possible standings: time adds
//! to it, what is seen takes away, and a job that has none left is what was wrong. Job queues are apart from those of the
//! messages; their messages come and go by the commands of workers.

mod added;
mod asked;
mod batches;
mod changed;
mod counted;
mod dedup;
mod described;
mod flow;
mod flows;
mod groups;
mod leased;
mod limits;
mod listed;
mod moved;
mod pass;
mod queue;
mod reported;
mod settled;
mod standing;

use std::collections::BTreeMap;

use weir_core::api::job::{Added, JobOptions, JobState, NewJob, PageMark};
use weir_core::api::limit::LimitKey;
use weir_core::api::{Handle, Lane, QueueId};

use super::{Checked, Model, number_of};

pub use batches::Offer;
pub use dedup::{Away, Back, Duplicates};
pub use flow::How;
pub use flows::Flows;
pub use limits::{Key, Limits, Starts, Use};
pub use listed::{Asked, Pages, Walk};
pub use queue::{JobQueue, is_job_queue};
pub use standing::{Place, Span, Standing, State};

/// All jobs and their queues.
#[derive(Clone, Debug, Default)]
pub struct Jobs {
    /// The jobs that may be there, by id.
    pub all: BTreeMap<u64, Job>,
    /// Their queues.
    pub queues: BTreeMap<QueueId, JobQueue>,
    /// What holds them back.
    pub limits: Limits,
    /// What was added under each idempotency key, and when.
    pub answers: BTreeMap<[u8; 16], (u64, Vec<Added>)>,
    /// What the members of flows are to each other.
    pub flows: Flows,
    /// How many additions were made before under their keys.
    pub repeats: u64,
    /// Listings that go on, by what was asked for and where the last page ended.
    pub walks: BTreeMap<(QueueId, JobState, PageMark), Walk>,
    /// What came of them.
    pub pages: Pages,
    /// What came of duplicates by their deduplication ids.
    pub duplicates: Duplicates,
    /// How many jobs were moved by hand.
    pub moved: u64,
}

/// A job as far as it is known.
#[derive(Clone, Debug)]
pub struct Job {
    /// The queue that it was added to.
    pub queue: QueueId,
    /// Its number, which its payload follows from.
    pub number: usize,
    /// Its public place: the smallest comes first.
    pub place: Place,
    /// Its group.
    pub lane: Option<Lane>,
    /// When it was sent; not before, where that is not known.
    pub sent: u64,
    /// Whether that is known.
    pub sent_is_known: bool,
    /// What is known of it because it was kept back.
    pub back: Option<Back>,
    /// When a command last changed where it stands: what is due already is noticed after that.
    pub stands_since: u64,
    /// Length of its payload.
    pub bytes: u64,
    /// What its sender said of it.
    pub options: JobOptions,
    /// Its key and its cost for each limiter of its queue.
    pub limits: Vec<(Option<LimitKey>, u32)>,
    /// When it was first granted.
    pub first_received: Option<u64>,
    /// Its progress.
    pub progress: Option<Vec<u8>>,
    /// Its log.
    pub logs: Vec<Vec<u8>>,
    /// The first line of it that is kept.
    pub logs_from: u64,
    /// What its holders said of its failures, by grant.
    pub failures: BTreeMap<u32, Vec<u8>>,
    /// What came of it.
    pub result: Option<Vec<u8>>,
    /// The grant that is to be given back at a moment that is not known.
    pub returning: Option<u32>,
    /// The job that may wait for it.
    pub parent: Option<(QueueId, u64)>,
    /// It was said not to run before.
    pub not_before: Option<u64>,
    /// Everything that it may be. Never empty.
    pub may: Vec<Standing>,
}

impl Job {
    /// A job that was just added as it stands.
    fn new(new: &NewJob, id: u64, options: JobOptions, at: u64, standing: Standing) -> Option<Self> {
        Some(Self {
            queue: new.queue,
            number: number_of(&new.message.payload)?,
            place: Place::new(new.message.priority, id, options.lifo),
            lane: new.message.lane,
            sent: at,
            sent_is_known: true,
            back: None,
            stands_since: at,
            bytes: new.message.payload.len() as u64,
            options,
            limits: new.message.limits.as_ref().map(|limits| limits.uses.clone()).unwrap_or_default(),
            first_received: None,
            progress: None,
            logs: Vec::new(),
            logs_from: 0,
            failures: BTreeMap::new(),
            result: None,
            returning: None,
            parent: None,
            not_before: None,
            may: vec![standing],
        })
    }

    /// It is told as sent then. Says whether it can have been.
    fn was_sent(&mut self, told: u64, at: u64) -> bool {
        if !self.sent_is_known && (self.sent..=at).contains(&told) {
            (self.sent, self.sent_is_known) = (told, true);
        }
        self.sent_is_known && self.sent == told
    }

    /// Whether `test` holds beyond doubt.
    pub fn certainly(&self, test: impl Fn(&Standing) -> bool) -> bool {
        self.may.iter().all(test)
    }

    /// Whether `test` can hold.
    pub fn possibly(&self, test: impl Fn(&Standing) -> bool) -> bool {
        self.may.iter().any(test)
    }

    /// It was seen that `test` holds.
    fn see(&mut self, what: &str, test: impl Fn(&Standing) -> bool) -> Checked {
        if !self.possibly(&test) {
            return Err(format!("job {} {what}, and can only be {:?}", self.number, self.may));
        }
        self.may.retain(test);
        Ok(())
    }

    /// What becomes of it, whatever it was.
    fn becomes(&mut self, after: impl Fn(&Standing) -> Standing) {
        let before = std::mem::take(&mut self.may);
        for after in before.iter().map(after) {
            if !self.may.contains(&after) {
                self.may.push(after);
            }
        }
    }
}

impl Model {
    /// The job that a handle was given out for, if it may be there.
    fn job_of(&self, handle: &Handle) -> Option<u64> {
        (self.is_genuine(handle) && self.jobs.all.contains_key(&handle.message)).then_some(handle.message)
    }

    fn job(&mut self, id: u64) -> Result<&mut Job, String> {
        self.jobs.all.get_mut(&id).ok_or_else(|| format!("there is no job {id}"))
    }

    fn job_queue(&self, id: QueueId) -> Result<&JobQueue, String> {
        self.jobs.queues.get(&id).ok_or_else(|| format!("queue {} is none of jobs", id.0))
    }
}
