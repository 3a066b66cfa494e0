//! `GET /v1/events` and `GET /v1/queues/{queue}/events`: what happens to jobs and queues, as server-sent events.

use std::sync::Arc;

use bytes::Bytes;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::sync::{mpsc, watch};
use tokio::time::{Duration, Instant, sleep, sleep_until};
use weir_core::Time;
use weir_core::api::job::{JobEvent, JobEventKind};
use weir_core::api::{Command, Namespace, Queue, QueueId};

mod publish;

pub(crate) use publish::Publish;

use super::Problem;
use super::endpoint::{Answer, Call, Endpoint, Nothing, Outcome};
use super::jobs::{FailureView, StateView, raw};
use super::route::{Method, Route, Tag};
use crate::access::Role;
use crate::app::{App, stopped};
use crate::engine::Engine;
use crate::hub::{Called, Told, What};

/// How long a queue is watched after the last one who did: long enough to come back.
const LINGER: Duration = Duration::from_mins(1);
/// How often something is sent where nothing happens, so that nobody on the way takes the connection for dead.
const ALIVE: Duration = Duration::from_secs(15);
/// Events that are sent together at most.
const AT_ONCE: usize = 256;

const LAST: &str = "Last-Event-ID";
const HEADERS: &[(&str, &str)] = &[(
    LAST,
    "Goes on behind the event of this id. What happened since is told if it is among the last 10 000 events; otherwise an \
     event `gap` is.",
)];
const ABOUT: &str = "A stream of server-sent events (`text/event-stream`) that does not end. `event` is the type, `data` \
an object of the type `JobHappening`, `id` what a reconnecting client sends as `Last-Event-ID`; browsers do that by \
themselves. An event `gap` tells that events were missed: look at the jobs anew.";

/// `GET /v1/events`
pub(crate) struct Everywhere;

/// `GET /v1/queues/{queue}/events`
pub(crate) struct OfQueue;

/// Which events.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct EventQuery {
    /// Only these types. Default: all.
    types: Option<Vec<EventType>>,
    /// The same as the header, for those who cannot send one.
    last_event_id: Option<String>,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum EventType {
    /// A job was added.
    Added,
    /// Another one was not added, since this one has its `deduplication_id`, or else its `custom_id`.
    Deduplicated,
    /// Its delay ended, or it was released or promoted: it is ready.
    Ready,
    /// It waits, until `until_ms`.
    Delayed,
    /// A worker has it.
    Started,
    /// A worker reported `progress`.
    Progress,
    /// It waits for its children.
    WaitingForChildren,
    /// It is done.
    Completed,
    /// An attempt failed, and there will be another.
    AttemptFailed,
    /// It failed for good.
    Failed,
    /// Its worker was lost, and it is ready again.
    Stalled,
    /// It was removed.
    Removed,
    /// The queue was paused; until `until_ms` where it goes on by itself.
    Paused,
    /// The queue goes on.
    Resumed,
    /// What a program says: `name` and `data`.
    Published,
}

impl EventType {
    fn of(what: &What) -> Self {
        match what {
            What::Job(event, _) => Self::of_job(&event.kind),
            What::Pause(pause) if pause.until.is_some() => Self::Paused,
            What::Pause(_) => Self::Resumed,
            What::Published(_) => Self::Published,
        }
    }

    fn of_job(kind: &JobEventKind) -> Self {
        match kind {
            JobEventKind::Added(..) => Self::Added,
            JobEventKind::Deduplicated(..) => Self::Deduplicated,
            JobEventKind::Ready => Self::Ready,
            JobEventKind::Delayed(_) => Self::Delayed,
            JobEventKind::Started => Self::Started,
            JobEventKind::Progress(_) => Self::Progress,
            JobEventKind::WaitingForChildren => Self::WaitingForChildren,
            JobEventKind::Completed(_) => Self::Completed,
            JobEventKind::AttemptFailed(..) => Self::AttemptFailed,
            JobEventKind::Failed(..) => Self::Failed,
            JobEventKind::Stalled => Self::Stalled,
            JobEventKind::Removed => Self::Removed,
        }
    }
}

/// Something that happened to a job, or to a queue: the data of an event.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "JobHappening")]
pub(crate) struct Happening {
    #[serde(rename = "type")]
    kind: EventType,
    /// The queue.
    queue: String,
    /// The job; absent of `paused`, `resumed` and `published`.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    /// When.
    at_ms: u64,
    /// Where the job stands, of `added`.
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<StateView>,
    /// The job's name, of `added`; the event's, of `published`.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// The id that its sender chose, of `added`; of `deduplicated` that of the job that was not added.
    #[serde(skip_serializing_if = "Option::is_none")]
    custom_id: Option<String>,
    /// The deduplication id that kept another one away, of `deduplicated`. Absent where its `custom_id` did, or its body.
    #[serde(skip_serializing_if = "Option::is_none")]
    deduplication_id: Option<String>,
    /// When it is ready, of `delayed`; when it goes on by itself, if it does, of `paused`.
    #[serde(skip_serializing_if = "Option::is_none")]
    until_ms: Option<u64>,
    /// The progress, of `progress`.
    #[serde(skip_serializing_if = "Option::is_none")]
    progress: Option<Box<RawValue>>,
    /// What came of it, of `completed`.
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<Box<RawValue>>,
    /// How it failed, of `attempt_failed` and `failed`.
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<FailureView>,
    /// What the worker said, if it did, of the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Box<RawValue>>,
    /// What the program says, of `published`.
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Box<RawValue>>,
}

