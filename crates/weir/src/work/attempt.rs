//! One job, one process.

use std::sync::Arc;

use serde_json::Value;
use serde_json::value::RawValue;
use weir_client::{Failure, Job};

use super::command::{About, Template, describe};
use super::output::{self, Stdout};
use super::process::{self, Ended};
use super::stderr::Listener;
use super::verdict::{self, LATER, Verdict};

/// Runs the process of a job, and tells how it ended.
pub(super) async fn run(template: Arc<Template>, job: Job<Box<RawValue>>) -> Result<Option<Box<RawValue>>, Failure> {
    let mut command = template.process();
    describe(&mut command, &about(&job));
    let input = job.data.get().as_bytes().to_vec();
    let ended = process::run(command, input, ToJob(&job), process::patience(template.timeout), template.grace)
        .await
        .map_err(|error| not_run(&error))?;
    if template.stdout == Stdout::Log {
        for line in String::from_utf8_lossy(&ended.stdout).lines() {
            ToJob(&job).line(line.to_owned()).await;
        }
    }
    judge(&template, &ended)?;
    match template.stdout {
        Stdout::Log => Ok(None),
        Stdout::Result => output::result(&ended.stdout).map_err(|reason| Failure::new(reason).fatal()),
    }
}

fn about(job: &Job<Box<RawValue>>) -> About<'_> {
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        // Bytes stand there as base64.
        Value::Object(bytes) => bytes.get("binary").and_then(Value::as_str).unwrap_or_default().to_owned(),
        number => number.to_string(),
    };
    About {
        id: &job.id,
        attempt: job.attempt,
        leases: job.leases,
        priority: job.priority,
        added_at_ms: job.added_at_ms,
        name: job.name.as_deref(),
        custom_id: job.custom_id.as_deref(),
        group: job.group.as_deref(),
        dead_letter_of: job.dead_letter_of.as_deref(),
        attributes: job.attributes.iter().map(|(name, value)| (name.clone(), text(value))).collect(),
    }
}

/// What the end of a process says of its job, or of those of its jobs that it said nothing of.
pub(super) fn judge(template: &Template, ended: &Ended) -> Result<(), Failure> {
    match verdict::of(ended, template.timeout, &template.fatal) {
        Verdict::Done => Ok(()),
        Verdict::NotBegun => Err(Failure::release(LATER)),
        Verdict::Failed(told, true) => Err(Failure::with_details(told).fatal()),
        Verdict::Failed(told, false) | Verdict::TookTooLong(told) => Err(Failure::with_details(told)),
    }
}

/// The process could not be started: that is no fault of the job, and may pass.
pub(super) fn not_run(error: &std::io::Error) -> Failure {
    crate::output::note(&format!("error: the process could not be run: {error}"));
    Failure::release(LATER)
}

/// Lines of a process go to the log of its job, and to ours.
struct ToJob<'a>(&'a Job<Box<RawValue>>);

impl Listener for ToJob<'_> {
    async fn line(&mut self, line: String) {
        crate::output::note(&format!("{}: {}", self.0.id, crate::output::clean(&line)));
        self.0.log(line).await;
    }

    async fn progress(&mut self, text: &str) {
        let json = serde_json::from_str::<Box<RawValue>>(text);
        let told = match json {
            Ok(json) => self.0.progress(json).await,
            Err(_) => self.0.progress(text).await,
        };
        if let Err(error) = told {
            crate::output::note(&format!("{}: its progress: {error}", self.0.id));
        }
    }
}
