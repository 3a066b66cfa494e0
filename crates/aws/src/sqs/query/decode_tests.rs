use std::fmt::Write as _;

use proptest::prelude::*;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::*;
use crate::fault::Code;
use crate::sqs::request::{
    CreateQueue, OnQueue, ReceiveMessage, SendMessage, SetQueueAttributes, TagQueue, UntagQueue,
};
use crate::sqs::{AnyRequest, Operation};

fn form(body: &str) -> Form<'_> {
    Form::parse("/", b"", body.as_bytes()).unwrap()
}

fn pairs(pairs: Option<crate::sqs::request::Pairs<'_, Text<'_>>>) -> Vec<(String, String)> {
    pairs.unwrap().0.into_iter().map(|(key, value)| (key.into_owned(), value.into_owned())).collect()
}

#[derive(Deserialize)]
struct Recorded {
    operation: String,
    json: Box<RawValue>,
    form: String,
}

#[test]
fn what_sdks_sent_as_forms_is_what_they_send_as_json() {
    let recorded: Vec<Recorded> = serde_json::from_str(include_str!("../../../fixtures/query_requests.json")).unwrap();
    let mut operations: Vec<Operation> = Vec::new();
    for Recorded { operation, json, form } in &recorded {
        let form = Form::parse("/", b"", form.as_bytes()).unwrap();
        let named = super::operation(&form).unwrap();
        assert_eq!(named.name(), operation);
        let of_form = AnyRequest::from_form(named, &form).unwrap();
        assert_eq!(of_form, AnyRequest::from_json(named, json.get().as_bytes()).unwrap());
        assert_eq!(of_form.operation(), named);
        operations.push(named);
    }
    for operation in Operation::ALL {
        assert!(operations.contains(&operation), "{} was not recorded", operation.name());
    }
}

