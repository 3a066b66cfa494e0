//! Writing the body of an answer.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use weir_core::api::Sent;

use crate::fault::{Code, Fault};
use crate::query::{Element, document};
use crate::sqs::answer::{Answer, Outcome};
use crate::sqs::message::Digests;
use crate::sqs::message_attributes::Value;
use crate::sqs::move_task::{MoveTask, Status};
use crate::sqs::operation::Operation;
use crate::sqs::received::{ReceivedMessage, sequence_number};
use crate::text::is_xml;
use crate::uuid;

const NAMESPACE: &str = "http://queue.amazonaws.com/doc/2012-11-05/";

/// The body of the answer of `operation`.
pub fn answer(operation: Operation, answer: &Answer<'_>, request_id: &str) -> Vec<u8> {
    let name = operation.name();
    document(&format!("{name}Response"), NAMESPACE, capacity(answer), |response| {
        if !matches!(answer, Answer::Done) {
            response.element(&format!("{name}Result"), |result| write_result(result, operation, answer));
        }
        response.element("ResponseMetadata", |metadata| metadata.text("RequestId", request_id));
    })
}

/// The body of an error.
pub fn error(fault: &Fault, request_id: &str) -> Vec<u8> {
    let message = match fault.code {
        // The one text that differs between the protocols; old SDK code matches on it.
        Code::QueueDoesNotExist => "The specified queue does not exist for this wsdl version.",
        _ => &fault.message,
    };
    document("ErrorResponse", NAMESPACE, 256 + message.len(), |response| {
        response.element("Error", |error| {
            error.plain("Type", if fault.code.is_sender() { "Sender" } else { "Receiver" });
            error.plain("Code", fault.code.query_code());
            error.text("Message", message);
            error.plain("Detail", "");
        });
        response.text("RequestId", request_id);
    })
}

/// What a request without parameters is answered, with 404: a browser on a queue's URL.
pub fn unknown_operation() -> &'static [u8] {
    b"<UnknownOperationException/>\n"
}

/// Whether XML can carry a message as it is: it cannot carry most control characters, in whatever form.
pub fn carries(message: &ReceivedMessage<'_>) -> bool {
    let attribute = |value: &Value<'_>| match value {
        Value::Text(text) => is_xml(text),
        Value::Binary(_) => true,
    };
    is_xml(message.body)
        && message.system.iter().all(|(_, value)| is_xml(value))
        && message.attributes.iter().all(|each| is_xml(each.data_type) && attribute(&each.value))
}

/// The refusal to deliver what [`carries`] says no to.
pub fn not_carried(message: &[u8; 16]) -> Fault {
    let mut id = Vec::new();
    uuid::push(&mut id, message);
    let id = String::from_utf8_lossy(&id).into_owned();
    let reason = format!(
        "The message {id} has characters that XML cannot carry; it can be received over the JSON protocol only."
    );
    Fault::new(Code::InvalidMessageContents, reason)
}

fn capacity(answer: &Answer<'_>) -> usize {
    match answer {
        Answer::Received(messages) => messages.iter().map(|message| 1_024 + message.body.len()).sum(),
        Answer::SentBatch { entries, .. } => 512 * entries.len(),
        Answer::Queues { urls, .. } => 128 * urls.len(),
        _ => 1_024,
    }
}

fn write_result(result: &mut Element<'_>, operation: Operation, answer: &Answer<'_>) {
    match *answer {
        Answer::Done => {}
        Answer::Sent { sent, digests, fifo } => sent_fields(result, sent, digests, fifo),
        Answer::SentBatch { entries, fifo } => {
            batch(result, operation, entries, |entry, (sent, digests)| sent_fields(entry, sent, digests, fifo));
        }
        Answer::SettledBatch(entries) => batch(result, operation, entries, |_, ()| ()),
        Answer::Received(messages) => {
            for message in messages {
                result.element("Message", |element| received(element, message));
            }
        }
        Answer::QueueUrl(url) => result.text("QueueUrl", url),
        Answer::Queues { urls, next_token, sources: _ } => {
            for url in urls {
                result.text("QueueUrl", url);
            }
            if let Some(token) = next_token {
                result.text("NextToken", token);
            }
        }
        Answer::Attributes(attributes) => {
            for (name, value) in attributes {
                pair(result, "Attribute", "Name", name, value);
            }
        }
        Answer::Tags(tags) => {
            for (key, value) in tags {
                pair(result, "Tag", "Key", key, value);
            }
        }
        Answer::MoveTaskStarted(handle) => result.text("TaskHandle", handle),
        Answer::MoveTaskCancelled(moved) => result.plain("ApproximateNumberOfMessagesMoved", &moved.to_string()),
        Answer::MoveTasks(tasks) => {
            for task in tasks {
                result.element("ListMessageMoveTasksResultEntry", |entry| move_task(entry, task));
            }
        }
    }
}

