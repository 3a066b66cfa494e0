//! What topics send out: the message in its envelope, and what is signed of it.

use serde::Serialize;
use serde_json::value::RawValue;

use super::timestamp::timestamp;
use crate::sqs::payload::{Payload, Publication, Value};
use crate::sqs::received::sequence_number;
use crate::uuid;

/// Where the certificate of the signatures is, and how to get rid of the subscription.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Links {
    /// `SigningCertURL`
    pub certificate: String,
    /// `UnsubscribeURL`; `None` where the subscription is not known any more.
    pub unsubscribe: Option<String>,
}

/// A signature, and of which version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// 1 (SHA-1) or 2 (SHA-256).
    pub version: u8,
    /// In base64.
    pub base64: String,
}

#[derive(Serialize)]
struct Notification<'a> {
    #[serde(rename = "Type")]
    kind: &'static str,
    #[serde(rename = "MessageId")]
    message_id: &'a str,
    #[serde(rename = "SequenceNumber", skip_serializing_if = "Option::is_none")]
    sequence: Option<String>,
    #[serde(rename = "TopicArn")]
    topic_arn: &'a str,
    #[serde(rename = "Subject", skip_serializing_if = "Option::is_none")]
    subject: Option<&'a str>,
    #[serde(rename = "Message")]
    message: &'a str,
    #[serde(rename = "Timestamp")]
    timestamp: &'a str,
    #[serde(flatten)]
    signed: Option<Signed<'a>>,
    #[serde(rename = "UnsubscribeURL", skip_serializing_if = "Option::is_none")]
    unsubscribe_url: Option<&'a str>,
    #[serde(rename = "MessageAttributes", skip_serializing_if = "Option::is_none")]
    attributes: Option<Box<RawValue>>,
}

#[derive(Serialize)]
struct Signed<'a> {
    #[serde(rename = "SignatureVersion")]
    version: String,
    #[serde(rename = "Signature")]
    signature: &'a str,
    #[serde(rename = "SigningCertURL")]
    certificate_url: &'a str,
}

/// What Lambda calls a function with for a notification. Its names differ in places from those that go to a URL.
#[derive(Serialize)]
struct Event<'a> {
    #[serde(rename = "Records")]
    records: [Record<'a>; 1],
}

#[derive(Serialize)]
struct Record<'a> {
    #[serde(rename = "EventSource")]
    source: &'static str,
    #[serde(rename = "EventVersion")]
    version: &'static str,
    #[serde(rename = "EventSubscriptionArn")]
    subscription_arn: &'a str,
    #[serde(rename = "Sns")]
    sns: EventNotification<'a>,
}

#[derive(Serialize)]
struct EventNotification<'a> {
    #[serde(rename = "Type")]
    kind: &'static str,
    #[serde(rename = "MessageId")]
    message_id: &'a str,
    #[serde(rename = "TopicArn")]
    topic_arn: &'a str,
    #[serde(rename = "Subject")]
    subject: Option<&'a str>,
    #[serde(rename = "Message")]
    message: &'a str,
    #[serde(rename = "Timestamp")]
    timestamp: &'a str,
    #[serde(rename = "SignatureVersion", skip_serializing_if = "Option::is_none")]
    signature_version: Option<String>,
    #[serde(rename = "Signature", skip_serializing_if = "Option::is_none")]
    signature: Option<&'a str>,
    #[serde(rename = "SigningCertUrl", skip_serializing_if = "Option::is_none")]
    certificate_url: Option<&'a str>,
    #[serde(rename = "UnsubscribeUrl", skip_serializing_if = "Option::is_none")]
    unsubscribe_url: Option<&'a str>,
    #[serde(rename = "MessageAttributes")]
    attributes: Box<RawValue>,
}

#[derive(Serialize)]
struct Confirmation<'a> {
    #[serde(rename = "Type")]
    kind: &'static str,
    #[serde(rename = "MessageId")]
    message_id: &'a str,
    #[serde(rename = "Token")]
    token: &'a str,
    #[serde(rename = "TopicArn")]
    topic_arn: &'a str,
    #[serde(rename = "Message")]
    message: &'a str,
    #[serde(rename = "SubscribeURL")]
    subscribe_url: &'a str,
    #[serde(rename = "Timestamp")]
    timestamp: &'a str,
    #[serde(flatten)]
    signed: Option<Signed<'a>>,
}

