//! A message to publish: checked, hashed and encoded.

use serde_json::{Map, Value};
use weir_core::api::{Kind, Lane};

use super::fault::{invalid, missing};
use super::limits::SUBJECT_MAX;
use super::request::Message;
use crate::fault::{Code, Fault};
use crate::sqs::payload::{Attribute, Payload, Publication};
use crate::sqs::{Deduplication, Limits, check_id, content_hash, id_hash, lane, message_attributes as attributes};
use crate::text;

/// What of its topic a publication depends on.
#[derive(Clone, Copy, Debug)]
pub struct Settings<'a> {
    /// The topic's ARN.
    pub topic_arn: &'a str,
    /// Its kind.
    pub kind: Kind,
    /// Whether a message without an id of its own is told from others by its content.
    pub content_deduplication: bool,
    /// The attribute `MaximumMessageSize`.
    pub message_bytes_max: u64,
    /// How what goes out is signed: 1, 2, or 0 for not at all.
    pub signature_version: u8,
}

/// A message that can be published.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// Its stored form.
    pub payload: Vec<u8>,
    /// Its length as limits count it: body and attributes.
    pub bytes: u64,
    /// 0 is delivered first.
    pub priority: u32,
    /// The message group.
    pub lane: Option<Lane>,
    /// What it is told from duplicates by.
    pub dedup: Option<[u8; 16]>,
}

/// Checks `message` for a topic and prepares it. `uuid` becomes its public id, and `now_ms` the time of its publication.
///
/// # Errors
/// `InvalidParameter`, `ParameterValueInvalid` for its attributes.
pub fn prepare(
    message: &Message<'_>,
    topic: &Settings<'_>,
    limits: &Limits,
    uuid: [u8; 16],
    now_ms: u64,
) -> Result<Prepared, Fault> {
    let given = message.message.as_deref().ok_or_else(|| missing("Message"))?;
    if given.is_empty() {
        return Err(invalid("Message", "Empty message"));
    }
    if !limits.any_utf8 && !text::is_xml(given) {
        return Err(invalid("Message", "it has characters that XML cannot carry"));
    }
    let subject = message.subject.as_deref().map(check_subject).transpose()?;
    let structured = match message.structure.as_deref() {
        None | Some("") => None,
        Some("json") => Some(structure(given)?),
        Some(other) => {
            let reason = format!("Invalid message structure {}: the only one there is is json", text::quote(other, 64));
            return Err(invalid("MessageStructure", &reason));
        }
    };
    let attributes = match &message.attributes {
        Some(pairs) => attributes::check(pairs, limits)?,
        None => Vec::new(),
    };
    let bytes = given.len() as u64 + attributes.iter().map(Attribute::bytes).sum::<u64>();
    // A topic that still has AWS's default takes what the server takes.
    let own = topic.message_bytes_max;
    let bytes_max = if own == super::limits::MESSAGE_SIZE_DEFAULT && *limits == Limits::OURS {
        limits.message_bytes_max
    } else {
        own.min(limits.message_bytes_max)
    };
    if bytes > bytes_max {
        let reason = format!("Message too long: it has {bytes} bytes with its attributes, of at most {bytes_max}");
        return Err(invalid("Message", &reason));
    }
    let group_id = group_id(message, topic.kind)?;
    let deduplication = deduplication(message, topic)?;
    let priority = attributes::priority(&attributes)?;
    let (body, bodies) = match &structured {
        None => (given, Vec::new()),
        Some(Structure { default, others }) => {
            (default.as_str(), others.iter().map(|(protocol, text)| (protocol.as_str(), text.as_str())).collect())
        }
    };
    let payload = Payload {
        uuid,
        group_id,
        deduplication,
        trace_header: None,
        attributes,
        body,
        is_json: false,
        publication: Some(Box::new(Publication {
            topic_arn: topic.topic_arn,
            at_ms: now_ms,
            signature_version: topic.signature_version,
            subject,
            bodies,
        })),
    };
    let dedup = deduplication.map(|deduplication| match deduplication {
        Deduplication::Id(id) => id_hash(id),
        Deduplication::Content => content_hash(given.as_bytes()),
    });
    Ok(Prepared { payload: payload.encode(), bytes, priority, lane: group_id.map(lane), dedup })
}

/// Bodies for subscriptions of different protocols.
struct Structure {
    default: String,
    others: Vec<(String, String)>,
}

fn structure(message: &str) -> Result<Structure, Fault> {
    let refuse =
        |reason: &str| Fault::new(Code::InvalidParameter, format!("Invalid parameter: Message Structure - {reason}"));
    let bodies: Map<String, Value> = serde_json::from_str(message)
        .map_err(|error| refuse(&format!("JSON message body failed to parse: {error}")))?;
    let mut default = None;
    let mut others = Vec::new();
    for (protocol, body) in bodies {
        match (protocol.as_str(), body) {
            ("default", Value::String(body)) => default = Some(body),
            // What is for protocols that there are not is passed over, as on AWS.
            ("sqs" | "http" | "https" | "lambda", Value::String(body)) => others.push((protocol, body)),
            _ => {}
        }
    }
    let default = default.ok_or_else(|| refuse("No default entry in JSON message body"))?;
    Ok(Structure { default, others })
}

fn check_subject(subject: &str) -> Result<&str, Fault> {
    let characters = subject.chars().count();
    if characters == 0 || characters > SUBJECT_MAX || subject.chars().any(char::is_control) {
        let reason = format!(
            "it must have 1 to {SUBJECT_MAX} characters without line breaks and control characters, and this one has {characters} characters"
        );
        return Err(invalid("Subject", &reason));
    }
    Ok(subject)
}

fn group_id<'a>(message: &'a Message<'_>, kind: Kind) -> Result<Option<&'a str>, Fault> {
    match message.group_id.as_deref() {
        Some(id) => check_id("MessageGroupId", id).map(Some).map_err(|fault| of_sns(&fault)),
        None if kind == Kind::Standard => Ok(None),
        None => {
            let message = "Invalid parameter: The MessageGroupId parameter is required for FIFO topics";
            Err(Fault::new(Code::InvalidParameter, message))
        }
    }
}

fn deduplication<'a>(message: &'a Message<'_>, topic: &Settings<'_>) -> Result<Option<Deduplication<'a>>, Fault> {
    match (message.deduplication_id.as_deref(), topic.kind) {
        (Some(id), Kind::Fifo) => {
            check_id("MessageDeduplicationId", id).map(|id| Some(Deduplication::Id(id))).map_err(|fault| of_sns(&fault))
        }
        (Some(_), Kind::Standard) => {
            let reason = "The request includes MessageDeduplicationId parameter that is not valid for this topic type";
            Err(invalid("MessageDeduplicationId", reason))
        }
        (None, Kind::Standard) => Ok(None),
        (None, Kind::Fifo) if topic.content_deduplication => Ok(Some(Deduplication::Content)),
        (None, Kind::Fifo) => {
            let message = "Invalid parameter: The topic should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided explicitly";
            Err(Fault::new(Code::InvalidParameter, message))
        }
    }
}

/// A refusal of a parameter as this service makes it.
fn of_sns(fault: &Fault) -> Fault {
    Fault::new(Code::InvalidParameter, format!("Invalid parameter: {}", fault.message))
}

#[cfg(test)]
#[path = "publish_tests.rs"]
mod tests;