impl Happening {
    fn of(told: &Told) -> Self {
        match &told.what {
            What::Job(event, called) => Self::of_job(told, event, called),
            What::Pause(pause) => {
                let until_ms = pause.until.filter(|until| *until != Time::NEVER).map(|until| until.0);
                Self { until_ms, ..Self::plain(told, pause.at) }
            }
            What::Published(published) => Self {
                name: Some(published.name.to_string()),
                data: Some(raw(&published.data)),
                ..Self::plain(told, published.at)
            },
        }
    }

    fn plain(told: &Told, at: Time) -> Self {
        Self {
            kind: EventType::of(&told.what),
            queue: told.queue.name.clone(),
            id: None,
            at_ms: at.0,
            state: None,
            name: None,
            custom_id: None,
            deduplication_id: None,
            until_ms: None,
            progress: None,
            result: None,
            failure: None,
            error: None,
            data: None,
        }
    }

    fn of_job(told: &Told, event: &JobEvent, called: &Called) -> Self {
        let stored = |bytes: &[u8]| (!bytes.is_empty()).then(|| raw(bytes));
        let plain = Self { id: Some(event.job.to_string()), ..Self::plain(told, event.at) };
        match &event.kind {
            JobEventKind::Added(state, _) => Self {
                state: Some(StateView::of(*state)),
                name: called.name.as_deref().map(str::to_owned),
                custom_id: called.custom_id.as_deref().map(str::to_owned),
                ..plain
            },
            JobEventKind::Deduplicated(..) => Self {
                custom_id: called.custom_id.as_deref().map(str::to_owned),
                deduplication_id: called.deduplication_id.as_deref().map(str::to_owned),
                ..plain
            },
            JobEventKind::Delayed(until) => Self { until_ms: Some(until.0), ..plain },
            JobEventKind::Progress(progress) => Self { progress: stored(progress), ..plain },
            JobEventKind::Completed(result) => Self { result: result.as_deref().and_then(stored), ..plain },
            JobEventKind::AttemptFailed(kind, error) | JobEventKind::Failed(kind, error) => {
                Self { failure: Some(FailureView::of(*kind)), error: stored(error), ..plain }
            }
            _ => plain,
        }
    }
}

impl Endpoint for Everywhere {
    const ROUTE: Route =
        Route::new(Method::Get, "/v1/events", "watch_jobs", Tag::Events, Role::Read, "What happens to jobs and queues")
            .about(ABOUT)
            .headers(HEADERS)
            .media_type("text/event-stream");
    type Query = EventQuery;
    type Request<'a> = Nothing;
    type Response = Happening;

    async fn run<E: Engine>(call: Call<'_, E>, query: EventQuery, _: Nothing) -> Outcome<Happening> {
        stream(&call, query, Scope::Namespace(call.caller.namespace)).await
    }
}

impl Endpoint for OfQueue {
    const ROUTE: Route = Route::new(
        Method::Get,
        "/v1/queues/{queue}/events",
        "watch_queue",
        Tag::Events,
        Role::Read,
        "What happens to a queue and its jobs",
    )
    .about(ABOUT)
    .headers(HEADERS)
    .media_type("text/event-stream")
    .errors(&["queue.not_found"]);
    type Query = EventQuery;
    type Request<'a> = Nothing;
    type Response = Happening;

    async fn run<E: Engine>(call: Call<'_, E>, query: EventQuery, _: Nothing) -> Outcome<Happening> {
        let queue = call.queue()?;
        stream(&call, query, Scope::Queue(queue)).await
    }
}

/// Which queues are watched.
enum Scope {
    Queue(Arc<Queue>),
    Namespace(Namespace),
}

async fn stream<E: Engine>(call: &Call<'_, E>, query: EventQuery, scope: Scope) -> Outcome<Happening> {
    let app = Arc::clone(call.app);
    let last = call.header(LAST)?.map(str::to_owned).or(query.last_event_id);
    // Changes from here on are seen, and so is a queue that comes while those there are are looked at.
    let changes = app.hub.changes();
    let now = app.hub.next();
    let mut watching = Watching { app, queues: Vec::new() };
    watching.take_in(&scope).await?;
    let (sender, receiver) = mpsc::channel(4);
    let (from, gap) = match last.as_deref().map(|id| watching.app.hub.number(id)) {
        Some(Some(number)) => (number.saturating_add(1).min(now), false),
        // An id of another life of the server: what happened in between is not known.
        Some(None) => (now, true),
        None => (now, false),
    };
    let is_resumed = last.is_some();
    tokio::spawn(tell(watching, scope, changes, Position { from, gap, is_resumed }, query.types, sender));
    Ok(Answer::Stream(receiver))
}