fn pair(parent: &mut Element<'_>, name: &str, key_name: &str, key: &str, value: &str) {
    parent.element(name, |element| {
        element.text(key_name, key);
        element.text("Value", value);
    });
}

fn sent_fields(element: &mut Element<'_>, sent: &Sent, digests: &Digests, fifo: bool) {
    element.uuid("MessageId", &sent.uuid);
    element.plain("MD5OfMessageBody", digests.body.as_str());
    if let Some(digest) = &digests.attributes {
        element.plain("MD5OfMessageAttributes", digest.as_str());
    }
    if let Some(digest) = &digests.system_attributes {
        element.plain("MD5OfMessageSystemAttributes", digest.as_str());
    }
    if fifo {
        element.plain("SequenceNumber", &sequence_number(sent.id));
    }
}

/// Writes what became of each entry of a batch, those that succeeded with their `fields`.
fn batch<T>(
    result: &mut Element<'_>,
    operation: Operation,
    entries: &[Outcome<'_, T>],
    fields: impl Fn(&mut Element<'_>, &T),
) {
    let name = format!("{}ResultEntry", operation.name());
    for (id, outcome) in entries {
        match outcome {
            Ok(done) => result.element(&name, |entry| {
                entry.text("Id", id);
                fields(entry, done);
            }),
            Err(fault) => result.element("BatchResultErrorEntry", |entry| {
                entry.text("Id", id);
                entry.plain("SenderFault", if fault.code.is_sender() { "true" } else { "false" });
                entry.plain("Code", fault.code.query_code());
                entry.text("Message", &fault.message);
            }),
        }
    }
}

fn received(element: &mut Element<'_>, message: &ReceivedMessage<'_>) {
    element.uuid("MessageId", &message.uuid);
    element.plain("ReceiptHandle", &message.receipt_handle);
    element.plain("MD5OfBody", message.body_digest.as_str());
    element.text("Body", message.body);
    for (name, value) in &message.system {
        pair(element, "Attribute", "Name", name, value);
    }
    if let Some(digest) = &message.attributes_digest {
        element.plain("MD5OfMessageAttributes", digest.as_str());
    }
    for attribute in &message.attributes {
        element.element("MessageAttribute", |element| {
            element.text("Name", attribute.name);
            element.element("Value", |value| {
                match &attribute.value {
                    Value::Text(text) => value.text("StringValue", text),
                    Value::Binary(bytes) => value.plain("BinaryValue", &STANDARD.encode(bytes)),
                }
                value.text("DataType", attribute.data_type);
            });
        });
    }
}

fn move_task(entry: &mut Element<'_>, task: &MoveTask) {
    if task.status == Status::Running {
        entry.plain("TaskHandle", &task.handle.encode());
    }
    entry.plain("Status", task.status.name());
    entry.text("SourceArn", &task.handle.source_arn);
    if let Some(arn) = &task.destination_arn {
        entry.text("DestinationArn", arn);
    }
    if let Some(rate) = task.per_second_max {
        entry.plain("MaxNumberOfMessagesPerSecond", &rate.to_string());
    }
    entry.plain("ApproximateNumberOfMessagesMoved", &task.moved.to_string());
    if let Some(messages) = task.to_move {
        entry.plain("ApproximateNumberOfMessagesToMove", &messages.to_string());
    }
    if let Some(reason) = &task.failure {
        entry.text("FailureReason", reason);
    }
    entry.plain("StartedTimestamp", &task.started_at_ms.to_string());
}

#[cfg(test)]
#[path = "encode_tests.rs"]
mod tests;
