//! All that a push target is called with, made once for each change of it.

use std::sync::Arc;

use serde_json::json;
use weir_aws::Arn;
use weir_core::api::{Kind, Queue};
use weir_push::message::Origin;
use weir_push::settings::REQUEST_MS_MAX;
use weir_push::{Invalid, Settings, Target};

use super::caller::Caller;
use super::client::{Client, Shared};
use super::note::Note;
use super::notifier::Notifier;
use super::process::Processes;
use crate::commands::Commands;
use crate::functions;

/// How many calls a subscription adds at once, and how long that may take.
const CALLS_AT_ONCE: u32 = 100;
const CALL_MS: u64 = 10_000;

/// How messages get to what is behind a queue.
pub(super) enum Way {
    /// In requests to a URL.
    Requests(Box<Client>),
    /// Each to a process of its own.
    Processes(Processes),
    /// Each in a call of a function.
    Calls(Caller),
}

/// A queue and its target.
pub(crate) struct Setup {
    pub(super) queue: Arc<Queue>,
    /// What is called, and how fast. Where there are processes only the latter counts.
    pub(super) target: Target,
    pub(super) way: Way,
    pub(super) paused: bool,
    /// What makes its requests where it is the target of a subscription over SNS.
    pub(super) notifier: Option<Notifier>,
    arn: String,
    region: String,
    account: String,
}

impl Setup {
    /// Checks a target, and gets ready to call it.
    pub(crate) fn new(queue: Arc<Queue>, note: Note, region: &str, shared: &Shared) -> Result<Self, Invalid> {
        let target = Target::new(note.target)?;
        let client = Client::new(&target, shared)?;
        Ok(Self::with(queue, target, Way::Requests(Box::new(client)), note.paused, region))
    }

    /// The same for a command behind a function.
    pub(super) fn running(
        queue: Arc<Queue>,
        command: functions::Command,
        runner: Arc<dyn Commands>,
        region: &str,
    ) -> Result<Self, Invalid> {
        let timeout_ms = queue.config.timeout_ms.unwrap_or(REQUEST_MS_MAX).min(REQUEST_MS_MAX);
        let target = pace(command.concurrency, timeout_ms)?;
        let way = Way::Processes(Processes { command: command.line, runner });
        Ok(Self::with(queue, target, way, false, region))
    }

    /// The same for a function that a subscription calls.
    pub(super) fn calling(queue: Arc<Queue>, caller: Caller, region: &str) -> Result<Self, Invalid> {
        let target = pace(CALLS_AT_ONCE, CALL_MS)?;
        Ok(Self::with(queue, target, Way::Calls(caller), false, region))
    }

    fn with(queue: Arc<Queue>, target: Target, way: Way, paused: bool, region: &str) -> Self {
        Self {
            arn: Arn { region, namespace: queue.namespace, name: &queue.name }.to_string(),
            region: region.to_owned(),
            account: format!("{:012}", queue.namespace.0),
            queue,
            target,
            way,
            paused,
            notifier: None,
        }
    }

    /// The same for the endpoint of a subscription over SNS.
    pub(super) fn notifying(
        queue: Arc<Queue>,
        notifier: Notifier,
        region: &str,
        shared: &Shared,
    ) -> Result<Self, Invalid> {
        let note = Note::new(Notifier::settings(notifier.url())?, false);
        Ok(Self { notifier: Some(notifier), ..Self::new(queue, note, region, shared)? })
    }

    /// Checks a target without a queue.
    pub(crate) fn check(settings: &Settings, shared: &Shared) -> Result<(), Invalid> {
        Client::new(&Target::new(settings.clone())?, shared).map(|_| ())
    }

    /// How many requests may start in a second.
    pub(super) fn per_second(&self) -> Option<u32> {
        self.notifier.as_ref().and_then(Notifier::per_second)
    }

    /// What its messages share.
    pub(super) fn origin(&self) -> Origin<'_> {
        Origin { queue: &self.queue.name, arn: &self.arn, region: &self.region, account: &self.account }
    }

    /// Whether processes do the work.
    pub(super) fn runs_processes(&self) -> bool {
        matches!(self.way, Way::Processes(_))
    }

    /// Whether messages of a group go one after the other.
    pub(super) fn is_ordered(&self) -> bool {
        self.queue.kind == Kind::Fifo && !self.target.is_batch()
    }

    /// Whether the queue's limiters are to be told when its messages leave.
    pub(super) fn is_limited(&self) -> bool {
        !self.queue.config.limiters.is_empty()
    }
}

/// A target that is never called: of it only counts how much goes on at once, and for how long.
fn pace(at_once: u32, timeout_ms: u64) -> Result<Target, Invalid> {
    let settings = json!({
        "url": "http://localhost",
        "concurrency": { "max": at_once, "adaptive": false },
        "breaker": null,
        "timeouts": { "total_ms": timeout_ms },
    });
    let settings = serde_json::from_value(settings);
    Target::new(settings.map_err(|error| Invalid { field: "concurrency".to_owned(), text: error.to_string() })?)
}
