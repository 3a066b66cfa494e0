//! A message to send: checked, hashed and encoded for the engine.

use weir_core::api::{Kind, NewMessage, Queue};

use super::digest::Md5Hex;
use super::group::{Deduplication, content_hash, id_hash, lane};
use super::limits::{GROUP_ID_MAX, Limits};
use super::message_attributes as attributes;
use super::payload::Payload;
use super::request::Message;
use super::text;
use crate::fault::{Code, Fault};

/// A message that can be sent, and what its sender will be told.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// For the engine.
    pub message: NewMessage,
    /// The digests to answer with.
    pub digests: Digests,
    /// Its length as limits count it: body and attributes.
    pub bytes: u64,
}

/// The digests that a sender is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digests {
    /// `MD5OfMessageBody`
    pub body: Md5Hex,
    /// `MD5OfMessageAttributes`
    pub attributes: Option<Md5Hex>,
    /// `MD5OfMessageSystemAttributes`
    pub system_attributes: Option<Md5Hex>,
}

/// Where a message comes from; some errors differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// `SendMessage`
    Single,
    /// An entry of `SendMessageBatch`
    Batch,
}

/// Checks `message` for `queue` and prepares it. `uuid` becomes its public id.
pub fn prepare(
    message: &Message<'_>,
    origin: Origin,
    queue: &Queue,
    limits: &Limits,
    uuid: [u8; 16],
) -> Result<Prepared, Fault> {
    let Some(body) = message.body.as_deref().filter(|body| !body.is_empty()) else {
        return Err(Fault::missing("MessageBody"));
    };
    if !limits.any_utf8 && !text::is_xml(body) {
        let reason = "Invalid binary character was found in the message body, the set of allowed characters is #x9 | #xA | #xD | #x20 to #xD7FF | #xE000 to #xFFFD | #x10000 to #x10FFFF.";
        return Err(Fault::new(Code::InvalidMessageContents, reason));
    }
    let attributes = match &message.attributes {
        Some(pairs) => attributes::check(pairs, limits)?,
        None => Vec::new(),
    };
    let trace = match &message.system_attributes {
        Some(pairs) => attributes::check_system(pairs)?,
        None => None,
    };
    let bytes = body.len() as u64 + attributes.iter().map(attributes::Attribute::bytes).sum::<u64>();
    let bytes_max = limits.message_bytes(queue.config.message_bytes_max);
    if bytes > bytes_max {
        let message = format!(
            "One or more parameters are invalid. Reason: Message must be shorter than {bytes_max} bytes; this one, attributes included, has {bytes}."
        );
        return Err(Fault::new(Code::InvalidParameterValue, message));
    }
    let delay_ms = delay_ms(message.delay_seconds, queue.kind, limits)?;
    let group_id = group_id(message, origin, queue.kind)?;
    let deduplication = deduplication(message, queue)?;
    let priority = attributes::priority(&attributes)?;
    let digests = Digests {
        body: Md5Hex::of_body(body.as_bytes()),
        attributes: Md5Hex::of_attributes(&attributes),
        system_attributes: Md5Hex::of_attributes(&trace),
    };
    let trace_header = trace.as_ref().and_then(|attribute| match attribute.value {
        attributes::Value::Text(header) => Some(header),
        attributes::Value::Binary(_) => None,
    });
    let payload =
        Payload { uuid, group_id, deduplication, trace_header, attributes, body, is_json: false, publication: None };
    let lane = group_id.map(lane);
    let dedup = deduplication.map(|deduplication| match deduplication {
        Deduplication::Id(id) => id_hash(id),
        Deduplication::Content => content_hash(body.as_bytes()),
    });
    let message =
        NewMessage { uuid, payload: payload.encode(), delay_ms, priority, lane, dedup, ..NewMessage::default() };
    Ok(Prepared { message, digests, bytes })
}

fn delay_ms(seconds: Option<i64>, kind: Kind, limits: &Limits) -> Result<Option<u64>, Fault> {
    let Some(seconds) = seconds else { return Ok(None) };
    let ms = u64::try_from(seconds).ok().filter(|_| seconds <= limits.delay_s_max).map(|s| s * 1_000);
    let Some(ms) = ms else {
        let reason = format!("DelaySeconds must be >= 0 and <= {}.", limits.delay_s_max);
        return Err(Fault::invalid("DelaySeconds", &seconds, &reason));
    };
    match kind {
        // On a FIFO queue zero means the queue's delay, as on AWS.
        Kind::Fifo if seconds == 0 => Ok(None),
        Kind::Fifo if !limits.delay_per_fifo_message => {
            let reason = "The request include parameter that is not valid for this queue type.";
            Err(Fault::invalid("DelaySeconds", &seconds, reason))
        }
        _ => Ok(Some(ms)),
    }
}

fn group_id<'a>(message: &'a Message<'_>, origin: Origin, kind: Kind) -> Result<Option<&'a str>, Fault> {
    match message.group_id.as_deref() {
        Some(id) => check_id("MessageGroupId", id).map(Some),
        None if kind == Kind::Standard => Ok(None),
        None if origin == Origin::Single => Err(Fault::missing("MessageGroupId")),
        None => {
            let message = "The request must contain the parameter MessageGroupId.";
            Err(Fault::new(Code::InvalidParameterValue, message))
        }
    }
}

fn deduplication<'a>(message: &'a Message<'_>, queue: &Queue) -> Result<Option<Deduplication<'a>>, Fault> {
    match (message.deduplication_id.as_deref(), queue.kind) {
        (Some(id), Kind::Fifo) => Ok(Some(Deduplication::Id(check_id("MessageDeduplicationId", id)?))),
        (Some(id), Kind::Standard) => {
            let reason = "The request include parameter that is not valid for this queue type.";
            Err(Fault::invalid("MessageDeduplicationId", &text::quote(id, 128), reason))
        }
        (None, Kind::Standard) => Ok(None),
        (None, Kind::Fifo) if queue.config.content_deduplication => Ok(Some(Deduplication::Content)),
        (None, Kind::Fifo) => {
            let message = "The queue should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided explicitly.";
            Err(Fault::new(Code::InvalidParameterValue, message))
        }
    }
}

pub(crate) fn check_id<'a>(parameter: &str, id: &'a str) -> Result<&'a str, Fault> {
    if id.is_empty() || id.len() > GROUP_ID_MAX || !text::is_graphic(id) {
        let reason = format!(
            "{parameter} can only include alphanumeric and punctuation characters. 1 to {GROUP_ID_MAX} in length."
        );
        return Err(Fault::invalid(parameter, &text::quote(id, GROUP_ID_MAX), &reason));
    }
    Ok(id)
}

#[cfg(test)]
#[path = "message_tests.rs"]
mod tests;
