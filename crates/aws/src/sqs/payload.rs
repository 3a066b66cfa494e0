//! What a message carries, as the engine stores it without reading it: ids, attributes and body.
//!
//! The form is stored for ever: byte 0 is its version, and old versions keep being read. Version 1:
//! flags (1 byte) · public id (16) · [group id] · [deduplication id] · [trace header] · [number of attributes, then name,
//! type and value of each, the value after one byte that says how it is carried] · [what a topic adds, see
//! [`Publication`]] · body, to the end. Lengths and numbers are LEB128; texts and values come after their length; what is in
//! brackets is there if its flag is set. One flag has nothing behind it: that the body is JSON, which whoever sent it had
//! said and a door has checked.

use std::borrow::Cow;

use super::group::{Deduplication, content_id};
pub use super::message_attributes::{Attribute, Value, check_name};

const VERSION: u8 = 1;

const GROUP: u8 = 1;
const DEDUP_ID: u8 = 2;
const DEDUP_CONTENT: u8 = 4;
const TRACE: u8 = 8;
const ATTRIBUTES: u8 = 16;
const JSON: u8 = 32;
const PUBLICATION: u8 = 64;

const SUBJECT: u8 = 1;
const ALTERNATIVES: u8 = 2;

const TEXT: u8 = 1;
const BINARY: u8 = 2;

/// What a message carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payload<'a> {
    /// Its public id.
    pub uuid: [u8; 16],
    /// Its message group.
    pub group_id: Option<&'a str>,
    /// How it is told from duplicates; on FIFO queues.
    pub deduplication: Option<Deduplication<'a>>,
    /// The trace header.
    pub trace_header: Option<&'a str>,
    /// Its attributes, in the order of the request.
    pub attributes: Vec<Attribute<'a>>,
    /// Its body.
    pub body: &'a str,
    /// Whether the body was sent as JSON, and is.
    pub is_json: bool,
    /// What there is beside these of a message that was published to a topic.
    pub publication: Option<Box<Publication<'a>>>,
}

/// What a message has beside attributes and body that was published to a topic. Stored as flags (1 byte) · when it was
/// published (8 bytes, big-endian) · ARN of the topic · the version of its signatures (1 byte) · \[subject\] · [number of
/// other bodies, then protocol and text of each].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Publication<'a> {
    /// The ARN of its topic.
    pub topic_arn: &'a str,
    /// When it was published, in milliseconds since 1970.
    pub at_ms: u64,
    /// What signatures it has where it is delivered: 1, 2, or 0 for none.
    pub signature_version: u8,
    /// Its subject.
    pub subject: Option<&'a str>,
    /// Other bodies, by the protocol of a subscription.
    pub bodies: Vec<(&'a str, &'a str)>,
}

/// Bytes that are no payload that we know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a payload of a known version: unreadable with {left} bytes left")]
pub struct Unreadable {
    /// How many bytes were left where reading failed.
    pub left: usize,
}

impl<'a> Payload<'a> {
    /// Its stored form.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.body.len() + 32 + 48 * self.attributes.len());
        let flags = flag(GROUP, self.group_id.is_some())
            | flag(DEDUP_ID, matches!(self.deduplication, Some(Deduplication::Id(_))))
            | flag(DEDUP_CONTENT, matches!(self.deduplication, Some(Deduplication::Content)))
            | flag(TRACE, self.trace_header.is_some())
            | flag(ATTRIBUTES, !self.attributes.is_empty())
            | flag(JSON, self.is_json)
            | flag(PUBLICATION, self.publication.is_some());
        out.extend_from_slice(&[VERSION, flags]);
        out.extend_from_slice(&self.uuid);
        if let Some(group_id) = self.group_id {
            push(&mut out, group_id.as_bytes());
        }
        if let Some(Deduplication::Id(id)) = self.deduplication {
            push(&mut out, id.as_bytes());
        }
        if let Some(header) = self.trace_header {
            push(&mut out, header.as_bytes());
        }
        if !self.attributes.is_empty() {
            push_number(&mut out, self.attributes.len());
        }
        for attribute in &self.attributes {
            push(&mut out, attribute.name.as_bytes());
            push(&mut out, attribute.data_type.as_bytes());
            match &attribute.value {
                Value::Text(text) => {
                    out.push(TEXT);
                    push(&mut out, text.as_bytes());
                }
                Value::Binary(bytes) => {
                    out.push(BINARY);
                    push(&mut out, bytes);
                }
            }
        }
        if let Some(publication) = &self.publication {
            publication.push_to(&mut out);
        }
        out.extend_from_slice(self.body.as_bytes());
        out
    }

    /// Reads the stored form.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, Unreadable> {
        let mut reader = Reader { rest: bytes };
        reader.payload().ok_or(Unreadable { left: reader.rest.len() })
    }

    /// The attribute `MessageDeduplicationId`: the hash of the body where that is what identifies the message.
    pub fn deduplication_id(&self) -> Option<Cow<'a, str>> {
        match self.deduplication? {
            Deduplication::Id(id) => Some(Cow::Borrowed(id)),
            Deduplication::Content => Some(Cow::Owned(content_id(self.body.as_bytes()))),
        }
    }
}

