"""Floods, bombs and clients that never finish: each is cut off within bounds while others are served on."""

import contextlib
import json
import os
import re
import socket
import struct
import threading
import urllib.parse

import pytest

from sqs_words import counts, receive_bodies, send
from weir_process import Weir, eventually

MIB = 1 << 20
# Least that the server allows: what does not come is not waited for longer.
SHORT = [
    "--http-header-timeout=1s",
    "--http-body-idle-timeout=1s",
    "--http-body-timeout=3s",
    "--http-bodies-max=32MiB",
]
# What the process may take above what it had when the tests began: all bodies that may be arriving, twice over, since
# what was read is decoded; and what the allocator keeps.
GROWTH_MAX = 128 * MIB


@pytest.fixture(scope="module")
def weir(tmp_path_factory):
    with Weir(tmp_path_factory.mktemp("weir") / "data", *SHORT) as server:
        yield server


@pytest.fixture(scope="module")
def sqs(weir):
    return weir.sqs()


@pytest.fixture(scope="module")
def aging_queues():
    """These tests wait for no minute."""


@pytest.fixture(scope="module")
def target(sqs):
    """The queue that is attacked: nothing may be stored in it."""
    return sqs.create_queue(QueueName="target")["QueueUrl"]


def memory_peak(weir):
    """Most memory that the process had so far, in bytes."""
    with open(f"/proc/{weir.process.pid}/status", encoding="ascii") as status:
        return int(re.search(r"VmHWM:\s+(\d+) kB", status.read()).group(1)) * 1024


@pytest.fixture(scope="module")
def at_first(weir, sqs, target):
    return memory_peak(weir)


@pytest.fixture(autouse=True)
def unharmed(weir, target, at_first):
    """Afterwards the server serves others, has stored nothing, and took no more memory than it may."""
    yield
    # A connection that was idle for as long as some of these tests take may be ended just now.
    sqs = weir.sqs()
    assert counts(sqs, target) == (0, 0, 0)
    other = sqs.create_queue(QueueName="others")["QueueUrl"]
    send(sqs, other, "served")
    assert receive_bodies(sqs, other) == ["served"]
    sqs.purge_queue(QueueUrl=other)
    assert len(sqs.list_queues()["QueueUrls"]) == 2
    growth = memory_peak(weir) - at_first
    assert growth < GROWTH_MAX, f"{growth // MIB} MiB more than at first"
    assert weir.process.poll() is None


def send_what_is_taken(connection, raw):
    """Sends until the other end takes nothing more; whether it took all."""
    try:
        connection.sendall(raw)
        return True
    except OSError:
        return False


def read_all(connection):
    """Everything that comes until the other end closes."""
    answer = b""
    try:
        while part := connection.recv(1 << 16):
            answer += part
    except ConnectionError:
        pass
    return answer


def exchange(weir, *parts):
    """What comes back, once the server has closed the connection."""
    with weir.connect() as connection:
        for part in parts:
            if not send_what_is_taken(connection, part):
                break
        return read_all(connection)


def status(answer):
    assert answer.startswith(b"HTTP/1.1 "), answer[:200]
    return int(answer[9:12])


def post(body, path="/", *headers, content_type="application/x-www-form-urlencoded"):
    lines = [f"POST {path} HTTP/1.1", "Host: x", f"Content-Type: {content_type}", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "Connection: close", *headers, "", ""]).encode() + body


def send_form(target, **parameters):
    return urllib.parse.urlencode({"Action": "SendMessage", "QueueUrl": target} | parameters).encode()


def error_code(answer):
    assert 400 <= status(answer) < 500, answer[:300]
    return re.search(rb"<Code>(.*?)</Code>", answer).group(1).decode()


@pytest.mark.parametrize(
    "endless",
    [b"POST / HTTP/1.1\r\n" + b"X-Header: x\r\n" * 8_000, b"GET / HTTP/1.1\r\nX: " + b"x" * 80_000, b"GET /" + b"a" * 80_000],
    ids=["headers", "a header", "a line"],
)
def test_what_has_no_end_is_refused_before_its_end(own_weir, endless):
    # The client waits for the answer, and the server for no clock: that is set beyond the client's patience.
    weir = own_weir("--memory", "--http-header-timeout", "1h")
    answer = exchange(weir, endless)
    # What the server has not read when it hangs up may take its answer along.
    assert answer == b"" or status(answer) in (414, 431)


