//! A call: a job of the function's queue, and waiting for what comes of it.

use std::sync::Arc;

use bytes::Bytes;
use weir_core::api::job::{Extra, FailureKind, Job, JobRef, JobState, NewJob};
use weir_core::api::{Command, Error, Queue, Reply};
use weir_shard::{Answered, Refused};

use crate::app::App;
use crate::engine::{self, Engine};
use crate::native::Problem;

/// How often a call is prepared anew when its function is changed meanwhile.
const TRIES: usize = 8;

/// A call that was added.
#[derive(Debug)]
pub(crate) struct Called {
    /// The function's queue.
    pub(crate) queue: Arc<Queue>,
    /// The id of the job.
    pub(crate) id: u64,
}

/// What came of a call.
#[derive(Debug)]
pub(crate) enum Ended {
    /// It is done: its result in JSON, if it has one.
    Done(Option<Bytes>),
    /// It failed: how, and what was said of it.
    Failed(FailureKind, Option<Bytes>),
    /// It has not ended in time.
    Late {
        /// Whether it was begun. Where it was not, it is never begun.
        is_begun: bool,
    },
    /// Somebody took it away before it was done.
    Removed,
}

/// What came of a call that was waited for.
#[derive(Debug)]
pub(crate) struct Waited {
    /// How it ended.
    pub(crate) ended: Ended,
    /// How many lines its log had.
    pub(crate) log_lines: u64,
}

/// Adds a call of the function that is there now: the job that it makes of its queue.
pub(crate) async fn add<E: Engine>(
    app: &App<E>,
    find: impl Fn() -> Result<Arc<Queue>, Problem> + Send,
    job: impl Fn(&Queue) -> Result<NewJob, Problem> + Send,
) -> Result<Called, Problem> {
    for _ in 0..TRIES {
        let queue = find()?;
        let jobs = vec![job(&queue)?];
        match engine::call(&app.engine, Command::AddJobs { jobs, idempotency: None }).await {
            Ok(Answered { reply: Reply::Added(added), .. }) => {
                let id = added.first().map(|added| added.id).ok_or_else(Problem::internal)?;
                return Ok(Called { queue, id });
            }
            Ok(_) => return Err(Problem::internal()),
            Err(Refused::Engine(Error::Stale { .. })) => {}
            Err(refused) => return Err(Problem::of(refused)),
        }
    }
    Err(Problem::of_error(&Error::Stale { version: 0 }))
}

/// Waits until a call has ended, or for so long.
pub(crate) async fn wait<E: Engine>(app: &App<E>, called: &Called, wait_ms: u64) -> Result<Waited, Problem> {
    let Called { queue, id } = called;
    let command = Command::DescribeJob { queue: queue.id, job: JobRef::Id(*id), wait_ms };
    let answered = match app.receive(queue.id, command, true).await {
        Ok(answered) => answered,
        // It ended, and nothing of it was kept, before it could be waited for.
        Err(Refused::Engine(Error::JobNotFound)) => return Ok(Waited { ended: Ended::Removed, log_lines: 0 }),
        Err(refused) => return Err(Problem::of(refused)),
    };
    let Reply::Job(job) = &answered.reply else { return Err(Problem::internal()) };
    let ended = ended(job, &answered.payloads);
    if matches!(ended, Ended::Late { .. }) && *app.stopping.borrow() {
        return Err(Problem::of(Refused::Closed));
    }
    Ok(Waited { ended, log_lines: job.logs })
}

/// What has come of a call, if it has ended or does so within this time. Unlike [`wait`] it goes on while the server stops.
pub(crate) async fn look<E: Engine>(app: &App<E>, called: &Called, wait_ms: u64) -> Result<Option<Ended>, Refused> {
    let command = Command::DescribeJob { queue: called.queue.id, job: JobRef::Id(called.id), wait_ms };
    let answered = match engine::call(&app.engine, command).await {
        Ok(answered) => answered,
        Err(Refused::Engine(Error::JobNotFound)) => return Ok(Some(Ended::Removed)),
        Err(refused) => return Err(refused),
    };
    let Reply::Job(job) = &answered.reply else { return Err(Refused::Closed) };
    let goes_on = matches!(job.state, JobState::Ready | JobState::Delayed | JobState::Leased | JobState::Waiting);
    Ok((!goes_on).then(|| ended(job, &answered.payloads)))
}

/// What a job's state says of the call that it is; `payloads` are its stored parts.
fn ended(job: &Job, payloads: &[Bytes]) -> Ended {
    match job.state {
        JobState::Completed => Ended::Done(parts(job, payloads).0),
        JobState::Failed => match job.failed {
            Some(FailureKind::Expired) => Ended::Late { is_begun: false },
            kind => Ended::Failed(kind.unwrap_or(FailureKind::Reported), parts(job, payloads).1),
        },
        JobState::Removed => Ended::Removed,
        JobState::Ready | JobState::Delayed | JobState::Leased | JobState::Waiting => {
            Ended::Late { is_begun: job.grants > 0 }
        }
    }
}

/// The result of a job, and what was said of its last failure.
fn parts(job: &Job, payloads: &[Bytes]) -> (Option<Bytes>, Option<Bytes>) {
    let mut stored = payloads.iter().cloned();
    // Payload and progress come first.
    for is_there in [job.body.is_some(), job.progress.is_some()] {
        if is_there {
            stored.next();
        }
    }
    let mut read = |extra: &Extra| match extra {
        Extra::Stored(_) => stored.next(),
        Extra::Inline(bytes) => Some(Bytes::from(bytes.clone())),
    };
    let result = job.result.as_ref().and_then(&mut read);
    let mut failure = None;
    for attempt in &job.history {
        failure = attempt.failure.as_ref().and_then(&mut read);
    }
    (result, failure.filter(|said| !said.is_empty()))
}
