//! Changes of one job.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::value::RawValue;
use weir_aws::sqs::payload::{Attribute, Payload};
use weir_core::Time;
use weir_core::api::job::{JobChange, JobRef};
use weir_core::api::{Command, Error, Queue, Reply as EngineReply};

use super::super::Problem;
use super::super::bounds::LONGEST_MS;
use super::super::endpoint::{Answer, Call, Endpoint, Nothing, Outcome, within};
use super::super::route::{Method, Route, Tag};
use super::job_ref::job_ref;
use super::spec::beyond_retention;
use super::view::decode;
use crate::access::Role;
use crate::engine::{self, Engine};
use crate::fresh::now_ms;

const ERRORS: &[&str] = &["queue.not_found", "job.not_found", "job.state"];

/// `PATCH /v1/queues/{queue}/jobs/{id}`
pub(crate) struct Change;

/// What changes: one of these.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[schemars(rename = "JobChange")]
#[serde(deny_unknown_fields)]
pub(crate) struct Changes<'a> {
    /// The priority of a job that waits.
    priority: Option<u32>,
    /// With `priority`: whether it goes before others of it. Default no.
    lifo: Option<bool>,
    /// A ready or delayed job becomes ready after so long.
    delay_ms: Option<u64>,
    /// A ready or delayed job becomes ready then: milliseconds since 1970.
    run_at_ms: Option<u64>,
    /// Its data: any JSON. Name, attributes and group stay.
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    /// Moves a ready or delayed job to the queue of this name, of the same kind.
    queue: Option<String>,
}

impl Endpoint for Change {
    const ROUTE: Route = Route::new(
        Method::Patch,
        "/v1/queues/{queue}/jobs/{id}",
        "change_job",
        Tag::Jobs,
        Role::Write,
        "Change a job's priority, time, data or queue",
    )
    .example(r#"{"priority": 1}"#)
    .about("A request changes one of these, so that it happens as a whole or not at all.")
    .errors(&[
        "queue.not_found",
        "job.not_found",
        "job.state",
        "queue.kind_differs",
        "queue.same",
        "message.leased",
        "message.not_found",
    ]);
    type Query = Nothing;
    type Request<'a> = Changes<'a>;
    type Response = Nothing;

    async fn run<'a, E: Engine>(call: Call<'a, E>, _: Nothing, changes: Changes<'a>) -> Outcome<Nothing> {
        let queue = call.queue()?;
        let job = job_ref(call.params.get("id"));
        let asked = [
            changes.priority.is_some(),
            changes.delay_ms.is_some(),
            changes.run_at_ms.is_some(),
            changes.data.is_some(),
            changes.queue.is_some(),
        ];
        let count = asked.into_iter().filter(|asked| *asked).count();
        if count != 1 {
            let text = "a request changes one of priority, delay_ms, run_at_ms, data and queue";
            return Err(Problem::bad(&format!("{text}, found {count} of them")));
        }
        if changes.lifo.is_some() && changes.priority.is_none() {
            return Err(Problem::field("lifo", "means nothing without priority"));
        }
        if let Some(name) = &changes.queue {
            let to = call.find(name).map_err(|_| Problem::field("queue", &format!("no queue is called {name}")))?;
            return move_job(&call, &queue, job, &to).await;
        }
        if let Some(ms) = changes.delay_ms {
            let at = Time(now_ms() + within("delay_ms", ms, 0, LONGEST_MS)?);
            return change_time(&call, &queue, job, "delay_ms", at).await;
        }
        if let Some(ms) = changes.run_at_ms {
            let at = Time(within("run_at_ms", ms, 0, LONGEST_MS)?);
            return change_time(&call, &queue, job, "run_at_ms", at).await;
        }
        let change = if let Some(priority) = changes.priority {
            JobChange::Priority { priority, lifo: changes.lifo.unwrap_or_default() }
        } else {
            let data = changes.data.map_or("null", RawValue::get);
            JobChange::Payload(payload(&call, &queue, job, data).await?)
        };
        change_one(&call, &queue, job, change).await
    }
}

/// Carries out a change of one job.
async fn change_one<E: Engine>(call: &Call<'_, E>, queue: &Queue, job: JobRef, change: JobChange) -> Outcome<Nothing> {
    carry_out(call, queue, job, change).await?.map_err(|error| Problem::of_error(&error))?;
    Ok(Answer::Of(Nothing {}))
}

/// Has a job run at another time, which the request gave in `field`.
async fn change_time<E: Engine>(
    call: &Call<'_, E>,
    queue: &Queue,
    job: JobRef,
    field: &'static str,
    at: Time,
) -> Outcome<Nothing> {
    match carry_out(call, queue, job, JobChange::RunAt(at)).await? {
        Ok(()) => Ok(Answer::Of(Nothing {})),
        Err(Error::LimitExceeded { found, .. }) => Err(beyond_retention(field, queue, found)),
        Err(error) => Err(Problem::of_error(&error)),
    }
}

