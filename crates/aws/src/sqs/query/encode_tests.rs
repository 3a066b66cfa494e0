use std::borrow::Cow;

use super::*;
use crate::sqs::digest::Md5Hex;
use crate::sqs::message_attributes::Attribute;
use crate::sqs::move_task::TaskHandle;

const MD5: &str = "9dd4e461268c8034f5c8564e155c67a6";
const UUID: &str = "abababab-abab-abab-abab-abababababab";

fn written(operation: Operation, of: &Answer<'_>) -> String {
    let text = String::from_utf8(answer(operation, of, "r-1")).unwrap();
    let name = operation.name();
    let start = format!("<?xml version=\"1.0\"?><{name}Response xmlns=\"http://queue.amazonaws.com/doc/2012-11-05/\">");
    let end = format!("<ResponseMetadata><RequestId>r-1</RequestId></ResponseMetadata></{name}Response>");
    text.strip_prefix(&start).and_then(|rest| rest.strip_suffix(&end)).unwrap().to_owned()
}

fn result(operation: Operation, of: &Answer<'_>) -> String {
    let written = written(operation, of);
    let name = operation.name();
    let inner = written.strip_prefix(&format!("<{name}Result>"));
    inner.and_then(|rest| rest.strip_suffix(&format!("</{name}Result>"))).unwrap().to_owned()
}

fn digests() -> Digests {
    Digests { body: Md5Hex::of_body(b"x"), attributes: None, system_attributes: None }
}

#[test]
fn an_error_has_its_code_in_the_query_protocol_and_an_empty_detail() {
    let body = |fault: &Fault| String::from_utf8(error(fault, "r-1")).unwrap();
    assert_eq!(
        body(&Fault::no_queue()),
        "<?xml version=\"1.0\"?><ErrorResponse xmlns=\"http://queue.amazonaws.com/doc/2012-11-05/\"><Error><Type>Sender</Type><Code>AWS.SimpleQueueService.NonExistentQueue</Code><Message>The specified queue does not exist for this wsdl version.</Message><Detail></Detail></Error><RequestId>r-1</RequestId></ErrorResponse>"
    );
    assert!(body(&Fault::internal()).contains("<Type>Receiver</Type><Code>InternalFailure</Code>"));
    let quoted = body(&Fault::new(Code::ReceiptHandleIsInvalid, "\"<\u{0}>\""));
    assert!(quoted.contains("<Message>&quot;&lt;\u{FFFD}&gt;&quot;</Message>"), "{quoted}");
}

#[test]
fn an_operation_that_says_nothing_has_no_result() {
    assert_eq!(written(Operation::DeleteMessage, &Answer::Done), "");
}

#[test]
fn a_sent_message_is_told_with_its_digests() {
    let sent = Sent { uuid: [0xAB; 16], id: 42, duplicate: false };
    let digests = Digests { attributes: Some(digests().body), system_attributes: Some(digests().body), ..digests() };
    let answer = Answer::Sent { sent: &sent, digests: &digests, fifo: true };
    let expected = format!(
        "<MessageId>{UUID}</MessageId><MD5OfMessageBody>{MD5}</MD5OfMessageBody><MD5OfMessageAttributes>{MD5}</MD5OfMessageAttributes><MD5OfMessageSystemAttributes>{MD5}</MD5OfMessageSystemAttributes><SequenceNumber>00000000000000000042</SequenceNumber>"
    );
    assert_eq!(result(Operation::SendMessage, &answer), expected);
}

#[test]
fn a_batch_tells_what_succeeded_and_what_failed() {
    let sent = Sent { uuid: [0xAB; 16], id: 42, duplicate: false };
    let entries = [("a", Ok((sent, digests()))), ("b", Err(Fault::missing("MessageBody")))];
    let expected = format!(
        "<SendMessageBatchResultEntry><Id>a</Id><MessageId>{UUID}</MessageId><MD5OfMessageBody>{MD5}</MD5OfMessageBody></SendMessageBatchResultEntry><BatchResultErrorEntry><Id>b</Id><SenderFault>true</SenderFault><Code>MissingParameter</Code><Message>The request must contain the parameter MessageBody.</Message></BatchResultErrorEntry>"
    );
    let answer = Answer::SentBatch { entries: &entries, fifo: false };
    assert_eq!(result(Operation::SendMessageBatch, &answer), expected);
    let settled = [("a", Ok(()))];
    assert_eq!(
        result(Operation::ChangeMessageVisibilityBatch, &Answer::SettledBatch(&settled)),
        "<ChangeMessageVisibilityBatchResultEntry><Id>a</Id></ChangeMessageVisibilityBatchResultEntry>"
    );
}

