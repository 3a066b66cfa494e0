//! Workers: they lease jobs, keep their leases alive, and settle them.

mod attempt;
mod failure;
mod outbox;
mod run;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

pub use attempt::Job;
pub use failure::Failure;

use crate::error::Error;
use crate::queue::Queue;
use attempt::Link;
use run::{Ends, Run, Work};
use wire::LeasedJob;

/// How a worker is to be, and its start.
///
/// A job whose data is no `T` fails for good, with the reason in its history, and is kept as failed jobs are: a worker that
/// is newer, or another program, can retry it.
#[derive(Clone, Debug)]
#[must_use = "a worker does nothing until it runs"]
pub struct WorkerBuilder<T> {
    queue: Queue<T>,
    settings: Settings,
}

#[derive(Clone, Copy, Debug)]
struct Settings {
    concurrency: usize,
    batch: usize,
    linger: Duration,
    one_group: bool,
    lease: Option<Duration>,
    poll: Duration,
    drain: Duration,
    cancel_grace: Duration,
}

/// What a worker did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Summary {
    /// Jobs that it completed.
    pub completed: u64,
    /// Attempts that failed.
    pub failed: u64,
    /// Jobs that it gave back, to run later or elsewhere.
    pub released: u64,
    /// Leases that it lost: somebody else has the job, or it was removed.
    pub lost: u64,
}

impl<T> WorkerBuilder<T> {
    pub(crate) fn new(queue: Queue<T>) -> Self {
        let settings = Settings {
            concurrency: 1,
            batch: 1,
            linger: Duration::ZERO,
            one_group: false,
            lease: None,
            poll: Duration::from_secs(20),
            drain: Duration::from_secs(30),
            cancel_grace: Duration::from_secs(5),
        };
        Self { queue, settings }
    }

    /// How many jobs, or batches of them, are worked on at once. Default 1.
    pub fn concurrency(mut self, concurrency: usize) -> Self {
        self.settings.concurrency = concurrency.max(1);
        self
    }

    /// Length of a lease. It is extended while a job is worked on, three times within its length, and is how long a job
    /// rests when its worker dies. Default: as the queue says.
    pub fn lease(mut self, lease: Duration) -> Self {
        self.settings.lease = Some(lease);
        self
    }

    /// All jobs of a batch are of one group. Default no.
    pub fn one_group(mut self) -> Self {
        self.settings.one_group = true;
        self
    }

    /// How long a request waits for a job at the server. Default 20 seconds.
    pub fn poll(mut self, poll: Duration) -> Self {
        self.settings.poll = poll;
        self
    }

    /// How long running jobs have to finish after a shutdown; then they are dropped, and go back to the queue. Default 30
    /// seconds.
    pub fn drain(mut self, drain: Duration) -> Self {
        self.settings.drain = drain;
        self
    }

    /// How long a job that was cancelled has to end by itself: see [`Job::cancelled`]. Then it is dropped. Default 5
    /// seconds.
    pub fn cancel_grace(mut self, grace: Duration) -> Self {
        self.settings.cancel_grace = grace;
        self
    }
}

impl<T: DeserializeOwned + Send + 'static> WorkerBuilder<T> {
    /// Works until `shutdown` is ready, then finishes what runs and returns.
    ///
    /// What `work` returns completes the job, as its result; an error fails the attempt, and the job is tried again as its
    /// queue says: any `std::error::Error` will do, and a [`Failure`] can say more. A panic fails the attempt, too. Where the
    /// lease is lost the future is dropped, since somebody else may have the job by then.
    ///
    /// Lost connections are waited out. Errors: what cannot be waited out, such as `queue.not_found`.
    pub async fn run<F, Fut, R>(self, shutdown: impl Future<Output = ()>, work: F) -> Result<Summary, Error>
    where
        F: Fn(Job<T>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<R, Failure>> + Send + 'static,
        R: Serialize + 'static,
    {
        let work: Work = Arc::new(move |jobs| {
            let (jobs, mut ends) = decoded(jobs);
            let running: Vec<_> = jobs.into_iter().map(|(lease, job)| (lease, work(job))).collect();
            Box::pin(async move {
                for (lease, running) in running {
                    ends.push((lease, failure::ended(running.await)));
                }
                ends
            })
        });
        self.start(work).await?.until(shutdown).await
    }

    /// The same for batches: up to `size` jobs at once, of which the last came no later than `linger` after the first.
    ///
    /// `work` says of each job, in their order, how it ended; of jobs that it says nothing of the attempt failed.
    pub async fn run_batches<F, Fut, R>(
        mut self,
        size: usize,
        linger: Duration,
        shutdown: impl Future<Output = ()>,
        work: F,
    ) -> Result<Summary, Error>
    where
        F: Fn(Vec<Job<T>>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Vec<Result<R, Failure>>> + Send + 'static,
        R: Serialize + 'static,
    {
        self.settings.batch = size.clamp(2, 1_000);
        self.settings.linger = linger;
        let work: Work = Arc::new(move |jobs| {
            let (jobs, mut ends) = decoded(jobs);
            let (leases, jobs): (Vec<_>, Vec<_>) = jobs.into_iter().unzip();
            let running = (!jobs.is_empty()).then(|| work(jobs));
            Box::pin(async move {
                let results = match running {
                    Some(running) => running.await,
                    None => Vec::new(),
                };
                let mut results = results.into_iter();
                for lease in leases {
                    let result = results.next().unwrap_or_else(|| Err(Failure::new("the worker said nothing of it")));
                    ends.push((lease, failure::ended(result)));
                }
                ends
            })
        });
        self.start(work).await?.until(shutdown).await
    }

    async fn start(&self, work: Work) -> Result<Run, Error> {
        Run::start(self.queue.client().clone(), self.queue.name(), self.settings, work).await
    }
}

/// Jobs under their leases.
type Jobs<T> = Vec<(Arc<str>, Job<T>)>;

/// The jobs that carry a `T`, and the end of those that do not.
fn decoded<T: DeserializeOwned>(jobs: Vec<(LeasedJob, Link)>) -> (Jobs<T>, Ends) {
    let (mut decoded, mut ends) = (Vec::with_capacity(jobs.len()), Vec::new());
    for (job, link) in jobs {
        let lease = job.lease.clone();
        match Job::new(job, link) {
            Ok(job) => decoded.push((lease, job)),
            Err(error) => {
                let failure = Failure::new(format!("the data is not what the worker expects: {error}")).fatal();
                ends.push((lease, failure::ended::<()>(Err(failure))));
            }
        }
    }
    (decoded, ends)
}
