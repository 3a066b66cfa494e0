//! The SQS door: decode, call, encode.

mod batch;
mod dead_letters;
mod move_tasks;
mod permissions;
mod queues;
mod receive;
mod recently;
mod refusal;
mod send;
mod settle;
mod tags;
mod throttle;

use std::sync::Arc;
use std::time::Instant;

use weir_aws::sqs::attributes;
use weir_aws::sqs::name::Address;
use weir_aws::sqs::request::Text;
use weir_aws::sqs::{Answer, AnyRequest, Operation, Protocol};
use weir_aws::{Code, Fault};
use weir_core::api::{Command, Kind, Queue, Reply};

use crate::access::Caller;
use crate::app::App;
use crate::engine::{Engine, call};
use crate::http::Content;

pub(crate) use recently::Recently;
pub(crate) use refusal::Refusal;
pub(crate) use throttle::Throttle;

/// A request on its way through the door.
struct Door<'a, E> {
    app: &'a App<E>,
    call: &'a Call<'a>,
}

/// What is asked for beside the request's own fields.
#[derive(Debug)]
pub(crate) struct Call<'a> {
    /// The protocol of the request and of its answer.
    pub(crate) protocol: Protocol,
    /// What is asked for.
    pub(crate) operation: Operation,
    /// The id of the request, where its answer tells it.
    pub(crate) request_id: &'a str,
    /// The host that the caller knows this server by.
    pub(crate) host: Option<&'a str>,
    /// Who asks.
    pub(crate) caller: Caller,
}

/// Carries out a request and returns the body of its answer.
pub(crate) async fn serve<E: Engine>(
    app: &App<E>,
    call: &Call<'_>,
    request: AnyRequest<'_>,
) -> Result<Content, Refusal> {
    call.caller.check(call.operation)?;
    let door = Door { app, call };
    match request {
        AnyRequest::SendMessage(request) => door.send(request).await,
        AnyRequest::SendMessageBatch(request) => door.send_batch(request).await,
        AnyRequest::ReceiveMessage(request) => door.receive(request).await,
        AnyRequest::DeleteMessage(request) => door.delete(request).await,
        AnyRequest::DeleteMessageBatch(request) => door.delete_batch(request).await,
        AnyRequest::ChangeMessageVisibility(request) => door.change_visibility(request).await,
        AnyRequest::ChangeMessageVisibilityBatch(request) => door.change_visibility_batch(request).await,
        AnyRequest::CreateQueue(request) => door.create_queue(request).await,
        AnyRequest::DeleteQueue(request) => door.delete_queue(&request).await,
        AnyRequest::GetQueueUrl(request) => door.queue_url(&request),
        AnyRequest::ListQueues(request) => door.list_queues(&request),
        AnyRequest::GetQueueAttributes(request) => door.queue_attributes(request).await,
        AnyRequest::SetQueueAttributes(request) => door.set_queue_attributes(&request).await,
        AnyRequest::PurgeQueue(request) => door.purge_queue(&request).await,
        AnyRequest::AddPermission(request) => door.add_permission(&request).await,
        AnyRequest::RemovePermission(request) => door.remove_permission(&request).await,
        AnyRequest::TagQueue(request) => door.tag_queue(&request).await,
        AnyRequest::UntagQueue(request) => door.untag_queue(&request).await,
        AnyRequest::ListQueueTags(request) => door.queue_tags(&request),
        AnyRequest::ListDeadLetterSourceQueues(request) => door.dead_letter_sources(&request).await,
        AnyRequest::StartMessageMoveTask(request) => door.start_move(&request).await,
        AnyRequest::CancelMessageMoveTask(request) => door.cancel_move(&request).await,
        AnyRequest::ListMessageMoveTasks(request) => door.list_moves(&request).await,
    }
}

impl<E: Engine> Door<'_, E> {
    /// The queue that `url` names.
    fn queue(&self, url: Option<&Text<'_>>) -> Result<Arc<Queue>, Fault> {
        let url = url.filter(|url| !url.is_empty()).ok_or_else(|| Fault::missing("QueueUrl"))?;
        let address = Address::parse(url)?;
        let namespace = address.namespace.unwrap_or(self.call.caller.namespace);
        self.call.caller.check_namespace(namespace)?;
        let queue = self.app.engine.find(namespace, address.name).ok_or_else(Fault::no_queue)?;
        if let Some(max) = self.app.config.limits.fifo_calls_per_second
            && queue.kind == Kind::Fifo
            && throttle::counts(self.call.operation)
            && !attributes::throughput_per_group(&queue.config)
            && !self.app.throttle.takes(max, Instant::now(), queue.id, self.call.operation)
        {
            let operation = self.call.operation.name();
            let message = format!("Rate exceeded: at most {max} calls of {operation} a second on this queue.");
            return Err(Fault::new(Code::RequestThrottled, message));
        }
        Ok(queue)
    }

    /// The body of an answer.
    fn answer(&self, answer: &Answer<'_>) -> Content {
        self.call.protocol.answer(self.call.operation, answer, self.call.request_id).into()
    }

    /// Carries out a command that fails or succeeds as a whole.
    async fn call(&self, command: Command) -> Result<Reply, Refusal> {
        match call(&self.app.engine, command).await {
            Ok(answered) => Ok(answered.reply),
            Err(refused) => Err(Refusal::of(refused)),
        }
    }
}
