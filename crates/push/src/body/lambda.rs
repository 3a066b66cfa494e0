//! The event that a function of AWS Lambda gets from a queue of SQS.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest as _, Md5};
use serde::Serialize;

use crate::message::{Attribute, Message, Origin, Value, hex};

#[derive(Serialize)]
struct Event<'a> {
    #[serde(rename = "Records")]
    records: Vec<Record<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Record<'a> {
    message_id: String,
    receipt_handle: &'a str,
    body: &'a str,
    attributes: BTreeMap<&'static str, String>,
    message_attributes: BTreeMap<&'a str, MessageAttribute<'a>>,
    md5_of_body: String,
    event_source: &'static str,
    #[serde(rename = "eventSourceARN")]
    event_source_arn: &'a str,
    aws_region: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct MessageAttribute<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    string_value: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    binary_value: Option<String>,
    string_list_values: [&'a str; 0],
    binary_list_values: [&'a str; 0],
    data_type: &'a str,
}

fn shown<'a>(origin: &Origin<'a>, message: &'a Message<'a>) -> Record<'a> {
    let mut attributes = BTreeMap::from([
        ("ApproximateReceiveCount", message.leases.to_string()),
        ("SentTimestamp", message.sent_at_ms.to_string()),
        ("SenderId", origin.account.to_owned()),
        ("ApproximateFirstReceiveTimestamp", message.first_leased_at_ms.to_string()),
    ]);
    let optional = [
        ("MessageGroupId", message.group.map(str::to_owned)),
        ("MessageDeduplicationId", message.deduplication_id.as_deref().map(str::to_owned)),
        ("AWSTraceHeader", message.trace_header.map(str::to_owned)),
    ];
    attributes.extend(optional.into_iter().filter_map(|(name, value)| Some((name, value?))));
    if origin.queue.strip_suffix(".fifo").is_some() {
        // As wide as AWS writes it: texts of one length are in the order of their numbers.
        attributes.insert("SequenceNumber", format!("{:020}", message.id));
    }
    let attribute = |attribute: &'a Attribute<'a>| {
        let (string_value, binary_value) = match &attribute.value {
            Value::Text(text) => (Some(*text), None),
            Value::Binary(bytes) => (None, Some(STANDARD.encode(bytes))),
        };
        let described = MessageAttribute {
            string_value,
            binary_value,
            string_list_values: [],
            binary_list_values: [],
            data_type: attribute.data_type,
        };
        (attribute.name, described)
    };
    Record {
        message_id: message.uuid_text(),
        receipt_handle: &message.token,
        body: message.body,
        attributes,
        message_attributes: message.attributes.iter().map(attribute).collect(),
        md5_of_body: hex(&Md5::digest(message.body.as_bytes())),
        event_source: "aws:sqs",
        event_source_arn: origin.arn,
        aws_region: origin.region,
    }
}

/// The event of these messages.
pub(crate) fn event(origin: &Origin<'_>, messages: &[Message<'_>]) -> Vec<u8> {
    let mut out = Vec::with_capacity(messages.iter().map(|message| message.body.len() + 640).sum());
    super::push_json(&mut out, &Event { records: messages.iter().map(|message| shown(origin, message)).collect() });
    out
}

/// The record of a message in such an event, in JSON.
pub fn record(origin: &Origin<'_>, message: &Message<'_>) -> String {
    serde_json::to_string(&shown(origin, message)).expect("texts and numbers are JSON")
}
