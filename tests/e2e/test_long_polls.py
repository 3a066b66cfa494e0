"""Long polls: they wait for what comes, in the order in which they began to wait."""

import socket
import threading

import pytest

from sqs_words import bodies, counts, receive, refused, send
from weir_process import eventually


class Poll:
    """A receive on a thread of its own."""

    def __init__(self, weir, queue, **options):
        self.messages, self.error = None, None

        def run():
            try:
                self.messages = receive(weir.sqs(), queue, **options)
            except Exception as error:
                self.error = error

        self.thread = threading.Thread(target=run)
        self.thread.start()

    def result(self):
        self.thread.join(40)
        assert not self.thread.is_alive(), "the long poll is not answered"
        if self.error:
            raise self.error
        return self.messages


@pytest.fixture
def poll(weir, waiting_receivers):
    """Starts a long poll and returns once it waits."""

    def start(queue, wait=20, **options):
        before = waiting_receivers()
        poll = Poll(weir, queue, wait=wait, **options)
        eventually(lambda: waiting_receivers() > before, "the long poll waits")
        return poll

    return start


def test_a_message_goes_to_a_receiver_that_waits_for_it(sqs, queue, poll):
    waiting = poll(queue)
    send(sqs, queue, "x")
    assert bodies(waiting.result()) == ["x"]


def test_waiting_receivers_are_served_in_the_order_of_arrival(sqs, queue, poll):
    polls = [poll(queue) for _ in range(5)]
    send(sqs, queue, *(f"m{n}" for n in range(5)))
    assert [bodies(waiting.result()) for waiting in polls] == [[f"m{n}"] for n in range(5)]


def test_a_long_poll_without_a_message_ends_empty(sqs, queue):
    assert receive(sqs, queue, wait=1) == []


def test_a_receive_that_says_nothing_waits_as_the_queue_does(sqs, make_queue, weir, waiting_receivers):
    queue = make_queue(ReceiveMessageWaitTimeSeconds=20)
    got = []
    before = waiting_receivers()
    thread = threading.Thread(target=lambda: got.append(weir.sqs().receive_message(QueueUrl=queue)))
    thread.start()
    eventually(lambda: waiting_receivers() > before, "the receive waits")
    send(sqs, queue, "x")
    thread.join(15)
    assert bodies(got[0]["Messages"]) == ["x"]


def test_a_receive_may_wait_longer_than_twenty_seconds(sqs, queue, poll):
    waiting = poll(queue, wait=60)
    send(sqs, queue, "x")
    assert bodies(waiting.result()) == ["x"]


def test_a_blocked_fifo_group_wakes_a_long_poll_when_it_is_free(sqs, fifo, poll):
    send(sqs, fifo, "1", "2", group="a")
    [first] = receive(sqs, fifo)
    waiting = poll(fifo)
    sqs.delete_message(QueueUrl=fifo, ReceiptHandle=first["ReceiptHandle"])
    assert bodies(waiting.result()) == ["2"]


def test_deleting_a_queue_answers_those_who_wait_on_it(sqs, make_queue, poll):
    queue = make_queue()
    waiting = poll(queue)
    sqs.delete_queue(QueueUrl=queue)
    with refused("AWS.SimpleQueueService.NonExistentQueue"):
        waiting.result()


def test_a_receiver_that_hung_up_takes_no_message(weir, sqs, queue, waiting_receivers):
    before = waiting_receivers()
    gone = weir.connect()
    body = ('{"QueueUrl": "%s", "WaitTimeSeconds": 20}' % queue).encode()
    gone.sendall(
        b"POST / HTTP/1.1\r\nHost: x\r\nX-Amz-Target: AmazonSQS.ReceiveMessage\r\n"
        b"Content-Type: application/x-amz-json-1.0\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    )
    eventually(lambda: waiting_receivers() > before, "the receiver waits")
    gone.shutdown(socket.SHUT_RDWR)
    gone.close()
    eventually(lambda: waiting_receivers() == before, "the receiver is forgotten")
    send(sqs, queue, "x")
    assert counts(sqs, queue) == (1, 0, 0)
    [message] = receive(sqs, queue)
    assert message["Attributes"]["ApproximateReceiveCount"] == "1"
