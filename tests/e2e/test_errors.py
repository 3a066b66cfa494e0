"""Refusals: AWS's names, codes and statuses, in the body and in the header that older clients match on."""

import http.client
import json

import pytest

from sqs_words import counts, receive, refused, send

MISSING = "AWS.SimpleQueueService.NonExistentQueue"


def call(weir, operation, body, headers=None):
    """One request as bytes: status, headers, JSON of the answer."""
    connection = http.client.HTTPConnection("127.0.0.1", weir.port, timeout=30)
    try:
        sent = {"X-Amz-Target": f"AmazonSQS.{operation}", "Content-Type": "application/x-amz-json-1.0"}
        sent |= headers or {}
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        connection.request("POST", "/", raw, {name: value for name, value in sent.items() if value is not None})
        answer = connection.getresponse()
        text = answer.read()
        return answer.status, answer.headers, json.loads(text) if text else None
    finally:
        connection.close()


def every_operation(queue):
    handle = {"Id": "a", "ReceiptHandle": "x"}
    return {
        "DeleteQueue": {"QueueUrl": queue},
        "GetQueueAttributes": {"QueueUrl": queue},
        "SetQueueAttributes": {"QueueUrl": queue, "Attributes": {"DelaySeconds": "1"}},
        "SendMessage": {"QueueUrl": queue, "MessageBody": "x"},
        "SendMessageBatch": {"QueueUrl": queue, "Entries": [{"Id": "a", "MessageBody": "x"}]},
        "ReceiveMessage": {"QueueUrl": queue},
        "DeleteMessage": {"QueueUrl": queue, "ReceiptHandle": "x"},
        "DeleteMessageBatch": {"QueueUrl": queue, "Entries": [handle]},
        "ChangeMessageVisibility": {"QueueUrl": queue, "ReceiptHandle": "x", "VisibilityTimeout": 1},
        "ChangeMessageVisibilityBatch": {"QueueUrl": queue, "Entries": [handle | {"VisibilityTimeout": 1}]},
        "PurgeQueue": {"QueueUrl": queue},
    }


@pytest.mark.parametrize("operation", every_operation(""))
def test_an_unknown_queue_is_named_so_by_every_operation(weir, operation):
    body = every_operation(f"{weir.url}/000000000000/no-such-queue")[operation]
    status, headers, answer = call(weir, operation, body)
    assert status == 400
    assert answer["__type"] == "com.amazonaws.sqs#QueueDoesNotExist"
    assert headers["x-amzn-query-error"] == f"{MISSING};Sender"
    assert answer["message"]


def test_the_url_of_an_unknown_name_is_refused(sqs):
    with refused(MISSING):
        sqs.get_queue_url(QueueName="no-such-queue")


@pytest.mark.parametrize("operation", every_operation(""))
def test_every_operation_misses_its_queue_when_none_is_named(weir, operation):
    status, headers, answer = call(weir, operation, {})
    assert status == 400
    assert "x-amzn-query-error" in headers
    assert answer["__type"] and answer["message"]


def test_an_unknown_operation_is_named_so(weir):
    status, _, answer = call(weir, "FlyToTheMoon", {})
    assert status == 400
    assert answer["__type"].endswith("UnknownOperationException")


def test_a_request_without_an_operation_is_refused(weir):
    status, _, _ = call(weir, "", {}, {"X-Amz-Target": None})
    assert 400 <= status < 500


def test_every_answer_carries_a_request_id_and_the_type_of_its_content(weir, queue):
    status, headers, _ = call(weir, "GetQueueAttributes", {"QueueUrl": queue})
    assert status == 200
    assert headers["x-amzn-RequestId"]
    assert headers["Content-Type"] == "application/x-amz-json-1.0"


def test_a_garbage_receipt_handle_is_quoted(sqs, queue):
    with refused("ReceiptHandleIsInvalid") as refusal:
        sqs.delete_message(QueueUrl=queue, ReceiptHandle="garbage-handle")
    assert "garbage-handle" in refusal.message
    with refused("ReceiptHandleIsInvalid"):
        sqs.change_message_visibility(QueueUrl=queue, ReceiptHandle="garbage-handle", VisibilityTimeout=1)


def test_a_handle_of_another_queue_is_refused(sqs, make_queue):
    ours, other = make_queue(), make_queue()
    send(sqs, ours, "x")
    [message] = receive(sqs, ours)
    with refused("ReceiptHandleIsInvalid"):
        sqs.delete_message(QueueUrl=other, ReceiptHandle=message["ReceiptHandle"])
    assert counts(sqs, ours) == (0, 1, 0)


