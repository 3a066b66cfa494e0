//! Changes of many jobs: those that a filter picks, slice by slice.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::time::{Duration, Instant};
use weir_core::api::job::{JobChange, JobRef};
use weir_core::api::{Command, LIST_MAX, Queue, Reply as EngineReply};

use super::super::Problem;
use super::super::endpoint::{Answer, Call, Endpoint, Nothing, Outcome};
use super::super::route::{Method, Route, Tag};
use super::list::{ListedState, Picked, Walk};
use super::view::decode;
use crate::access::Role;
use crate::engine::{self, Engine};
use crate::fresh::now_ms;

/// How long one request works before it answers with a cursor.
const WORK: Duration = Duration::from_secs(5);

/// Which jobs are changed.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BulkRequest {
    /// Jobs in these states. Default: all that the change makes sense for.
    states: Option<Vec<ListedState>>,
    /// Only jobs of this name.
    name: Option<String>,
    /// Only jobs for which this holds: the filters of a redrive, such as `attributes.kind = "mail" and receives > 3`.
    filter: Option<String>,
    /// Only jobs that were added so long ago, or longer.
    older_than_ms: Option<u64>,
    /// How many at most. Default: all.
    max: Option<u64>,
    /// Whether nothing is changed, only counted.
    #[serde(default)]
    dry_run: bool,
    /// Where the last answer ended.
    cursor: Option<String>,
}

/// What one request came by.
#[derive(Debug, Default, Serialize, JsonSchema)]
#[schemars(rename = "BulkAnswer")]
pub(crate) struct Bulk {
    /// Jobs that were looked at.
    examined: u64,
    /// Those that were picked.
    matched: u64,
    /// Those that were changed; another request may have been first with the others.
    changed: u64,
    /// For the next request; absent once all is done.
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<String>,
    /// Whether the end of the queue, or the `max`, is reached.
    done: bool,
}

async fn change<E: Engine>(
    call: &Call<'_, E>,
    request: BulkRequest,
    usual: &[ListedState],
    also: &[ListedState],
    change: JobChange,
) -> Outcome<Bulk> {
    let queue = call.queue()?;
    let allowed = |state| usual.contains(state) || also.contains(state);
    if let Some(wrong) = request.states.iter().flatten().find(|state| !allowed(state)) {
        let text = format!("{} jobs cannot be changed so", super::settle::StateView::of(wrong.state()).name());
        return Err(Problem::field("states", &text));
    }
    let picked = Picked::new(request.name, request.filter.as_deref())?;
    let before = request.older_than_ms.map(|ms| now_ms().saturating_sub(ms));
    let states = request.states.unwrap_or_else(|| usual.to_vec());
    let mut walk = Walk::new(&queue, Some(states), request.cursor.as_deref())?;
    let until = Instant::now() + WORK;
    let mut answer = Bulk::default();
    loop {
        let counted = if request.dry_run { answer.matched } else { answer.changed };
        let left = request.max.map_or(u64::MAX, |max| max.saturating_sub(counted));
        if left == 0 {
            answer.done = true;
            return Ok(Answer::Of(answer));
        }
        if Instant::now() >= until {
            answer.cursor = walk.cursor();
            answer.done = answer.cursor.is_none();
            return Ok(Answer::Of(answer));
        }
        let slice = left.min(LIST_MAX as u64) as u32;
        let Some(page) = walk.page(call, slice).await? else {
            answer.done = true;
            return Ok(Answer::Of(answer));
        };
        let mut jobs = Vec::new();
        for (listed, payload) in page.jobs.iter().zip(&page.payloads) {
            answer.examined += 1;
            let payload = decode(&queue, listed.id, payload)?;
            if before.is_none_or(|before| listed.sent_at.0 <= before) && picked.takes(listed, &payload) {
                jobs.push(JobRef::Id(listed.id));
            }
        }
        answer.matched += jobs.len() as u64;
        if !request.dry_run && !jobs.is_empty() {
            answer.changed += carry_out(call, &queue, jobs, change.clone()).await?;
        }
    }
}

/// How many of the jobs were changed.
async fn carry_out<E: Engine>(
    call: &Call<'_, E>,
    queue: &Queue,
    jobs: Vec<JobRef>,
    change: JobChange,
) -> Result<u64, Problem> {
    let command = Command::ChangeJobs { queue: queue.id, jobs, change };
    let answered = engine::call(&call.app.engine, command).await.map_err(Problem::of)?;
    let EngineReply::Settled(outcomes) = answered.reply else { return Err(Problem::internal()) };
    Ok(outcomes.iter().filter(|outcome| outcome.is_ok()).count() as u64)
}

macro_rules! bulk {
    ($name:ident, $path:literal, $id:literal, $summary:literal, $about:literal, $usual:expr, $also:expr, $change:expr) => {
        #[doc = $summary]
        pub(crate) struct $name;

        impl Endpoint for $name {
            const ROUTE: Route = Route::new(Method::Post, $path, $id, Tag::Jobs, Role::Admin, $summary)
                .about($about)
                .errors(&["queue.not_found"]);
            type Query = Nothing;
            type Request<'a> = BulkRequest;
            type Response = Bulk;

            async fn run<E: Engine>(call: Call<'_, E>, _: Nothing, request: BulkRequest) -> Outcome<Bulk> {
                change(&call, request, &$usual, &$also, $change).await
            }
        }
    };
}

use ListedState::{Completed, Delayed, Failed, Leased, Ready, Waiting};

bulk!(
    RetryMany,
    "/v1/queues/{queue}/jobs/retry",
    "retry_jobs",
    "Run failed jobs again",
    "All failed ones, or those that are picked; completed ones where `states` names them. A request works for up to five \
     seconds; `cursor` goes on where it ended.",
    [Failed],
    [Completed],
    JobChange::Retry { reset: true, reset_starts: false }
);
bulk!(
    CancelMany,
    "/v1/queues/{queue}/jobs/cancel",
    "cancel_jobs",
    "Cancel jobs",
    "Those that wait fail as cancelled; workers learn of it with their next heartbeat. Works as `retry_jobs` does.",
    [Ready, Delayed, Waiting, Leased],
    [],
    JobChange::Cancel
);
bulk!(
    PromoteMany,
    "/v1/queues/{queue}/jobs/promote",
    "promote_jobs",
    "Make delayed jobs ready now",
    "Works as `retry_jobs` does.",
    [Delayed],
    [],
    JobChange::Promote
);
bulk!(
    RemoveMany,
    "/v1/queues/{queue}/jobs/remove",
    "remove_jobs",
    "Remove jobs",
    "Those that nobody works on, with their children that have not begun. Works as `retry_jobs` does.",
    [Ready, Delayed, Waiting, Failed, Completed],
    [],
    JobChange::Remove
);
bulk!(
    Clean,
    "/v1/queues/{queue}/clean",
    "clean_queue",
    "Remove finished jobs",
    "Completed and failed ones; with `older_than_ms` only old ones. Works as `retry_jobs` does.",
    [Completed, Failed],
    [],
    JobChange::Remove
);
bulk!(
    Drain,
    "/v1/queues/{queue}/drain",
    "drain_queue",
    "Remove jobs that wait to run",
    "Ready ones; delayed ones too where `states` names them. What is being worked on goes on. Works as `retry_jobs` does.",
    [Ready],
    [Delayed],
    JobChange::Remove
);
