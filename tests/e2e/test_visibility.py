"""Leases: they end, are extended, and are given back."""

import threading

from sqs_words import bodies, counts, delete, receive, refused, send
from weir_process import eventually


def change(sqs, queue, message, seconds):
    sqs.change_message_visibility(
        QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=seconds
    )


def test_a_message_comes_back_when_its_lease_ends(sqs, queue):
    send(sqs, queue, "x")
    [first] = receive(sqs, queue, VisibilityTimeout=1)
    assert receive(sqs, queue) == []
    [second] = receive(sqs, queue, wait=20)
    assert second["MessageId"] == first["MessageId"]
    assert second["Attributes"]["ApproximateReceiveCount"] == "2"


def test_the_lease_of_a_receive_that_says_nothing_is_the_queues(sqs, make_queue):
    queue = make_queue(VisibilityTimeout=1)
    send(sqs, queue, "x")
    [_] = receive(sqs, queue)
    assert len(receive(sqs, queue, wait=20)) == 1


def test_an_extended_lease_outlives_a_shorter_one(sqs, queue):
    send(sqs, queue, "extended", "short")
    leased = {message["Body"]: message for message in receive(sqs, queue, 2, VisibilityTimeout=1)}
    change(sqs, queue, leased["extended"], 600)
    [back] = receive(sqs, queue, wait=20, count=10, VisibilityTimeout=600)
    assert back["Body"] == "short"
    assert counts(sqs, queue) == (0, 2, 0)
    delete(sqs, queue, leased["extended"])
    assert counts(sqs, queue) == (0, 1, 0)


def test_a_lease_can_be_shortened(sqs, queue):
    send(sqs, queue, "x")
    [message] = receive(sqs, queue, VisibilityTimeout=600)
    change(sqs, queue, message, 1)
    assert len(receive(sqs, queue, wait=20)) == 1


def test_visibility_zero_gives_the_message_back_at_once(sqs, queue):
    send(sqs, queue, "x")
    [message] = receive(sqs, queue)
    change(sqs, queue, message, 0)
    assert counts(sqs, queue) == (1, 0, 0)
    [again] = receive(sqs, queue)
    assert again["MessageId"] == message["MessageId"]


def test_visibility_zero_wakes_a_long_poll(weir, sqs, queue, waiting_receivers):
    send(sqs, queue, "x")
    [message] = receive(sqs, queue, VisibilityTimeout=600)
    got = []
    poll = threading.Thread(target=lambda: got.extend(receive(weir.sqs(), queue, wait=20)))
    before = waiting_receivers()
    poll.start()
    eventually(lambda: waiting_receivers() > before, "the long poll waits")
    change(sqs, queue, message, 0)
    poll.join(15)
    assert bodies(got) == ["x"]


def test_a_lease_may_last_longer_than_twelve_hours(sqs, queue):
    send(sqs, queue, "x")
    [message] = receive(sqs, queue)
    change(sqs, queue, message, 86_400)
    assert counts(sqs, queue) == (0, 1, 0)


def test_changing_the_visibility_of_a_deleted_message_is_refused(sqs, queue):
    send(sqs, queue, "x")
    [message] = receive(sqs, queue)
    delete(sqs, queue, message)
    with refused("InvalidParameterValue"):
        change(sqs, queue, message, 10)


def test_changing_the_visibility_of_a_message_that_is_not_leased_is_refused(sqs, queue):
    send(sqs, queue, "x")
    [message] = receive(sqs, queue)
    change(sqs, queue, message, 0)
    with refused("AWS.SimpleQueueService.MessageNotInflight"):
        change(sqs, queue, message, 10)


def test_a_batch_of_visibility_changes_settles_each_entry_on_its_own(sqs, queue):
    send(sqs, queue, "a", "b")
    leased = receive(sqs, queue, 2)
    answer = sqs.change_message_visibility_batch(
        QueueUrl=queue,
        Entries=[
            {"Id": "good", "ReceiptHandle": leased[0]["ReceiptHandle"], "VisibilityTimeout": 0},
            {"Id": "bad", "ReceiptHandle": "garbage", "VisibilityTimeout": 0},
        ],
    )
    assert [entry["Id"] for entry in answer["Successful"]] == ["good"]
    [failed] = answer["Failed"]
    assert (failed["Id"], failed["Code"], failed["SenderFault"]) == ("bad", "ReceiptHandleIsInvalid", True)
    assert counts(sqs, queue) == (1, 1, 0)
