"""Dead-letter queues: too many receives move a message, which stays itself."""

import json

import pytest

from sqs_words import arn, bodies, counts, receive, refused, send
from weir_process import eventually


@pytest.fixture
def pair(sqs, make_queue):
    """Makes a dead-letter queue and a queue that gives up after so many receives."""

    def make(receives_max, fifo=False, **attributes):
        dead = make_queue("dead", fifo)
        policy = {"deadLetterTargetArn": arn(sqs, dead), "maxReceiveCount": receives_max}
        return make_queue("source", fifo, RedrivePolicy=json.dumps(policy), **attributes), dead

    return make


def test_a_message_moves_after_its_last_receive_and_keeps_its_id(sqs, pair):
    source, dead = pair(2, VisibilityTimeout=0)
    [sent] = send(sqs, source, "poison")
    for count in ("1", "2"):
        [message] = receive(sqs, source)
        assert message["Attributes"]["ApproximateReceiveCount"] == count
    assert receive(sqs, source) == []
    [letter] = receive(sqs, dead)
    assert (letter["MessageId"], letter["Body"]) == (sent["MessageId"], "poison")
    assert letter["Attributes"]["DeadLetterQueueSourceArn"] == arn(sqs, source)
    assert letter["Attributes"]["ApproximateReceiveCount"] == "3"
    assert counts(sqs, source) == (0, 0, 0)


def test_attributes_go_along(sqs, pair):
    source, dead = pair(1, VisibilityTimeout=0)
    attributes = {"why": {"DataType": "String", "StringValue": "because"}}
    sqs.send_message(QueueUrl=source, MessageBody="x", MessageAttributes=attributes)
    receive(sqs, source)
    assert receive(sqs, source) == []
    [letter] = receive(sqs, dead)
    assert letter["MessageAttributes"] == attributes


def test_messages_with_receives_left_stay(sqs, pair):
    source, dead = pair(2, VisibilityTimeout=0)
    send(sqs, source, "x")
    receive(sqs, source)
    assert counts(sqs, source) == (1, 0, 0)
    assert counts(sqs, dead) == (0, 0, 0)


def test_a_dead_letter_does_not_hold_up_the_message_behind_it(sqs, pair):
    source, dead = pair(1)
    send(sqs, source, "poison")
    [message] = receive(sqs, source)
    send(sqs, source, "good")
    sqs.change_message_visibility(QueueUrl=source, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=0)
    assert bodies(receive(sqs, source, 10)) == ["good"]
    assert bodies(receive(sqs, dead, 10)) == ["poison"]


def test_a_fifo_group_goes_on_behind_its_dead_letter(sqs, pair):
    source, dead = pair(1, fifo=True)
    send(sqs, source, "poison", "good", group="a")
    [message] = receive(sqs, source)
    sqs.change_message_visibility(QueueUrl=source, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=0)
    assert bodies(receive(sqs, source, 10)) == ["good"]
    [letter] = receive(sqs, dead, 10)
    assert letter["Body"] == "poison"
    assert letter["Attributes"]["MessageGroupId"] == "a"


def test_without_a_dead_letter_queue_a_message_is_delivered_for_ever(sqs, make_queue):
    queue = make_queue(VisibilityTimeout=0)
    send(sqs, queue, "x")
    for count in range(1, 31):
        [message] = receive(sqs, queue)
        assert message["Attributes"]["ApproximateReceiveCount"] == str(count)


def test_a_policy_set_later_holds_for_messages_already_there(sqs, make_queue):
    source, dead = make_queue(VisibilityTimeout=0), make_queue("dead")
    send(sqs, source, "x")
    receive(sqs, source)
    policy = {"deadLetterTargetArn": arn(sqs, dead), "maxReceiveCount": 1}
    sqs.set_queue_attributes(QueueUrl=source, Attributes={"RedrivePolicy": json.dumps(policy)})
    assert receive(sqs, source) == []
    assert counts(sqs, dead) == (1, 0, 0)


def test_a_long_poll_on_the_dead_letter_queue_is_woken_by_a_dead_letter(weir, sqs, pair, waiting_receivers):
    import threading

    source, dead = pair(1, VisibilityTimeout=0)
    send(sqs, source, "x")
    got = []
    before = waiting_receivers()
    poll = threading.Thread(target=lambda: got.extend(receive(weir.sqs(), dead, wait=20)))
    poll.start()
    eventually(lambda: waiting_receivers() > before, "the long poll waits")
    receive(sqs, source)
    receive(sqs, source)
    poll.join(15)
    assert bodies(got) == ["x"]


def test_a_dead_letter_queue_of_another_kind_is_refused(sqs, make_queue):
    dead = make_queue("dead")
    policy = json.dumps({"deadLetterTargetArn": arn(sqs, dead), "maxReceiveCount": 1})
    with refused("InvalidParameterValue"):
        make_queue(fifo=True, RedrivePolicy=policy)


def test_a_policy_that_is_none_is_refused(sqs, make_queue):
    for policy in ("{", "{}", '{"maxReceiveCount": 1}', '{"deadLetterTargetArn": "x", "maxReceiveCount": 0}'):
        with refused("InvalidParameterValue"):
            make_queue(RedrivePolicy=policy)
