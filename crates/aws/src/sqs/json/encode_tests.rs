use std::borrow::Cow;

use super::*;
use crate::fault::Code;
use crate::sqs::message_attributes::Attribute;

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap()
}

fn sent() -> Sent {
    Sent { uuid: [0xAB; 16], id: 42, duplicate: false }
}

fn digests() -> Digests {
    Digests { body: Md5Hex::of_body(b"x"), attributes: None, system_attributes: None }
}

#[test]
fn errors_name_their_shape_and_say_what_is_wrong() {
    let bodies = [
        Fault::no_queue(),
        Fault::missing("QueueUrl"),
        Fault::invalid("DelaySeconds", &901, "DelaySeconds must be >= 0 and <= 900."),
        Fault::new(Code::ReceiptHandleIsInvalid, "\"quoted\"\n"),
    ];
    let expected = [
        r#"{"__type":"com.amazonaws.sqs#QueueDoesNotExist","message":"The specified queue does not exist."}"#,
        r#"{"__type":"com.amazon.coral.service#MissingRequiredParameterException","message":"The request must contain the parameter QueueUrl."}"#,
        r#"{"__type":"com.amazon.coral.service#InvalidParameterValueException","message":"Value 901 for parameter DelaySeconds is invalid. Reason: DelaySeconds must be >= 0 and <= 900."}"#,
        r#"{"__type":"com.amazonaws.sqs#ReceiptHandleIsInvalid","message":"\"quoted\"\n"}"#,
    ];
    for (fault, expected) in bodies.iter().zip(expected) {
        assert_eq!(text(error(fault)), expected);
    }
}

#[test]
fn a_sent_message_is_told_with_its_digests() {
    let standard =
        r#"{"MessageId":"abababab-abab-abab-abab-abababababab","MD5OfMessageBody":"9dd4e461268c8034f5c8564e155c67a6"}"#;
    assert_eq!(text(send(&sent(), &digests(), false)), standard);
    let all = Digests { attributes: Some(digests().body), system_attributes: Some(digests().body), ..digests() };
    let fifo = r#"{"MessageId":"abababab-abab-abab-abab-abababababab","MD5OfMessageBody":"9dd4e461268c8034f5c8564e155c67a6","MD5OfMessageAttributes":"9dd4e461268c8034f5c8564e155c67a6","MD5OfMessageSystemAttributes":"9dd4e461268c8034f5c8564e155c67a6","SequenceNumber":"00000000000000000042"}"#;
    assert_eq!(text(send(&sent(), &all, true)), fifo);
}

#[test]
fn a_batch_tells_what_succeeded_and_what_failed() {
    let outcomes = [("a", Ok((sent(), digests()))), ("b", Err(Fault::missing("MessageBody")))];
    let expected = r#"{"Successful":[{"Id":"a","MessageId":"abababab-abab-abab-abab-abababababab","MD5OfMessageBody":"9dd4e461268c8034f5c8564e155c67a6"}],"Failed":[{"Id":"b","SenderFault":true,"Code":"MissingParameter","Message":"The request must contain the parameter MessageBody."}]}"#;
    assert_eq!(text(send_batch(&outcomes, false)), expected);
    let broken = [("a", Ok(())), ("b", Err(Fault::new(Code::InternalFailure, "m")))];
    let expected = r#"{"Successful":[{"Id":"a"}],"Failed":[{"Id":"b","SenderFault":false,"Code":"InternalFailure","Message":"m"}]}"#;
    assert_eq!(text(delete_batch(&broken)), expected);
}

#[test]
fn a_received_message_has_what_was_asked_for() {
    let bare = ReceivedMessage {
        uuid: [0; 16],
        receipt_handle: "handle".to_owned(),
        body: "\"é\u{1}",
        body_digest: Md5Hex::of_body(b"x"),
        system: Vec::new(),
        attributes: Vec::new(),
        attributes_digest: None,
    };
    let start = r#"{"Messages":[{"MessageId":"00000000-0000-0000-0000-000000000000","ReceiptHandle":"handle","MD5OfBody":"9dd4e461268c8034f5c8564e155c67a6","Body":"\"é\u0001""#;
    assert_eq!(text(received(std::slice::from_ref(&bare))), format!("{start}}}]}}"));
    let full = ReceivedMessage {
        system: vec![("ApproximateReceiveCount", Cow::Borrowed("1"))],
        attributes: vec![
            Attribute { name: "a", data_type: "String", value: Value::Text("t") },
            Attribute { name: "b", data_type: "Binary", value: Value::Binary(Cow::Borrowed(&[0, 255])) },
        ],
        attributes_digest: Some(Md5Hex::of_body(b"x")),
        ..bare
    };
    let rest = r#","Attributes":{"ApproximateReceiveCount":"1"},"MD5OfMessageAttributes":"9dd4e461268c8034f5c8564e155c67a6","MessageAttributes":{"a":{"StringValue":"t","DataType":"String"},"b":{"BinaryValue":"AP8=","DataType":"Binary"}}}]}"#;
    assert_eq!(text(received(&[full])), format!("{start}{rest}"));
    assert_eq!(text(received(&[])), "{}");
}

#[test]
fn queues_are_listed_by_url() {
    assert_eq!(text(queue_url(b"http://h/0/q")), r#"{"QueueUrl":"http://h/0/q"}"#);
    assert_eq!(text(list_queues(&[], None)), "{}");
    let urls = ["a".to_owned(), "b".to_owned()];
    assert_eq!(text(list_queues(&urls, Some("t"))), r#"{"QueueUrls":["a","b"],"NextToken":"t"}"#);
    assert_eq!(text(queue_attributes(&[("Policy", "{\"a\"}".to_owned())])), r#"{"Attributes":{"Policy":"{\"a\"}"}}"#);
    assert_eq!(text(queue_attributes(&[])), "{}");
}
