"""Queues with a URL behind them, and what may be at that URL."""

import gzip
import itertools
import json
import threading

import pytest
from cloudevents.core.bindings.http import HTTPMessage, from_http_event
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from native_words import Native, Problem
from receiver import Receiver, break_off
from sqs_words import send
from weir_process import eventually

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
SECOND = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
NOW = {"attempts_max": 3, "backoff": {"fixed_ms": 0}}

_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def api(pushing):
    return Native(pushing)


class Pushed:
    """A queue with a push target."""

    def __init__(self, api, name):
        self.api, self.name, self.path = api, name, f"/v1/queues/{name}"

    def set(self, url, **settings):
        return self.api.put(f"{self.path}/push", {"url": url} | settings)

    def add(self, *jobs, **one):
        jobs = jobs or [one]
        added = self.api.post(f"{self.path}/jobs", {"jobs": [job if "data" in job else {"data": job} for job in jobs]})
        return [each["id"] for each in added["jobs"]]

    def job(self, job):
        return self.api.get(f"{self.path}/jobs/{job}")

    def becomes(self, job, state):
        return eventually(lambda: (found := self.job(job))["state"] == state and found, f"job {job} is {state}")

    def counters(self):
        return self.api.get(self.path)["counters"]

    def status(self):
        return self.api.get(f"{self.path}/push").get("status", {})


@pytest.fixture
def pushed(api):
    """Makes queues with a target."""
    made = []

    def make(fifo=False, **settings):
        name = f"push-{next(_numbers)}" + (".fifo" if fifo else "")
        api.put(f"/v1/queues/{name}", {"retry": NOW} | settings)
        made.append(Pushed(api, name))
        return made[-1]

    yield make
    for queue in made:
        try:
            api.delete(queue.path)
        except Problem:
            pass


def test_a_job_is_pushed_and_its_answer_is_its_result(pushed, receiver):
    queue = pushed()
    receiver.answer = lambda request: (200, {}, {"sent": True})
    queue.set(receiver.url)
    (job,) = queue.add({"name": "welcome", "data": {"to": "ada"}, "attributes": {"tenant": "acme"}})
    request = receiver.next()
    assert request.path == "/hook"
    body = request.json
    assert (body["id"], body["queue"], body["name"], body["data"]) == (job, queue.name, "welcome", {"to": "ada"})
    assert (body["attempt"], body["attributes"]) == (1, {"tenant": "acme"})
    assert request.headers["content-type"] == "application/json"
    assert request.headers["traceparent"].startswith("00-")
    assert queue.becomes(job, "completed")["result"] == {"sent": True}
    assert queue.status()["delivered"] == 1


def test_a_message_of_sqs_is_pushed_too(pushing, pushed, receiver):
    queue = pushed()
    queue.set(receiver.url)
    sqs = pushing.sqs()
    send(sqs, sqs.get_queue_url(QueueName=queue.name)["QueueUrl"], "no JSON")
    assert receiver.next().json["data"] == "no JSON"


def test_a_target_that_fails_gets_the_job_again_until_its_attempts_are_over(pushed, receiver):
    queue = pushed()
    receiver.answer = lambda request: (500, {}, b"out of order")
    queue.set(receiver.url)
    (job,) = queue.add(n=1)
    assert [receiver.next().json["attempt"] for _ in range(3)] == [1, 2, 3]
    failed = queue.becomes(job, "failed")
    assert [attempt["error"]["error"] for attempt in failed["history"]] == ["answered 500"] * 3
    assert failed["history"][0]["error"]["answer"] == "out of order"
    assert queue.status()["last_errors"][0]["error"] == "answered 500"


@pytest.mark.parametrize("status", [400, 401, 404, 410, 422])
def test_an_answer_that_blames_the_job_fails_it_for_good(pushed, receiver, status):
    queue = pushed()
    receiver.answer = lambda request: status
    queue.set(receiver.url)
    (job,) = queue.add(n=1)
    queue.becomes(job, "failed")
    assert receiver.requests.qsize() == 1