/// Where a stream begins.
struct Position {
    from: u64,
    gap: bool,
    is_resumed: bool,
}

async fn tell<E: Engine>(
    mut watching: Watching<E>,
    scope: Scope,
    mut changes: watch::Receiver<u64>,
    position: Position,
    types: Option<Vec<EventType>>,
    sender: mpsc::Sender<Bytes>,
) {
    let Position { mut from, gap, is_resumed } = position;
    let mut stopping = watching.app.stopping.clone();
    let mut out = String::from("retry: 1000\n\n");
    if gap {
        out.push_str("event: gap\ndata: {}\n\n");
    }
    // Only who was here before can have missed something.
    let mut counts_gaps = is_resumed && !gap;
    loop {
        let news = watching.app.hub.news(&watching.queues, from, AT_ONCE);
        if news.gap && counts_gaps {
            out.push_str("event: gap\ndata: {}\n\n");
        }
        counts_gaps = true;
        let is_more = news.events.len() == AT_ONCE;
        from = news.next;
        for told in &news.events {
            push(&mut out, &watching.app.hub.id(told.number), told, types.as_deref());
        }
        if !out.is_empty() && sender.send(Bytes::from(std::mem::take(&mut out))).await.is_err() {
            return;
        }
        if is_more {
            continue;
        }
        let quiet = Instant::now() + ALIVE;
        tokio::select! {
            outcome = changes.changed() => if outcome.is_err() { return },
            () = sleep_until(quiet) => out.push_str(":\n\n"),
            () = sender.closed() => return,
            () = stopped(&mut stopping) => return,
        }
        if watching.take_in(&scope).await.is_err() {
            return;
        }
    }
}

fn push(out: &mut String, id: &str, told: &Told, types: Option<&[EventType]>) {
    let kind = EventType::of(&told.what);
    if types.is_some_and(|types| !types.contains(&kind)) {
        return;
    }
    let data = serde_json::to_string(&Happening::of(told)).expect("texts and numbers are JSON");
    let name = serde_json::to_value(kind).ok();
    let name = name.as_ref().and_then(serde_json::Value::as_str).unwrap_or_default();
    // What a worker gave as JSON may have line breaks, which would end the field.
    let data = data.replace(['\r', '\n'], " ");
    for part in ["id: ", id, "\nevent: ", name, "\ndata: ", &data, "\n\n"] {
        out.push_str(part);
    }
}

/// The queues that one watches. Dropped, it leaves them.
struct Watching<E: Engine> {
    app: Arc<App<E>>,
    queues: Vec<QueueId>,
}

impl<E: Engine> Watching<E> {
    /// Watches the queues that are in scope, and not watched yet.
    async fn take_in(&mut self, scope: &Scope) -> Result<(), Problem> {
        match scope {
            Scope::Queue(queue) if self.queues.is_empty() => self.take(queue).await,
            Scope::Queue(_) => Ok(()),
            Scope::Namespace(namespace) => {
                for queue in self.app.engine.all() {
                    if queue.namespace == *namespace && !self.queues.contains(&queue.id) {
                        match self.take(&queue).await {
                            // It was deleted meanwhile.
                            Err(problem) if problem.code() == "queue.not_found" => {}
                            outcome => outcome?,
                        }
                    }
                }
                Ok(())
            }
        }
    }

    async fn take(&mut self, queue: &Arc<Queue>) -> Result<(), Problem> {
        // Before anything is waited for: whoever goes away meanwhile leaves the queue too.
        self.queues.push(queue.id);
        if self.app.hub.watch(queue) {
            let command = Command::WatchQueue { queue: queue.id, watch: true };
            if let Err(refused) = crate::engine::call(&self.app.engine, command).await {
                // The engine does not tell of it: the next one who watches has to ask again.
                self.queues.pop();
                if let Some(visits) = self.app.hub.leave(queue.id) {
                    self.app.hub.forget(queue.id, visits);
                }
                return Err(Problem::of(refused));
            }
        }
        Ok(())
    }
}

impl<E: Engine> Drop for Watching<E> {
    fn drop(&mut self) {
        let left = self.queues.drain(..).filter_map(|queue| Some((queue, self.app.hub.leave(queue)?)));
        let left: Vec<(QueueId, u64)> = left.collect();
        if left.is_empty() {
            return;
        }
        let app = Arc::clone(&self.app);
        tokio::spawn(async move {
            let mut stopping = app.stopping.clone();
            tokio::select! {
                () = sleep(LINGER) => {}
                () = stopped(&mut stopping) => return,
            }
            for (queue, visits) in left {
                if app.hub.forget(queue, visits) {
                    // Where the shard is overloaded it goes on telling, which costs little.
                    let _ = app.engine.tell(Command::WatchQueue { queue, watch: false });
                }
            }
        });
    }
}
