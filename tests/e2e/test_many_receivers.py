"""A thousand clients wait on one queue at once, each on a connection of its own."""

import json
import re
import resource
import selectors

import pytest

from sqs_words import counts
from weir_process import PATIENCE_SECONDS, eventually

CLIENTS = 1000


@pytest.fixture
def many_files():
    """Room for a socket for each client."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = CLIENTS + 500
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(wanted, hard), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def request(queue):
    body = json.dumps({"QueueUrl": queue, "WaitTimeSeconds": 20, "MaxNumberOfMessages": 1}).encode()
    head = (
        "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-amz-json-1.0\r\n"
        f"X-Amz-Target: AmazonSQS.ReceiveMessage\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def test_each_of_a_thousand_waiting_clients_gets_one_message(many_files, own_weir, tmp_path):
    weir = own_weir()
    sqs = weir.sqs()
    queue = sqs.create_queue(QueueName="crowded")["QueueUrl"]
    sockets = [weir.connect() for _ in range(CLIENTS)]
    try:
        for socket in sockets:
            socket.sendall(request(queue))

        def all_wait():
            _, text = weir.get("/metrics")
            return re.search(rf"^weir_waiting_receivers(?:\{{[^}}]*\}})? {CLIENTS}$", text, re.M)

        eventually(all_wait, "all clients wait")
        for start in range(0, CLIENTS, 10):
            entries = [{"Id": str(n), "MessageBody": f"message {n}"} for n in range(start, start + 10)]
            assert len(sqs.send_message_batch(QueueUrl=queue, Entries=entries)["Successful"]) == 10
        bodies = [message["Body"] for answer in answers(sockets) for message in answer["Messages"]]
        assert sorted(bodies) == sorted(f"message {n}" for n in range(CLIENTS))
        assert counts(sqs, queue)[:2] == (0, CLIENTS)
    finally:
        for socket in sockets:
            socket.close()


def answers(sockets):
    """Reads one answer from each socket."""
    selector = selectors.DefaultSelector()
    received = {socket: b"" for socket in sockets}
    for socket in sockets:
        selector.register(socket, selectors.EVENT_READ)
    bodies = []
    while len(bodies) < len(sockets):
        ready = selector.select(PATIENCE_SECONDS)
        assert ready, f"only {len(bodies)} clients were answered"
        for key, _ in ready:
            part = key.fileobj.recv(65536)
            assert part, "the server closed a connection"
            received[key.fileobj] += part
            head, end, body = received[key.fileobj].partition(b"\r\n\r\n")
            if not end:
                continue
            assert head.startswith(b"HTTP/1.1 200"), head
            [length] = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
            if len(body) == int(length.split(b":")[1]):
                selector.unregister(key.fileobj)
                bodies.append(json.loads(body))
    return bodies