@pytest.mark.parametrize("status", [408, 425, 500, 503, 302])
def test_other_answers_are_tried_again(pushed, receiver, status):
    queue = pushed()
    answers = iter([status, 200])
    receiver.answer = lambda request: (next(answers), {"location": receiver.url + "/elsewhere"}, b"")
    queue.set(receiver.url)
    (job,) = queue.add(n=1)
    queue.becomes(job, "completed")
    requests = [receiver.next(), receiver.next()]
    assert [request.path for request in requests] == ["/hook", "/hook"], "no redirect is followed"
    assert requests[1].json["attempt"] == 2


@pytest.mark.parametrize("headers", [{"retry-after": "0"}, {}])
def test_throttling_costs_no_attempt(pushed, receiver, headers):
    queue = pushed()
    answers = iter([429, 429, 429, 429, 200])
    receiver.answer = lambda request: (next(answers), headers, b"")
    queue.set(receiver.url)
    (job,) = queue.add(n=1)
    queue.becomes(job, "completed")
    assert [receiver.next().json["attempt"] for _ in range(5)] == [1] * 5
    assert queue.status()["throttled"] == 4


def test_a_target_that_says_when_to_come_back_is_left_alone_until_then(pushed, receiver):
    queue = pushed()
    receiver.answer = lambda request: (503, {"retry-after": "3600"}, b"")
    queue.set(receiver.url)
    (job,) = queue.add(n=1)
    receiver.next()
    eventually(lambda: queue.api.get(queue.path)["paused"], "the queue is held back")
    assert queue.job(job)["state"] == "ready"
    assert queue.job(job)["failures"] == 0
    receiver.answer = lambda request: 200
    queue.api.post(f"{queue.path}/resume")
    queue.becomes(job, "completed")


def pushed_over_one_connection(pushed, receiver, end, **settings):
    """A queue and its second job, whose first request comes over the connection of the first job's and meets `end`; and
    the connections that requests of both came over."""
    queue = pushed(**settings)
    answers = iter([200, end])
    receiver.answer = lambda request: next(answers, 200)
    queue.set(receiver.url)
    (before,) = queue.add({"data": 1})
    queue.becomes(before, "completed")
    (job,) = queue.add({"data": 2})
    connections = [receiver.next().connection for _ in range(3)]
    return queue, job, connections


def test_a_request_that_meets_the_end_of_a_kept_connection_is_sent_once_more_at_no_cost(pushed, receiver):
    queue, job, (first, second, third) = pushed_over_one_connection(pushed, receiver, break_off(b""))
    seen = queue.becomes(job, "completed")
    assert (seen["failures"], seen["leases"]) == (0, 1)
    assert first == second != third


def test_what_may_not_be_sent_once_more_costs_an_attempt(pushed, receiver):
    queue, job, (first, second, third) = pushed_over_one_connection(pushed, receiver, break_off(b"HTTP/1.1 2"))
    assert queue.becomes(job, "completed")["failures"] == 1
    assert first == second != third


def test_under_a_limiter_a_start_is_one_request(api, pushed, receiver):
    api.put("/v1/limiters/one-start-one-request", {"concurrency": 1})
    limiters = [{"limiter": "one-start-one-request"}]
    queue, job, (first, second, _) = pushed_over_one_connection(pushed, receiver, break_off(b""), limiters=limiters)
    assert queue.becomes(job, "completed")["failures"] == 1
    assert first == second


