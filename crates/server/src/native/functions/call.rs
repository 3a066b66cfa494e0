//! Calling a function, and waiting for what it says or not.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::access::Role;
use crate::engine::Engine;
use crate::functions::{self, Called, Ended};
use crate::native::Problem;
use crate::native::bounds::WAIT_MS_MAX;
use crate::native::endpoint::{self, Answer, Endpoint, Nothing, Outcome, within};
use crate::native::jobs::{ADD_HEADERS, AddedJobs, FailureView, OneOrMany, Spec, add_to, raw};
use crate::native::route::{Method, Route, Tag};

/// How long is waited where nothing is said.
const WAIT_MS: u64 = 60_000;

/// `POST /v1/functions/{function}/call`
pub(crate) struct Call;

/// How long to wait.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CallWait {
    /// How many milliseconds to wait for the result, up to an hour. Default 60 000.
    wait_ms: Option<u64>,
}

/// What a function answered.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "CallResult")]
pub(crate) struct CallResult {
    /// The id of the job that the call was.
    id: String,
    /// What came of it; null where there is nothing to say.
    result: Box<RawValue>,
}

impl Endpoint for Call {
    const ROUTE: Route = Route::new(
        Method::Post,
        "/v1/functions/{function}/call",
        "call_function",
        Tag::Functions,
        Role::Write,
        "Call a function, and wait for its result",
    )
    .example(r#"{"data": {"image": "ada.png", "width": 200}}"#)
    .about(
        "The body is a job; `data` is the payload. It is tried once unless its `retry` says otherwise. A call that was not \
         begun when the time to wait is over is not begun any more; one that was goes on, and its job keeps what comes of it, \
         also where the caller has gone away.",
    )
    .errors(&["function.not_found", "function.failed", "function.timeout", "queue.not_found", "queue.stale", "job.not_found", "limit.exceeded"]);
    type Query = CallWait;
    type Request<'a> = Spec<'a>;
    type Response = CallResult;

    async fn run<'a, E: Engine>(call: endpoint::Call<'a, E>, query: CallWait, spec: Spec<'a>) -> Outcome<CallResult> {
        let wait_ms = within("wait_ms", query.wait_ms.unwrap_or(WAIT_MS), 1, WAIT_MS_MAX)?;
        spec.check_call()?;
        let find = || call.function().map(|(queue, _)| queue);
        let (spec, limits) = (spec.called(wait_ms), &call.app.config.limits);
        let called = functions::add(call.app, find, |queue| spec.job(queue, limits, None)).await?;
        let Called { queue, id } = &called;
        let problem = match functions::wait(call.app, &called, wait_ms).await?.ended {
            Ended::Done(result) => {
                let result = raw(result.as_deref().unwrap_or(b"null"));
                return Ok(Answer::Of(CallResult { id: id.to_string(), result }));
            }
            Ended::Failed(kind, said) => {
                let detail = format!("the call of {} failed", queue.name);
                let error = said.map(|said| raw(&said));
                Problem::new("function.failed", &detail).with_failure(FailureView::of(kind), error)
            }
            Ended::Late { is_begun: true } => {
                let text = format!("the call of {} has not ended within {wait_ms} ms, and goes on", queue.name);
                Problem::new("function.timeout", &text)
            }
            Ended::Late { is_begun: false } => {
                let text = format!("the call of {} was not begun within {wait_ms} ms, and is not any more", queue.name);
                Problem::new("function.timeout", &text)
            }
            Ended::Removed => {
                let text = format!("the job {id} of the call was removed before its end was known");
                Problem::new("job.not_found", &text)
            }
        };
        Err(problem.of_job(*id))
    }
}

/// `POST /v1/functions/{function}/enqueue`
pub(crate) struct Enqueue;

impl Endpoint for Enqueue {
    const ROUTE: Route = Route::new(
        Method::Post,
        "/v1/functions/{function}/enqueue",
        "enqueue_call",
        Tag::Functions,
        Role::Write,
        "Have a function called, and wait for nothing",
    )
    .example(r#"{"data": {"image": "ada.png", "width": 200}}"#)
    .about(
        "The same as adding jobs to the function's queue: one, or `{\"jobs\": [...]}`. They are tried as the function says.",
    )
    .headers(ADD_HEADERS)
    .errors(&["function.not_found", "queue.not_found", "queue.stale", "job.not_found", "job.state", "limit.exceeded"]);
    type Query = Nothing;
    type Request<'a> = OneOrMany<'a>;
    type Response = AddedJobs;

    async fn run<'a, E: Engine>(call: endpoint::Call<'a, E>, _: Nothing, request: OneOrMany<'a>) -> Outcome<AddedJobs> {
        let (queue, _) = call.function()?;
        add_to(&call, &queue.name, &request).await
    }
}
