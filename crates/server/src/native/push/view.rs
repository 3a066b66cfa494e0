//! A push target as it is shown: without its secrets.

use schemars::JsonSchema;
use serde::Serialize;
use weir_push::Settings;
use weir_push::breaker::State;

use crate::push::{Note, Status, Trouble};

/// The push target of a queue.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Push")]
pub(crate) struct PushView {
    /// The name of the queue.
    queue: String,
    /// What was set, without what is never shown.
    target: Settings,
    /// How many secrets sign.
    secrets: usize,
    /// The names of the headers whose values are never shown.
    secret_headers: Vec<String>,
    /// Whether nothing is sent until it is resumed.
    paused: bool,
    /// How it stands. Absent for the moment until sending begins.
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<PushStatus>,
}

/// How a push target stands, or how the processes of a command do. Counts are those since the server was started.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct PushStatus {
    /// What it does.
    state: PushState,
    /// How many requests or processes may be under way.
    concurrency: u32,
    /// How many are.
    in_flight: u32,
    /// Where the breaker stands; absent where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    breaker: Option<State>,
    /// Until when the breaker is open.
    #[serde(skip_serializing_if = "Option::is_none")]
    open_until_ms: Option<u64>,
    /// Until when nothing is sent because the target asked for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    held_until_ms: Option<u64>,
    /// Jobs that were done, or taken by the target to call back.
    delivered: u64,
    /// Attempts that failed.
    failed: u64,
    /// Jobs that came back, at no cost, because the target had too much to do, or a process was not begun.
    throttled: u64,
    /// What went wrong, newest first: at most 10.
    last_errors: Vec<PushError>,
}

/// What a push target does.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum PushState {
    /// It sends, or waits for jobs.
    Running,
    /// It was paused.
    Paused,
    /// The target asked to be left alone for a while.
    Held,
    /// The breaker keeps it away from its target.
    Open,
    /// It sends probes.
    Probing,
}

/// Something that went wrong.
#[derive(Debug, Serialize, JsonSchema)]
struct PushError {
    /// When it did, for the last time.
    at_ms: u64,
    /// What it was.
    error: String,
    /// How often in a row.
    times: u64,
}

impl PushView {
    pub(in crate::native) fn new(queue: &str, note: &Note, status: Option<Status>) -> Self {
        let Note { target, paused, .. } = note;
        Self {
            queue: queue.to_owned(),
            target: target.shown(),
            secrets: target.secrets.as_ref().map_or(0, Vec::len),
            secret_headers: target.secret_headers.iter().flatten().map(|(name, _)| name.clone()).collect(),
            paused: *paused,
            status: status.map(PushStatus::of),
        }
    }
}

impl PushStatus {
    pub(in crate::native) fn of(status: Status) -> Self {
        let state = match status {
            Status { paused: true, .. } => PushState::Paused,
            Status { breaker: Some(State::Open), .. } => PushState::Open,
            Status { breaker: Some(State::HalfOpen), .. } => PushState::Probing,
            Status { held_until_ms: Some(_), .. } => PushState::Held,
            _ => PushState::Running,
        };
        let errors = status.troubles.into_iter();
        Self {
            state,
            concurrency: status.concurrency,
            in_flight: status.in_flight,
            breaker: status.breaker,
            open_until_ms: status.open_until_ms,
            held_until_ms: status.held_until_ms,
            delivered: status.delivered,
            failed: status.failed,
            throttled: status.throttled,
            last_errors: errors.map(|Trouble { at_ms, text, times }| PushError { at_ms, error: text, times }).collect(),
        }
    }
}