#[test]
fn the_path_of_a_request_names_its_queue() {
    let form = Form::parse("/000000000000/orders", b"Action=PurgeQueue", b"").unwrap();
    let request: OnQueue<'_> = decode(&form).unwrap();
    assert_eq!(request.queue_url.as_deref(), Some("/000000000000/orders"));
    let form = Form::parse("/000000000000/orders", b"QueueUrl=other", b"").unwrap();
    assert_eq!(decode::<OnQueue<'_>>(&form).unwrap().queue_url.as_deref(), Some("other"));
    let form = Form::parse("/", b"", b"").unwrap();
    assert_eq!(decode::<OnQueue<'_>>(&form).unwrap().queue_url, None);
}

#[test]
fn lists_come_in_many_forms() {
    for body in [
        "TagKey.1=a&TagKey.2=b",
        "TagKey.2=b&TagKey.1=a",
        "TagKey.7=b&TagKey.0=a",
        "TagKey.member.1=a&TagKey.member.2=b",
        "TagKeys.member.1=a&TagKeys.member.2=b",
        "TagKeys.1=a&TagKeys.2=b",
        "TagKey.10=b&TagKey.9=a",
        "TagKey.18446744073709551615=b&TagKey.4294967296=a&TagKey.99999999999999999999999=lost",
    ] {
        let form = form(body);
        let keys = decode::<UntagQueue<'_>>(&form).unwrap().tag_keys.unwrap();
        assert_eq!(keys, ["a", "b"], "{body}");
    }
    let one = form("AttributeName=All");
    let request: ReceiveMessage<'_> = decode(&one).unwrap();
    assert_eq!(request.attribute_names.unwrap(), ["All"]);
    assert_eq!(request.message_attribute_names, None);
    let none = form("TagKeys=");
    assert_eq!(decode::<UntagQueue<'_>>(&none).unwrap().tag_keys, Some(Vec::new()));
}

#[test]
fn maps_come_in_many_forms() {
    let expected = [("a".to_owned(), "1".to_owned()), ("b".to_owned(), "2".to_owned())];
    for body in [
        "Tag.1.Key=a&Tag.1.Value=1&Tag.2.Key=b&Tag.2.Value=2",
        "Tag.2.Value=2&Tag.1.Value=1&Tag.2.Key=b&Tag.1.Key=a",
        "Tags.member.1.Key=a&Tags.member.1.Value=1&Tags.member.2.Key=b&Tags.member.2.Value=2",
        "Tags.entry.1.key=a&Tags.entry.1.value=1&Tags.entry.2.key=b&Tags.entry.2.value=2",
        "Tags.1.Key=a&Tags.1.Value=1&Tags.2.Key=b&Tags.2.Value=2",
    ] {
        let form = form(body);
        assert_eq!(pairs(decode::<TagQueue<'_>>(&form).unwrap().tags), expected, "{body}");
        assert_eq!(pairs(decode::<CreateQueue<'_>>(&form).unwrap().tags), expected, "{body}");
    }
    let one = form("Attribute.Name=DelaySeconds&Attribute.Value=5");
    let request: SetQueueAttributes<'_> = decode(&one).unwrap();
    assert_eq!(pairs(request.attributes), [("DelaySeconds".to_owned(), "5".to_owned())]);
    let valueless = form("Tag.1.Key=a");
    assert_eq!(pairs(decode::<TagQueue<'_>>(&valueless).unwrap().tags), [("a".to_owned(), String::new())]);
}

#[test]
fn what_is_no_number_list_or_map_is_refused_by_name() {
    fn refused<'f, T: Decode<'f> + std::fmt::Debug>(form: &'f Form<'_>) -> Fault {
        decode::<T>(form).unwrap_err()
    }
    for (body, code, name) in [
        ("DelaySeconds=soon", Code::InvalidParameterValue, "DelaySeconds"),
        ("DelaySeconds=1.5", Code::InvalidParameterValue, "DelaySeconds"),
        ("DelaySeconds=99999999999999999999", Code::InvalidParameterValue, "DelaySeconds"),
        ("MessageAttribute.1.Value.DataType=String", Code::MissingParameter, "MessageAttribute.1.Name"),
        ("MessageAttribute.1.Name=a&MessageAttribute.2.Name=a", Code::MalformedQueryString, "\"a\""),
    ] {
        let form = form(body);
        let fault = refused::<SendMessage<'_>>(&form);
        assert!(fault.code == code && fault.message.contains(name), "{body}: {fault}");
    }
    let form = form("TagKey.1.x=a");
    assert_eq!(refused::<UntagQueue<'_>>(&form).code, Code::MalformedQueryString);
}

#[test]
fn a_hundred_thousand_entries_cost_no_more_than_their_bytes() {
    let mut body = String::new();
    for n in 0..33_000 {
        write!(body, "MessageAttribute.{n}.Name=a{n}&MessageAttribute.{n}.Value.DataType=b&x.{n}{n}=&").unwrap();
    }
    let form = form(&body);
    let request: SendMessage<'_> = decode(&form).unwrap();
    assert_eq!(request.message.attributes.unwrap().0.len(), 33_000);
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(
        path in "[/a-z0-9]{0,20}", query: Vec<u8>, body: Vec<u8>, operation in 0..Operation::ALL.len(),
    ) {
        if let Ok(form) = Form::parse(&path, &query, &body) {
            let _ = AnyRequest::from_form(Operation::ALL[operation], &form);
        }
    }

    #[test]
    fn forms_like_those_of_clients_are_read_or_refused(
        names in proptest::collection::vec("(Attribute|Tag|TagKey|MessageAttribute|Entries|SendMessageBatchRequestEntry)?(\\.(0|1|2|01|member|entry|Name|Key|Value|DataType|Id|MessageAttribute|)){0,6}", 0..12),
        operation in 0..Operation::ALL.len(),
    ) {
        let body: Vec<String> = names.iter().enumerate().map(|(n, name)| format!("{name}={n}")).collect();
        let body = body.join("&");
        if let Ok(form) = Form::parse("/", b"", body.as_bytes()) {
            let _ = AnyRequest::from_form(Operation::ALL[operation], &form);
        }
    }

    #[test]
    fn maps_read_back(tags in proptest::collection::btree_map(".{1,8}", ".{0,8}", 0..30)) {
        let escaped = |text: &str| text.bytes().fold(String::new(), |mut out, byte| {
            write!(out, "%{byte:02x}").unwrap();
            out
        });
        let mut body = String::new();
        for (at, (key, value)) in tags.iter().enumerate().rev() {
            write!(body, "Tag.{}.Value={}&Tag.{}.Key={}&", at + 1, escaped(value), at + 1, escaped(key)).unwrap();
        }
        let form = Form::parse("/", b"", body.as_bytes()).unwrap();
        let read = decode::<TagQueue<'_>>(&form).unwrap().tags.map(|tags| tags.0).unwrap_or_default();
        let read: Vec<(String, String)> =
            read.into_iter().map(|(key, value)| (key.into_owned(), value.into_owned())).collect();
        prop_assert_eq!(read, tags.into_iter().collect::<Vec<_>>());
    }
}
