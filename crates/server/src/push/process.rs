//! Processes that messages are given to, one each.

use std::future::pending;
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use smallvec::smallvec;
use tokio::sync::watch;
use weir_core::api::job::{Again, JobRef, Settlement};
use weir_core::api::{Command, Handle};
use weir_push::Health;
use weir_push::message::{Attribute, Message, Value};

use super::parcel::{self, Leased};
use super::send::Landed;
use super::setup::Setup;
use crate::app::App;
use crate::commands::{Commands, Process, ProcessEnd, ProcessOutcome, Stopping};
use crate::engine::{self, Engine, Fate};

/// Length of the lease under which the log of a process is written. It is settled in the same commit.
const LOGGED_MS: u64 = 30_000;

/// What runs processes, and which.
pub(super) struct Processes {
    /// The program and its arguments.
    pub(super) command: Vec<String>,
    pub(super) runner: Arc<dyn Commands>,
}

impl Landed {
    /// Gives a message to a process, which ends early where `stop` says so.
    pub(super) async fn run<E: Engine>(
        &mut self,
        app: &App<E>,
        setup: &Setup,
        processes: &Processes,
        leased: &Leased,
        stop: watch::Receiver<bool>,
    ) {
        let handle = leased.delivery.handle;
        let message = match parcel::message(setup.queue.id, leased) {
            Ok(message) => message,
            Err(text) => return self.fail(&[handle], &text),
        };
        if setup.is_limited() {
            // It starts here and now.
            app.tell_fate(setup.queue.id, smallvec![handle], Fate::Left);
        }
        let process = process(setup, &processes.command, leased, message);
        let started = Instant::now();
        let ProcessEnd { outcome, logs } = processes.runner.run(process, stopping(stop)).await;
        self.latency = started.elapsed();
        self.health = Health::Well;
        if matches!(outcome, ProcessOutcome::TookTooLong { .. }) {
            // The engine ended the lease a moment earlier, since it began to count a moment earlier.
            self.report(app, setup, handle, logs).await;
        } else if !logs.is_empty() {
            let logged = Settlement::Extend { lease_ms: Some(LOGGED_MS), progress: None, logs };
            self.settlements.push((handle, logged));
        }
        let settlement = self.settlement(outcome);
        self.settlements.push((handle, settlement));
    }

    fn settlement(&mut self, outcome: ProcessOutcome) -> Settlement {
        match outcome {
            ProcessOutcome::Done(result) => {
                self.counts.delivered += 1;
                Settlement::Complete { result }
            }
            ProcessOutcome::Failed { text, failure, again } => {
                self.counts.failed += 1;
                self.trouble = Some(text);
                Settlement::Fail { failure, again: if again { Again::ByPolicy } else { Again::Never } }
            }
            ProcessOutcome::TookTooLong { failure } => {
                self.counts.failed += 1;
                self.trouble = Some("the process took too long and was ended".to_owned());
                Settlement::Fail { failure, again: Again::ByPolicy }
            }
            // Its call was cancelled and ends as that, or its lease is another's and this one says nothing.
            ProcessOutcome::Stopped => Settlement::Release { delay_ms: 0, pause: None },
            ProcessOutcome::NotBegun { after, text } => {
                self.counts.throttled += 1;
                self.trouble = text;
                Settlement::Release { delay_ms: after.as_millis() as u64, pause: None }
            }
        }
    }

    /// Writes the log of a call without a lease.
    async fn report<E: Engine>(&self, app: &App<E>, setup: &Setup, handle: Handle, logs: Vec<Vec<u8>>) {
        if logs.is_empty() {
            return;
        }
        let job = JobRef::Id(handle.message);
        let command = Command::Report { queue: setup.queue.id, job, progress: None, logs, logs_max: None };
        if let Err(refused) = engine::call(&app.engine, command).await {
            tracing::debug!(queue = setup.queue.name, error = %refused, "the log of a process that took too long is lost");
        }
    }
}

/// What is ready once it is said so.
fn stopping(mut stop: watch::Receiver<bool>) -> Stopping {
    Box::pin(async move {
        if stop.wait_for(|stop| *stop).await.is_err() {
            // Nobody is left to say it.
            pending::<()>().await;
        }
    })
}

fn process(setup: &Setup, command: &[String], leased: &Leased, message: Message<'_>) -> Process {
    let Message { id, name, custom_id, group, attempt, leases, priority, sent_at_ms, attributes, data, .. } = message;
    Process {
        command: command.to_vec(),
        input: data.into_owned().into_bytes(),
        timeout: Duration::from_millis(setup.queue.config.timeout_ms.unwrap_or(u64::MAX)),
        queue: setup.queue.name.clone(),
        id: id.to_string(),
        attempt,
        leases,
        priority,
        added_at_ms: sent_at_ms,
        name: name.map(str::to_owned),
        custom_id: custom_id.map(str::to_owned),
        group: group.map(str::to_owned),
        dead_letter_of: leased.delivery.dead_letter_source.as_deref().map(str::to_owned),
        attributes: attributes.iter().map(text).collect(),
    }
}

fn text(attribute: &Attribute<'_>) -> (String, String) {
    let value = match &attribute.value {
        Value::Text(text) => (*text).to_owned(),
        Value::Binary(bytes) => STANDARD.encode(bytes),
    };
    (attribute.name.to_owned(), value)
}
