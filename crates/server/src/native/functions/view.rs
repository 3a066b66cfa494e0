//! A function as it is shown.

use schemars::JsonSchema;
use serde::Serialize;
use weir_core::api::Queue;

use crate::app::App;
use crate::engine::Engine;
use crate::functions::{self, Note};
use crate::native::Problem;
use crate::native::jobs::options::{KeepSettings, RetrySettings};
use crate::native::push::{PushView, note_of};
use crate::native::queues::LimiterUseSettings;

/// A function.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Function")]
pub(crate) struct FunctionView {
    /// Its name, which is that of its queue.
    name: String,
    /// By what AWS's clients name it.
    arn: String,
    /// What it is for.
    description: String,
    /// What stands behind it.
    behind: Behind,
    /// The URL behind it, and how that stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    push: Option<PushView>,
    /// How long one attempt may take.
    #[serde(skip_serializing_if = "Option::is_none")]
    timeout_ms: Option<u64>,
    /// How calls are tried again that nobody waits for.
    retry: RetrySettings,
    /// The limiters of which a call takes a slot before it starts.
    limiters: Vec<LimiterUseSettings>,
    /// The queue that calls go to which failed for good.
    #[serde(skip_serializing_if = "Option::is_none")]
    dead_letters: Option<String>,
    /// What remains of completed calls.
    keep_completed: KeepSettings,
    /// What remains of failed calls.
    keep_failed: KeepSettings,
    /// When it was created.
    created_at_ms: u64,
    /// When it was last changed.
    modified_at_ms: u64,
    /// Counts its changes, from 1.
    version: u64,
}

/// What stands behind a function.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Behind {
    /// Workers that lease from its queue.
    Workers,
    /// A URL.
    Url,
}

impl FunctionView {
    pub(super) fn new<E: Engine>(app: &App<E>, queue: &Queue, note: &Note) -> Result<Self, Problem> {
        let config = &queue.config;
        let pushed = note_of(config, Some(&queue.name))?;
        Ok(Self {
            name: queue.name.clone(),
            arn: functions::arn(&app.config.region, queue),
            description: note.description.clone(),
            behind: if pushed.is_some() { Behind::Url } else { Behind::Workers },
            push: pushed.map(|note| PushView::new(&queue.name, &note, app.pushers.status(queue.id))),
            timeout_ms: config.timeout_ms,
            retry: RetrySettings::of(&config.retry),
            limiters: config.limiters.iter().map(LimiterUseSettings::of).collect(),
            dead_letters: config.redrive.as_ref().map(|redrive| redrive.target.clone()),
            keep_completed: KeepSettings::of(config.keep_completed),
            keep_failed: KeepSettings::of(config.keep_failed),
            created_at_ms: queue.created_at.0,
            modified_at_ms: queue.modified_at.0,
            version: queue.version,
        })
    }
}
