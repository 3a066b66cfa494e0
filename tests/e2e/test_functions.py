"""Functions: names that answer calls, with workers or a URL behind them."""

import threading

import pytest

from native_words import Native, Problem
from weir_process import Weir, eventually

NOW = {"attempts_max": 3, "backoff": {"fixed_ms": 0}}


def called(weir, name, data, **query):
    """A call under way on a connection of its own."""

    class Calling(threading.Thread):
        def run(self):
            api = Native(weir)
            try:
                self.answer = api.post(f"/v1/functions/{name}/call?" + "&".join(f"{k}={v}" for k, v in query.items()), {"data": data})
            except Problem as problem:
                self.answer = problem

        def end(self):
            self.join(60)
            assert not self.is_alive()
            return self.answer

    thread = Calling()
    thread.start()
    return thread


def leased(api, name):
    """The next call of a function, leased as a worker does."""
    answer = api.post(f"/v1/queues/{name}/lease", {"max": 1, "wait_ms": 30_000})
    (job,) = answer["jobs"]
    return job


def settle(api, name, job, **how):
    api.post(f"/v1/queues/{name}/settle", {"settle": [{"lease": job["lease"]} | how]})


def test_what_a_url_answers_is_the_result_of_a_call(api, function, receiver):
    receiver.answer = lambda request: (200, {}, {"got": request.json})
    name = function(url=receiver.url)
    answer = api.post(f"/v1/functions/{name}/call", {"data": {"image": "ada.png"}})
    assert answer["result"] == {"got": {"image": "ada.png"}}
    request = receiver.next()
    assert request.headers["content-type"] == "application/json" and request.json == {"image": "ada.png"}
    job = api.get(f"/v1/queues/{name}/jobs/{answer['id']}")
    assert job["state"] == "completed"


def test_a_worker_that_pulls_answers_a_call(pushing, api, function):
    name = function()
    assert api.get(f"/v1/functions/{name}")["behind"] == "workers"
    call = called(pushing, name, [1, 2])
    job = leased(api, name)
    assert job["data"] == [1, 2]
    settle(api, name, job, result={"sum": 3})
    assert call.end()["result"] == {"sum": 3}


def test_a_call_that_fails_says_why_and_is_tried_once(api, function, receiver):
    receiver.answer = lambda request: (500, {}, b"out of order")
    name = function(url=receiver.url, retry=NOW)
    with pytest.raises(Problem) as refused:
        api.post(f"/v1/functions/{name}/call", {"data": 1})
    assert (refused.value.status, refused.value.code) == (502, "function.failed")
    assert refused.value.answer["failure"] == "reported"
    assert refused.value.answer["error"]["answer"] == "out of order"
    assert receiver.requests.qsize() == 1
    assert api.get(f"/v1/queues/{name}/jobs/{refused.value.answer['job']}")["state"] == "failed"


def test_a_call_is_tried_again_where_it_asks_for_that(api, function, receiver):
    answers = iter([500, 500, (200, {}, b"fine")])
    receiver.answer = lambda request: next(answers)
    name = function(url=receiver.url)
    assert api.post(f"/v1/functions/{name}/call", {"data": 1, "retry": NOW})["result"] == "fine"


def test_a_call_that_nobody_waits_for_is_tried_as_the_function_says_and_then_goes_to_its_dead_letters(
    api, function, receiver
):
    receiver.answer = lambda request: 500
    api.put("/v1/queues/broken-calls")
    name = function(url=receiver.url, retry=NOW, dead_letters="broken-calls")
    (added,) = api.post(f"/v1/functions/{name}/enqueue", {"data": {"n": 7}})["jobs"]
    eventually(lambda: api.get("/v1/queues/broken-calls")["counters"]["ready"] == 1, "the call is a dead letter")
    assert receiver.requests.qsize() == 3
    job = leased(api, "broken-calls")
    assert (job["id"], job["data"]) == (added["id"], {"n": 7})


