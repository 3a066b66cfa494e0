//! `GET /v1/queues/{queue}/jobs`: page by page, by state, with a filter.

use bytes::Bytes;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;
use tokio::time::{Duration, Instant};
use weir_core::api::job::{JobPage, JobState, PageMark};
use weir_core::api::{Command, LIST_MAX, Listed, Queue, Reply as EngineReply};

use super::super::endpoint::{Answer, Call, Endpoint, Nothing, Outcome, within};
use super::super::route::{Method, Route, Tag};
use super::super::{Problem, redrive};
use super::data::{NAME, own};
use super::view::{Common, decode};
use crate::access::Role;
use crate::engine::{self, Engine};
use crate::filter::{self, Filter};

/// `GET /v1/queues/{queue}/jobs`
pub(crate) struct List;

/// Which jobs are listed.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListQuery {
    /// Which states, in this order. Default: leased, ready, delayed, waiting, failed, completed.
    states: Option<Vec<ListedState>>,
    /// How many at most, from 1 to 256. Default 100.
    #[schemars(range(min = 1, max = 256))]
    limit: Option<u64>,
    /// Where the last page ended.
    cursor: Option<String>,
    /// Only jobs of this name.
    name: Option<String>,
    /// Only jobs for which this holds: the filters of a redrive, such as `attributes.kind = "mail" and body contains "x"`.
    filter: Option<String>,
}

/// A state that jobs are listed by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ListedState {
    /// It could run, or is held back only by limiters, its group or a pause.
    Ready,
    /// Its delay or backoff has not ended.
    Delayed,
    /// A worker has it.
    Leased,
    /// It waits for its children.
    Waiting,
    /// Done.
    Completed,
    /// Failed for good, cancelled or expired.
    Failed,
}

impl ListedState {
    pub(super) fn state(self) -> JobState {
        match self {
            Self::Ready => JobState::Ready,
            Self::Delayed => JobState::Delayed,
            Self::Leased => JobState::Leased,
            Self::Waiting => JobState::Waiting,
            Self::Completed => JobState::Completed,
            Self::Failed => JobState::Failed,
        }
    }
}

/// A page of jobs.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "JobPage")]
pub(crate) struct JobList {
    /// The jobs: ready ones as they will run, delayed and leased ones by when that ends, finished ones newest first.
    jobs: Vec<Common>,
    /// How many were looked at: more than there are where a filter is given.
    examined: u64,
    /// For the next page; absent on the last one. A page may have fewer jobs than its limit, or none, and yet a cursor:
    /// one request looks at no more than it can within two seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<String>,
}

const STATES: [ListedState; 6] = [
    ListedState::Leased,
    ListedState::Ready,
    ListedState::Delayed,
    ListedState::Waiting,
    ListedState::Failed,
    ListedState::Completed,
];
/// How long one request looks for jobs that a filter picks.
const WORK: Duration = Duration::from_secs(2);
/// Most bytes of payload in memory at once, for a request.
pub(super) const PAYLOAD_BYTES_MAX: u64 = 8 << 20;

impl Endpoint for List {
    const ROUTE: Route = Route::new(
        Method::Get,
        "/v1/queues/{queue}/jobs",
        "list_jobs",
        Tag::Jobs,
        Role::Read,
        "Jobs of a queue, by state",
    )
    .about(
        "A page costs what it holds, at any depth. A filter looks at each job of the states; `examined` tells how far. \
         What came of a job, its progress and its history are told with the job alone: they are rows of their own, as long \
         as what a worker said.",
    )
    .errors(&["queue.not_found"]);
    type Query = ListQuery;
    type Request<'a> = Nothing;
    type Response = JobList;

