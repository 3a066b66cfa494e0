//! `DeleteMessage`, `ChangeMessageVisibility`, and their batch forms.

use smallvec::{SmallVec, smallvec};
use weir_aws::Fault;
use weir_aws::sqs::request::{
    ChangeMessageVisibility, ChangeMessageVisibilityBatch, DeleteMessage, DeleteMessageBatch, Text,
};
use weir_aws::sqs::{Answer, batch_ids, check_batch, receipt, visibility_ms};
use weir_core::api::{Command, Error, Handle, Queue, Reply};

use super::batch::outcome_of_none;
use super::refusal::settle_fault;
use super::{Door, Refusal};
use crate::engine::Engine;
use crate::http::Content;

type Outcomes = SmallVec<[Result<(), Error>; 1]>;

impl<E: Engine> Door<'_, E> {
    pub(super) async fn delete(&self, request: DeleteMessage<'_>) -> Result<Content, Refusal> {
        let queue = self.queue(request.queue_url.as_ref())?;
        let text = required_handle(request.receipt_handle.as_ref())?;
        let handle = receipt::decode(queue.id, text)?;
        let outcomes = self.settle(Command::Delete { queue: queue.id, handles: smallvec![handle] }).await?;
        let outcome = outcomes.into_iter().next().unwrap_or_else(outcome_of_none);
        deleted(outcome, text)?;
        Ok(self.answer(&Answer::Done))
    }

    pub(super) async fn delete_batch(&self, request: DeleteMessageBatch<'_>) -> Result<Content, Refusal> {
        let queue = self.queue(request.queue_url.as_ref())?;
        let entries = check_batch(request.entries.as_ref(), "DeleteMessageBatch", &self.app.config.limits)?;
        let ids = batch_ids(entries.iter().map(|entry| &entry.id))?;
        let texts = entries.iter().map(|entry| entry.receipt_handle.as_ref());
        let decoded: Vec<Result<(&str, Handle), Fault>> = texts.map(|text| handle(&queue, text)).collect();
        let handles: SmallVec<[Handle; 1]> = decoded.iter().flatten().map(|&(_, handle)| handle).collect();
        let outcomes = if handles.is_empty() {
            Outcomes::new()
        } else {
            self.settle(Command::Delete { queue: queue.id, handles }).await?
        };
        let mut outcomes = outcomes.into_iter();
        let settled = decoded.into_iter().map(|decoded| {
            let (text, _) = decoded?;
            deleted(outcomes.next().unwrap_or_else(outcome_of_none), text)
        });
        let entries: Vec<_> = ids.into_iter().zip(settled).collect();
        Ok(self.answer(&Answer::SettledBatch(&entries)))
    }

    pub(super) async fn change_visibility(&self, request: ChangeMessageVisibility<'_>) -> Result<Content, Refusal> {
        let queue = self.queue(request.queue_url.as_ref())?;
        let text = required_handle(request.receipt_handle.as_ref())?;
        let ms = self.timeout(request.visibility_timeout)?;
        let handle = receipt::decode(queue.id, text)?;
        let changes = smallvec![(handle, ms)];
        let outcomes = self.settle(Command::ChangeVisibility { queue: queue.id, changes }).await?;
        let outcome = outcomes.into_iter().next().unwrap_or_else(outcome_of_none);
        changed(outcome, text)?;
        Ok(self.answer(&Answer::Done))
    }

    pub(super) async fn change_visibility_batch(
        &self,
        request: ChangeMessageVisibilityBatch<'_>,
    ) -> Result<Content, Refusal> {
        let queue = self.queue(request.queue_url.as_ref())?;
        let entries = check_batch(request.entries.as_ref(), "ChangeMessageVisibilityBatch", &self.app.config.limits)?;
        let ids = batch_ids(entries.iter().map(|entry| &entry.id))?;
        let decoded = entries.iter().map(|entry| {
            let (text, handle) = handle(&queue, entry.receipt_handle.as_ref())?;
            Ok((text, handle, self.timeout(entry.visibility_timeout)?))
        });
        let decoded: Vec<Result<(&str, Handle, u64), Fault>> = decoded.collect();
        let changes: SmallVec<[(Handle, u64); 1]> =
            decoded.iter().flatten().map(|&(_, handle, ms)| (handle, ms)).collect();
        let outcomes = if changes.is_empty() {
            Outcomes::new()
        } else {
            self.settle(Command::ChangeVisibility { queue: queue.id, changes }).await?
        };
        let mut outcomes = outcomes.into_iter();
        let settled = decoded.into_iter().map(|decoded| {
            let (text, ..) = decoded?;
            changed(outcomes.next().unwrap_or_else(outcome_of_none), text)
        });
        let entries: Vec<_> = ids.into_iter().zip(settled).collect();
        Ok(self.answer(&Answer::SettledBatch(&entries)))
    }

    async fn settle(&self, command: Command) -> Result<Outcomes, Refusal> {
        match self.call(command).await? {
            Reply::Settled(outcomes) => Ok(outcomes),
            _ => Err(Fault::internal().into()),
        }
    }

    fn timeout(&self, seconds: Option<i64>) -> Result<u64, Fault> {
        let seconds = seconds.ok_or_else(|| Fault::missing("VisibilityTimeout"))?;
        visibility_ms(seconds, &self.app.config.limits)
    }
}

fn required_handle<'a>(text: Option<&'a Text<'_>>) -> Result<&'a str, Fault> {
    text.map(AsRef::as_ref).filter(|text| !text.is_empty()).ok_or_else(|| Fault::missing("ReceiptHandle"))
}

fn handle<'a>(queue: &Queue, text: Option<&'a Text<'_>>) -> Result<(&'a str, Handle), Fault> {
    let text = required_handle(text)?;
    Ok((text, receipt::decode(queue.id, text)?))
}

/// A message that is gone already is as deleted as can be.
fn deleted(outcome: Result<(), Error>, handle: &str) -> Result<(), Fault> {
    match outcome {
        Ok(()) | Err(Error::MessageNotFound) => Ok(()),
        Err(error) => Err(settle_fault(&error, handle, "")),
    }
}

fn changed(outcome: Result<(), Error>, handle: &str) -> Result<(), Fault> {
    let reason = "Message does not exist or is not available for visibility timeout change.";
    outcome.map_err(|error| settle_fault(&error, handle, reason))
}
