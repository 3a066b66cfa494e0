use super::*;
use crate::request::{AttributeValue, Pairs};

const STANDARD: Settings<'static> = Settings {
    topic_arn: "arn",
    kind: Kind::Standard,
    content_deduplication: false,
    message_bytes_max: 262_144,
    signature_version: 1,
};
const FIFO: Settings<'static> = Settings { kind: Kind::Fifo, ..STANDARD };

fn message(body: &str) -> Message<'_> {
    Message { message: Some(body.into()), ..Message::default() }
}

fn fault(message: &Message<'_>, topic: &Settings<'_>, limits: &Limits) -> String {
    let fault = prepare(message, topic, limits, [0; 16], 0).unwrap_err();
    assert_eq!(fault.code, Code::InvalidParameter);
    fault.message.into_owned()
}

#[test]
fn a_publication_is_stored_with_what_its_envelope_needs() {
    let message = Message { subject: Some("s".into()), group_id: Some("g".into()), ..message("hello") };
    let prepared = prepare(&message, &STANDARD, &Limits::OURS, [3; 16], 7).unwrap();
    let payload = Payload::decode(&prepared.payload).unwrap();
    assert_eq!((payload.uuid, payload.body, payload.group_id), ([3; 16], "hello", Some("g")));
    let publication = payload.publication.unwrap();
    assert_eq!((publication.topic_arn, publication.at_ms, publication.subject), ("arn", 7, Some("s")));
    assert_eq!((prepared.bytes, prepared.lane, prepared.dedup), (5, Some(lane("g")), None));
}

#[test]
fn a_message_may_have_a_body_for_each_protocol() {
    let structured = |body| Message { structure: Some("json".into()), ..message(body) };
    let given = structured(r#"{"default":"d","sqs":"q","email":"e","http":7}"#);
    let prepared = prepare(&given, &STANDARD, &Limits::OURS, [0; 16], 0).unwrap();
    let payload = Payload::decode(&prepared.payload).unwrap();
    let publication = payload.publication.unwrap();
    assert_eq!(payload.body, "d");
    assert_eq!(publication.body_for("sqs", payload.body), "q");
    assert_eq!(publication.body_for("http", payload.body), "d");
    let said = fault(&structured("{}"), &STANDARD, &Limits::OURS);
    assert_eq!(said, "Invalid parameter: Message Structure - No default entry in JSON message body");
    assert!(fault(&structured("{"), &STANDARD, &Limits::OURS).contains("failed to parse"));
    let unknown = Message { structure: Some("xml".into()), ..message("x") };
    assert!(fault(&unknown, &STANDARD, &Limits::OURS).contains("MessageStructure"));
}

#[test]
fn messages_and_subjects_are_bounded() {
    let with = |subject: &str| Message { subject: Some(subject.to_owned().into()), ..message("x") };
    for subject in ["", "a\nb", &"s".repeat(101)] {
        assert!(fault(&with(subject), &STANDARD, &Limits::OURS).starts_with("Invalid parameter: Subject"));
    }
    assert!(prepare(&with(&"s".repeat(100)), &STANDARD, &Limits::OURS, [0; 16], 0).is_ok());
    assert!(fault(&message(""), &STANDARD, &Limits::OURS).contains("Empty message"));
    let long = "x".repeat(262_145);
    assert!(prepare(&message(&long), &STANDARD, &Limits::OURS, [0; 16], 0).is_ok());
    assert!(fault(&message(&long), &STANDARD, &Limits::AWS).contains("Message too long"));
    let small = Settings { message_bytes_max: 1_024, ..STANDARD };
    let said = fault(&message(&long), &small, &Limits::OURS);
    assert!(said.contains("262145") && said.contains("1024"), "{said}");
}

#[test]
fn fifo_topics_want_a_group_and_something_to_tell_duplicates_by() {
    let grouped = Message { group_id: Some("g".into()), ..message("x") };
    let identified = Message { deduplication_id: Some("d".into()), ..grouped.clone() };
    let by_content = Settings { content_deduplication: true, ..FIFO };
    assert!(fault(&message("x"), &FIFO, &Limits::OURS).contains("MessageGroupId parameter is required"));
    assert!(fault(&grouped, &FIFO, &Limits::OURS).contains("ContentBasedDeduplication"));
    assert!(fault(&identified, &STANDARD, &Limits::OURS).contains("MessageDeduplicationId"));
    let dedup = |message: &Message<'_>, topic| prepare(message, topic, &Limits::OURS, [0; 16], 0).unwrap().dedup;
    assert_eq!(dedup(&identified, &FIFO), Some(id_hash("d")));
    assert_eq!(dedup(&identified, &by_content), Some(id_hash("d")));
    assert_eq!(dedup(&grouped, &by_content), Some(content_hash(b"x")));
    let bad = Message { group_id: Some("a b".into()), ..identified };
    assert!(fault(&bad, &FIFO, &Limits::OURS).contains("MessageGroupId"));
}

#[test]
fn attributes_are_those_of_messages_on_queues() {
    let value = AttributeValue {
        data_type: Some("String.Array".into()),
        string_value: Some("[1]".into()),
        ..Default::default()
    };
    let attributes = Some(Pairs(vec![("a".into(), value)]));
    let message = Message { attributes, ..message("x") };
    let prepared = prepare(&message, &STANDARD, &Limits::OURS, [0; 16], 0).unwrap();
    assert_eq!((Payload::decode(&prepared.payload).unwrap().attributes.len(), prepared.bytes), (1, 17));
    let value =
        AttributeValue { data_type: Some("Colour".into()), string_value: Some("red".into()), ..Default::default() };
    let bad = Message { attributes: Some(Pairs(vec![("a".into(), value)])), ..Message { attributes: None, ..message } };
    let fault = prepare(&bad, &STANDARD, &Limits::OURS, [0; 16], 0).unwrap_err();
    assert_eq!(fault.code, Code::InvalidParameterValue);
}