fn message() -> ReceivedMessage<'static> {
    ReceivedMessage {
        uuid: [0xAB; 16],
        receipt_handle: "handle".to_owned(),
        body: "<a>&é\r\n",
        body_digest: Md5Hex::of_body(b"x"),
        system: vec![("ApproximateReceiveCount", Cow::Borrowed("1"))],
        attributes: vec![
            Attribute { name: "a", data_type: "String", value: Value::Text("t") },
            Attribute { name: "b", data_type: "Binary", value: Value::Binary(Cow::Borrowed(&[0, 255])) },
        ],
        attributes_digest: Some(Md5Hex::of_body(b"x")),
    }
}

#[test]
fn a_received_message_has_what_was_asked_for() {
    let expected = format!(
        "<Message><MessageId>{UUID}</MessageId><ReceiptHandle>handle</ReceiptHandle><MD5OfBody>{MD5}</MD5OfBody><Body>&lt;a&gt;&amp;é&#xD;\n</Body><Attribute><Name>ApproximateReceiveCount</Name><Value>1</Value></Attribute><MD5OfMessageAttributes>{MD5}</MD5OfMessageAttributes><MessageAttribute><Name>a</Name><Value><StringValue>t</StringValue><DataType>String</DataType></Value></MessageAttribute><MessageAttribute><Name>b</Name><Value><BinaryValue>AP8=</BinaryValue><DataType>Binary</DataType></Value></MessageAttribute></Message>"
    );
    assert_eq!(result(Operation::ReceiveMessage, &Answer::Received(&[message()])), expected);
    assert_eq!(result(Operation::ReceiveMessage, &Answer::Received(&[])), "");
}

#[test]
fn a_message_that_xml_cannot_carry_is_known_before() {
    assert!(carries(&message()));
    let text = |value| vec![Attribute { name: "a", data_type: "String", value: Value::Text(value) }];
    assert!(!carries(&ReceivedMessage { body: "\u{1}", ..message() }));
    assert!(!carries(&ReceivedMessage { attributes: text("\u{B}"), ..message() }));
    assert!(!carries(&ReceivedMessage { system: vec![("AWSTraceHeader", "\0".into())], ..message() }));
    let fault = not_carried(&[0xAB; 16]);
    assert!(fault.code == Code::InvalidMessageContents && fault.message.contains(UUID));
}

#[test]
fn queues_attributes_and_tags_are_listed() {
    let urls = ["u&v".to_owned(), "w".to_owned()];
    let queues = Answer::Queues { urls: &urls, next_token: Some("t"), sources: true };
    assert_eq!(
        result(Operation::ListDeadLetterSourceQueues, &queues),
        "<QueueUrl>u&amp;v</QueueUrl><QueueUrl>w</QueueUrl><NextToken>t</NextToken>"
    );
    assert_eq!(result(Operation::CreateQueue, &Answer::QueueUrl("u")), "<QueueUrl>u</QueueUrl>");
    let attributes = [("Policy", "{\"a\":1}".to_owned())];
    assert_eq!(
        result(Operation::GetQueueAttributes, &Answer::Attributes(&attributes)),
        "<Attribute><Name>Policy</Name><Value>{&quot;a&quot;:1}</Value></Attribute>"
    );
    assert_eq!(
        result(Operation::ListQueueTags, &Answer::Tags(&weir_core::api::Tags::from([("k".to_owned(), String::new())]))),
        "<Tag><Key>k</Key><Value></Value></Tag>"
    );
}

#[test]
fn move_tasks_are_told() {
    assert_eq!(result(Operation::StartMessageMoveTask, &Answer::MoveTaskStarted("h")), "<TaskHandle>h</TaskHandle>");
    assert_eq!(
        result(Operation::CancelMessageMoveTask, &Answer::MoveTaskCancelled(7)),
        "<ApproximateNumberOfMessagesMoved>7</ApproximateNumberOfMessagesMoved>"
    );
    let task = MoveTask {
        handle: TaskHandle { id: 1, source_arn: "s".to_owned() },
        status: Status::Completed,
        destination_arn: Some("d".to_owned()),
        per_second_max: Some(5),
        moved: 1,
        to_move: Some(2),
        failure: None,
        started_at_ms: 4,
    };
    assert_eq!(
        result(Operation::ListMessageMoveTasks, &Answer::MoveTasks(&[task])),
        "<ListMessageMoveTasksResultEntry><Status>COMPLETED</Status><SourceArn>s</SourceArn><DestinationArn>d</DestinationArn><MaxNumberOfMessagesPerSecond>5</MaxNumberOfMessagesPerSecond><ApproximateNumberOfMessagesMoved>1</ApproximateNumberOfMessagesMoved><ApproximateNumberOfMessagesToMove>2</ApproximateNumberOfMessagesToMove><StartedTimestamp>4</StartedTimestamp></ListMessageMoveTasksResultEntry>"
    );
}