    async fn run<E: Engine>(call: Call<'_, E>, query: ListQuery, _: Nothing) -> Outcome<JobList> {
        let queue = call.queue()?;
        let limit = within("limit", query.limit.unwrap_or(100), 1, LIST_MAX as u64)? as usize;
        let picked = Picked::new(query.name, query.filter.as_deref())?;
        let mut walk = Walk::new(&queue, query.states, query.cursor.as_deref())?;
        let until = Instant::now() + WORK;
        let mut list = JobList { jobs: Vec::new(), examined: 0, cursor: None };
        while let Some(page) = walk.page(&call, (limit - list.jobs.len()) as u32).await? {
            for (listed, payload) in page.jobs.iter().zip(&page.payloads) {
                list.examined += 1;
                let payload = decode(&queue, listed.id, payload)?;
                if picked.takes(listed, &payload) {
                    list.jobs.push(Common::of_listed(&queue, page.state, listed, &payload));
                }
            }
            if list.jobs.len() == limit || Instant::now() >= until {
                break;
            }
        }
        list.cursor = walk.cursor();
        Ok(Answer::Of(list))
    }
}

/// Which jobs are meant.
#[derive(Debug)]
pub(super) struct Picked {
    name: Option<String>,
    filter: Option<Filter>,
}

impl Picked {
    pub(super) fn new(name: Option<String>, filter: Option<&str>) -> Result<Self, Problem> {
        let filter = filter.map(filter::parse).transpose();
        let filter = filter.map_err(|error| Problem::field("filter", &error.to_string()))?;
        Ok(Self { name, filter })
    }

    pub(super) fn takes(&self, listed: &Listed, payload: &weir_aws::sqs::payload::Payload<'_>) -> bool {
        let named = self.name.as_deref().is_none_or(|name| own(&payload.attributes, NAME) == Some(name));
        named && self.filter.as_ref().is_none_or(|filter| redrive::matches(filter, listed, payload))
    }
}

/// A walk over a queue's jobs, state by state.
pub(super) struct Walk<'q> {
    queue: &'q Queue,
    states: Vec<ListedState>,
    /// Which of the states is walked over; their number at the end.
    at: usize,
    after: Option<PageMark>,
}

/// A part of a walk.
pub(super) struct Part {
    pub(super) state: JobState,
    pub(super) jobs: Vec<Listed>,
    pub(super) payloads: Vec<Bytes>,
}

impl<'q> Walk<'q> {
    pub(super) fn new(
        queue: &'q Queue,
        states: Option<Vec<ListedState>>,
        cursor: Option<&str>,
    ) -> Result<Self, Problem> {
        let states = states.filter(|states| !states.is_empty()).unwrap_or_else(|| STATES.to_vec());
        let mut walk = Self { queue, states, at: 0, after: None };
        if let Some(cursor) = cursor {
            let bad = || Problem::field("cursor", "it is none that this server gave for these states");
            let mut numbers = cursor.split('.');
            walk.at = numbers.next().and_then(|at| at.parse().ok()).ok_or_else(bad)?;
            let mark: PageMark = numbers.map(str::parse).collect::<Result<_, _>>().map_err(|_| bad())?;
            walk.after = (!mark.is_empty()).then_some(mark);
            if walk.at >= walk.states.len() {
                return Err(bad());
            }
        }
        Ok(walk)
    }

    /// The next jobs; nothing at the end.
    pub(super) async fn page<E: Engine>(&mut self, call: &Call<'_, E>, max: u32) -> Result<Option<Part>, Problem> {
        let Some(state) = self.states.get(self.at).map(|state| state.state()) else { return Ok(None) };
        let command = Command::ListJobs {
            queue: self.queue.id,
            state,
            after: self.after.take(),
            max: max.clamp(1, LIST_MAX as u32),
            payload_bytes_max: Some(PAYLOAD_BYTES_MAX),
        };
        let answered = engine::call(&call.app.engine, command).await.map_err(Problem::of)?;
        let EngineReply::Jobs(JobPage { jobs, next, .. }) = answered.reply else { return Err(Problem::internal()) };
        if next.is_none() {
            self.at += 1;
        }
        self.after = next;
        Ok(Some(Part { state, jobs, payloads: answered.payloads }))
    }

    /// Where to go on; nothing at the end.
    pub(super) fn cursor(&self) -> Option<String> {
        if self.at >= self.states.len() {
            return None;
        }
        let mark: SmallVec<[String; 4]> = self.after.iter().flatten().map(ToString::to_string).collect();
        let mut cursor = self.at.to_string();
        for number in mark {
            cursor.push('.');
            cursor.push_str(&number);
        }
        Some(cursor)
    }
}