#[derive(Serialize)]
struct Attribute<'a> {
    #[serde(rename = "Type")]
    data_type: &'a str,
    #[serde(rename = "Value")]
    value: std::borrow::Cow<'a, str>,
}

impl<'a> Publication<'a> {
    /// The text for subscriptions of `protocol`: its own, where the publisher wrote one, or `body`.
    pub fn body_for(&self, protocol: &str, body: &'a str) -> &'a str {
        self.bodies.iter().find(|(of, _)| *of == protocol).map_or(body, |(_, own)| own)
    }
}

/// What is signed of a notification to subscriptions of `protocol`; `None` for what is no publication, or of a topic
/// that signs nothing.
pub fn signed_text(payload: &Payload<'_>, protocol: &str) -> Option<(u8, String)> {
    let publication = payload.publication.as_deref()?;
    let version = Some(publication.signature_version).filter(|&version| version != 0)?;
    let (id, at) = (uuid::text(&payload.uuid), timestamp(publication.at_ms));
    let mut fields = vec![("Message", publication.body_for(protocol, payload.body)), ("MessageId", &id)];
    fields.extend(publication.subject.map(|subject| ("Subject", subject)));
    fields.extend([("Timestamp", &*at), ("TopicArn", publication.topic_arn), ("Type", "Notification")]);
    Some((version, canonical(&fields)))
}

/// The envelope of a notification to a subscription of `protocol`; `None` for what is no publication. `sequence` is that of
/// a FIFO topic.
pub fn notification(
    payload: &Payload<'_>,
    protocol: &str,
    sequence: Option<u64>,
    signature: Option<&Signature>,
    links: &Links,
) -> Option<String> {
    let publication = payload.publication.as_deref()?;
    let envelope = Notification {
        kind: "Notification",
        message_id: &uuid::text(&payload.uuid),
        sequence: sequence.map(sequence_number),
        topic_arn: publication.topic_arn,
        subject: publication.subject,
        message: publication.body_for(protocol, payload.body),
        timestamp: &timestamp(publication.at_ms),
        signed: signature.map(|signature| signed(signature, links)),
        unsubscribe_url: links.unsubscribe.as_deref(),
        attributes: attributes(payload),
    };
    serde_json::to_string(&envelope).ok()
}

/// The event that a function is called with for a notification of the subscription of this ARN; `None` for what is no
/// publication.
pub fn function_event(
    payload: &Payload<'_>,
    subscription_arn: &str,
    signature: Option<&Signature>,
    links: &Links,
) -> Option<String> {
    let publication = payload.publication.as_deref()?;
    let sns = EventNotification {
        kind: "Notification",
        message_id: &uuid::text(&payload.uuid),
        topic_arn: publication.topic_arn,
        subject: publication.subject,
        message: publication.body_for("lambda", payload.body),
        timestamp: &timestamp(publication.at_ms),
        signature_version: signature.map(|signature| signature.version.to_string()),
        signature: signature.map(|signature| &*signature.base64),
        certificate_url: signature.map(|_| &*links.certificate),
        unsubscribe_url: links.unsubscribe.as_deref(),
        attributes: match attributes(payload) {
            Some(attributes) => attributes,
            None => RawValue::from_string("{}".to_owned()).ok()?,
        },
    };
    let record = Record { source: "aws:sns", version: "1.0", subscription_arn, sns };
    serde_json::to_string(&Event { records: [record] }).ok()
}

/// A message about a subscription itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handshake<'a> {
    /// Whether it is about the end of the subscription, and not its beginning.
    pub unsubscribes: bool,
    /// The id of this message.
    pub uuid: [u8; 16],
    /// The token that confirms the subscription, or makes it anew.
    pub token: &'a str,
    /// The ARN of the topic.
    pub topic_arn: &'a str,
    /// The URL that does what the token does.
    pub subscribe_url: &'a str,
    /// When it is sent, in milliseconds since 1970.
    pub at_ms: u64,
}

