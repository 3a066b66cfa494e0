//! Adding jobs one by one, many in a request.

use std::marker::PhantomData;
use std::time::Duration;

use serde::Serialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::{JoinHandle, JoinSet};

use crate::error::Error;
use crate::new_job::NewJob;
use crate::queue::{Added, Queue};

/// Most bytes of jobs in a request, unless one job has more.
const BATCH_BYTES: usize = 4 << 20;

/// How a [`Producer`] is to be.
#[derive(Clone, Debug)]
pub struct ProducerBuilder<T> {
    queue: Queue<IgnoredAny>,
    carries: PhantomData<fn(T)>,
    batch: usize,
    linger: Duration,
    requests: usize,
    waiting: usize,
}

impl<T> ProducerBuilder<T> {
    pub(crate) fn new(queue: &Queue<T>) -> Self {
        Self {
            queue: queue.client().queue(queue.name()),
            carries: PhantomData,
            batch: 1_000,
            linger: Duration::ZERO,
            requests: 2,
            waiting: 10_000,
        }
    }

    /// Most jobs in a request, up to 10 000. Default 1 000.
    #[must_use]
    pub fn batch(mut self, jobs: usize) -> Self {
        self.batch = jobs.clamp(1, 10_000);
        self
    }

    /// How long to wait for a batch to become full. Default not at all: a request has what came while others were on
    /// their way, so that batches grow as soon as there is much to do.
    #[must_use]
    pub fn linger(mut self, linger: Duration) -> Self {
        self.linger = linger;
        self
    }

    /// How many requests may be on their way. Default 2; with 1 jobs are added in the order of the calls.
    #[must_use]
    pub fn requests(mut self, requests: usize) -> Self {
        self.requests = requests.max(1);
        self
    }

    /// How many jobs may wait for a request; whoever adds more has to wait. Default 10 000.
    #[must_use]
    pub fn waiting(mut self, jobs: usize) -> Self {
        self.waiting = jobs.max(1);
        self
    }

    /// Starts the producer. Must be called within a tokio runtime.
    pub fn start(self) -> Producer<T> {
        let (jobs, inbox) = mpsc::channel(self.waiting);
        let task = tokio::spawn(run(self.queue, inbox, self.batch, self.linger, self.requests));
        Producer { jobs, task, carries: PhantomData }
    }
}

/// Gathers jobs that are added one by one into requests. Share it by reference, or in an `Arc`.
///
/// Requests are repeated after lost connections, for as long as the [`Client`](crate::Client) tries, without adding anything
/// twice.
#[derive(Debug)]
pub struct Producer<T> {
    jobs: mpsc::Sender<Waiting>,
    task: JoinHandle<()>,
    carries: PhantomData<fn(T)>,
}

#[derive(Debug)]
struct Waiting {
    job: Box<RawValue>,
    /// The job and its children, and theirs.
    jobs: usize,
    added: oneshot::Sender<Result<Added, Error>>,
}

impl<T: Serialize> Producer<T> {
    /// Adds a job, with its children; it is durable when this returns.
    pub async fn add(&self, job: impl Into<NewJob<T>>) -> Result<Added, Error> {
        let (added, answer) = oneshot::channel();
        let job = job.into();
        let waiting = Waiting { jobs: job.count(), job: job.written()?, added };
        self.jobs.send(waiting).await.map_err(|_| Error::Ended)?;
        answer.await.map_err(|_| Error::Ended)?
    }

    /// Waits until all that was given to it has been added, or refused, and ends.
    pub async fn close(self) {
        drop(self.jobs);
        // It ends by itself, and a panic of its own was reported where it happened.
        let _ = self.task.await;
    }
}

async fn run(
    queue: Queue<IgnoredAny>,
    mut inbox: mpsc::Receiver<Waiting>,
    most: usize,
    linger: Duration,
    requests: usize,
) {
    let free = std::sync::Arc::new(Semaphore::new(requests));
    let mut under_way = JoinSet::new();
    let mut next = None;
    loop {
        while under_way.try_join_next().is_some() {}
        // A request is made up only when it can leave: until then the batch grows.
        let Ok(permit) = free.clone().acquire_owned().await else { break };
        let first = match next.take() {
            Some(first) => first,
            None => match inbox.recv().await {
                Some(first) => first,
                None => break,
            },
        };
        let mut batch = Batch::new(first);
        let full = tokio::time::sleep(linger);
        tokio::pin!(full);
        while batch.count < most {
            let more = if linger.is_zero() {
                inbox.try_recv().ok()
            } else {
                tokio::select! {
                    biased;
                    more = inbox.recv() => more,
                    () = &mut full => None,
                }
            };
            let Some(more) = more else { break };
            if let Err(more) = batch.push(more, most) {
                next = Some(more);
                break;
            }
        }
        let queue = queue.clone();
        under_way.spawn(async move {
            batch.send(&queue).await;
            drop(permit);
        });
    }
    while under_way.join_next().await.is_some() {}
}

struct Batch {
    jobs: Vec<Box<RawValue>>,
    /// Who waits for each of them, and how many jobs it is with its children.
    waiting: Vec<(usize, oneshot::Sender<Result<Added, Error>>)>,
    count: usize,
    bytes: usize,
}

impl Batch {
    fn new(first: Waiting) -> Self {
        let (bytes, count) = (first.job.get().len(), first.jobs);
        Self { jobs: vec![first.job], waiting: vec![(first.jobs, first.added)], count, bytes }
    }

    /// Takes one more, if there is room for it.
    fn push(&mut self, more: Waiting, most: usize) -> Result<(), Waiting> {
        let (count, bytes) = (self.count + more.jobs, self.bytes + more.job.get().len());
        if count > most || bytes > BATCH_BYTES {
            return Err(more);
        }
        (self.count, self.bytes) = (count, bytes);
        self.jobs.push(more.job);
        self.waiting.push((more.jobs, more.added));
        Ok(())
    }

    /// Sends it, and tells each one what became of its job. Who does not wait any more need not know.
    async fn send(self, queue: &Queue<IgnoredAny>) {
        let alone = self.jobs.len() == 1;
        match queue.add_written(&self.jobs).await {
            Ok(added) => {
                let mut added = added.into_iter();
                for (jobs, waiting) in self.waiting {
                    // The job itself comes first, then its children.
                    let _ = waiting.send(added.next().ok_or(Error::Ended));
                    added.by_ref().take(jobs - 1).for_each(drop);
                }
            }
            // A job that the server refuses is no reason to refuse those that came along.
            Err(Error::Refused(problem)) if !alone && (problem.field.is_some() || problem.status == 413) => {
                for ((_, waiting), job) in self.waiting.into_iter().zip(self.jobs) {
                    let added = queue.add_written(&[job]).await;
                    let _ = waiting.send(added.and_then(|added| added.into_iter().next().ok_or(Error::Ended)));
                }
            }
            Err(error) => {
                for (_, waiting) in self.waiting {
                    let _ = waiting.send(Err(error.clone()));
                }
            }
        }
    }
}
