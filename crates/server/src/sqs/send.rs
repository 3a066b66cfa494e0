//! `SendMessage` and `SendMessageBatch`.

use smallvec::{SmallVec, smallvec};
use weir_aws::sqs::message::{Digests, Origin, prepare};
use weir_aws::sqs::request::{SendMessage, SendMessageBatch};
use weir_aws::sqs::{Answer, batch_ids, check_batch};
use weir_aws::{Code, Fault};
use weir_core::api::{Command, Error, Kind, NewMessage, Reply, Sent};

use super::batch::outcome_of_none;
use super::refusal::{Refusal, engine_fault};
use super::{Door, call};
use crate::engine::Engine;
use crate::fresh::uuid;
use crate::http::Content;
use crate::limits;
use weir_shard::Refused;

/// How often a send is prepared anew when its queue is reconfigured meanwhile.
const TRIES: usize = 8;

/// What became of an entry, or what its digests will be.
type Entry = Result<Digests, Fault>;

impl<E: Engine> Door<'_, E> {
    pub(super) async fn send(&self, request: SendMessage<'_>) -> Result<Content, Refusal> {
        for _ in 0..TRIES {
            let queue = self.queue(request.queue_url.as_ref())?;
            let mut prepared = prepare(&request.message, Origin::Single, &queue, &self.app.config.limits, uuid())?;
            limits::attach(&queue.config, &mut prepared.message);
            let messages = smallvec![prepared.message];
            let Some(sent) = self.hand_over(&queue, messages).await? else { continue };
            let sent = sent.into_iter().next().ok_or_else(Fault::internal)?;
            let sent = sent.map_err(|error| engine_fault(&error))?;
            let (digests, fifo) = (&prepared.digests, queue.kind == Kind::Fifo);
            return Ok(self.answer(&Answer::Sent { sent: &sent, digests, fifo }));
        }
        Err(engine_fault(&Error::Stale { version: 0 }).into())
    }

    pub(super) async fn send_batch(&self, request: SendMessageBatch<'_>) -> Result<Content, Refusal> {
        let limits = &self.app.config.limits;
        for _ in 0..TRIES {
            let queue = self.queue(request.queue_url.as_ref())?;
            let entries = check_batch(request.entries.as_ref(), "SendMessageBatch", limits)?;
            let ids = batch_ids(entries.iter().map(|entry| &entry.id))?;
            let mut messages: SmallVec<[NewMessage; 1]> = SmallVec::with_capacity(entries.len());
            let mut outcomes: Vec<Entry> = Vec::with_capacity(entries.len());
            let mut bytes = 0;
            for entry in entries {
                let prepared = prepare(&entry.message, Origin::Batch, &queue, limits, uuid());
                outcomes.push(prepared.map(|mut prepared| {
                    bytes += prepared.bytes;
                    limits::attach(&queue.config, &mut prepared.message);
                    messages.push(prepared.message);
                    prepared.digests
                }));
            }
            if bytes > limits.batch_bytes_max {
                let max = limits.batch_bytes_max;
                let message = format!("Batch requests cannot be longer than {max} bytes. You have sent {bytes} bytes.");
                return Err(Fault::new(Code::BatchRequestTooLong, message).into());
            }
            let sent =
                if messages.is_empty() { Some(SmallVec::new()) } else { self.hand_over(&queue, messages).await? };
            let Some(sent) = sent else { continue };
            let mut sent = sent.into_iter();
            let outcomes = outcomes.into_iter().map(|outcome| {
                let digests = outcome?;
                let sent = sent.next().unwrap_or_else(outcome_of_none);
                sent.map(|sent| (sent, digests)).map_err(|error| engine_fault(&error))
            });
            let entries: Vec<_> = ids.into_iter().zip(outcomes).collect();
            return Ok(self.answer(&Answer::SentBatch { entries: &entries, fifo: queue.kind == Kind::Fifo }));
        }
        Err(engine_fault(&Error::Stale { version: 0 }).into())
    }

    /// Sends messages that were prepared for `queue`; `None` where it was reconfigured meanwhile.
    async fn hand_over(
        &self,
        queue: &weir_core::api::Queue,
        messages: SmallVec<[NewMessage; 1]>,
    ) -> Result<Option<SmallVec<[Result<Sent, Error>; 1]>>, Refusal> {
        let command = Command::Send { queue: queue.id, version: queue.version, messages };
        match call(&self.app.engine, command).await {
            Ok(answered) => match answered.reply {
                Reply::Sent(sent) => Ok(Some(sent)),
                _ => Err(Fault::internal().into()),
            },
            Err(Refused::Engine(Error::Stale { .. })) => Ok(None),
            Err(refused) => Err(Refusal::of(refused)),
        }
    }
}