@pytest.mark.parametrize(
    "flood",
    [b"X-%d: x\r\n", b"X: %d\r\n", b"Content-Length: %d\r\n", b"Authorization: %d\r\n"],
    ids=["names", "one name", "lengths", "signatures"],
)
def test_a_hundred_thousand_headers_are_refused(weir, flood):
    flood = b"".join(flood % n for n in range(100_000))
    answer = exchange(weir, b"POST / HTTP/1.1\r\nHost: x\r\n", flood, b"\r\n")
    assert answer == b"" or status(answer) in (400, 431)


def test_a_header_of_a_mebibyte_is_refused(weir):
    for name in (b"X-Long", b"Host", b"X-Amz-Target", b"Authorization"):
        answer = exchange(weir, b"POST / HTTP/1.1\r\n" + name + b": " + b"x" * MIB + b"\r\n\r\n")
        assert answer == b"" or status(answer) in (400, 431)


def test_ten_megabytes_of_percent_signs_are_no_request_line(weir):
    for start in (b"GET /?", b"POST /", b"%"):
        answer = exchange(weir, start + b"%" * (10 * MIB))
        assert answer == b"" or status(answer) in (400, 414, 431)


@pytest.mark.parametrize(
    "start",
    [
        b"",
        b"POST",
        b"POST / HTTP/1.1\r\nHost: x\r\nX-Slow: ",
        b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n",
        b"PRI * HTTP/2.0\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ],
    ids=["nothing", "half a line", "half a header", "no more", "half of HTTP/2's preface", "HTTP/2"],
)
def test_a_hundred_clients_that_stop_are_cut_off_while_others_are_served(weir, sqs, start):
    stopped = [weir.connect() for _ in range(100)]
    try:
        for connection in stopped:
            send_what_is_taken(connection, start)
        assert sqs.list_queues()["QueueUrls"]
        for connection in stopped:
            read_all(connection)
    finally:
        for connection in stopped:
            connection.close()


def test_bodies_that_stop_are_refused(weir, sqs, target):
    body = send_form(target, MessageBody="x" * 1000)
    stopped = [weir.connect() for _ in range(100)]
    try:
        for connection in stopped:
            send_what_is_taken(connection, post(body)[:-500])
        assert sqs.list_queues()["QueueUrls"]
        for connection in stopped:
            assert status(read_all(connection)) == 408
    finally:
        for connection in stopped:
            connection.close()


def test_a_body_that_trickles_is_refused_although_something_always_comes(weir, target):
    body = send_form(target, MessageBody="x" * 10 * MIB)
    with weir.connect() as connection:
        connection.sendall(post(body)[: -10 * MIB])
        over = threading.Event()

        def trickle():
            while not over.wait(0.01) and send_what_is_taken(connection, b"x"):
                pass

        sender = threading.Thread(target=trickle)
        sender.start()
        try:
            assert status(connection.recv(1 << 16)) == 408
        finally:
            over.set()
            sender.join()


def test_bodies_that_arrive_at_once_are_bounded_together(weir, target):
    body = send_form(target, MessageBody="x" * 12 * MIB)
    answers = []

    def ask():
        with weir.connect() as connection:
            # The end of each is held back, so that they add up.
            if send_what_is_taken(connection, post(body)[:-1]):
                answers.append(status(read_all(connection)))
            else:
                answers.append(status(read_all(connection) or b"HTTP/1.1 503 "))

    clients = [threading.Thread(target=ask) for _ in range(12)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    assert set(answers) <= {503, 408} and 503 in answers, answers


def test_who_never_reads_answers_is_not_answered_for_ever(weir, target):
    ask = post(b"Action=ListQueues").replace(b"Connection: close\r\n", b"")
    with weir.connect() as connection:
        connection.setblocking(False)
        taken = 0
        # The server stops to read once its answers are not taken: then the buffers between fill up.
        while taken < 64 * MIB:
            try:
                taken += connection.send(ask * 100)
            except BlockingIOError:
                break
        assert taken < 64 * MIB


@pytest.mark.parametrize("count, accepted", [(100_000, False), (100_001, False), (99_997, True)])
def test_a_form_of_a_hundred_thousand_parameters_is_bounded(weir, sqs, target, count, accepted):
    more = b"".join(b"&p%d=x" % n for n in range(count))
    answer = exchange(weir, post(send_form(target, MessageBody="x") + more))
    if accepted:
        assert status(answer) == 200
        assert receive_bodies(sqs, target) == ["x"]
        sqs.purge_queue(QueueUrl=target)
    else:
        assert error_code(answer) == "MalformedQueryString"


@pytest.mark.parametrize(
    "names",
    [
        lambda n: "SendMessageBatchRequestEntry.%d.Id" % (n + 1),
        lambda n: "SendMessageBatchRequestEntry.%d.Id" % (2**63 - n),
        lambda n: "SendMessageBatchRequestEntry.1.MessageAttribute.%d.Name" % (n + 1),
        lambda n: "." * (n % 500) + str(n),
        lambda n: "SendMessageBatchRequestEntry.1." * 30 + str(n),
        lambda n: "SendMessageBatchRequestEntry.%s.Id" % ("9" * 400 + str(n)),
    ],
    ids=["entries", "numbers", "attributes", "dots", "depth", "long numbers"],
)
def test_names_that_promise_much_are_refused(weir, target, names):
    parameters = {"Action": "SendMessageBatch", "QueueUrl": target} | {names(n): "x" for n in range(20_000)}
    answer = exchange(weir, post(urllib.parse.urlencode(parameters).encode()))
    assert error_code(answer)


@pytest.mark.parametrize("content_type", ["text/xml", "application/xml", "application/x-www-form-urlencoded", ""])
def test_xml_is_not_parsed(weir, content_type):
    entities = "".join(f'<!ENTITY lol{n} "{f"&lol{n - 1};" * 10}">' for n in range(1, 10))
    bomb = f'<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY lol0 "lol">{entities}]><lolz>&lol9;</lolz>'
    outside = '<?xml version="1.0"?><!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><x>&e;</x>'
    for body in (bomb, outside, "<a>" * 100_000):
        answer = exchange(weir, post(body.encode(), content_type=content_type))
        assert status(answer) == 400 and len(answer) < 4096
        assert b"root:" not in answer


def test_xml_as_a_message_comes_back_as_it_was_sent(weir, sqs):
    bomb = '<!DOCTYPE lolz [<!ENTITY a "&b;&b;">]><Message><Body>&a;</Body></Message>]]>&#0;'
    queue = sqs.create_queue(QueueName="others")["QueueUrl"]
    assert status(exchange(weir, post(send_form(queue, MessageBody=bomb)))) == 200
    form = urllib.parse.urlencode({"Action": "ReceiveMessage", "QueueUrl": queue, "VisibilityTimeout": "0"})
    answer = exchange(weir, post(form.encode())).decode()
    assert answer.count("<Message>") == 1 and "<!DOCTYPE" not in answer
    assert "&lt;!DOCTYPE lolz [&lt;!ENTITY a " in answer and "&amp;#0;" in answer
    assert receive_bodies(sqs, queue) == [bomb]


@pytest.mark.parametrize("raw", [b"%", b"%2", b"%zz", b"%ff", b"%ed%a0%80"], ids=repr)
def test_ten_megabytes_of_percent_signs_are_refused(weir, target, raw):
    flood = raw * (10 * 1000 * 1000 // len(raw))
    for body in (b"&MessageBody=" + flood, b"&" + flood + b"=x", b"&" + flood):
        answer = exchange(weir, post(send_form(target, MessageBody="x") + body))
        assert error_code(answer) == "MalformedQueryString"
        assert len(answer) < 4096


def test_ten_megabytes_of_ampersands_say_nothing(weir, target):
    assert error_code(exchange(weir, post(b"&" * (10 * MIB)))) == "MissingAction"
    assert error_code(exchange(weir, post(b"=&" * (5 * MIB)))) == "MalformedQueryString"


@pytest.mark.parametrize("attribute", ["Policy", "RedrivePolicy", "RedriveAllowPolicy"])
def test_deep_json_within_an_attribute_is_refused(weir, sqs, target, attribute):
    for deep in ("[" * 100_000 + "]" * 100_000, '{"a":' * 100_000 + "1" + "}" * 100_000, "[" * 100_000):
        body = json.dumps({"QueueUrl": target, "Attributes": {attribute: deep}}).encode()
        head = "X-Amz-Target: AmazonSQS.SetQueueAttributes"
        answer = exchange(weir, post(body, "/", head, content_type="application/x-amz-json-1.0"))
        assert status(answer) == 400 and len(answer) < 4096
    found = sqs.get_queue_attributes(QueueUrl=target, AttributeNames=["All"])["Attributes"]
    assert not found.get(attribute)


def test_what_follows_a_request_on_its_connection_is_not_part_of_it(weir, sqs):
    queue = sqs.create_queue(QueueName="others")["QueueUrl"]
    one = post(send_form(queue, MessageBody="pipelined")).replace(b"Connection: close\r\n", b"")
    garbage = b"\x00\xff%n%n<xml/>\r\n\r\n" * 1000
    answer = exchange(weir, one + one + garbage + one)
    assert answer.count(b"HTTP/1.1 200 ") == 2 and answer.count(b"HTTP/1.1 4") <= 1
    assert receive_bodies(sqs, queue, 10) == ["pipelined"] * 2


@pytest.mark.parametrize(
    "framing, refused",
    [
        # The length is the chunks'; the connection goes on behind them or ends, but nobody reads five bytes.
        ("Content-Length: 5\r\nTransfer-Encoding: chunked", False),
        ("Transfer-Encoding: chunked\r\nContent-Length: 5", False),
        ("Transfer-Encoding: identity, chunked, identity", True),
        ("Transfer-Encoding: xchunked", True),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity", True),
        ("Content-Length: 5, 5, 6", True),
        ("Content-Length: +5", True),
        ("Content-Length: 0x5", True),
        ("Content-Length : 5", True),
    ],
)
def test_a_body_that_may_end_in_two_places_hides_no_request(weir, framing, refused):
    # A reader of five bytes is at the second request after the empty chunk; others are at it before or never.
    second = b"GET /health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    answer = exchange(weir, f"POST / HTTP/1.1\r\nHost: x\r\n{framing}\r\n\r\n0\r\n\r\n".encode() + second)
    if refused:
        assert status(answer) == 400 and answer.count(b"HTTP/1.1 ") == 1 and b"live" not in answer
    else:
        assert answer.count(b"HTTP/1.1 ") <= 2


@pytest.mark.parametrize(
    "flood",
    [
        b"1;" + b"x" * 5 * MIB,
        b"1" * MIB,
        b"1\r\nx\r\n" * 200_000 + b"g\r\n",
        b"0\r\n" + b"X-Trailer: x\r\n" * 100_000,
        b"0\r\nX-Trailer: " + b"x" * 5 * MIB,
    ],
    ids=["extension", "size", "small chunks", "trailers", "a long trailer"],
)
def test_chunks_that_are_no_chunks_are_refused(weir, flood):
    head = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    answer = exchange(weir, head + flood)
    assert answer == b"" or 400 <= status(answer) < 500


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0)
# :method POST, :scheme http, :path /, from the static table.
POST_OF_HTTP_2 = b"\x83\x86\x84"
# A header x, which is not kept for later, with a value of 126 bytes.
LONG_FIELD = b"\x00\x01x\x7e" + b"y" * 126


@pytest.mark.parametrize(
    "frames",
    [
        frame(1, 0, 1, POST_OF_HTTP_2) + frame(9, 0, 1, LONG_FIELD * 100) * 2_000,
        b"".join(frame(1, 4, 2 * n + 1, POST_OF_HTTP_2) + frame(3, 0, 2 * n + 1, b"\0\0\0\x08") for n in range(20_000)),
        frame(4, 0, 0) * 200_000,
        frame(6, 0, 0, b"12345678") * 200_000,
        b"".join(frame(1, 4, 2 * n + 1, POST_OF_HTTP_2) for n in range(20_000)),
        b"\xff" * MIB,
    ],
    ids=["continuations", "resets", "settings", "pings", "streams", "garbage"],
)
def test_floods_of_http_2_end(weir, frames):
    with weir.connect() as connection:
        reader = threading.Thread(target=read_all, args=[connection])
        reader.start()
        if send_what_is_taken(connection, PREFACE + frames):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_WR)
        # Both ends are through: the server answered, or hung up.
        reader.join()


def test_a_thousand_connections_that_are_dropped_leave_nothing(weir):
    for _ in range(1000):
        weir.connect().close()

    def descriptors():
        return len(os.listdir(f"/proc/{weir.process.pid}/fd"))

    eventually(lambda: descriptors() < 200, "the connections are gone")
