"""Delays: of a queue, of a message, and longer than AWS allows."""

from sqs_words import bodies, counts, receive, refused, send


def test_a_delayed_message_comes_when_its_delay_is_over(sqs, queue):
    sqs.send_message(QueueUrl=queue, MessageBody="x", DelaySeconds=1)
    assert counts(sqs, queue) == (0, 0, 1)
    assert receive(sqs, queue) == []
    assert bodies(receive(sqs, queue, wait=20)) == ["x"]


def test_the_delay_of_a_message_that_names_none_is_the_queues(sqs, make_queue):
    queue = make_queue(DelaySeconds=900)
    send(sqs, queue, "x")
    assert counts(sqs, queue) == (0, 0, 1)


def test_a_message_may_have_no_delay_on_a_queue_with_one(sqs, make_queue):
    queue = make_queue(DelaySeconds=900)
    sqs.send_message(QueueUrl=queue, MessageBody="x", DelaySeconds=0)
    assert bodies(receive(sqs, queue)) == ["x"]


def test_of_two_delays_the_shorter_ends_first(sqs, queue):
    sqs.send_message(QueueUrl=queue, MessageBody="long", DelaySeconds=900)
    sqs.send_message(QueueUrl=queue, MessageBody="short", DelaySeconds=1)
    assert bodies(receive(sqs, queue, 10, wait=20)) == ["short"]
    assert counts(sqs, queue) == (0, 1, 1)


def test_a_delay_may_last_for_years(sqs, queue):
    sqs.send_message(QueueUrl=queue, MessageBody="x", DelaySeconds=100_000_000)
    assert counts(sqs, queue) == (0, 0, 1)


def test_a_negative_delay_is_refused(sqs, queue):
    with refused("InvalidParameterValue"):
        sqs.send_message(QueueUrl=queue, MessageBody="x", DelaySeconds=-1)
    assert counts(sqs, queue) == (0, 0, 0)


def test_the_delay_of_a_fifo_queue_holds_for_its_messages(sqs, make_queue):
    fifo = make_queue(fifo=True, DelaySeconds=1)
    send(sqs, fifo, "1", "2", group="a")
    assert counts(sqs, fifo) == (0, 0, 2)
    first = receive(sqs, fifo, 1, wait=20)
    assert bodies(first) == ["1"]