impl Handshake<'_> {
    fn kind(&self) -> &'static str {
        if self.unsubscribes { "UnsubscribeConfirmation" } else { "SubscriptionConfirmation" }
    }

    fn message(&self) -> String {
        let topic = self.topic_arn;
        if self.unsubscribes {
            format!(
                "You have chosen to deactivate subscription to the topic {topic}.\nTo cancel this operation and restore the subscription, visit the SubscribeURL included in this message."
            )
        } else {
            format!(
                "You have chosen to subscribe to the topic {topic}.\nTo confirm the subscription, visit the SubscribeURL included in this message."
            )
        }
    }

    /// What is signed of it.
    pub fn signed_text(&self) -> String {
        canonical(&[
            ("Message", &self.message()),
            ("MessageId", &uuid::text(&self.uuid)),
            ("SubscribeURL", self.subscribe_url),
            ("Timestamp", &timestamp(self.at_ms)),
            ("Token", self.token),
            ("TopicArn", self.topic_arn),
            ("Type", self.kind()),
        ])
    }

    /// Its JSON.
    pub fn json(&self, signature: Option<&Signature>, links: &Links) -> Option<String> {
        let confirmation = Confirmation {
            kind: self.kind(),
            message_id: &uuid::text(&self.uuid),
            token: self.token,
            topic_arn: self.topic_arn,
            message: &self.message(),
            subscribe_url: self.subscribe_url,
            timestamp: &timestamp(self.at_ms),
            signed: signature.map(|signature| signed(signature, links)),
        };
        serde_json::to_string(&confirmation).ok()
    }
}

fn signed<'a>(signature: &'a Signature, links: &'a Links) -> Signed<'a> {
    Signed { version: signature.version.to_string(), signature: &signature.base64, certificate_url: &links.certificate }
}

/// Names and values, each on a line of its own.
fn canonical(fields: &[(&str, &str)]) -> String {
    let mut out = String::new();
    for (name, value) in fields {
        for line in [name, value] {
            out.push_str(line);
            out.push('\n');
        }
    }
    out
}

