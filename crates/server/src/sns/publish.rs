//! `Publish` and `PublishBatch`.

use weir_aws::sns::fault::missing;
use weir_aws::sns::publish::{Settings, prepare};
use weir_aws::sns::request::{Message, Publish, PublishBatch};
use weir_aws::sns::{Answer, MESSAGE_SIZE_DEFAULT, Published as Told, topic};
use weir_aws::sqs::{Limits, batch_ids, check_batch};
use weir_aws::{Code, Fault};
use weir_core::api::topic::{Published, Topic};
use weir_core::api::{Error, Kind};
use weir_shard::Refused;

use super::Door;
use super::refusal::{self, engine_fault};
use crate::engine::Engine;
use crate::fresh::{now_ms, uuid};
use crate::http::Content;
use crate::sqs::Refusal;
use crate::topics::Outgoing;

impl<E: Engine> Door<'_, E> {
    pub(super) async fn publish(&self, request: Publish<'_>) -> Result<Content, Refusal> {
        if request.phone_number.is_some() {
            let message = "PhoneNumber is not supported: this server sends no text messages.";
            return Err(Fault::unsupported(message).into());
        }
        let (parameter, arn) = match (&request.topic_arn, &request.target_arn) {
            (Some(arn), _) => ("TopicArn", arn),
            (None, Some(arn)) => ("TargetArn", arn),
            (None, None) => return Err(missing("TopicArn or TargetArn").into()),
        };
        let outcome = self.publish_to(parameter, arn, &[&request.message]).await?.into_iter().next();
        let told = outcome.unwrap_or_else(|| Err(Fault::internal()))?;
        Ok(self.answer(&Answer::Published(told)))
    }

    pub(super) async fn publish_batch(&self, request: PublishBatch<'_>) -> Result<Content, Refusal> {
        let limits = &self.app.config.limits;
        let arn = request.topic_arn.as_deref().filter(|arn| !arn.is_empty()).ok_or_else(|| missing("TopicArn"))?;
        let empty = Vec::new();
        let entries = check_batch(Some(request.entries.as_ref().unwrap_or(&empty)), "PublishBatch", limits)?;
        let ids = batch_ids(entries.iter().map(|entry| &entry.id))?;
        let messages: Vec<&Message<'_>> = entries.iter().map(|entry| &entry.message).collect();
        let outcomes = self.publish_to("TopicArn", arn, &messages).await?;
        let entries: Vec<_> = ids.into_iter().zip(outcomes).collect();
        Ok(self.answer(&Answer::PublishedBatch(&entries)))
    }

    /// Publishes messages; what became of each.
    async fn publish_to(
        &self,
        parameter: &str,
        arn: &str,
        messages: &[&Message<'_>],
    ) -> Result<Vec<Result<Told, Fault>>, Refusal> {
        let (topic, parsed) = self.topic(parameter, Some(arn))?;
        let limits = &self.app.config.limits;
        let (arn, now) = (parsed.to_string(), now_ms());
        let settings = Settings {
            topic_arn: &arn,
            kind: topic.kind,
            content_deduplication: topic.config.content_deduplication,
            message_bytes_max: topic.config.message_bytes_max,
            signature_version: topic::signature_version(&topic),
        };
        let prepared: Vec<Result<Outgoing, Fault>> = messages
            .iter()
            .map(|message| {
                let uuid = uuid();
                let prepared = prepare(message, &settings, limits, uuid, now)?;
                let (payload, bytes, priority) = (prepared.payload, prepared.bytes, prepared.priority);
                Ok(Outgoing { uuid, payload, bytes, priority, group: prepared.lane, dedup: prepared.dedup })
            })
            .collect();
        if messages.len() > 1 {
            check_length(&prepared, &topic, limits)?;
        }
        let outgoing: Vec<Outgoing> = prepared.iter().filter_map(|prepared| prepared.as_ref().ok().cloned()).collect();
        let mut published = self.hand_over(&topic, &outgoing).await?.into_iter();
        let outcomes = prepared.into_iter().map(|prepared| {
            prepared?;
            let published = published.next().ok_or_else(Fault::internal)?.map_err(|error| engine_fault(&error))?;
            let sequence = (topic.kind == Kind::Fifo).then_some(published.id);
            Ok(Told { uuid: published.uuid, sequence })
        });
        Ok(outcomes.collect())
    }

    /// Publishes messages in one commit; where these are more deliveries than one takes, message by message.
    async fn hand_over(&self, topic: &Topic, outgoing: &[Outgoing]) -> Result<Vec<Result<Published, Error>>, Refusal> {
        if outgoing.is_empty() {
            return Ok(Vec::new());
        }
        match self.app.publish(topic.id, outgoing).await {
            Ok(published) => Ok(published),
            Err(Refused::Engine(Error::LimitExceeded { .. })) if outgoing.len() > 1 => {
                let mut all = Vec::with_capacity(outgoing.len());
                for one in outgoing {
                    match self.app.publish(topic.id, std::slice::from_ref(one)).await {
                        Ok(published) => all.extend(published),
                        // What went before is published: this one is told of on its own.
                        Err(Refused::Engine(error)) => all.push(Err(error)),
                        Err(refused) => return Err(refusal::of(refused)),
                    }
                }
                Ok(all)
            }
            Err(refused) => Err(refusal::of(refused)),
        }
    }
}

/// Refuses a batch that is too long as a whole.
fn check_length(prepared: &[Result<Outgoing, Fault>], topic: &Topic, limits: &Limits) -> Result<(), Fault> {
    let bytes: u64 = prepared.iter().flatten().map(|outgoing| outgoing.bytes).sum();
    let own = topic.config.message_bytes_max;
    let lifted = own == MESSAGE_SIZE_DEFAULT && *limits == Limits::OURS;
    let max = if lifted { limits.batch_bytes_max } else { own.min(limits.batch_bytes_max) };
    if bytes > max {
        let message = format!(
            "The length of all the batch messages put together is more than the limit: {bytes} bytes of at most {max}."
        );
        return Err(Fault::new(Code::BatchRequestTooLong, message));
    }
    Ok(())
}
