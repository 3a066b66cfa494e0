//! A received message, as the asker wants to see it.

use std::borrow::Cow;

use weir_core::api::{Delivery, Kind, Queue};

use super::digest::Md5Hex;
use super::payload::{Attribute, Payload, Unreadable};
use super::request::{ReceiveMessage, Text};
use super::{receipt, text};
use crate::arn::Arn;
use crate::fault::{Code, Fault};

/// Which attributes a receive asks for.
#[derive(Clone, Debug, Default)]
pub struct Selection<'a> {
    system: u16,
    names: &'a [Text<'a>],
}

/// The system attributes, each with its place in the set of those asked for.
const SYSTEM: [&str; 9] = [
    "SenderId",
    "SentTimestamp",
    "ApproximateReceiveCount",
    "ApproximateFirstReceiveTimestamp",
    "SequenceNumber",
    "MessageDeduplicationId",
    "MessageGroupId",
    "AWSTraceHeader",
    "DeadLetterQueueSourceArn",
];
const SYSTEM_ALL: u16 = (1 << SYSTEM.len()) - 1;

impl<'a> Selection<'a> {
    /// What `request` asks for.
    ///
    /// # Errors
    /// `InvalidAttributeName` for a system attribute that does not exist.
    pub fn of(request: &'a ReceiveMessage<'a>) -> Result<Self, Fault> {
        let mut system = 0;
        let lists = [&request.attribute_names, &request.system_attribute_names];
        for name in lists.into_iter().flatten().flatten() {
            system |= match SYSTEM.iter().position(|known| known == name) {
                Some(at) => 1 << at,
                None if name == "All" => SYSTEM_ALL,
                None => {
                    let message = format!("Unknown Attribute {}.", text::quote(name, 256));
                    return Err(Fault::new(Code::InvalidAttributeName, message));
                }
            };
        }
        Ok(Self { system, names: request.message_attribute_names.as_deref().unwrap_or_default() })
    }

    /// Whether the message attribute called `name` is asked for.
    fn takes(&self, name: &str) -> bool {
        self.names.iter().any(|asked| match asked.strip_suffix(".*") {
            Some("") => true,
            Some(prefix) => name.strip_prefix(prefix).is_some_and(|rest| rest.starts_with('.')),
            None => asked == "All" || asked == name,
        })
    }
}

/// A received message with what was asked for.
#[derive(Clone, Debug)]
pub struct ReceivedMessage<'a> {
    /// `MessageId`
    pub uuid: [u8; 16],
    /// `ReceiptHandle`
    pub receipt_handle: String,
    /// `Body`
    pub body: &'a str,
    /// `MD5OfBody`
    pub body_digest: Md5Hex,
    /// `Attributes`
    pub system: Vec<(&'static str, Cow<'a, str>)>,
    /// `MessageAttributes`
    pub attributes: Vec<Attribute<'a>>,
    /// `MD5OfMessageAttributes`: of those returned.
    pub attributes_digest: Option<Md5Hex>,
}

impl<'a> ReceivedMessage<'a> {
    /// The message of `delivery`, whose payload is `payload`. One that a topic wrapped has that `envelope` for a body, and
    /// no attributes of its own.
    pub fn new(
        delivery: &'a Delivery,
        payload: &'a [u8],
        envelope: Option<&'a str>,
        queue: &Queue,
        region: &str,
        selection: &Selection<'_>,
    ) -> Result<Self, Unreadable> {
        let mut payload = Payload::decode(payload)?;
        let published = payload.publication.take();
        match (envelope, published) {
            (Some(envelope), _) => {
                payload.body = envelope;
                payload.attributes.clear();
            }
            (None, Some(published)) => payload.body = published.body_for("sqs", payload.body),
            (None, None) => {}
        }
        let system = if selection.system == 0 {
            Vec::new()
        } else {
            let all = system_attributes(delivery, &payload, queue, region);
            let asked = all.into_iter().enumerate().filter(|(at, _)| selection.system & (1 << at) != 0);
            asked.filter_map(|(_, (name, value))| value.map(|value| (name, value))).collect()
        };
        let mut attributes = std::mem::take(&mut payload.attributes);
        attributes.retain(|attribute| selection.takes(attribute.name));
        Ok(Self {
            uuid: payload.uuid,
            receipt_handle: receipt::encode(queue.id, &delivery.handle),
            body: payload.body,
            body_digest: Md5Hex::of_body(payload.body.as_bytes()),
            system,
            attributes_digest: Md5Hex::of_attributes(&attributes),
            attributes,
        })
    }
}

/// Name and value of every system attribute, in the order of [`SYSTEM`]; no value where it does not apply.
fn system_attributes<'a>(
    delivery: &Delivery,
    payload: &Payload<'a>,
    queue: &Queue,
    region: &str,
) -> Vec<(&'static str, Option<Cow<'a, str>>)> {
    let number = |n: u64| Some(Cow::Owned(n.to_string()));
    let sequence = (queue.kind == Kind::Fifo).then(|| Cow::Owned(sequence_number(delivery.handle.message)));
    let source = delivery.dead_letter_source.as_ref().map(|name| {
        let arn = Arn { region, namespace: queue.namespace, name };
        Cow::Owned(arn.to_string())
    });
    let values = [
        Some(Cow::Owned(format!("{:012}", queue.namespace.0))),
        number(delivery.sent_at.0),
        number(u64::from(delivery.grants)),
        number(delivery.first_received_at.0),
        sequence,
        payload.deduplication.and_then(|_| dedup_id(payload)),
        payload.group_id.map(Cow::Borrowed),
        payload.trace_header.map(Cow::Borrowed),
        source,
    ];
    SYSTEM.into_iter().zip(values).collect()
}

fn dedup_id<'a>(payload: &Payload<'a>) -> Option<Cow<'a, str>> {
    payload.deduplication_id()
}

/// A FIFO queue's sequence number: twenty digits, so that its order as text is its order as a number.
pub fn sequence_number(id: u64) -> String {
    format!("{id:020}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(list: &[&'static str]) -> Vec<Text<'static>> {
        list.iter().map(|&name| name.into()).collect()
    }

    #[test]
    fn message_attributes_are_asked_for_by_name_prefix_or_all() {
        for (asked, name, taken) in [
            ("All", "a", true),
            (".*", "a", true),
            ("a", "a", true),
            ("a", "ab", false),
            ("foo.*", "foo.bar", true),
            ("foo.*", "foobar", false),
            ("foo.*", "foo", false),
            ("b", "a", false),
        ] {
            let request = ReceiveMessage { message_attribute_names: Some(names(&[asked])), ..Default::default() };
            assert_eq!(Selection::of(&request).unwrap().takes(name), taken, "{asked} {name}");
        }
        assert!(!Selection::default().takes("a"));
    }

    #[test]
    fn system_attributes_are_asked_for_under_the_old_and_the_new_name() {
        let old = ReceiveMessage { attribute_names: Some(names(&["SenderId"])), ..Default::default() };
        let new = ReceiveMessage { system_attribute_names: Some(names(&["SentTimestamp"])), ..Default::default() };
        let all = ReceiveMessage { attribute_names: Some(names(&["All"])), ..Default::default() };
        let unknown = ReceiveMessage { system_attribute_names: Some(names(&["Sender"])), ..Default::default() };
        assert_eq!(Selection::of(&old).unwrap().system, 1);
        assert_eq!(Selection::of(&new).unwrap().system, 2);
        assert_eq!(Selection::of(&all).unwrap().system, 0b1_1111_1111);
        assert_eq!(Selection::of(&unknown).unwrap_err().code, Code::InvalidAttributeName);
    }
}
