"""`kill -9` of the real process under load, again and again: nothing that was acknowledged is lost or comes back.

One data directory lives through all rounds. In each, clients send, receive and delete on a standard queue and on a FIFO
queue with groups, with priorities and bodies of up to 100 KiB, until the process is killed; sometimes it is killed once
more while it recovers. After the restart the counters must agree with what the clients know, and at times both queues
are emptied and compared message by message.
The number of rounds is WEIR_CRASH_ROUNDS, the seed of their times WEIR_CRASH_SEED. A fifth of so many rounds are played with
`storage.durability` at an interval: what a process wrote is there when it is killed, synced or not.
"""

import hashlib
import http.client
import json
import os
import random
import threading
import time

import pytest
from weir_process import Weir, eventually

ROUNDS = int(os.environ.get("WEIR_CRASH_ROUNDS", "50"))
SEED = int(os.environ.get("WEIR_CRASH_SEED", "1"))
# In one round of so many both queues are emptied and compared.
DRAIN_EVERY = 5
SENDERS, CONSUMERS, GROUPS = 3, 2, 4
GONE = (ConnectionError, TimeoutError, http.client.HTTPException, OSError)


class Wire:
    """One kept connection: as lean as Python allows, so that the server is the one under load."""

    def __init__(self, port):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)

    def call(self, operation, **body):
        self.connection.request(
            "POST",
            "/",
            json.dumps(body),
            {"X-Amz-Target": f"AmazonSQS.{operation}", "Content-Type": "application/x-amz-json-1.0"},
        )
        answer = self.connection.getresponse()
        text = answer.read()
        return answer.status, json.loads(text) if text else {}


