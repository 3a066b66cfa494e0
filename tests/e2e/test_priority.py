"""Priority by the message attribute `weir.priority` (our extension): 0 first, then 1, 2, …"""

from sqs_words import counts, delete, receive, receive_bodies, refused, send


def with_priority(priority):
    return {"MessageAttributes": {"weir.priority": {"DataType": "Number", "StringValue": str(priority)}}}


def test_a_lower_number_is_delivered_first_and_equal_ones_in_order(sqs, queue):
    for body, priority in [("c", 10), ("b1", 1), ("b2", 1), ("a", 0), ("d", 4_000_000)]:
        send(sqs, queue, body, **with_priority(priority))
    assert receive_bodies(sqs, queue, 10) == ["a", "b1", "b2", "c", "d"]


def test_a_message_without_a_priority_has_the_first(sqs, queue):
    send(sqs, queue, "one", **with_priority(1))
    send(sqs, queue, "none")
    assert receive_bodies(sqs, queue, 10) == ["none", "one"]


def test_a_released_message_keeps_its_priority(sqs, queue):
    send(sqs, queue, "urgent", **with_priority(0))
    send(sqs, queue, "patient", **with_priority(5))
    [urgent] = receive(sqs, queue)
    sqs.change_message_visibility(QueueUrl=queue, ReceiptHandle=urgent["ReceiptHandle"], VisibilityTimeout=0)
    assert receive_bodies(sqs, queue, 10) == ["urgent", "patient"]


def test_a_delayed_message_takes_its_place_by_priority(sqs, queue):
    send(sqs, queue, "urgent", DelaySeconds=1, **with_priority(0))
    send(sqs, queue, "patient", **with_priority(5))
    [patient] = receive(sqs, queue, VisibilityTimeout=1)
    assert patient["Body"] == "patient"
    seen = []
    while len(seen) < 2:
        for message in receive(sqs, queue, 1, wait=20):
            seen.append(message["Body"])
            delete(sqs, queue, message)
    assert sorted(seen) == ["patient", "urgent"]


def test_priority_orders_groups_and_never_messages_within_one(sqs, fifo):
    send(sqs, fifo, "a1", group="a", **with_priority(5))
    send(sqs, fifo, "a2", group="a", **with_priority(0))
    send(sqs, fifo, "b1", group="b", **with_priority(1))
    assert receive_bodies(sqs, fifo, 10) == ["b1", "a1", "a2"]


def test_the_attribute_comes_back_like_any_other(sqs, queue):
    send(sqs, queue, "x", **with_priority(3))
    [message] = receive(sqs, queue)
    assert message["MessageAttributes"]["weir.priority"]["StringValue"] == "3"


def test_a_priority_that_is_none_is_refused(sqs, queue):
    for priority in ("-1", "1.5", "x", "99999999999"):
        with refused("InvalidParameterValue"):
            send(sqs, queue, "x", **with_priority(priority))
    assert counts(sqs, queue) == (0, 0, 0)
