//! Which job a deduplication id belongs to, and making the id free.

use schemars::JsonSchema;
use serde::Deserialize;
use weir_aws::sqs::id_hash;
use weir_core::api::Command;
use weir_core::api::Reply as EngineReply;
use weir_core::api::job::JobRef;

use super::super::Problem;
use super::super::endpoint::{Answer, Call, Endpoint, Nothing, Outcome};
use super::super::route::{Method, Route, Tag};
use super::job_ref::job_ref;
use super::view::JobView;
use crate::access::Role;
use crate::engine::{self, Engine};

const ERRORS: &[&str] = &["queue.not_found", "job.not_found"];

/// `GET /v1/queues/{queue}/deduplication/{deduplication_id}`
pub(crate) struct GetDeduplicated;

impl Endpoint for GetDeduplicated {
    const ROUTE: Route = Route::new(
        Method::Get,
        "/v1/queues/{queue}/deduplication/{deduplication_id}",
        "get_deduplicated_job",
        Tag::Jobs,
        Role::Read,
        "The job that keeps others of a deduplication id away",
    )
    .about(
        "Jobs of FIFO queues are not found by it. One that has left the queue while its `ttl_ms` lasts is not either.",
    )
    .errors(ERRORS);
    type Query = Nothing;
    type Request<'a> = Nothing;
    type Response = JobView;

    async fn run<E: Engine>(call: Call<'_, E>, _: Nothing, _: Nothing) -> Outcome<JobView> {
        let queue = call.queue()?;
        let job = JobRef::Deduplicating(id_hash(call.params.get("deduplication_id")));
        let answered = engine::call(&call.app.engine, Command::DescribeJob { queue: queue.id, job, wait_ms: 0 }).await;
        let answered = answered.map_err(Problem::of)?;
        let EngineReply::Job(job) = &answered.reply else { return Err(Problem::internal()) };
        let queues = if job.parent.is_some() { call.app.engine.all() } else { Vec::new() };
        JobView::new(&queue, job, &answered.payloads, &queues).map(Answer::Of)
    }
}

/// `DELETE /v1/queues/{queue}/deduplication/{deduplication_id}`
pub(crate) struct ForgetDeduplication;

/// Whose id it is to be.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Holder {
    /// Only if this job has the id. Default: whichever has it.
    job: Option<String>,
}

impl Endpoint for ForgetDeduplication {
    const ROUTE: Route = Route::new(
        Method::Delete,
        "/v1/queues/{queue}/deduplication/{deduplication_id}",
        "forget_deduplication",
        Tag::Jobs,
        Role::Write,
        "Make a deduplication id free",
    )
    .about(
        "The job stays, and the next one of the id is added. A duplicate that was kept back until the job has finished \
         comes at once, and has the id then.",
    )
    .errors(ERRORS);
    type Query = Holder;
    type Request<'a> = Nothing;
    type Response = Nothing;

    async fn run<E: Engine>(call: Call<'_, E>, query: Holder, _: Nothing) -> Outcome<Nothing> {
        let queue = call.queue()?.id;
        let hash = id_hash(call.params.get("deduplication_id"));
        let job = query.job.as_deref().map(job_ref);
        call.command(Command::ForgetDedup { queue, hash, job }).await?;
        Ok(Answer::Of(Nothing {}))
    }
}