def body_of(name):
    """A body that its name determines: mostly small, sometimes of 100 KiB: too large for one frame of the log."""
    digest = hashlib.sha256(name.encode()).digest()
    length = 100 * 1024 if digest[0] < 8 else digest[1] * 4
    return name + "|" + (digest.hex() * (length // 64 + 1))[:length]


def priority_of(name):
    """Most messages have the default, the others 1 to 3. Messages of one group differ: their order must not."""
    return max(0, hashlib.sha256(name.encode()).digest()[2] % 8 - 4)


def request_of(name):
    """What a message of this name is sent with, besides where to and in which group."""
    request = {"MessageBody": body_of(name)}
    if priority := priority_of(name):
        request["MessageAttributes"] = {"weir.priority": {"DataType": "Number", "StringValue": str(priority)}}
    return request


def name_of(body):
    name = body.split("|", 1)[0]
    assert body == body_of(name), f"the body of {name} is not what was sent"
    return name


class Ledger:
    """What the clients know of one queue: the intents, and what was acknowledged."""

    def __init__(self, name, fifo):
        self.name, self.fifo = name, fifo
        self.url = f"http://127.0.0.1/000000000000/{name}"
        self.lock = threading.Lock()
        self.intended, self.sent = set(), set()
        self.deleting, self.deleted = set(), set()
        self.next_of_group = {f"g{n}": 0 for n in range(GROUPS)}
        self.settled_below = dict.fromkeys(self.next_of_group, 0)
        self.unanswered = {}
        self.violations = []

    def must_be_there(self):
        return self.sent - self.deleting

    def may_be_there(self):
        return self.intended - self.deleted

    def check_received(self, messages):
        """What must hold of any receive, whenever it happens."""
        names = [name_of(message["Body"]) for message in messages]
        with self.lock:
            for name in names:
                if name in self.deleted:
                    self.violations.append(f"{name} came back after its delete was acknowledged")
                if name not in self.intended:
                    self.violations.append(f"{name} was never sent")
            if self.fifo:
                self.check_order(names)
            elif [*map(priority_of, names)] != sorted(map(priority_of, names)):
                self.violations.append(f"{names} came in one answer and not by priority")
        return names

    def check_order(self, names):
        for at, name in enumerate(names):
            group, n = name.split("/")
            while f"{group}/{self.settled_below[group]}" in self.deleted:
                self.settled_below[group] += 1
            for earlier in range(self.settled_below[group], int(n)):
                before = f"{group}/{earlier}"
                if before in self.sent and before not in self.deleting and before not in names[:at]:
                    self.violations.append(f"{name} was delivered while {before} before it was not settled")


def send_until_killed(ledger, port, who, rng):
    wire = Wire(port)
    mine = [f"g{n}" for n in range(GROUPS) if n % SENDERS == who]
    count = 0
    try:
        while True:
            options = {}
            if ledger.fifo:
                if not mine:
                    return
                group = mine[count % len(mine)]
                name = f"{group}/{ledger.next_of_group[group]}"
                options = {"MessageGroupId": group, "MessageDeduplicationId": name}
            else:
                name = f"s{who}-{rng.getrandbits(64):016x}"
            with ledger.lock:
                ledger.intended.add(name)
                if ledger.fifo:
                    ledger.unanswered[group] = name
            status, answer = wire.call("SendMessage", QueueUrl=ledger.url, **request_of(name), **options)
            if status == 503:
                with ledger.lock:
                    ledger.unanswered.pop(options.get("MessageGroupId"), None)
                continue
            assert status == 200, answer
            with ledger.lock:
                ledger.sent.add(name)
                if ledger.fifo:
                    del ledger.unanswered[group]
                    ledger.next_of_group[group] += 1
            count += 1
    except GONE:
        return
    except Exception as error:
        ledger.violations.append(repr(error))


def consume_until_killed(ledger, port, rng):
    wire = Wire(port)
    try:
        while True:
            status, answer = wire.call(
                "ReceiveMessage", QueueUrl=ledger.url, MaxNumberOfMessages=rng.randint(1, 5), WaitTimeSeconds=5
            )
            if status == 503:
                continue
            assert status == 200, answer
            messages = answer.get("Messages", [])
            names = ledger.check_received(messages)
            for name, message in zip(names, messages):
                if rng.random() < 0.1:
                    # Left to its lease: it must come again. On FIFO the rest of the group has to wait with it.
                    if ledger.fifo:
                        break
                    continue
                if not delete(ledger, wire, name, message):
                    break
    except GONE:
        return
    except Exception as error:
        ledger.violations.append(repr(error))


def delete(ledger, wire, name, message):
    with ledger.lock:
        ledger.deleting.add(name)
    status, answer = wire.call("DeleteMessage", QueueUrl=ledger.url, ReceiptHandle=message["ReceiptHandle"])
    if status == 200:
        with ledger.lock:
            ledger.deleted.add(name)
        return True
    # The lease of a FIFO message may have ended meanwhile; then it was not deleted.
    assert status == 503 or (ledger.fifo and "expired" in answer["message"]), answer
    with ledger.lock:
        ledger.deleting.discard(name)
    return False


def load(ledgers, weir, rng):
    """Starts all clients; returns their threads."""
    clients = []
    for ledger in ledgers:
        for who in range(SENDERS):
            own = random.Random(rng.getrandbits(64))
            clients.append(threading.Thread(target=send_until_killed, args=(ledger, weir.port, who, own)))
        for _ in range(CONSUMERS):
            own = random.Random(rng.getrandbits(64))
            clients.append(threading.Thread(target=consume_until_killed, args=(ledger, weir.port, own)))
    for client in clients:
        client.start()
    return clients


def send_again(ledger, wire):
    """Sends what got no answer once more under its deduplication id: afterwards it is there exactly once."""
    for group, name in sorted(ledger.unanswered.items()):
        status, answer = wire.call(
            "SendMessage",
            QueueUrl=ledger.url,
            **request_of(name),
            MessageGroupId=group,
            MessageDeduplicationId=name,
        )
        assert status == 200, answer
        ledger.sent.add(name)
        ledger.next_of_group[group] += 1
    ledger.unanswered.clear()


def check_counters(ledger, wire):
    status, answer = wire.call("GetQueueAttributes", QueueUrl=ledger.url, AttributeNames=["All"])
    assert status == 200, answer
    names = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")
    there = sum(int(answer["Attributes"][name]) for name in names)
    assert len(ledger.must_be_there()) <= there <= len(ledger.may_be_there()), ledger.name


def drain(ledger, wire):
    """Empties the queue and compares what came with what must and what may be there."""
    must, may = ledger.must_be_there(), ledger.may_be_there()
    came = []

    def empty():
        status, answer = wire.call(
            "ReceiveMessage", QueueUrl=ledger.url, MaxNumberOfMessages=100, WaitTimeSeconds=3
        )
        assert status == 200, answer
        messages = answer.get("Messages", [])
        names = ledger.check_received(messages)
        entries = [{"Id": str(n), "ReceiptHandle": one["ReceiptHandle"]} for n, one in enumerate(messages)]
        if entries:
            ledger.deleting.update(names)
            status, answer = wire.call("DeleteMessageBatch", QueueUrl=ledger.url, Entries=entries)
            assert status == 200 and not answer.get("Failed"), answer
            ledger.deleted.update(names)
            came.extend(names)
        return not messages

    eventually(empty, f"{ledger.name} is empty", patience=120)
    assert len(came) == len(set(came)), f"{ledger.name}: a message came twice although it was deleted"
    assert must <= set(came), f"{ledger.name}: lost {sorted(must - set(came))[:5]} of {len(must)}"
    assert set(came) <= may, f"{ledger.name}: came back {sorted(set(came) - may)[:5]}"
    # What was neither acknowledged nor found does not exist.
    ledger.intended &= ledger.sent | set(came)
    ledger.deleted |= ledger.intended


@pytest.mark.parametrize(
    ("durability", "rounds"), [("fsync", ROUNDS), ("interval(500ms)", max(1, ROUNDS // 5))], ids=["fsync", "interval"]
)
def test_what_was_acknowledged_survives_kill_9_and_what_was_deleted_stays_deleted(
    tmp_path, capsys, durability, rounds
):
    rng = random.Random(SEED)
    weir = Weir(tmp_path / "data", "--storage-durability", durability).start()
    ledgers = [Ledger("load", fifo=False), Ledger("load.fifo", fifo=True)]
    kills = 0
    try:
        wire = Wire(weir.port)
        for ledger in ledgers:
            attributes = {"VisibilityTimeout": "1"} | ({"FifoQueue": "true"} if ledger.fifo else {})
            status, answer = wire.call("CreateQueue", QueueName=ledger.name, Attributes=attributes)
            assert status == 200, answer
        for number in range(1, rounds + 1):
            where = f"round {number} of seed {SEED}"
            clients = load(ledgers, weir, rng)
            time.sleep(rng.uniform(0.1, 1.0))
            weir.kill()
            kills += 1
            for client in clients:
                client.join(60)
                assert not client.is_alive(), where
            while rng.random() < 0.2:
                # Once more, somewhere between the first instruction and the end of the recovery.
                weir.start(wait=False)
                time.sleep(rng.uniform(0, 0.1))
                weir.kill()
                kills += 1
            weir.start()
            wire = Wire(weir.port)
            for ledger in ledgers:
                assert not ledger.violations, (where, ledger.violations[:5])
                check_counters(ledger, wire)
                send_again(ledger, wire)
                if number % DRAIN_EVERY == 0 or number == rounds:
                    drain(ledger, wire)
                assert not ledger.violations, (where, ledger.violations[:5])
            assert "panicked" not in weir.log(), where
        for ledger in ledgers:
            assert ledger.sent and ledger.deleted, "the load did something"
        with capsys.disabled():
            for ledger in ledgers:
                print(
                    f"\n{ledger.name}: {kills} kills in {rounds} rounds of {durability}; {len(ledger.sent)} sends and "
                    f"{len(ledger.deleted)} deletes acknowledged, none lost or undone",
                    end="",
                )
            print()
    except BaseException:
        with capsys.disabled():
            print(f"\nWEIR_CRASH_SEED={SEED}, round {locals().get('number')}; the end of the log:\n{weir.log()[-3000:]}")
        raise
    finally:
        weir.kill()
