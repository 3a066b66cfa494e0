"""Standard queues: what is sent is received with everything that was said about it, until it is deleted."""

import time

from sqs_words import arn, bodies, counts, delete, md5, md5_of_attributes, receive, receive_bodies, send

ATTRIBUTES = {
    "text": {"DataType": "String", "StringValue": "grüß dich"},
    "count": {"DataType": "Number", "StringValue": "-12.5"},
    "raw": {"DataType": "Binary", "BinaryValue": b"\x00\xff\x80"},
    "kind.of": {"DataType": "String.email", "StringValue": "a@b.c"},
}


def test_a_message_is_received_with_its_body_and_digest_until_it_is_deleted(sqs, queue):
    sent = sqs.send_message(QueueUrl=queue, MessageBody="hello")
    assert sent["MD5OfMessageBody"] == md5("hello")
    [message] = receive(sqs, queue)
    assert (message["Body"], message["MessageId"]) == ("hello", sent["MessageId"])
    assert message["MD5OfBody"] == md5("hello")
    delete(sqs, queue, message)
    assert counts(sqs, queue) == (0, 0, 0)
    assert receive(sqs, queue) == []


def test_a_body_of_any_characters_comes_back_as_it_was(sqs, queue):
    body = 'tab\t, lines\r\n, quotes "\\", ß, 漢字, 🦀, \ue000 and  spaces '
    [sent] = send(sqs, queue, body)
    assert sent["MD5OfMessageBody"] == md5(body)
    [message] = receive(sqs, queue)
    assert message["Body"] == body
    assert message["MD5OfBody"] == md5(body)


def test_a_body_of_one_mebibyte_passes(sqs, queue):
    body = "0123456789abcdef" * 65_536
    send(sqs, queue, body)
    assert receive_bodies(sqs, queue) == [body]


def test_message_attributes_of_every_type_come_back_with_their_digest(sqs, queue):
    sent = sqs.send_message(QueueUrl=queue, MessageBody="x", MessageAttributes=ATTRIBUTES)
    assert sent["MD5OfMessageAttributes"] == md5_of_attributes(ATTRIBUTES)
    [message] = receive(sqs, queue)
    assert message["MessageAttributes"] == ATTRIBUTES
    assert message["MD5OfMessageAttributes"] == md5_of_attributes(ATTRIBUTES)


def test_a_receive_names_the_attributes_that_it_wants_by_name_or_prefix(sqs, make_queue):
    queue = make_queue(VisibilityTimeout=0)
    sqs.send_message(QueueUrl=queue, MessageBody="x", MessageAttributes=ATTRIBUTES)

    def named(*names):
        [message] = receive(sqs, queue, MessageAttributeNames=list(names))
        return set(message.get("MessageAttributes", {}))

    assert named() == set()
    assert named("text") == {"text"}
    assert named("kind.*", "count") == {"kind.of", "count"}
    assert named(".*") == set(ATTRIBUTES)
    assert named("All") == set(ATTRIBUTES)


def test_the_digest_of_received_attributes_covers_those_that_came(sqs, queue):
    sqs.send_message(QueueUrl=queue, MessageBody="x", MessageAttributes=ATTRIBUTES)
    [message] = receive(sqs, queue, MessageAttributeNames=["text"])
    assert message["MD5OfMessageAttributes"] == md5_of_attributes({"text": ATTRIBUTES["text"]})


def test_system_attributes_tell_when_and_how_often_and_only_when_asked_for(sqs, make_queue):
    queue = make_queue(VisibilityTimeout=0)
    before = int(time.time() * 1000)
    send(sqs, queue, "x")
    [first] = receive(sqs, queue)
    [second] = receive(sqs, queue)
    [third] = receive(sqs, queue, MessageSystemAttributeNames=["SentTimestamp"])
    [old] = sqs.receive_message(QueueUrl=queue, AttributeNames=["ApproximateReceiveCount"])["Messages"]
    [bare] = receive(sqs, queue, MessageSystemAttributeNames=[])
    assert first["Attributes"]["ApproximateReceiveCount"] == "1"
    assert second["Attributes"]["ApproximateReceiveCount"] == "2"
    # One second for a wall clock that is corrected meanwhile.
    assert before - 1000 <= int(first["Attributes"]["SentTimestamp"]) <= int(time.time() * 1000) + 1000
    received_at = first["Attributes"]["ApproximateFirstReceiveTimestamp"]
    assert second["Attributes"]["ApproximateFirstReceiveTimestamp"] == received_at
    assert "SenderId" in first["Attributes"]
    assert set(third["Attributes"]) == {"SentTimestamp"}
    assert old["Attributes"] == {"ApproximateReceiveCount": "4"}
    assert "Attributes" not in bare


def test_a_trace_header_comes_back_and_has_a_digest_of_its_own(sqs, queue):
    header = {"AWSTraceHeader": {"DataType": "String", "StringValue": "Root=1-2-3"}}
    sent = sqs.send_message(QueueUrl=queue, MessageBody="x", MessageSystemAttributes=header)
    assert sent["MD5OfMessageSystemAttributes"] == md5_of_attributes(header)
    assert "MD5OfMessageAttributes" not in sent
    [message] = receive(sqs, queue)
    assert message["Attributes"]["AWSTraceHeader"] == "Root=1-2-3"


def test_one_receive_takes_as_many_as_asked_for_and_each_only_once(sqs, queue):
    send(sqs, queue, *(f"m{n}" for n in range(12)))
    first = receive(sqs, queue, 10)
    second = receive(sqs, queue, 10)
    assert (len(first), len(second)) == (10, 2)
    assert sorted(bodies(first + second)) == sorted(f"m{n}" for n in range(12))


def test_a_receive_may_take_more_than_ten(sqs, queue):
    send(sqs, queue, *(f"m{n}" for n in range(25)))
    assert len(receive(sqs, queue, 100)) == 25


def test_counters_follow_every_step(sqs, queue):
    send(sqs, queue, "a", "b", "c")
    sqs.send_message(QueueUrl=queue, MessageBody="later", DelaySeconds=900)
    assert counts(sqs, queue) == (3, 0, 1)
    leased = receive(sqs, queue, 2)
    assert counts(sqs, queue) == (1, 2, 1)
    delete(sqs, queue, leased[0])
    assert counts(sqs, queue) == (1, 1, 1)


def test_a_bare_queue_name_is_accepted_for_a_url(sqs, queue):
    name = queue.rsplit("/", 1)[1]
    send(sqs, name, "x")
    assert receive_bodies(sqs, name) == ["x"]
    assert arn(sqs, name).endswith(f":{name}")


def test_an_older_handle_still_deletes_after_the_message_was_received_again(sqs, make_queue):
    queue = make_queue(VisibilityTimeout=0)
    send(sqs, queue, "x")
    [older] = receive(sqs, queue)
    [newer] = receive(sqs, queue)
    assert older["ReceiptHandle"] != newer["ReceiptHandle"]
    delete(sqs, queue, older)
    assert counts(sqs, queue) == (0, 0, 0)


def test_deleting_twice_succeeds(sqs, queue):
    send(sqs, queue, "x")
    [message] = receive(sqs, queue)
    delete(sqs, queue, message, message)
    assert counts(sqs, queue) == (0, 0, 0)


def test_a_standard_queue_accepts_a_message_group(sqs, queue):
    sqs.send_message(QueueUrl=queue, MessageBody="x", MessageGroupId="tenant")
    [message] = receive(sqs, queue)
    assert message["Attributes"]["MessageGroupId"] == "tenant"
