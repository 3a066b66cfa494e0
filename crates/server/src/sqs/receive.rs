//! `ReceiveMessage`.

use bytes::Bytes;
use weir_aws::sqs::received::{ReceivedMessage, Selection};
use weir_aws::sqs::request::ReceiveMessage;
use weir_aws::sqs::{Answer, Protocol, RECEIVE_BYTES_MAX, attempt, query, visibility_ms, wait_ms};
use weir_aws::{Code, Fault};
use weir_core::api::{Command, Delivery, Kind, Queue, Reply};
use weir_shard::Answered;

use super::{Door, Refusal};
use crate::engine::Engine;
use crate::http::Content;
use crate::sns;

impl<E: Engine> Door<'_, E> {
    pub(super) async fn receive(&self, request: ReceiveMessage<'_>) -> Result<Content, Refusal> {
        let limits = &self.app.config.limits;
        let queue = self.queue(request.queue_url.as_ref())?;
        let selection = Selection::of(&request)?;
        let visibility_ms = request.visibility_timeout.map(|seconds| visibility_ms(seconds, limits)).transpose()?;
        let wait_ms = match request.wait_time_seconds {
            Some(seconds) => wait_ms(seconds, limits)?,
            None => queue.config.receive_wait_ms,
        };
        let max = max(request.messages_max, limits.batch_max)?;
        if let Some(allowed) = limits.in_flight_max {
            self.check_in_flight(&queue, allowed, wait_ms == 0).await?;
        }
        let command = Command::Receive {
            queue: queue.id,
            max,
            bytes_max: RECEIVE_BYTES_MAX,
            visibility_ms,
            attempt: attempt(&request, &queue)?,
            wait_ms,
        };
        let answered = self.wait(&queue, command, wait_ms > 0).await?;
        let Reply::Received(deliveries) = &answered.reply else { return Err(Fault::internal().into()) };
        self.encode_deliveries(&queue, deliveries, &answered.payloads, &selection).await
    }

    /// Refuses a receive that does not wait where too many messages are under a lease. On AWS one that waits gets nothing
    /// until there are fewer, and FIFO queues answer no error; here both are served.
    async fn check_in_flight(&self, queue: &Queue, allowed: u64, short: bool) -> Result<(), Refusal> {
        if !short || queue.kind == Kind::Fifo {
            return Ok(());
        }
        let Reply::Stats { counters, .. } = self.call(Command::QueueStats { queue: queue.id }).await? else {
            return Err(Fault::internal().into());
        };
        if counters.leased >= allowed {
            let message =
                format!("Too many messages of the queue are in flight: at most {allowed}, found {}.", counters.leased);
            return Err(Fault::new(Code::OverLimit, message).into());
        }
        Ok(())
    }

    /// Receives, waiting no longer than the server runs.
    async fn wait(&self, queue: &Queue, command: Command, waits: bool) -> Result<Answered, Refusal> {
        self.app.receive(queue.id, command, waits).await.map_err(Refusal::of)
    }

    /// Encodes deliveries; they return to the queue unless they are written.
    async fn encode_deliveries(
        &self,
        queue: &Queue,
        deliveries: &[Delivery],
        payloads: &[Bytes],
        selection: &Selection<'_>,
    ) -> Result<Content, Refusal> {
        let region = &self.app.config.region;
        let mut messages = Vec::with_capacity(deliveries.len());
        let mut left_out = None;
        let envelopes = sns::envelopes(self.app, self.call.host, "sqs", deliveries, payloads).await?;
        for ((delivery, payload), envelope) in deliveries.iter().zip(payloads).zip(&envelopes) {
            match ReceivedMessage::new(delivery, payload, envelope.as_deref(), queue, region, selection) {
                Ok(message) if self.call.protocol == Protocol::Query && !query::carries(&message) => {
                    // It stays under its lease, and can be received over the other protocol.
                    left_out.get_or_insert_with(|| query::not_carried(&message.uuid));
                }
                Ok(message) => messages.push(message),
                Err(error) => {
                    // It stays under its lease: the others can be handed over, and this one is found in the log.
                    let message = delivery.handle.message;
                    tracing::error!(queue = queue.name, message, %error, "a stored message cannot be read");
                }
            }
        }
        if let Some(fault) = left_out.filter(|_| messages.is_empty()) {
            return Err(fault.into());
        }
        let body = self.call.protocol.answer(self.call.operation, &Answer::Received(&messages), self.call.request_id);
        if messages.is_empty() {
            return Ok(body.into());
        }
        Ok(self.app.delivering(body, queue, deliveries))
    }
}

/// How many messages a receive asks for.
fn max(asked: Option<i64>, allowed: usize) -> Result<u32, Fault> {
    let asked = asked.unwrap_or(1);
    let max = u32::try_from(asked).ok().filter(|&n| n >= 1 && n as usize <= allowed);
    max.ok_or_else(|| {
        let reason = format!("Must be between 1 and {allowed}, if provided.");
        Fault::invalid("MaxNumberOfMessages", &asked, &reason)
    })
}
