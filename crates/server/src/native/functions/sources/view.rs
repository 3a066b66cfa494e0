//! A source as it is shown.

use std::collections::HashMap;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::value::RawValue;
use weir_core::api::Queue;

use crate::app::App;
use crate::engine::Engine;
use crate::event_sources::{CONCURRENCY, LastResult, Mapping};
use crate::functions;
use crate::native::Problem;

/// A source of a function: a queue whose messages are handed to it.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Source")]
pub(crate) struct SourceView {
    /// Name of the queue.
    queue: String,
    /// Name of the function.
    function: String,
    /// What AWS's clients name it by: the UUID of the event source mapping.
    id: String,
    /// How batches are filled.
    batch: SourceBatch,
    /// How many batches are under way at once at most.
    concurrency: u32,
    /// Patterns of which a message has to match one, where there are any. Others are deleted.
    #[schemars(with = "Vec<HashMap<String, serde_json::Value>>")]
    filters: Vec<Box<RawValue>>,
    /// Whether the function's result names the messages that come again.
    partial_failures: bool,
    /// Whether anything is handed over.
    enabled: bool,
    /// How it stands.
    status: SourceStatus,
    /// When it was made, or changed last.
    modified_at_ms: u64,
}

/// How batches are filled.
#[derive(Debug, Serialize, JsonSchema)]
struct SourceBatch {
    /// How many messages a batch has at most.
    count: u32,
    /// How long to wait, from the first message on, until it has so many.
    wait_ms: u32,
}

/// How a source stands.
#[derive(Debug, Serialize, JsonSchema)]
struct SourceStatus {
    /// What it does.
    state: SourceState,
    /// What came of the last batch since the server was started.
    last_result: SourceResult,
    /// Why the last batch was not handled.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_error: Option<String>,
}

/// What a source does.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum SourceState {
    /// It hands messages over, or waits for some.
    Running,
    /// It was disabled.
    Disabled,
    /// Its function is gone: it waits for one of the same name.
    NoFunction,
}

/// What came of a batch.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum SourceResult {
    /// There was none.
    None,
    /// It was handled; some of its messages may come again, where the function named them.
    Handled,
    /// It was not: all of its messages come again.
    Failed,
    /// There was no function to call.
    NoFunction,
}

impl SourceView {
    pub(super) fn new<E: Engine>(app: &App<E>, queue: &Queue, mapping: &Mapping) -> Result<Self, Problem> {
        let settings = &mapping.settings;
        let filters = settings.filters.iter().map(|pattern| RawValue::from_string(pattern.clone()));
        let filters = filters.collect::<Result<_, _>>().map_err(|error| {
            tracing::error!(queue = queue.name, %error, "a stored filter is not JSON");
            Problem::internal()
        })?;
        let is_there = functions::find(&app.engine, queue.namespace, &mapping.function);
        let state = match is_there {
            _ if !settings.enabled => SourceState::Disabled,
            Ok(None) => SourceState::NoFunction,
            Ok(Some(_)) => SourceState::Running,
            Err(error) => return Err(functions::unreadable(&mapping.function, &error)),
        };
        let (last_result, last_error) = match app.pollers.last_result(queue.id, &mapping.uuid) {
            LastResult::Nothing => (SourceResult::None, None),
            LastResult::Handled => (SourceResult::Handled, None),
            LastResult::Failed(text) => (SourceResult::Failed, Some(text)),
            LastResult::NoFunction => (SourceResult::NoFunction, None),
        };
        Ok(Self {
            queue: queue.name.clone(),
            function: mapping.function.clone(),
            id: mapping.uuid.clone(),
            batch: SourceBatch { count: settings.batch, wait_ms: settings.wait_ms },
            concurrency: settings.concurrency.unwrap_or(CONCURRENCY),
            filters,
            partial_failures: settings.reports,
            enabled: settings.enabled,
            status: SourceStatus { state, last_result, last_error },
            modified_at_ms: mapping.modified_ms,
        })
    }
}