/// The attributes of a message by their names, in its order.
fn attributes(payload: &Payload<'_>) -> Option<Box<RawValue>> {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use serde::ser::{SerializeMap as _, Serializer as _};
    if payload.attributes.is_empty() {
        return None;
    }
    let mut out = Vec::new();
    let mut serializer = serde_json::Serializer::new(&mut out);
    let mut map = serializer.serialize_map(Some(payload.attributes.len())).ok()?;
    for attribute in &payload.attributes {
        let value = match &attribute.value {
            Value::Text(text) => (*text).into(),
            Value::Binary(bytes) => STANDARD.encode(bytes).into(),
        };
        map.serialize_entry(attribute.name, &Attribute { data_type: attribute.data_type, value }).ok()?;
    }
    map.end().ok()?;
    RawValue::from_string(String::from_utf8(out).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqs::payload::Attribute as Given;

    fn payload() -> Payload<'static> {
        Payload {
            uuid: [0xAB; 16],
            group_id: None,
            deduplication: None,
            trace_header: None,
            attributes: vec![
                Given { name: "kind", data_type: "String", value: Value::Text("a\"b") },
                Given { name: "bytes", data_type: "Binary", value: Value::Binary(vec![1, 2].into()) },
            ],
            body: "hello",
            is_json: false,
            publication: Some(Box::new(Publication {
                topic_arn: "arn:aws:sns:us-east-1:000000000000:t",
                at_ms: 1_335_920_046_655,
                signature_version: 1,
                subject: Some("S"),
                bodies: vec![("sqs", "for queues")],
            })),
        }
    }

    #[test]
    fn a_notification_has_the_fields_of_aws_in_its_order() {
        let links = Links { certificate: "http://h/cert.pem".to_owned(), unsubscribe: Some("http://h/?u".to_owned()) };
        let signature = Signature { version: 1, base64: "c2ln".to_owned() };
        let json = notification(&payload(), "http", None, Some(&signature), &links).unwrap();
        assert_eq!(
            json,
            r#"{"Type":"Notification","MessageId":"abababab-abab-abab-abab-abababababab","TopicArn":"arn:aws:sns:us-east-1:000000000000:t","Subject":"S","Message":"hello","Timestamp":"2012-05-02T00:54:06.655Z","SignatureVersion":"1","Signature":"c2ln","SigningCertURL":"http://h/cert.pem","UnsubscribeURL":"http://h/?u","MessageAttributes":{"kind":{"Type":"String","Value":"a\"b"},"bytes":{"Type":"Binary","Value":"AQI="}}}"#
        );
        let json = notification(&payload(), "sqs", Some(7), None, &Links::default()).unwrap();
        assert!(json.contains(r#""SequenceNumber":"00000000000000000007""#) && json.contains("for queues"), "{json}");
        assert!(!json.contains("Sign") && !json.contains("UnsubscribeURL"), "{json}");
    }

    #[test]
    fn a_function_is_called_with_the_event_of_aws() {
        let links = Links { certificate: "http://h/cert.pem".to_owned(), unsubscribe: Some("http://h/?u".to_owned()) };
        let signature = Signature { version: 2, base64: "c2ln".to_owned() };
        let json = function_event(&payload(), "arn:s", Some(&signature), &links).unwrap();
        assert_eq!(
            json,
            r#"{"Records":[{"EventSource":"aws:sns","EventVersion":"1.0","EventSubscriptionArn":"arn:s","Sns":{"Type":"Notification","MessageId":"abababab-abab-abab-abab-abababababab","TopicArn":"arn:aws:sns:us-east-1:000000000000:t","Subject":"S","Message":"hello","Timestamp":"2012-05-02T00:54:06.655Z","SignatureVersion":"2","Signature":"c2ln","SigningCertUrl":"http://h/cert.pem","UnsubscribeUrl":"http://h/?u","MessageAttributes":{"kind":{"Type":"String","Value":"a\"b"},"bytes":{"Type":"Binary","Value":"AQI="}}}}]}"#
        );
        let mut plain = payload();
        plain.attributes.clear();
        plain.publication.as_mut().unwrap().subject = None;
        let json = function_event(&plain, "arn:s", None, &Links::default()).unwrap();
        assert!(json.contains(r#""Subject":null"#) && json.contains(r#""MessageAttributes":{}"#), "{json}");
        assert!(!json.contains("Sign") && !json.contains("Unsubscribe"), "{json}");
    }

    #[test]
    fn what_is_signed_is_names_and_values_line_by_line() {
        let (version, text) = signed_text(&payload(), "sqs").unwrap();
        assert_eq!(version, 1);
        assert_eq!(
            text,
            "Message\nfor queues\nMessageId\nabababab-abab-abab-abab-abababababab\nSubject\nS\nTimestamp\n2012-05-02T00:54:06.655Z\nTopicArn\narn:aws:sns:us-east-1:000000000000:t\nType\nNotification\n"
        );
        let mut unsigned = payload();
        unsigned.publication.as_mut().unwrap().signature_version = 0;
        assert_eq!(signed_text(&unsigned, "sqs"), None);
    }

    #[test]
    fn handshakes_say_what_to_visit() {
        let handshake = Handshake {
            unsubscribes: false,
            uuid: [1; 16],
            token: "tok",
            topic_arn: "arn",
            subscribe_url: "http://h/?Action=ConfirmSubscription",
            at_ms: 0,
        };
        let json = handshake.json(None, &Links::default()).unwrap();
        assert!(json.starts_with(r#"{"Type":"SubscriptionConfirmation","MessageId":"01010101-"#), "{json}");
        let signed = handshake.signed_text();
        assert!(signed.ends_with(
            "\nTimestamp\n1970-01-01T00:00:00.000Z\nToken\ntok\nTopicArn\narn\nType\nSubscriptionConfirmation\n"
        ));
        let end = Handshake { unsubscribes: true, ..handshake };
        assert!(end.signed_text().contains("deactivate") && end.signed_text().contains("UnsubscribeConfirmation"));
    }
}