async fn carry_out<E: Engine>(
    call: &Call<'_, E>,
    queue: &Queue,
    job: JobRef,
    change: JobChange,
) -> Result<Result<(), Error>, Problem> {
    let command = Command::ChangeJobs { queue: queue.id, jobs: vec![job], change };
    let EngineReply::Settled(outcomes) = call.command(command).await? else { return Err(Problem::internal()) };
    outcomes.into_iter().next().ok_or_else(Problem::internal)
}

/// The payload of a job with other data.
async fn payload<E: Engine>(call: &Call<'_, E>, queue: &Queue, job: JobRef, data: &str) -> Result<Vec<u8>, Problem> {
    let answered = engine::call(&call.app.engine, Command::DescribeJob { queue: queue.id, job, wait_ms: 0 }).await;
    let answered = answered.map_err(Problem::of)?;
    let EngineReply::Job(found) = &answered.reply else { return Err(Problem::internal()) };
    // Where a repair of the store has cut the payload, what comes first is something else.
    let stored = answered.payloads.first().filter(|_| found.body.is_some()).ok_or_else(Problem::internal)?;
    let payload = Payload { body: data, is_json: true, ..decode(queue, found.id, stored)? };
    let bytes = data.len() as u64 + payload.attributes.iter().map(Attribute::bytes).sum::<u64>();
    let most = call.app.config.limits.message_bytes(queue.config.message_bytes_max);
    if bytes > most {
        let text = format!("with name and attributes the job must have at most {most} bytes, found {bytes}");
        return Err(Problem::field("data", &text));
    }
    Ok(payload.encode())
}

async fn move_job<E: Engine>(call: &Call<'_, E>, queue: &Queue, job: JobRef, to: &Queue) -> Outcome<Nothing> {
    let id = match job {
        JobRef::Id(id) => id,
        JobRef::Custom(_) | JobRef::Deduplicating(_) => {
            match call.command(Command::DescribeJob { queue: queue.id, job, wait_ms: 0 }).await? {
                EngineReply::Job(found) => found.id,
                _ => return Err(Problem::internal()),
            }
        }
    };
    let command = Command::Move { queue: queue.id, to: to.id, ids: vec![id] };
    let EngineReply::Settled(outcomes) = call.command(command).await? else { return Err(Problem::internal()) };
    match outcomes.into_iter().next() {
        Some(Ok(())) => Ok(Answer::Of(Nothing {})),
        Some(Err(error)) => Err(Problem::of_error(&error)),
        None => Err(Problem::internal()),
    }
}

macro_rules! simple {
    ($name:ident, $method:ident, $path:literal, $id:literal, $summary:literal, $about:literal, $change:expr) => {
        #[doc = $summary]
        pub(crate) struct $name;

        impl Endpoint for $name {
            const ROUTE: Route =
                Route::new(Method::$method, $path, $id, Tag::Jobs, Role::Write, $summary).about($about).errors(ERRORS);
            type Query = Nothing;
            type Request<'a> = Nothing;
            type Response = Nothing;

            async fn run<E: Engine>(call: Call<'_, E>, _: Nothing, _: Nothing) -> Outcome<Nothing> {
                let queue = call.queue()?;
                let job = job_ref(call.params.get("id"));
                change_one(&call, &queue, job, $change).await
            }
        }
    };
}

/// `DELETE /v1/queues/{queue}/jobs/{id}`
pub(crate) struct Remove;

/// What becomes of the job's children.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RemoveQuery {
    /// Default: `remove`.
    #[serde(default)]
    children: ChildrenLeft,
}

/// What becomes of the children of a job that is removed.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum ChildrenLeft {
    /// Those that have not begun are removed with it.
    #[default]
    Remove,
    /// They stay and run as they would, and nobody waits for them.
    Keep,
}

impl Endpoint for Remove {
    const ROUTE: Route = Route::new(
        Method::Delete,
        "/v1/queues/{queue}/jobs/{id}",
        "remove_job",
        Tag::Jobs,
        Role::Write,
        "Remove a job",
    )
    .about("One that nobody works on, in any state.")
    .errors(ERRORS);
    type Query = RemoveQuery;
    type Request<'a> = Nothing;
    type Response = Nothing;

    async fn run<E: Engine>(call: Call<'_, E>, query: RemoveQuery, _: Nothing) -> Outcome<Nothing> {
        let queue = call.queue()?;
        let job = job_ref(call.params.get("id"));
        let change = match query.children {
            ChildrenLeft::Remove => JobChange::Remove,
            ChildrenLeft::Keep => JobChange::RemoveAlone,
        };
        change_one(&call, &queue, job, change).await
    }
}