def test_a_changed_handle_is_refused(sqs, queue):
    send(sqs, queue, "x")
    [message] = receive(sqs, queue)
    handle = message["ReceiptHandle"]
    for at in range(0, len(handle), 5):
        changed = handle[:at] + ("B" if handle[at] == "A" else "A") + handle[at + 1 :]
        with refused("ReceiptHandleIsInvalid"):
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=changed)
    assert counts(sqs, queue) == (0, 1, 0)


def test_an_empty_body_is_refused(sqs, queue):
    # AWS calls the parameter missing; SDKs let an empty string pass to the server.
    with refused("MissingParameter"):
        sqs.send_message(QueueUrl=queue, MessageBody="")


def test_a_body_beyond_the_queues_bound_is_refused(sqs, make_queue):
    queue = make_queue(MaximumMessageSize=1024)
    send(sqs, queue, "x" * 1024)
    with refused("InvalidParameterValue") as refusal:
        send(sqs, queue, "x" * 1025)
    assert "1024" in refusal.message
    attributes = {"a": {"DataType": "String", "StringValue": "x" * 1020}}
    with refused("InvalidParameterValue"):
        send(sqs, queue, "x" * 10, MessageAttributes=attributes)
    assert counts(sqs, queue) == (1, 0, 0)


@pytest.mark.parametrize(
    "options",
    [
        {"MaxNumberOfMessages": 0},
        {"MaxNumberOfMessages": -1},
        {"WaitTimeSeconds": -1},
        {"VisibilityTimeout": -1},
    ],
    ids=str,
)
def test_numbers_out_of_range_are_refused(sqs, queue, options):
    with refused("InvalidParameterValue"):
        sqs.receive_message(QueueUrl=queue, **options)


@pytest.mark.parametrize(
    "name, attribute",
    [
        ("AWS.x", {"DataType": "String", "StringValue": "x"}),
        ("Amazon.x", {"DataType": "String", "StringValue": "x"}),
        (".x", {"DataType": "String", "StringValue": "x"}),
        ("x.", {"DataType": "String", "StringValue": "x"}),
        ("x..y", {"DataType": "String", "StringValue": "x"}),
        ("x y", {"DataType": "String", "StringValue": "x"}),
        ("x" * 257, {"DataType": "String", "StringValue": "x"}),
        ("x", {"DataType": "Colour", "StringValue": "x"}),
        ("x", {"DataType": "", "StringValue": "x"}),
        ("x", {"DataType": "String", "StringValue": ""}),
        ("x", {"DataType": "String"}),
        ("x", {"DataType": "String", "BinaryValue": b"x"}),
        ("x", {"DataType": "Binary", "StringValue": "x"}),
        ("x", {"DataType": "Number", "StringValue": "ten"}),
    ],
    ids=str,
)
def test_message_attributes_that_are_none_are_refused(sqs, queue, name, attribute):
    with refused("InvalidParameterValue"):
        sqs.send_message(QueueUrl=queue, MessageBody="x", MessageAttributes={name: attribute})
    assert counts(sqs, queue) == (0, 0, 0)


def test_groups_and_deduplication_ids_that_are_none_are_refused(sqs, fifo):
    for value in ("x" * 129, "a b", "ü"):
        with refused("InvalidParameterValue"):
            sqs.send_message(QueueUrl=fifo, MessageBody="x", MessageGroupId=value, MessageDeduplicationId="d")
        with refused("InvalidParameterValue"):
            sqs.send_message(QueueUrl=fifo, MessageBody="x", MessageGroupId="g", MessageDeduplicationId=value)
    assert counts(sqs, fifo) == (0, 0, 0)


def test_a_deduplication_id_on_a_standard_queue_is_refused(sqs, queue):
    with refused("InvalidParameterValue"):
        sqs.send_message(QueueUrl=queue, MessageBody="x", MessageDeduplicationId="d")


def test_a_delay_of_its_own_is_refused_on_a_fifo_queue_or_kept(sqs, fifo):
    # Our extension: AWS refuses it; 0 means the queue's own delay.
    sqs.send_message(QueueUrl=fifo, MessageBody="x", MessageGroupId="g", MessageDeduplicationId="d", DelaySeconds=0)
    assert counts(sqs, fifo) == (1, 0, 0)
    sqs.send_message(QueueUrl=fifo, MessageBody="y", MessageGroupId="h", MessageDeduplicationId="e", DelaySeconds=900)
    assert counts(sqs, fifo) == (1, 0, 1)


def test_an_unknown_attribute_name_is_refused_when_asked_for(sqs, queue):
    with refused("InvalidAttributeName"):
        sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["Colour"])