impl Publication<'_> {
    fn push_to(&self, out: &mut Vec<u8>) {
        out.push(flag(SUBJECT, self.subject.is_some()) | flag(ALTERNATIVES, !self.bodies.is_empty()));
        out.extend_from_slice(&self.at_ms.to_be_bytes());
        push(out, self.topic_arn.as_bytes());
        out.push(self.signature_version);
        if let Some(subject) = self.subject {
            push(out, subject.as_bytes());
        }
        if !self.bodies.is_empty() {
            push_number(out, self.bodies.len());
        }
        for (protocol, body) in &self.bodies {
            push(out, protocol.as_bytes());
            push(out, body.as_bytes());
        }
    }
}

fn flag(flag: u8, set: bool) -> u8 {
    if set { flag } else { 0 }
}

fn push(out: &mut Vec<u8>, bytes: &[u8]) {
    push_number(out, bytes.len());
    out.extend_from_slice(bytes);
}

fn push_number(out: &mut Vec<u8>, n: usize) {
    let mut rest = n;
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn payload(&mut self) -> Option<Payload<'a>> {
        let version = self.byte()?;
        let flags = self.byte()?;
        let known = GROUP | DEDUP_ID | DEDUP_CONTENT | TRACE | ATTRIBUTES | JSON | PUBLICATION;
        if version != VERSION || flags & !known != 0 {
            return None;
        }
        let (uuid, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        let group_id = if flags & GROUP == 0 { None } else { Some(self.text()?) };
        let deduplication = match flags & (DEDUP_ID | DEDUP_CONTENT) {
            0 => None,
            DEDUP_ID => Some(Deduplication::Id(self.text()?)),
            DEDUP_CONTENT => Some(Deduplication::Content),
            _ => return None,
        };
        let trace_header = if flags & TRACE == 0 { None } else { Some(self.text()?) };
        let count = if flags & ATTRIBUTES == 0 { 0 } else { self.number()? };
        // The count is not trusted with an allocation: each attribute takes bytes that must be there.
        let mut attributes = Vec::new();
        for _ in 0..count {
            attributes.push(self.attribute()?);
        }
        let publication = if flags & PUBLICATION == 0 { None } else { Some(Box::new(self.publication()?)) };
        let body = std::str::from_utf8(std::mem::take(&mut self.rest)).ok()?;
        let is_json = flags & JSON != 0;
        Some(Payload { uuid: *uuid, group_id, deduplication, trace_header, attributes, body, is_json, publication })
    }

    fn publication(&mut self) -> Option<Publication<'a>> {
        let flags = self.byte()?;
        if flags & !(SUBJECT | ALTERNATIVES) != 0 {
            return None;
        }
        let (at, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        let topic_arn = self.text()?;
        let signature_version = self.byte()?;
        let subject = if flags & SUBJECT == 0 { None } else { Some(self.text()?) };
        let count = if flags & ALTERNATIVES == 0 { 0 } else { self.number()? };
        let mut bodies = Vec::new();
        for _ in 0..count {
            bodies.push((self.text()?, self.text()?));
        }
        Some(Publication { topic_arn, at_ms: u64::from_be_bytes(*at), signature_version, subject, bodies })
    }

    fn attribute(&mut self) -> Option<Attribute<'a>> {
        let name = self.text()?;
        let data_type = self.text()?;
        let value = match self.byte()? {
            TEXT => Value::Text(self.text()?),
            BINARY => Value::Binary(Cow::Borrowed(self.bytes()?)),
            _ => return None,
        };
        Some(Attribute { name, data_type, value })
    }

    fn byte(&mut self) -> Option<u8> {
        let (&byte, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(byte)
    }

    fn number(&mut self) -> Option<usize> {
        let mut n = 0_usize;
        for shift in [0, 7, 14, 21, 28] {
            let byte = self.byte()?;
            n |= usize::from(byte & 0x7F) << shift;
            if byte < 0x80 {
                return Some(n);
            }
        }
        None
    }

    fn bytes(&mut self) -> Option<&'a [u8]> {
        let len = self.number()?;
        let (bytes, rest) = self.rest.split_at_checked(len)?;
        self.rest = rest;
        Some(bytes)
    }

    fn text(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.bytes()?).ok()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    struct Owned {
        uuid: [u8; 16],
        group: Option<String>,
        dedup: Option<Result<String, ()>>,
        trace: Option<String>,
        attributes: Vec<(String, String, Result<String, Vec<u8>>)>,
        body: String,
        is_json: bool,
        publication: Option<OwnedPublication>,
    }

    /// Topic, time, subject and other bodies.
    type OwnedPublication = (String, u64, Option<String>, Vec<(String, String)>);

    impl Owned {
        fn borrow(&self) -> Payload<'_> {
            let attributes = self.attributes.iter().map(|(name, data_type, value)| Attribute {
                name,
                data_type,
                value: match value {
                    Ok(text) => Value::Text(text),
                    Err(bytes) => Value::Binary(Cow::Borrowed(bytes)),
                },
            });
            Payload {
                uuid: self.uuid,
                group_id: self.group.as_deref(),
                deduplication: self
                    .dedup
                    .as_ref()
                    .map(|id| id.as_deref().map_or(Deduplication::Content, Deduplication::Id)),
                trace_header: self.trace.as_deref(),
                attributes: attributes.collect(),
                body: &self.body,
                is_json: self.is_json,
                publication: self.publication.as_ref().map(|(topic_arn, at_ms, subject, bodies)| {
                    let bodies = bodies.iter().map(|(protocol, body)| (protocol.as_str(), body.as_str())).collect();
                    let subject = subject.as_deref();
                    Box::new(Publication { topic_arn, at_ms: *at_ms, signature_version: 2, subject, bodies })
                }),
            }
        }
    }

    fn payloads() -> impl Strategy<Value = Owned> {
        let option = || proptest::option::of(".{0,200}");
        let attribute = (".{0,20}", ".{0,20}", proptest::result::maybe_ok(".{0,20}", any::<Vec<u8>>()));
        let attributes = proptest::collection::vec(attribute, 0..5);
        let bodies = proptest::collection::vec((".{0,20}", ".{0,20}"), 0..3);
        let publication = proptest::option::of((".{0,40}", any::<u64>(), option(), bodies));
        (
            any::<[u8; 16]>(),
            option(),
            proptest::option::of(proptest::result::maybe_ok(".{0,200}", Just(()))),
            option(),
            attributes,
            ".{0,300}",
            any::<bool>(),
            publication,
        )
            .prop_map(|(uuid, group, dedup, trace, attributes, body, is_json, publication)| Owned {
                uuid,
                group,
                dedup,
                trace,
                attributes,
                body,
                is_json,
                publication,
            })
    }

    proptest! {
        #[test]
        fn a_payload_reads_back_as_it_was_written(owned in payloads()) {
            let payload = owned.borrow();
            let bytes = payload.encode();
            prop_assert_eq!(Payload::decode(&bytes), Ok(payload));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            let mut version_1 = bytes.clone();
            version_1.insert(0, VERSION);
            let _ = Payload::decode(&bytes);
            let _ = Payload::decode(&version_1);
        }
    }

    #[test]
    fn the_stored_form_is_fixed_for_ever() {
        let payload = Payload {
            uuid: [7; 16],
            group_id: Some("g"),
            deduplication: Some(Deduplication::Id("d")),
            trace_header: Some("t"),
            attributes: vec![
                Attribute { name: "n", data_type: "Number", value: Value::Text("1") },
                Attribute { name: "b", data_type: "Binary", value: Value::Binary(Cow::Borrowed(&[0xFF])) },
            ],
            body: "body",
            is_json: false,
            publication: None,
        };
        let mut expected = vec![1, 27];
        expected.extend_from_slice(&[7; 16]);
        expected.extend_from_slice(b"\x01g\x01d\x01t\x02\x01n\x06Number\x01\x011\x01b\x06Binary\x02\x01\xFFbody");
        assert_eq!(payload.encode(), expected);
        assert_eq!(Payload::decode(&expected), Ok(payload.clone()));
        expected[1] |= JSON;
        assert_eq!(Payload { is_json: true, ..payload }.encode(), expected);
        expected[0] = 2;
        assert!(Payload::decode(&expected).is_err());
    }

    #[test]
    fn the_stored_form_of_a_publication_is_fixed_for_ever() {
        let publication = Publication {
            topic_arn: "arn",
            at_ms: 1,
            signature_version: 2,
            subject: Some("s"),
            bodies: vec![("sqs", "other")],
        };
        let payload = Payload {
            uuid: [7; 16],
            group_id: None,
            deduplication: None,
            trace_header: None,
            attributes: Vec::new(),
            body: "body",
            is_json: false,
            publication: Some(Box::new(publication)),
        };
        let mut expected = vec![1, 64];
        expected.extend_from_slice(&[7; 16]);
        expected.extend_from_slice(b"\x03\0\0\0\0\0\0\0\x01\x03arn\x02\x01s\x01\x03sqs\x05otherbody");
        assert_eq!(payload.encode(), expected);
        assert_eq!(Payload::decode(&expected), Ok(payload));
    }
}
