"""Input that no client of good will sends: refused with a precise 4xx, cheaply, and nothing is stored."""

import json
import socket

import pytest

from sqs_words import counts, receive_bodies, send


def exchange(weir, raw, hang_up=False):
    """Sends bytes on a connection of their own and returns all that comes back."""
    with weir.connect() as connection:
        try:
            connection.sendall(raw)
            if hang_up:
                connection.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        answer = b""
        try:
            while part := connection.recv(65_536):
                answer += part
        except OSError:
            pass
        return answer


def request(body, target="AmazonSQS.SendMessage", length=None):
    length = len(body) if length is None else length
    return (
        f"POST / HTTP/1.1\r\nHost: x\r\nX-Amz-Target: {target}\r\nConnection: close\r\n"
        f"Content-Type: application/x-amz-json-1.0\r\nContent-Length: {length}\r\n\r\n"
    ).encode() + body


def status(answer):
    assert answer.startswith(b"HTTP/1.1 "), answer[:200]
    return int(answer[9:12])


def refusal(answer):
    """The JSON of a 4xx answer."""
    assert 400 <= status(answer) < 500, answer[:500]
    return json.loads(answer.split(b"\r\n\r\n", 1)[1])


def send_body(queue, **more):
    return json.dumps({"QueueUrl": queue, "MessageBody": "x"} | more).encode()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"text"',
        b"12",
        b"{} {}",
        b'{"QueueUrl": "\xff\xfe"}',
        b'{"QueueUrl": "\\ud800"}',
        b'{"QueueUrl": 1e999}',
        b"\x00\x01\x02\x03",
        b"Action=SendMessage&MessageBody=x",
    ],
    ids=repr,
)
def test_a_body_that_is_no_json_object_is_refused(weir, body):
    assert refusal(exchange(weir, request(body)))["__type"]


@pytest.mark.parametrize("opening, closing", [(b"[", b"]"), (b'{"a":', b"}")], ids=["arrays", "objects"])
def test_a_hundred_thousand_levels_of_nesting_are_refused(weir, queue, opening, closing):
    deep = opening * 100_000 + b"1" + closing * 100_000
    assert refusal(exchange(weir, request(deep)))["__type"]
    inside = send_body(queue)[:-1] + b', "MessageAttributes": ' + deep + b"}"
    assert refusal(exchange(weir, request(inside)))["__type"]
    assert exchange(weir, request(deep[:100_000]))
    assert counts(weir.sqs(), queue) == (0, 0, 0)


@pytest.mark.parametrize(
    "more",
    [
        {"MessageBody": 5},
        {"MessageBody": None},
        {"MessageBody": {"a": 1}},
        {"DelaySeconds": "soon"},
        {"DelaySeconds": 1.5},
        {"DelaySeconds": 10**30},
        {"DelaySeconds": True},
        {"MessageAttributes": []},
        {"MessageAttributes": {"a": "b"}},
        {"MessageAttributes": {"a": {"DataType": 1}}},
        {"MessageAttributes": {"a": {"DataType": "Binary", "BinaryValue": "no base64!"}}},
        {"MessageGroupId": []},
        {"QueueUrl": 7},
        {"QueueUrl": None},
    ],
    ids=str,
)
def test_a_value_of_the_wrong_type_is_refused(weir, queue, more):
    assert refusal(exchange(weir, request(send_body(queue, **more))))["__type"]
    assert counts(weir.sqs(), queue) == (0, 0, 0)


def test_unknown_members_are_passed_over(weir, queue):
    assert status(exchange(weir, request(send_body(queue, Colour="blue")))) == 200


def test_characters_that_no_message_may_have_are_accepted_as_our_extension(weir, queue):
    assert status(exchange(weir, request(send_body(queue, MessageBody="\u0001\ufffe")))) == 200
    assert receive_bodies(weir.sqs(), queue) == ["\u0001\ufffe"]


def test_a_request_that_says_it_is_huge_is_refused_before_it_is_sent(weir):
    assert status(exchange(weir, request(b"", length=10**12))) == 413


def test_a_request_that_is_huge_is_refused_without_being_kept(weir, queue):
    size = 40 * 1024 * 1024
    body = send_body(queue)[:-1] + b', "x": "' + b"x" * size + b'"}'
    answer = exchange(weir, request(body))
    # The server may hang up before all was sent; where its answer arrives, it says why.
    assert answer == b"" or status(answer) == 413
    assert counts(weir.sqs(), queue) == (0, 0, 0)


def test_a_huge_chunked_request_is_refused(weir, queue):
    head = request(b"").replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")
    chunk = b"100000\r\n" + b" " * 0x100000 + b"\r\n"
    answer = exchange(weir, head + chunk * 40 + b"0\r\n\r\n")
    assert answer == b"" or status(answer) == 413


def test_a_request_cut_off_in_its_body_stores_nothing(weir, queue):
    body = send_body(queue)
    for cut in range(0, len(body), 7):
        exchange(weir, request(body[:cut], length=len(body)), hang_up=True)
    assert counts(weir.sqs(), queue) == (0, 0, 0)


@pytest.mark.parametrize(
    "raw",
    [
        b"\r\n\r\n\r\n",
        b"GET\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"POST / HTTP/9.9\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nBad Header: x\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\nZZZ\r\n",
    ],
    ids=repr,
)
def test_what_is_no_http_is_refused_or_cut_off(weir, raw):
    answer = exchange(weir, raw, hang_up=True)
    assert answer == b"" or 400 <= status(answer) < 600


def test_headers_without_end_are_refused(weir):
    many = b"".join(b"X-Header-%d: x\r\n" % n for n in range(10_000))
    answer = exchange(weir, b"POST / HTTP/1.1\r\nHost: x\r\n" + many + b"\r\n")
    assert answer == b"" or status(answer) in (400, 431)
    long = b"X-Long: " + b"x" * 10_000_000 + b"\r\n"
    answer = exchange(weir, b"POST / HTTP/1.1\r\nHost: x\r\n" + long + b"\r\n")
    assert answer == b"" or status(answer) in (400, 431)


def test_an_unknown_path_or_method_is_refused(weir):
    assert status(exchange(weir, b"GET /no/such/page HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")) in (400, 404)
    assert status(exchange(weir, b"DELETE / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")) in (400, 404, 405)


def test_the_server_serves_on_after_all_this(weir, queue):
    for raw in (b"\x00" * 1000, request(b"{"), request(b"x" * 10, length=20)):
        exchange(weir, raw, hang_up=True)
    send(weir.sqs(), queue, "x")
    assert receive_bodies(weir.sqs(), queue) == ["x"]
    assert weir.process.poll() is None
