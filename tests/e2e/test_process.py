"""The process: it keeps what it has over restarts, answers those who wait when it ends, and shows how it is."""

import json
import os
import re
import subprocess
import threading

from sqs_words import arn, bodies, counts, delete, receive, send
from weir_process import BINARY, eventually


def metric(weir, name):
    found = re.search(rf"^{name}(?:\{{[^}}]*\}})? (\S+)$", weir.get("/metrics")[1], re.M)
    return float(found.group(1)) if found else None


def make(sqs, name, **attributes):
    return sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]


def test_a_restart_keeps_everything(own_weir):
    weir = own_weir()
    sqs = weir.sqs()
    dead = make(sqs, "dead")
    policy = json.dumps({"deadLetterTargetArn": arn(sqs, dead), "maxReceiveCount": 2})
    queue = make(sqs, "standard", VisibilityTimeout="600", RedrivePolicy=policy)
    fifo = make(sqs, "ordered.fifo", FifoQueue="true")
    attributes = {"a": {"DataType": "Binary", "BinaryValue": b"\x00\x01"}}
    sqs.send_message(QueueUrl=queue, MessageBody="ready", MessageAttributes=attributes)
    sqs.send_message(QueueUrl=queue, MessageBody="later", DelaySeconds=900)
    send(sqs, queue, "leased")
    send(sqs, fifo, "1", "2", "3", group="a")
    leased = receive(sqs, queue, 2)
    ready = next(message for message in leased if message["Body"] == "ready")
    kept = next(message for message in leased if message["Body"] == "leased")
    sqs.change_message_visibility(QueueUrl=queue, ReceiptHandle=ready["ReceiptHandle"], VisibilityTimeout=0)
    [first] = receive(sqs, fifo)
    delete(sqs, fifo, first)
    before = [counts(sqs, each) for each in (dead, queue, fifo)]

    assert weir.end() == 0
    weir.start()
    sqs = weir.sqs()
    dead, queue, fifo = (sqs.get_queue_url(QueueName=name)["QueueUrl"] for name in ("dead", "standard", "ordered.fifo"))
    assert [counts(sqs, each) for each in (dead, queue, fifo)] == before == [(0, 0, 0), (1, 1, 1), (2, 0, 0)]
    assert sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["RedrivePolicy"])["Attributes"]
    [again] = receive(sqs, queue, 10)
    assert (again["Body"], again["MessageAttributes"]) == ("ready", attributes)
    assert again["Attributes"]["ApproximateReceiveCount"] == "2"
    delete(sqs, queue, kept, again)
    # The deduplication ids are remembered as well, those of deleted messages too.
    send(sqs, fifo, "1", "2", group="a")
    assert bodies(receive(sqs, fifo, 10)) == ["2", "3"]
    assert counts(sqs, queue) == (0, 0, 1)


def test_a_graceful_end_answers_long_polls(own_weir):
    weir = own_weir()
    queue = make(weir.sqs(), "waited-for")
    answers = []
    poll = threading.Thread(target=lambda: answers.append(weir.sqs().receive_message(QueueUrl=queue, WaitTimeSeconds=20)))
    poll.start()
    eventually(lambda: metric(weir, "weir_waiting_receivers") == 1, "the receiver waits")
    assert weir.end() == 0
    poll.join(10)
    assert answers and answers[0].get("Messages", []) == []


def test_memory_keeps_nothing_and_writes_nothing(own_weir, tmp_path):
    weir = own_weir("--memory", name="unused")
    queue = make(weir.sqs(), "volatile")
    send(weir.sqs(), queue, "x")
    assert bodies(receive(weir.sqs(), queue)) == ["x"]
    assert not (tmp_path / "unused").exists()


def test_health_and_metrics_are_served(weir, sqs, queue):
    send(sqs, queue, "x")
    assert weir.get("/health/live")[0] == 200
    assert weir.get("/health/ready")[0] == 200
    status, text = weir.get("/metrics")
    assert status == 200
    assert re.search(r"^# TYPE weir_\S+ histogram$", text, re.M)
    name = queue.rsplit("/", 1)[1]
    assert any(name in line for line in text.splitlines()), "the depth of each queue is told"


def test_two_servers_do_not_share_a_data_directory(own_weir, tmp_path):
    own_weir()
    second = subprocess.run(
        [BINARY, "serve", "--data-dir", str(tmp_path / "data"), "--listen", "127.0.0.1:0"],
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert second.returncode != 0
    assert re.search("lock|in use|another", second.stderr + second.stdout)


def test_without_keys_it_listens_on_loopback_only_and_says_so(tmp_path):
    refused = subprocess.run(
        [BINARY, "serve", "--data-dir", str(tmp_path / "data"), "--listen", "0.0.0.0:0"],
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert refused.returncode != 0
    assert "loopback" in refused.stderr + refused.stdout


def test_its_socket_is_bound_to_loopback(weir):
    listening = [line.split()[1] for line in open("/proc/net/tcp").readlines()[1:] if line.split()[3] == "0A"]
    assert f"0100007F:{weir.port:04X}" in listening
    assert not [address for address in listening if address == f"00000000:{weir.port:04X}"]


def test_a_listen_address_that_is_none_is_refused(tmp_path):
    refused = subprocess.run(
        [BINARY, "serve", "--data-dir", str(tmp_path / "data"), "--listen", "nowhere"],
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert refused.returncode != 0
    assert not os.listdir(tmp_path)
