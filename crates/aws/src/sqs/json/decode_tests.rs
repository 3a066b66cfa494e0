use super::*;
use crate::sqs::request::{ReceiveMessage, SendMessage, SendMessageBatch};

fn refused<'de, T: Decode<'de> + std::fmt::Debug>(body: &'de [u8]) -> String {
    let fault = decode::<T>(body).unwrap_err();
    assert_eq!(fault.code, Code::SerializationException);
    fault.message.into_owned()
}

#[test]
fn a_request_is_read_without_copying_what_has_no_escapes() {
    let body = br#"{"QueueUrl": "q", "MessageBody": "plain", "MessageGroupId": "a\u0062", "DelaySeconds": 5, "Unknown": [{}]}"#;
    let request: SendMessage<'_> = decode(body).unwrap();
    assert!(matches!(request.message.body, Some(Cow::Borrowed("plain"))));
    assert_eq!(request.message.group_id.as_deref(), Some("ab"));
    assert_eq!(request.message.delay_seconds, Some(5));
}

#[test]
fn a_null_is_an_absent_value() {
    let request: ReceiveMessage<'_> = decode(br#"{"QueueUrl": null, "MaxNumberOfMessages": null}"#).unwrap();
    assert_eq!(request, ReceiveMessage::default());
}

#[test]
fn attributes_keep_their_order() {
    let body = br#"{"MessageAttributes": {"b": {"DataType": "String", "StringValue": "1"}, "a": {}}}"#;
    let request: SendMessage<'_> = decode(body).unwrap();
    let names: Vec<String> = request.message.attributes.unwrap().0.iter().map(|(name, _)| name.to_string()).collect();
    assert_eq!(names, ["b", "a"]);
}

#[test]
fn what_cannot_be_read_is_named_by_its_place() {
    for (body, place, reason) in [
        (r#"{"MessageBody": 5}"#, "MessageBody: ", "expected a string"),
        (r#"{"DelaySeconds": "5"}"#, "DelaySeconds: ", "expected i64"),
        (r#"{"DelaySeconds": 1.5}"#, "DelaySeconds: ", "expected i64"),
        (r#"{"DelaySeconds": 99999999999999999999}"#, "DelaySeconds: ", "expected i64"),
        (r#"{"MessageAttributes": {"a": {"DataType": []}}}"#, "MessageAttributes.a.DataType: ", "expected a string"),
        (r#"{"MessageAttributes": []}"#, "MessageAttributes: ", "expected a map"),
        (r#"{"MessageBody": "a", "MessageBody": "b"}"#, "MessageBody: ", "duplicate field"),
        (r#"{"MessageAttributes": {"a": {}, "b": {}, "a": {}}}"#, "", "\"a\" comes twice"),
        (r#"{"MessageBody": "\ud800"}"#, "MessageBody: ", "hex escape"),
        (r#"{"MessageBody": "unfinished"#, "MessageBody: ", "EOF"),
        ("[]", "", "expected an object"),
        ("", "", "EOF"),
        ("{} {}", "", "trailing characters"),
    ] {
        let message = refused::<SendMessage<'_>>(body.as_bytes());
        assert!(message.contains(place) && message.contains(reason), "{body}: {message}");
    }
    let entries = br#"{"Entries": [{"Id": "a"}, {"Id": 7}]}"#;
    let message = refused::<SendMessageBatch<'_>>(entries);
    assert!(message.starts_with("Entries[1].Id: "), "{message}");
    refused::<SendMessage<'_>>(b"{\"MessageBody\": \"\xff\"}");
}

#[test]
fn a_hundred_thousand_levels_are_refused() {
    for (open, close) in [("[", "]"), (r#"{"a":"#, "}")] {
        let deep = format!("{}1{}", open.repeat(100_000), close.repeat(100_000));
        for body in
            [deep.clone(), format!(r#"{{"MessageBody": {deep}}}"#), format!(r#"{{"MessageAttributes": {deep}}}"#)]
        {
            refused::<SendMessage<'_>>(body.as_bytes());
        }
    }
}
