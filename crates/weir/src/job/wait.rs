//! Waiting for the end of a job.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::client::{Client, Exact, Failure, Queue, Request, text};
use crate::exit::NotInTime;
use crate::output;

/// How long one request waits at most: less than what proxies on the way bear.
const ONE_WAIT: Duration = Duration::from_secs(30);

/// A job as it stood when the wait was over.
#[derive(Debug)]
pub(super) struct Waited {
    pub(super) job: Value,
    /// The same as it is written.
    pub(super) exact: Exact,
    ms: u64,
}

/// Asks for a job until it has finished, or the time is over.
pub(super) fn until_finished(client: &Client, queue: &Queue, id: &str, ms: u64) -> Result<Waited, Failure> {
    let wait = Duration::from_millis(ms);
    let begun = Instant::now();
    loop {
        let left = wait.saturating_sub(begun.elapsed());
        let now = left.min(ONE_WAIT);
        let request = Request::get(&["queues", queue.name(), "jobs", id])
            .with("wait_ms", (ms > 0).then_some(now.as_millis()))
            .waiting(now);
        let (job, exact) = client.native_exactly(&request)?;
        if has_finished(&job) || left <= now {
            return Ok(Waited { job, exact, ms });
        }
    }
}

/// Where a job stands.
pub(super) fn state(job: &Value) -> &str {
    text(job, "state").unwrap_or_default()
}

/// Whether nothing more will become of a job.
pub(super) fn has_finished(job: &Value) -> bool {
    matches!(state(job), "completed" | "failed" | "removed")
}

impl Waited {
    /// What the outcome of the job means for a command that waited for it.
    pub(super) fn outcome(&self) -> anyhow::Result<ExitCode> {
        let id = text(&self.job, "id").unwrap_or_default();
        match state(&self.job) {
            "completed" => Ok(ExitCode::SUCCESS),
            "failed" => Err(anyhow::anyhow!("job {id} failed{}", reason(&self.job))),
            "removed" => Err(anyhow::anyhow!("job {id} was removed before it had finished")),
            state => {
                let wait = crate::arguments::spoken_ms(self.ms);
                Err(NotInTime(format!("job {id} has not finished within {wait}: it is {state}")).into())
            }
        }
    }

    /// Prints the result, or the job as an object, and what became of it.
    pub(super) fn tell_result(&self, json: bool) -> anyhow::Result<ExitCode> {
        if json {
            output::say(&format!("{}\n", self.exact.pretty()))?;
        } else if let Some(result) = self.exact.get("result") {
            output::say(&format!("{result}\n"))?;
        }
        self.outcome()
    }
}

/// Why a job failed, as far as that is known.
fn reason(job: &Value) -> String {
    let kind = text(job, "failed").unwrap_or("reported").replace('_', " ");
    let last = job.get("history").and_then(Value::as_array).and_then(|history| history.last()?.get("error"));
    match last {
        Some(Value::String(error)) => format!(" ({kind}): {error}"),
        Some(error) if !error.is_null() => format!(" ({kind}): {error}"),
        _ => format!(" ({kind})"),
    }
}
