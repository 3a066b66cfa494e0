//! Writing the body of an answer.

use serde::Serialize;

use crate::fault::Fault;
use crate::sqs::answer::Outcome;
use crate::sqs::digest::Md5Hex;
use crate::sqs::message::Digests;
use crate::sqs::message_attributes::Value;
use crate::sqs::received::{ReceivedMessage, sequence_number};
use crate::uuid;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use weir_core::api::Sent;

/// The body of an error.
pub fn error(fault: &Fault) -> Vec<u8> {
    let mut out = Vec::with_capacity(128 + fault.message.len());
    let mut object = Object::open(&mut out);
    let kind = object.key("__type");
    kind.push(b'"');
    kind.extend_from_slice(fault.code.shape_namespace().as_bytes());
    kind.extend_from_slice(fault.code.shape().as_bytes());
    kind.push(b'"');
    object.text("message", &fault.message);
    object.close();
    out
}

/// The answer of `SendMessage`; `fifo` says whether the message has a sequence number to tell.
pub fn send(sent: &Sent, digests: &Digests, fifo: bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    let mut object = Object::open(&mut out);
    sent_fields(&mut object, sent, digests, fifo);
    object.close();
    out
}

/// The answer of `SendMessageBatch`: what became of each entry, by its id.
pub fn send_batch(entries: &[Outcome<'_, (Sent, Digests)>], fifo: bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(32 + 256 * entries.len());
    batch(&mut out, entries, |object, (sent, digests)| sent_fields(object, sent, digests, fifo));
    out
}

/// The answer of `DeleteMessageBatch`.
pub fn delete_batch(entries: &[Outcome<'_, ()>]) -> Vec<u8> {
    let mut out = Vec::with_capacity(32 + 64 * entries.len());
    batch(&mut out, entries, |_, ()| ());
    out
}

/// The answer of `ChangeMessageVisibilityBatch`.
pub fn change_visibility_batch(entries: &[Outcome<'_, ()>]) -> Vec<u8> {
    delete_batch(entries)
}

/// The answer of `ReceiveMessage`; without messages it is an empty object, as on AWS.
pub fn received(messages: &[ReceivedMessage<'_>]) -> Vec<u8> {
    let body_bytes: usize = messages.iter().map(|message| message.body.len()).sum();
    let mut out = Vec::with_capacity(32 + body_bytes + body_bytes / 16 + 512 * messages.len());
    let mut object = Object::open(&mut out);
    if !messages.is_empty() {
        list(object.key("Messages"), messages, received_message);
    }
    object.close();
    out
}

/// The answer of `CreateQueue` and `GetQueueUrl`.
pub fn queue_url(url: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(32 + url.len());
    let mut object = Object::open(&mut out);
    object.text("QueueUrl", &String::from_utf8_lossy(url));
    object.close();
    out
}

/// The answer of `ListQueues`; without queues it has no list, as on AWS.
pub fn list_queues(urls: &[String], next_token: Option<&str>) -> Vec<u8> {
    let mut out = Vec::with_capacity(32 + 96 * urls.len());
    let mut object = Object::open(&mut out);
    if !urls.is_empty() {
        list(object.key("QueueUrls"), urls, |out, url| push_text(out, url));
    }
    if let Some(token) = next_token {
        object.text("NextToken", token);
    }
    object.close();
    out
}

/// The answer of `GetQueueAttributes`.
pub fn queue_attributes(attributes: &[(&'static str, String)]) -> Vec<u8> {
    let mut out = Vec::with_capacity(1_024);
    let mut object = Object::open(&mut out);
    if !attributes.is_empty() {
        let mut map = Object::open(object.key("Attributes"));
        for (name, value) in attributes {
            map.text(name, value);
        }
        map.close();
    }
    object.close();
    out
}

fn sent_fields(object: &mut Object<'_>, sent: &Sent, digests: &Digests, fifo: bool) {
    push_uuid(object.key("MessageId"), &sent.uuid);
    push_digest(object.key("MD5OfMessageBody"), &digests.body);
    if let Some(digest) = &digests.attributes {
        push_digest(object.key("MD5OfMessageAttributes"), digest);
    }
    if let Some(digest) = &digests.system_attributes {
        push_digest(object.key("MD5OfMessageSystemAttributes"), digest);
    }
    if fifo {
        object.text("SequenceNumber", &sequence_number(sent.id));
    }
}

/// Writes which entries of a batch succeeded, each with its `fields`, and which failed.
fn batch<T>(out: &mut Vec<u8>, entries: &[Outcome<'_, T>], fields: impl Fn(&mut Object<'_>, &T)) {
    let done: Vec<(&str, &T)> =
        entries.iter().filter_map(|(id, outcome)| outcome.as_ref().ok().map(|done| (*id, done))).collect();
    let failed: Vec<(&str, &Fault)> =
        entries.iter().filter_map(|(id, outcome)| outcome.as_ref().err().map(|fault| (*id, fault))).collect();
    let mut object = Object::open(out);
    // Some clients read the list of successes without asking whether it is there.
    list(object.key("Successful"), &done, |out, (id, done)| {
        let mut entry = Object::open(out);
        entry.text("Id", id);
        fields(&mut entry, done);
        entry.close();
    });
    if !failed.is_empty() {
        list(object.key("Failed"), &failed, |out, (id, fault)| failure(out, id, fault));
    }
    object.close();
}

fn failure(out: &mut Vec<u8>, id: &str, fault: &Fault) {
    let mut entry = Object::open(out);
    entry.text("Id", id);
    let sender: &[u8] = if fault.code.is_sender() { b"true" } else { b"false" };
    entry.key("SenderFault").extend_from_slice(sender);
    entry.text("Code", fault.code.query_code());
    entry.text("Message", &fault.message);
    entry.close();
}

fn received_message(out: &mut Vec<u8>, message: &ReceivedMessage<'_>) {
    let mut object = Object::open(out);
    push_uuid(object.key("MessageId"), &message.uuid);
    object.plain("ReceiptHandle", &message.receipt_handle);
    push_digest(object.key("MD5OfBody"), &message.body_digest);
    object.text("Body", message.body);
    if !message.system.is_empty() {
        let mut system = Object::open(object.key("Attributes"));
        for (name, value) in &message.system {
            system.text(name, value);
        }
        system.close();
    }
    if let Some(digest) = &message.attributes_digest {
        push_digest(object.key("MD5OfMessageAttributes"), digest);
        let mut attributes = Object::open(object.key("MessageAttributes"));
        for attribute in &message.attributes {
            let mut value = Object::open(attributes.key(attribute.name));
            match &attribute.value {
                Value::Text(text) => value.text("StringValue", text),
                Value::Binary(bytes) => value.plain("BinaryValue", &STANDARD.encode(bytes)),
            }
            value.text("DataType", attribute.data_type);
            value.close();
        }
        attributes.close();
    }
    object.close();
}

/// A JSON object being written.
pub(super) struct Object<'a> {
    out: &'a mut Vec<u8>,
    empty: bool,
}

impl<'a> Object<'a> {
    pub(super) fn open(out: &'a mut Vec<u8>) -> Self {
        out.push(b'{');
        Self { out, empty: true }
    }

    /// Writes a key of ASCII that needs no escape; its value is to be written next, to what this returns.
    pub(super) fn key(&mut self, key: &str) -> &mut Vec<u8> {
        if !self.empty {
            self.out.push(b',');
        }
        self.empty = false;
        self.out.push(b'"');
        self.out.extend_from_slice(key.as_bytes());
        self.out.extend_from_slice(b"\":");
        self.out
    }

    pub(super) fn text(&mut self, key: &str, value: &str) {
        push_text(self.key(key), value);
    }

    /// Writes a value that needs no escape.
    fn plain(&mut self, key: &str, value: &str) {
        let out = self.key(key);
        out.push(b'"');
        out.extend_from_slice(value.as_bytes());
        out.push(b'"');
    }

    pub(super) fn close(self) {
        self.out.push(b'}');
    }
}

pub(super) fn list<T>(out: &mut Vec<u8>, values: &[T], write: impl Fn(&mut Vec<u8>, &T)) {
    out.push(b'[');
    for (at, value) in values.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        write(out, value);
    }
    out.push(b']');
}

pub(super) fn push_text(out: &mut Vec<u8>, text: &str) {
    let mut serializer = serde_json::Serializer::new(out);
    text.serialize(&mut serializer).expect("writing a text to memory cannot fail");
}

fn push_digest(out: &mut Vec<u8>, digest: &Md5Hex) {
    out.push(b'"');
    out.extend_from_slice(digest.as_str().as_bytes());
    out.push(b'"');
}

/// Writes a UUID: 8-4-4-4-12 hexadecimal digits.
fn push_uuid(out: &mut Vec<u8>, uuid: &[u8; 16]) {
    out.push(b'"');
    uuid::push(out, uuid);
    out.push(b'"');
}

#[cfg(test)]
#[path = "encode_tests.rs"]
mod tests;
