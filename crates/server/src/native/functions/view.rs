//! A function as it is shown.

use schemars::JsonSchema;
use serde::Serialize;
use weir_aws::lambda::function_arn;
use weir_core::api::Queue;

use crate::app::App;
use crate::engine::Engine;
use crate::functions::Note;
use crate::native::Problem;
use crate::native::jobs::options::{KeepSettings, RetrySettings};
use crate::native::push::{PushStatus, PushView, note_of};
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
    /// The command behind it, its program first.
    #[serde(skip_serializing_if = "Option::is_none")]
    command: Option<Vec<String>>,
    /// How the processes of the command stand. Absent where none are run, because the configuration does not allow it.
    #[serde(skip_serializing_if = "Option::is_none")]
    processes: Option<PushStatus>,
    /// How many processes run at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    concurrency: Option<u32>,
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
    /// A command, of which the server runs a process for each call.
    Command,
}

impl FunctionView {
    pub(super) fn new<E: Engine>(app: &App<E>, queue: &Queue, note: &Note) -> Result<Self, Problem> {
        let config = &queue.config;
        let pushed = note_of(config, Some(&queue.name))?;
        // A push target that was set at the queue takes the place of a command.
        let command = note.command.as_ref().filter(|_| pushed.is_none());
        Ok(Self {
            name: queue.name.clone(),
            arn: function_arn(&app.config.region, queue.namespace, &queue.name),
            description: note.description.clone(),
            behind: match (&pushed, command) {
                (Some(_), _) => Behind::Url,
                (None, Some(_)) => Behind::Command,
                (None, None) => Behind::Workers,
            },
            command: command.map(|command| command.line.clone()),
            processes: command.and_then(|_| app.pushers.status(queue.id)).map(PushStatus::of),
            concurrency: command.map(|command| command.concurrency),
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
