//! The SQS door: decode, call, encode.

mod batch;
mod queues;
mod receive;
mod refusal;
mod send;
mod settle;

use std::sync::Arc;

use bytes::Bytes;
use hyper::StatusCode;
use weir_aws::Fault;
use weir_aws::sqs::name::Address;
use weir_aws::sqs::request::Text;
use weir_aws::sqs::{Operation, json};
use weir_core::api::{Command, Queue, Reply as EngineReply};

use crate::app::App;
use crate::engine::{Engine, call};
use crate::http::{Content, Reply};

pub(crate) use refusal::Refusal;

/// A request on its way through the door.
struct Door<'a, E> {
    app: &'a App<E>,
    host: Option<&'a str>,
}

/// Carries out `operation`, whose request is `body`, and returns the body of its answer.
pub(crate) async fn serve<E: Engine>(
    app: &App<E>,
    operation: Operation,
    host: Option<&str>,
    body: &[u8],
) -> Result<Content, Refusal> {
    let door = Door { app, host };
    match operation {
        Operation::SendMessage => door.send(json::decode(body)?).await.map(Content::from),
        Operation::SendMessageBatch => door.send_batch(json::decode(body)?).await.map(Content::from),
        Operation::ReceiveMessage => door.receive(json::decode(body)?).await,
        Operation::DeleteMessage => door.delete(json::decode(body)?).await.map(Content::from),
        Operation::DeleteMessageBatch => door.delete_batch(json::decode(body)?).await.map(Content::from),
        Operation::ChangeMessageVisibility => door.change_visibility(json::decode(body)?).await.map(Content::from),
        Operation::ChangeMessageVisibilityBatch => {
            door.change_visibility_batch(json::decode(body)?).await.map(Content::from)
        }
        Operation::CreateQueue => door.create_queue(json::decode(body)?).await.map(Content::from),
        Operation::DeleteQueue => door.delete_queue(json::decode(body)?).await.map(Content::from),
        Operation::GetQueueUrl => door.queue_url(&json::decode(body)?).map(Content::from),
        Operation::ListQueues => door.list_queues(&json::decode(body)?).map(Content::from),
        Operation::GetQueueAttributes => door.queue_attributes(json::decode(body)?).await.map(Content::from),
        Operation::SetQueueAttributes => door.set_queue_attributes(json::decode(body)?).await.map(Content::from),
        Operation::PurgeQueue => door.purge_queue(json::decode(body)?).await.map(Content::from),
        other => Err(Fault::unsupported(format!("{} is not served yet.", other.name())).into()),
    }
}

/// The response to a request.
pub(crate) fn reply(outcome: Result<Content, Refusal>) -> Reply {
    match outcome {
        Ok(body) => Reply::new(StatusCode::OK, json::CONTENT_TYPE, body),
        Err(refusal) => refusal.into_reply(),
    }
}

impl<E: Engine> Door<'_, E> {
    /// The queue that `url` names.
    fn queue(&self, url: Option<&Text<'_>>) -> Result<Arc<Queue>, Fault> {
        let url = url.filter(|url| !url.is_empty()).ok_or_else(|| Fault::missing("QueueUrl"))?;
        let address = Address::parse(url)?;
        let namespace = address.namespace.unwrap_or(self.app.config.namespace);
        self.app.engine.find(namespace, address.name).ok_or_else(Fault::no_queue)
    }

    /// Carries out a command that fails or succeeds as a whole.
    async fn call(&self, command: Command) -> Result<EngineReply, Refusal> {
        match call(&self.app.engine, command).await {
            Ok(answered) => Ok(answered.reply),
            Err(refused) => Err(Refusal::of(refused)),
        }
    }
}

/// The answer of operations that say nothing.
const NOTHING: Bytes = Bytes::from_static(b"{}");
