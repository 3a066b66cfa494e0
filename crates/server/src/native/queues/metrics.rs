//! What finished of a queue, minute by minute.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use weir_core::Time;
use weir_core::api::{Command, Ends, MINUTES_MAX, Reply as EngineReply};

use super::Problem;
use crate::access::Role;
use crate::engine::Engine;
use crate::fresh::now_ms;
use crate::native::bounds::LONGEST_MS;
use crate::native::endpoint::{Answer, Call, Endpoint, Nothing, Outcome, within};
use crate::native::route::{Method, Route, Tag};

const MINUTE_MS: u64 = 60_000;
/// Minutes that are told where nothing is said.
const MINUTES: u64 = 60;

/// `GET /v1/queues/{queue}/metrics`
pub(crate) struct Metrics;

/// Which minutes: a day of them at most.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct MetricsQuery {
    /// The first minute is that of this moment. Default: the minute 59 minutes before the last one.
    from_ms: Option<u64>,
    /// The last minute is that of this moment. Default: now.
    to_ms: Option<u64>,
}

/// What finished of a queue.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "QueueMetrics")]
pub(crate) struct MetricsView {
    /// Completed jobs, ever. Messages that SQS deletes count too.
    completed: u64,
    /// Jobs that failed for good, ever. Those that went to the dead-letter queue count too.
    failed: u64,
    /// The minutes in which anything finished, the oldest first. Two weeks are known.
    minutes: Vec<MinuteView>,
}

/// What finished in a minute.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "MinuteOfQueue")]
pub(crate) struct MinuteView {
    /// When it began.
    at_ms: u64,
    /// Completed jobs.
    completed: u64,
    /// Jobs that failed for good.
    failed: u64,
}

impl Endpoint for Metrics {
    const ROUTE: Route = Route::new(
        Method::Get,
        "/v1/queues/{queue}/metrics",
        "get_queue_metrics",
        Tag::Queues,
        Role::Read,
        "What finished of a queue, minute by minute",
    )
    .about("It is counted for every queue, and stored with what it counts.")
    .errors(&["queue.not_found"]);
    type Query = MetricsQuery;
    type Request<'a> = Nothing;
    type Response = MetricsView;

    async fn run<E: Engine>(call: Call<'_, E>, query: MetricsQuery, _: Nothing) -> Outcome<MetricsView> {
        let queue = call.queue()?.id;
        let to = within("to_ms", query.to_ms.unwrap_or_else(now_ms), 0, LONGEST_MS)?;
        let hour = to.saturating_sub((MINUTES - 1) * MINUTE_MS);
        let from = within("from_ms", query.from_ms.unwrap_or(hour), 0, LONGEST_MS)?;
        let minutes = (to / MINUTE_MS + 1).saturating_sub(from / MINUTE_MS);
        if minutes > MINUTES_MAX {
            let text = format!("must be within a day of to_ms, which are {MINUTES_MAX} minutes, found {minutes}");
            return Err(Problem::field("from_ms", &text));
        }
        let command = Command::QueueEnds { queue, from: Time(from), to: Time(to) };
        let EngineReply::Ends { total: Ends { completed, failed }, minutes } = call.command(command).await? else {
            return Err(Problem::internal());
        };
        let minutes =
            minutes.into_iter().map(|(at, Ends { completed, failed })| MinuteView { at_ms: at.0, completed, failed });
        Ok(Answer::Of(MetricsView { completed, failed, minutes: minutes.collect() }))
    }
}