/// `DELETE /v1/queues/{queue}/jobs/{id}/parent`
pub(crate) struct LeaveParent;

impl Endpoint for LeaveParent {
    const ROUTE: Route = Route::new(
        Method::Delete,
        "/v1/queues/{queue}/jobs/{id}/parent",
        "leave_parent",
        Tag::Jobs,
        Role::Write,
        "Part a job from its parent",
    )
    .about(
        "The parent waits for it no more, and runs if it was the last one that it waited for. A child that is done, or \
         whose failure its parent does not wait for, stays its child.",
    )
    .errors(&["queue.not_found", "job.not_found", "job.no_parent", "job.state"]);
    type Query = Nothing;
    type Request<'a> = Nothing;
    type Response = Nothing;

    async fn run<E: Engine>(call: Call<'_, E>, _: Nothing, _: Nothing) -> Outcome<Nothing> {
        let queue = call.queue()?;
        let job = job_ref(call.params.get("id"));
        change_one(&call, &queue, job, JobChange::LeaveParent).await
    }
}

simple!(
    Cancel,
    Post,
    "/v1/queues/{queue}/jobs/{id}/cancel",
    "cancel_job",
    "Cancel a job",
    "A job that waits fails as cancelled. The worker of one that is leased learns of it with its next heartbeat.",
    JobChange::Cancel
);
simple!(
    Promote,
    Post,
    "/v1/queues/{queue}/jobs/{id}/promote",
    "promote_job",
    "Make a delayed job ready now",
    "Ends its delay or its backoff.",
    JobChange::Promote
);

/// `POST /v1/queues/{queue}/jobs/{id}/retry`
pub(crate) struct Retry;

/// How a job is retried.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[schemars(rename = "JobRetry")]
#[serde(deny_unknown_fields)]
pub(crate) struct Again {
    /// Whether its failures are counted anew. Default yes: it has all its attempts again.
    reset: Option<bool>,
    /// Whether its starts (`leases` and `starts`) are counted anew. Default no.
    #[serde(default)]
    reset_starts: bool,
}

impl Endpoint for Retry {
    const ROUTE: Route = Route::new(
        Method::Post,
        "/v1/queues/{queue}/jobs/{id}/retry",
        "retry_job",
        Tag::Jobs,
        Role::Write,
        "Run a failed or completed job again",
    )
    .errors(ERRORS);
    type Query = Nothing;
    type Request<'a> = Again;
    type Response = Nothing;

    async fn run<E: Engine>(call: Call<'_, E>, _: Nothing, request: Again) -> Outcome<Nothing> {
        let queue = call.queue()?;
        let job = job_ref(call.params.get("id"));
        let (reset, reset_starts) = (request.reset.unwrap_or(true), request.reset_starts);
        change_one(&call, &queue, job, JobChange::Retry { reset, reset_starts }).await
    }
}

/// `POST /v1/queues/{queue}/jobs/{id}/report`
pub(crate) struct Report;

/// Progress and lines of log.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[schemars(rename = "JobReport")]
#[serde(deny_unknown_fields)]
pub(crate) struct Reported<'a> {
    /// Replaces the progress, any JSON; up to 64 KiB.
    #[serde(borrow)]
    progress: Option<&'a RawValue>,
    /// Lines for the job's log, up to 64 KiB each.
    #[serde(default)]
    logs: Vec<String>,
    /// How many lines of the log remain then, the newest ones; 0 clears it. Default: all that are kept.
    logs_max: Option<u64>,
}

impl Endpoint for Report {
    const ROUTE: Route = Route::new(
        Method::Post,
        "/v1/queues/{queue}/jobs/{id}/report",
        "report_job",
        Tag::Jobs,
        Role::Write,
        "Report progress and lines of log of a job",
    )
    .example(r#"{"progress": {"percent": 40}, "logs": ["half way"]}"#)
    .about("Without a lease: by anybody. A worker reports with its heartbeats.")
    .errors(&["queue.not_found", "job.not_found", "limit.exceeded"]);
    type Query = Nothing;
    type Request<'a> = Reported<'a>;
    type Response = Nothing;

    async fn run<'a, E: Engine>(call: Call<'a, E>, _: Nothing, request: Reported<'a>) -> Outcome<Nothing> {
        let queue = call.queue()?.id;
        let job = job_ref(call.params.get("id"));
        let progress = request.progress.map(|progress| progress.get().as_bytes().to_vec());
        let logs = request.logs.into_iter().map(String::into_bytes).collect();
        call.command(Command::Report { queue, job, progress, logs, logs_max: request.logs_max }).await?;
        Ok(Answer::Of(Nothing {}))
    }
}
