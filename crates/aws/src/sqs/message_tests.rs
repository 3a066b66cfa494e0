use weir_core::Time;
use weir_core::api::{Config, Namespace, QueueId};

use super::*;
use crate::sqs::payload::Payload;
use crate::sqs::request::{AttributeValue, Pairs};

fn queue(kind: Kind) -> Queue {
    Queue {
        id: QueueId(1),
        namespace: Namespace(0),
        name: "orders".to_owned(),
        kind,
        config: Config::default(),
        version: 1,
        created_at: Time(0),
        modified_at: Time(0),
        tags: weir_core::api::Tags::new(),
        paused_until: None,
        subscription: None,
    }
}

fn body(text: &str) -> Message<'_> {
    Message { body: Some(text.into()), ..Message::default() }
}

fn in_group<'a>(text: &'a str, dedup: Option<&'a str>) -> Message<'a> {
    Message { group_id: Some("g".into()), deduplication_id: dedup.map(Into::into), ..body(text) }
}

fn prepare_on(queue: &Queue, message: &Message<'_>, limits: &Limits) -> Result<Prepared, Code> {
    prepare(message, Origin::Single, queue, limits, [9; 16]).map_err(|fault| fault.code)
}

fn standard(message: &Message<'_>) -> Result<Prepared, Code> {
    prepare_on(&queue(Kind::Standard), message, &Limits::OURS)
}

fn fifo(message: &Message<'_>) -> Result<Prepared, Code> {
    prepare_on(&queue(Kind::Fifo), message, &Limits::OURS)
}

#[test]
fn a_message_carries_its_body_and_attributes_to_the_engine() {
    let value = AttributeValue {
        data_type: Some("Number".into()),
        string_value: Some("7".into()),
        ..AttributeValue::default()
    };
    let message = Message { attributes: Some(Pairs(vec![("weir.priority".into(), value)])), ..body("hello") };
    let prepared = standard(&message).unwrap();
    assert_eq!(prepared.message.priority, 7);
    assert_eq!((prepared.message.lane, prepared.message.dedup, prepared.message.delay_ms), (None, None, None));
    assert_eq!(prepared.bytes, 5 + 13 + 6 + 1);
    assert_eq!(prepared.digests.body.as_str(), "5d41402abc4b2a76b9719d911017c592");
    let payload = Payload::decode(&prepared.message.payload).unwrap();
    assert_eq!((payload.uuid, payload.body, payload.attributes.len()), ([9; 16], "hello", 1));
}

#[test]
fn a_body_is_there_and_within_the_queues_bound() {
    assert_eq!(standard(&Message::default()).unwrap_err(), Code::MissingParameter);
    assert_eq!(standard(&body("")).unwrap_err(), Code::MissingParameter);
    let mut small = queue(Kind::Standard);
    small.config.message_bytes_max = 1_024;
    assert!(prepare_on(&small, &body(&"x".repeat(1_024)), &Limits::OURS).is_ok());
    let long = "x".repeat(1_025);
    let fault = prepare(&body(&long), Origin::Single, &small, &Limits::OURS, [0; 16]).unwrap_err();
    assert_eq!(fault.code, Code::InvalidParameterValue);
    assert!(fault.message.contains("1024") && fault.message.contains("1025"), "{}", fault.message);
}

#[test]
fn characters_are_restricted_only_where_aws_is_enforced() {
    assert!(standard(&body("\u{1}")).is_ok());
    let enforced = prepare_on(&queue(Kind::Standard), &body("\u{1}"), &Limits::AWS);
    assert_eq!(enforced.unwrap_err(), Code::InvalidMessageContents);
}

#[test]
fn a_delay_is_bounded_only_where_aws_is_enforced() {
    let delayed = |seconds| Message { delay_seconds: Some(seconds), ..body("x") };
    assert_eq!(standard(&delayed(0)).unwrap().message.delay_ms, Some(0));
    assert_eq!(standard(&delayed(1_000_000)).unwrap().message.delay_ms, Some(1_000_000_000));
    assert_eq!(standard(&delayed(-1)).unwrap_err(), Code::InvalidParameterValue);
    assert_eq!(standard(&delayed(i64::MAX)).unwrap_err(), Code::InvalidParameterValue);
    let enforced = |seconds| prepare_on(&queue(Kind::Standard), &delayed(seconds), &Limits::AWS);
    assert!(enforced(900).is_ok());
    assert_eq!(enforced(901).unwrap_err(), Code::InvalidParameterValue);
}

#[test]
fn a_fifo_message_has_a_delay_of_its_own_only_where_aws_is_not_enforced() {
    let delayed = |seconds| Message { delay_seconds: Some(seconds), ..in_group("x", Some("d")) };
    assert_eq!(fifo(&delayed(0)).unwrap().message.delay_ms, None);
    assert_eq!(fifo(&delayed(5)).unwrap().message.delay_ms, Some(5_000));
    let enforced = prepare_on(&queue(Kind::Fifo), &delayed(5), &Limits::AWS);
    assert_eq!(enforced.unwrap_err(), Code::InvalidParameterValue);
}

#[test]
fn a_fifo_message_names_its_group_and_how_to_tell_duplicates() {
    assert_eq!(fifo(&body("x")).unwrap_err(), Code::MissingParameter);
    let entry = prepare(&body("x"), Origin::Batch, &queue(Kind::Fifo), &Limits::OURS, [0; 16]);
    assert_eq!(entry.unwrap_err().code, Code::InvalidParameterValue);
    assert_eq!(fifo(&in_group("x", None)).unwrap_err(), Code::InvalidParameterValue);
    let by_id = fifo(&in_group("x", Some("x"))).unwrap();
    assert_eq!((by_id.message.lane, by_id.message.dedup), (Some(lane("g")), Some(id_hash("x"))));
}

#[test]
fn content_identifies_a_message_where_the_queue_says_so_and_an_id_wins() {
    let mut queue = queue(Kind::Fifo);
    queue.config.content_deduplication = true;
    let by_content = prepare_on(&queue, &in_group("x", None), &Limits::OURS).unwrap();
    assert_eq!(by_content.message.dedup, Some(content_hash(b"x")));
    let payload = Payload::decode(&by_content.message.payload).unwrap();
    let sha = "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881";
    assert_eq!(payload.deduplication_id().as_deref(), Some(sha));
    let by_id = prepare_on(&queue, &in_group("x", Some("d")), &Limits::OURS).unwrap();
    assert_eq!(by_id.message.dedup, Some(id_hash("d")));
}

#[test]
fn ids_are_bounded_and_of_letters_digits_and_punctuation() {
    let long = "i".repeat(129);
    for id in ["", "a b", "é", "\n", &long] {
        let group = Message { group_id: Some(id.into()), ..in_group("x", Some("d")) };
        assert_eq!(fifo(&group).unwrap_err(), Code::InvalidParameterValue, "{id}");
        assert_eq!(fifo(&in_group("x", Some(id))).unwrap_err(), Code::InvalidParameterValue, "{id}");
    }
    assert!(fifo(&in_group("x", Some("!~aZ09_-#"))).is_ok());
}

#[test]
fn a_standard_queue_takes_a_group_but_no_deduplication_id() {
    let grouped = standard(&in_group("x", None)).unwrap();
    assert_eq!(grouped.message.lane, Some(lane("g")));
    assert_eq!(standard(&in_group("x", Some("d"))).unwrap_err(), Code::InvalidParameterValue);
}
