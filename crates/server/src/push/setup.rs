//! All that a push target is called with, made once for each change of it.

use std::sync::Arc;

use weir_aws::Arn;
use weir_core::api::{Kind, Queue};
use weir_push::message::Origin;
use weir_push::{Invalid, Settings, Target};

use super::client::{Client, Shared};
use super::note::Note;
use super::notifier::Notifier;

/// A queue and its target.
pub(crate) struct Setup {
    pub(super) queue: Arc<Queue>,
    pub(super) target: Target,
    pub(super) client: Client,
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
        Ok(Self {
            arn: Arn { region, namespace: queue.namespace, name: &queue.name }.to_string(),
            region: region.to_owned(),
            account: format!("{:012}", queue.namespace.0),
            queue,
            target,
            client,
            paused: note.paused,
            notifier: None,
        })
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

    /// Whether messages of a group go one after the other.
    pub(super) fn is_ordered(&self) -> bool {
        self.queue.kind == Kind::Fifo && !self.target.is_batch()
    }

    /// Whether the queue's limiters are to be told when its messages leave.
    pub(super) fn is_limited(&self) -> bool {
        !self.queue.config.limiters.is_empty()
    }
}