def test_a_failed_call_with_dead_letters_tells_its_caller_all_the_same(api, function, receiver):
    receiver.answer = lambda request: (400, {}, b"no")
    api.put("/v1/queues/broken-calls-2")
    name = function(url=receiver.url, dead_letters="broken-calls-2")
    with pytest.raises(Problem) as refused:
        api.post(f"/v1/functions/{name}/call", {"data": 1})
    assert refused.value.answer["error"]["status"] == 400


def test_a_call_that_is_not_begun_in_time_is_not_begun_any_more(api, function):
    name = function()
    with pytest.raises(Problem) as refused:
        api.post(f"/v1/functions/{name}/call?wait_ms=30", {"data": 1})
    assert (refused.value.status, refused.value.code) == (504, "function.timeout")
    path = f"/v1/queues/{name}/jobs/{refused.value.answer['job']}"
    job = eventually(lambda: (found := api.get(path))["state"] == "failed" and found, "the call has expired")
    assert job["failed"] == "expired"


def test_a_call_that_is_begun_goes_on_when_nobody_waits_any_more(pushing, api, function):
    name = function()
    call = called(pushing, name, 1, wait_ms=2_000)
    job = leased(api, name)
    refused = call.end()
    assert refused.code == "function.timeout" and "goes on" in refused.detail
    settle(api, name, job, result="late")
    assert api.get(f"/v1/queues/{name}/jobs/{job['id']}")["result"] == "late"


def test_an_attempt_that_takes_too_long_has_failed(api, function, receiver):
    goes_on = threading.Event()
    receiver.answer = lambda request: 200 if goes_on.wait(60) else 500
    name = function(url=receiver.url, timeout_ms=60)
    with pytest.raises(Problem) as refused:
        api.post(f"/v1/functions/{name}/call", {"data": 1})
    goes_on.set()
    assert refused.value.code == "function.failed"
    # Who is first is not for the test to say: the queue, or the connection.
    assert refused.value.answer["failure"] in ("timed_out", "reported")


def test_no_more_calls_are_under_way_at_the_url_than_the_function_allows(pushing, api, function, receiver):
    under_way, goes_on = threading.Semaphore(0), threading.Event()

    def answer(request):
        under_way.release()
        goes_on.wait(60)
        return 200

    receiver.answer = answer
    name = function(url=receiver.url, concurrency=2)
    calls = [called(pushing, name, n) for n in range(6)]
    for _ in range(2):
        assert under_way.acquire(timeout=30)
    eventually(lambda: api.get(f"/v1/queues/{name}")["counters"]["ready"] == 4, "the others wait")
    goes_on.set()
    assert all("result" in call.end() for call in calls)
    assert receiver.most_under_way == 2


def test_a_call_takes_a_slot_of_every_limiter_that_its_function_names(pushing, api, function, receiver):
    """Two functions share one limiter; each has another one of its own, and needs both."""
    for limiter, concurrency in [("crm", 3), ("cms", 1), ("db", 9)]:
        api.put(f"/v1/limiters/{limiter}", {"concurrency": concurrency})
    goes_on = threading.Event()
    receiver.answer = lambda request: 200 if goes_on.wait(60) else 500
    # As many as there are calls: an adaptive concurrency begins with few, and nothing ends that would let it grow.
    narrow = function(url=receiver.url, concurrency=9, limiters=[{"limiter": "crm"}, {"limiter": "cms"}])
    wide = function(url=receiver.url, concurrency=9, limiters=[{"limiter": "crm"}, {"limiter": "db"}])

    def standing(name):
        counters = api.get(f"/v1/queues/{name}")["counters"]
        return counters["leased"], counters["ready"]

    calls = [called(pushing, narrow, n) for n in range(3)]
    eventually(lambda: standing(narrow) == (1, 2), "one has a slot of cms")
    calls += [called(pushing, wide, n) for n in range(4)]
    eventually(lambda: standing(wide) == (2, 2), "crm has two slots more")
    assert standing(narrow) == (1, 2)
    goes_on.set()
    assert all("result" in call.end() for call in calls)
    assert receiver.most_under_way <= 3