@pytest.mark.parametrize(
    "answer",
    [
        break_off(b""),
        break_off(b"this is no HTTP\r\n\r\n"),
        break_off(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nonly a part"),
        break_off(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\n"),
        break_off(b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 10_000),
    ],
    ids=["nothing", "garbage", "half a body", "broken chunks", "headers without end"],
)
def test_an_answer_that_breaks_off_is_a_failure_that_is_tried_again(pushed, receiver, answer):
    queue = pushed()
    answers = iter([answer, 200])
    receiver.answer = lambda request: next(answers)
    queue.set(receiver.url)
    (job,) = queue.add(n=1)
    assert queue.becomes(job, "completed")["failures"] == 1


def test_a_target_that_stalls_runs_out_of_time(pushed, receiver):
    queue = pushed()
    goes_on = threading.Event()
    receiver.answer = lambda request: 200 if goes_on.wait(60) else 500
    queue.set(receiver.url, timeouts={"first_byte_ms": 50, "connect_ms": 50})
    (job,) = queue.add(n=1)
    failed = queue.becomes(job, "failed")
    goes_on.set()
    assert failed["history"][0]["error"]["error"] == "no answer within 100 ms"


def test_a_long_answer_is_not_read_to_its_end(pushed, receiver):
    queue = pushed()
    receiver.answer = lambda request: (200, {}, {"long": "x" * 100_000})
    queue.set(receiver.url, response_bytes_max=1_000)
    (job,) = queue.add(n=1)
    assert queue.becomes(job, "completed").get("result") is None


def test_requests_are_signed_by_all_secrets(pushed, receiver):
    queue = pushed()
    shown = queue.set(receiver.url, secrets=[SECRET, SECOND])
    assert shown["secrets"] == 2 and "whsec" not in json.dumps(shown)
    queue.add(n=1)
    request = receiver.next()
    for secret in [SECRET, SECOND]:
        assert Webhook(secret).verify(request.body, dict(request.headers))["data"] == {"n": 1}
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(request.body + b" ", dict(request.headers))
    # Other settings change, and the secrets stay; then one of them goes.
    queue.set(receiver.url, compression="gzip")
    queue.add(n=2)
    request = receiver.next()
    assert request.headers["content-encoding"] == "gzip"
    assert Webhook(SECRET).verify(gzip.decompress(request.body), dict(request.headers))["data"] == {"n": 2}
    queue.set(receiver.url, secrets=[SECOND])
    queue.add(n=3)
    request = receiver.next()
    Webhook(SECOND).verify(request.body, dict(request.headers))
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(request.body, dict(request.headers))


def test_the_id_of_a_request_is_the_same_in_each_attempt(pushed, receiver):
    queue = pushed()
    answers = iter([500, 200])
    receiver.answer = lambda request: next(answers)
    queue.set(receiver.url)
    queue.add(n=1)
    assert receiver.next().headers["webhook-id"] == receiver.next().headers["webhook-id"]


@pytest.mark.parametrize("mode", ["cloudevents", "cloudevents_binary"])
def test_events_are_read_by_the_library_of_cloudevents(pushed, receiver, mode):
    queue = pushed()
    queue.set(receiver.url, mode=mode)
    queue.add({"name": "order.placed", "data": {"order": 7}, "attributes": {"tenant": "acme"}, "custom_id": "order 7"})
    request = receiver.next()
    event = from_http_event(HTTPMessage(headers=dict(request.headers), body=request.body))
    assert (event.get_type(), event.get_source()) == ("order.placed", f"/v1/queues/{queue.name}")
    assert (event.get_subject(), event.get_extension("tenant")) == ("order 7", "acme")
    data = event.get_data()
    assert (data if isinstance(data, dict) else json.loads(data)) == {"order": 7}


def test_a_lambda_batch_settles_each_message_by_the_answer(pushing, pushed, receiver):
    queue = pushed()
    receiver.answer = lambda request: (
        200,
        {},
        {"batchItemFailures": [{"itemIdentifier": r["messageId"]} for r in request.json["Records"] if r["body"] == "bad"]},
    )
    sqs = pushing.sqs()
    url = sqs.get_queue_url(QueueName=queue.name)["QueueUrl"]
    sent = [sqs.send_message(QueueUrl=url, MessageBody=body)["MessageId"] for body in ["one", "bad", "two"]]
    queue.set(receiver.url, mode="lambda")
    record = receiver.next().json["Records"][0]
    assert (record["messageId"], record["body"], record["eventSource"]) == (sent[0], "one", "aws:sqs")
    assert record["eventSourceARN"].endswith(queue.name)
    eventually(lambda: queue.counters()["completed"] == 2 and queue.counters()["failed"] == 1, "all are settled")


def test_a_batch_fills_and_answers_for_each_job(pushed, receiver):
    queue = pushed()

    def answer(request):
        ids = {job["data"]["n"]: job["id"] for job in request.json["jobs"]}
        return 200, {}, {"failed": [{"id": ids[1], "error": "no", "retry": False}], "results": {ids[2]: {"n": 2}}}

    receiver.answer = answer
    queue.set(receiver.url, batch={"max": 3, "wait_ms": 60_000})
    jobs = queue.add(*({"n": n} for n in range(3)))
    assert len(receiver.next().json["jobs"]) == 3
    assert queue.becomes(jobs[1], "failed")["history"][0]["error"] == "no"
    assert queue.becomes(jobs[2], "completed")["result"] == {"n": 2}
    queue.becomes(jobs[0], "completed")


def test_a_batch_whose_answer_makes_no_sense_fails_as_a_whole(pushed, receiver):
    queue = pushed()
    receiver.answer = lambda request: (200, {"content-type": "application/json"}, b"{")
    queue.set(receiver.url, batch={"max": 2, "wait_ms": 60_000})
    jobs = queue.add({"n": 1}, {"n": 2})
    for job in jobs:
        assert "makes no sense" in queue.becomes(job, "failed")["history"][0]["error"]["error"]


def test_a_target_calls_back(pushing, pushed, receiver):
    queue = pushed()
    receiver.answer = lambda request: (202, {}, {"token": request.headers["weir-callback-token"]})
    queue.set(receiver.url)
    (job,) = queue.add(n=1)
    token = receiver.next().headers["weir-callback-token"]
    eventually(lambda: queue.status().get("delivered") == 1, "the answer is understood")
    assert queue.job(job)["state"] == "leased"
    anybody = Native(pushing)
    assert anybody.post(f"/v1/push/callbacks/{token}", {"action": "extend", "progress": 50})["state"] == "leased"
    assert anybody.post(f"/v1/push/callbacks/{token}", {"result": {"done": 1}})["state"] == "completed"
    assert queue.job(job)["result"] == {"done": 1}
    for wrong, code in [(token, "lease.lost"), ("nonsense", "lease.invalid"), (token[:-4] + "AAAA", "lease.invalid")]:
        with pytest.raises(Problem) as refused:
            anybody.post(f"/v1/push/callbacks/{wrong}")
        assert refused.value.code == code


def test_a_target_that_never_calls_back_loses_the_job(pushed, receiver):
    queue = pushed()
    receiver.answer = lambda request: (202, {"weir-callback-token": request.headers["weir-callback-token"]}, b"")
    queue.set(receiver.url, timeouts={"callback_ms": 50})
    (job,) = queue.add(n=1)
    assert [receiver.next().json["leases"] for _ in range(3)] == [1, 2, 3]
    queue.becomes(job, "failed")


def test_templates_make_headers_and_body(pushed, receiver):
    queue = pushed()
    queue.set(
        receiver.url,
        headers={"x-tenant": "{{ job.attributes.tenant }}", "content-type": "text/plain"},
        secret_headers={"authorization": "Bearer hush"},
        body="Hello {{ job.data.name }}",
    )
    queue.add({"data": {"name": "Ada"}, "attributes": {"tenant": "acme"}})
    request = receiver.next()
    assert (request.body, request.headers["x-tenant"]) == (b"Hello Ada", "acme")
    assert (request.headers["content-type"], request.headers["authorization"]) == ("text/plain", "Bearer hush")
    shown = queue.api.get(f"{queue.path}/push")
    assert shown["secret_headers"] == ["authorization"] and "hush" not in json.dumps(shown)
    (job,) = queue.add({"data": {}, "attributes": {"tenant": "acme"}})
    assert "undefined" in queue.becomes(job, "failed")["history"][0]["error"]["error"]


def test_what_makes_no_sense_is_refused_when_it_is_set(pushed):
    queue = pushed()
    for settings, field in [
        ({"url": "ftp://a"}, "url"),
        ({"url": "http://a", "body": "{{"}, "body"),
        ({"url": "http://a", "secrets": ["x"]}, "secrets[0]"),
        ({"url": "http://a", "concurrency": {"max": 0}}, "concurrency.max"),
        ({"url": "https://a", "ca": "x"}, "ca"),
    ]:
        with pytest.raises(Problem) as refused:
            queue.api.put(f"{queue.path}/push", settings)
        assert (refused.value.code, refused.value.field) == ("request.invalid", field)
    with pytest.raises(Problem) as refused:
        queue.api.get(f"{queue.path}/push")
    assert refused.value.code == "push.not_found"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0", "2130706433"])
def test_addresses_that_are_not_public_are_not_called(own_weir, receiver, host):
    server = own_weir()
    api = Native(server)
    queue = Pushed(api, "inside")
    api.put(queue.path, {"retry": {"attempts_max": 1}})
    queue.set(f"http://{host}:{receiver.port}/hook")
    (job,) = queue.add(n=1)
    error = queue.becomes(job, "failed")["history"][0]["error"]["error"]
    assert "push.allow_networks" in error or "cannot look up" in error, error
    assert receiver.requests.empty()


def test_no_more_requests_are_under_way_than_may_be(pushed, receiver):
    queue = pushed()
    together = threading.Barrier(3)
    receiver.answer = lambda request: 200 if together.wait(30) is not None else 500
    queue.set(receiver.url, concurrency={"max": 3, "adaptive": False})
    queue.add(*({"n": n} for n in range(30)))
    eventually(lambda: queue.counters()["completed"] == 30, "all are pushed")
    assert receiver.most_under_way == 3


def test_the_order_within_a_group_is_kept_and_a_failure_stops_it(pushed, receiver):
    queue = pushed(fifo=True)
    fails = {("a", 1)}

    def answer(request):
        job = request.json
        return 500 if (job["group"], job["data"]["n"]) in fails and job["attempt"] == 1 else 200

    receiver.answer = answer
    queue.add(*({"data": {"n": n}, "group": group} for n in range(4) for group in "ab"))
    queue.set(receiver.url)
    eventually(lambda: queue.counters()["completed"] == 8, "all are pushed")
    came = [receiver.next().json for _ in range(9)]
    assert [job["data"]["n"] for job in came if job["group"] == "a"] == [0, 1, 1, 2, 3]
    assert [job["data"]["n"] for job in came if job["group"] == "b"] == [0, 1, 2, 3]
    assert all(job["attempt"] == 1 for job in came if (job["group"], job["data"]["n"]) not in fails)


def test_limiters_of_the_queue_hold_pushes_back(api, pushed, receiver):
    api.put("/v1/limiters/downstream", {"concurrency": 2})
    queue = pushed(limiters=[{"limiter": "downstream"}])
    together = threading.Barrier(2)
    receiver.answer = lambda request: 200 if together.wait(30) is not None else 500
    queue.set(receiver.url, concurrency={"max": 50, "adaptive": False})
    queue.add(*({"n": n} for n in range(20)))
    eventually(lambda: queue.counters()["completed"] == 20, "all are pushed")
    assert receiver.most_under_way == 2


def test_the_breaker_opens_and_probes(pushed, receiver):
    queue = pushed(retry={"attempts_max": 50, "backoff": {"fixed_ms": 0}})
    receiver.answer = lambda request: 500
    queue.set(receiver.url, breaker={"failures": 3, "open_ms": 100}, concurrency={"max": 1, "adaptive": False})
    (job,) = queue.add(n=1)
    eventually(lambda: queue.status().get("breaker") in ("open", "half_open"), "the breaker opens")
    receiver.answer = lambda request: 200
    failures = queue.becomes(job, "completed")["failures"]
    assert 3 <= failures <= receiver.requests.qsize()
    assert queue.status()["breaker"] == "closed"


def test_a_paused_target_gets_nothing_until_it_is_resumed(pushed, receiver):
    queue = pushed()
    queue.set(receiver.url)
    paused = queue.api.post(f"{queue.path}/push/pause")
    assert paused["paused"] is True
    eventually(lambda: queue.status().get("state") == "paused", "it is paused")
    (job,) = queue.add(n=1)
    queue.set(receiver.url, compression="gzip")
    assert queue.api.get(f"{queue.path}/push")["paused"] is True, "a change does not resume it"
    assert queue.job(job)["leases"] == 0
    queue.api.post(f"{queue.path}/push/resume")
    queue.becomes(job, "completed")


def test_without_its_target_a_queue_is_one_like_any_other(pushed, receiver):
    queue = pushed()
    queue.set(receiver.url)
    queue.add(n=1)
    receiver.next()
    queue.api.delete(f"{queue.path}/push")
    (job,) = queue.add(n=2)

    def leased():
        return queue.api.post(f"{queue.path}/lease", {"max": 1})["jobs"]

    assert eventually(leased, "a worker gets it")[0]["id"] == job


def test_nothing_is_lost_when_the_server_is_killed(own_weir, receiver):
    server = own_weir("--push-allow-networks", "127.0.0.1")
    queue = Pushed(Native(server), "killed")
    queue.api.put(queue.path, {"stalls_max": 100})
    counts = {}

    def answer(request):
        with receiver.lock:
            number = request.json["data"]["n"]
            counts[number] = counts.get(number, 0) + 1
        return 200

    receiver.answer = answer
    queue.set(receiver.url, timeouts={"total_ms": 1_000}, secrets=[SECRET])
    for start in range(0, 2_000, 500):
        queue.add(*({"n": n} for n in range(start, start + 500)))
        eventually(lambda: len(counts) > start // 2, "some are pushed")
        server.kill()
        server.start()
        queue = Pushed(Native(server), "killed")
    eventually(lambda: len(counts) == 2_000, "all are pushed", 90)
    eventually(lambda: queue.counters()["completed"] == 2_000, "all are settled", 90)
    assert queue.counters()["failed"] == 0
    while not receiver.requests.empty():
        request = receiver.next()
    Webhook(SECRET).verify(request.body, dict(request.headers))


def test_a_server_that_ends_lets_pushes_end(own_weir, receiver):
    server = own_weir("--push-allow-networks", "127.0.0.1")
    queue = Pushed(Native(server), "ending")
    queue.api.put(queue.path, {})
    goes_on = threading.Event()
    receiver.answer = lambda request: 200 if goes_on.wait(30) else 500
    queue.set(receiver.url)
    (job,) = queue.add(n=1)
    receiver.next()
    ending = threading.Thread(target=server.end)
    ending.start()
    eventually(lambda: server.get("/health/ready")[0] != 200, "the server ends")
    goes_on.set()
    ending.join()
    server.start()
    found = Pushed(Native(server), "ending").job(job)
    assert (found["state"], found["leases"]) == ("completed", 1)


def test_dead_targets_do_not_slow_a_live_one(pushed, receiver):
    free = Receiver()
    port = free.port
    free.close()
    dead = [pushed(retry={"attempts_max": 1_000, "backoff": {"fixed_ms": 0}}) for _ in range(50)]
    for queue in dead:
        queue.set(f"http://127.0.0.1:{port}/gone", breaker={"failures": 2, "open_ms": 60_000})
        queue.add({"n": 1}, {"n": 2})
    for queue in dead:
        eventually(lambda: queue.status().get("breaker") == "open", "the breaker opens")
    live = pushed()
    live.set(receiver.url)
    live.add(*({"n": n} for n in range(500)))
    eventually(lambda: live.counters()["completed"] == 500, "the live one is served")
    assert all(queue.status()["failed"] <= 4 for queue in dead)


def test_the_command_line_sets_shows_and_forwards(pushing, pushed, receiver, cli):
    queue = pushed()
    url = {"WEIR_URL": pushing.url}
    done = cli("push", "set", queue.name, receiver.url, "--concurrency", "2", "--secret", SECRET, **url)
    assert (done.returncode, done.stdout) == (0, f"jobs of {queue.name} are pushed to {receiver.url}\n"), done.stderr
    queue.add(n=1)
    Webhook(SECRET).verify((request := receiver.next()).body, dict(request.headers))
    shown = cli("push", "get", queue.name, **url).stdout
    assert receiver.url in shown and "whsec" not in shown
    assert cli("push", "pause", queue.name, **url).returncode == 0
    assert queue.api.get(f"{queue.path}/push")["paused"] is True
    assert cli("push", "delete", queue.name, **url).returncode == 0
    assert cli("push", "get", queue.name, **url).returncode != 0