def test_a_function_is_shown_listed_changed_and_deleted_with_its_queue(api, function, receiver):
    name = function(url=receiver.url, description="resizes", timeout_ms=5_000)
    found = api.get(f"/v1/functions/{name}")
    assert (found["behind"], found["description"], found["timeout_ms"]) == ("url", "resizes", 5_000)
    assert found["arn"] == f"arn:aws:lambda:us-east-1:000000000000:function:{name}"
    assert found["push"]["target"]["mode"] == "payload"
    names = [one["name"] for one in api.pages("/v1/functions", "functions", limit=1)]
    assert name in names and names == sorted(names)
    assert "aging" not in names, "a queue is no function"
    changed = api.put(f"/v1/functions/{name}", {})
    assert not changed["created"] and changed["function"]["behind"] == "workers"
    assert "push" not in changed["function"] and changed["function"]["timeout_ms"] == 60_000
    api.delete(f"/v1/functions/{name}")
    for path in (f"/v1/functions/{name}", f"/v1/queues/{name}"):
        with pytest.raises(Problem) as refused:
            api.get(path)
        assert refused.value.status == 404


def test_what_makes_no_sense_is_refused_by_the_name_of_its_field(api, function):
    api.put("/v1/queues/no-function")
    api.put("/v1/queues/ordered.fifo")
    for path, settings, status, text in [
        ("a.fifo", {}, 400, "function: must not end in .fifo"),
        ("no-function", {}, 409, "the queue no-function is no function's"),
        ("a", {"url": "ftp://x"}, 400, "url: must start with http:// or https://, found ftp:"),
        ("a", {"push": {"url": "ftp://x"}}, 400, "push.url: must start with http://"),
        ("a", {"dead_letters": "nowhere"}, 400, "dead_letters: there is no queue called nowhere"),
        ("a", {"dead_letters": "ordered.fifo"}, 400, "dead_letters: must be a standard queue"),
        ("a", {"concurrency": 3}, 400, "concurrency: is for a URL"),
    ]:
        with pytest.raises(Problem) as refused:
            api.put(f"/v1/functions/{path}", settings)
        assert refused.value.status == status and refused.value.detail.startswith(text), refused.value
    name = function()
    for job, text in [
        ({"queue": "x"}, "queue: is that of the function"),
        ({"children": [{}]}, "children: belong to"),
    ]:
        with pytest.raises(Problem) as refused:
            api.post(f"/v1/functions/{name}/call", job)
        assert refused.value.detail.startswith(text)
    for path in ("call", "enqueue"):
        with pytest.raises(Problem) as refused:
            api.post(f"/v1/functions/no-function/{path}", {})
        assert refused.value.code == "function.not_found"


def test_functions_and_their_calls_survive_kill_9(tmp_path, receiver):
    with Weir(tmp_path / "data", "--push-allow-networks", "127.0.0.0/8") as weir:
        api = Native(weir)
        goes_on = threading.Event()
        receiver.answer = lambda request: (200, {}, b"done") if goes_on.wait(60) else 500
        secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
        api.put("/v1/functions/lasting", {"push": {"url": receiver.url, "secrets": [secret]}, "description": "stays"})
        (added,) = api.post("/v1/functions/lasting/enqueue", {"data": 5})["jobs"]
        receiver.next()
        before = api.get("/v1/functions/lasting")
        weir.kill()
        goes_on.set()
        weir.start()
        api = Native(weir)
        after = api.get("/v1/functions/lasting")
        for found in (before, after):
            found["push"].pop("status", None)
        assert after == before and after["push"]["secrets"] == 1
        job = api.get(f"/v1/queues/lasting/jobs/{added['id']}?wait_ms=90000")
        assert (job["state"], job["result"]) == ("completed", "done")
