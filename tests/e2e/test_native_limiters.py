"""Limiters and permits over the native API."""

import socket

import pytest

from native_words import Problem
from weir_process import eventually


@pytest.fixture
def limiter(native, request):
    """A limiter of a test's own: its path."""
    path = "/v1/limiters/" + request.node.name.replace("[", "-").replace("]", "")
    yield path
    try:
        native.delete(path)
    except Problem:
        pass


def test_a_limiter_is_put_changed_listed_and_deleted(native, limiter):
    terms = {
        "windows": [{"max": 50, "per_ms": 10_000}, {"max": 300, "per_ms": 60_000, "counts": "units"}],
        "concurrency": 5,
        "reserves": [{"priority_max": 0, "share": 20}],
    }
    put = native.put(limiter, terms)
    assert put["created"] is True
    found = native.get(limiter)
    assert found["limiter"]["terms"]["windows"][1] == {"max": 300, "per_ms": 60_000, "counts": "units"}
    assert found["state"]["windows"] == [{"used": 0, "max": 50}, {"used": 0, "max": 300}]
    put = native.put(limiter, {"concurrency": 1})
    assert (put["created"], put["limiter"]["version"], put["limiter"]["terms"]["windows"]) == (False, 2, [])
    assert found["limiter"]["name"] in [each["name"] for each in native.get("/v1/limiters", limit=1_000)["limiters"]]
    native.delete(limiter)
    with pytest.raises(Problem) as refused:
        native.get(limiter)
    assert refused.value.code == "limiter.not_found"


def test_terms_that_cannot_be_kept_are_refused(native, limiter):
    with pytest.raises(Problem) as refused:
        native.put(limiter, {"windows": [{"max": 0, "per_ms": 1}]})
    assert refused.value.code == "limiter.out_of_range"
    assert "from 1 to" in refused.value.detail
    with pytest.raises(Problem) as refused:
        native.put(limiter, {"windows": [{"max": 1, "per_ms": 1}] * 5})
    assert refused.value.code == "limiter.too_many"


def test_programs_outside_take_permits_and_settle_them(native, limiter):
    native.put(limiter, {"concurrency": 1})
    first = native.post(f"{limiter}/acquire", {"lease_ms": 60_000})
    assert first["granted"] is True
    second = native.post(f"{limiter}/acquire")
    assert (second["granted"], second["blocked"]["reason"]) == (False, "as many run as may")
    assert native.post(f"{limiter}/acquire", {"key": "other"})["granted"] is True
    native.post(f"{limiter}/settle", {"permit": first["permit"]})
    third = native.post(f"{limiter}/acquire")
    assert third["granted"] is True
    native.post(f"{limiter}/release", {"permit": third["permit"]})
    for permit in (third["permit"], "nonsense"):
        with pytest.raises(Problem) as refused:
            native.post(f"{limiter}/release", {"permit": permit})
        assert refused.value.code == "permit.not_found"


def test_a_paused_key_starts_nothing_until_it_is_resumed(native, limiter):
    native.put(limiter, {"concurrency": 9})
    native.post(f"{limiter}/keys/a%2Fb/pause", {"for_ms": 3_600_000})
    assert native.get(f"{limiter}/keys/a%2Fb")["paused_until_ms"] > 0
    assert native.post(f"{limiter}/acquire", {"key": "a/b"})["blocked"]["reason"] == "it is paused"
    assert native.post(f"{limiter}/acquire", {"key": "c"})["granted"] is True
    native.post(f"{limiter}/keys/a%2Fb/resume")
    assert native.post(f"{limiter}/acquire", {"key": "a/b"})["granted"] is True


def test_a_limiter_is_paused_for_what_has_no_key(native, limiter):
    native.put(limiter, {"concurrency": 9})
    native.post(f"{limiter}/pause", {"for_ms": 3_600_000})
    assert native.get(limiter)["state"]["paused_until_ms"] > 0
    assert native.post(f"{limiter}/acquire")["blocked"]["reason"] == "it is paused"
    assert native.post(f"{limiter}/acquire", {"key": "own"})["granted"] is True
    native.post(f"{limiter}/resume")
    assert native.post(f"{limiter}/acquire")["granted"] is True


def test_the_window_of_a_permit_counts_from_its_answer_and_not_from_its_end(native, limiter):
    native.put(limiter, {"windows": [{"max": 1, "per_ms": 300}]})
    for _ in range(3):
        # None is ever settled, and each lasts for an hour.
        assert native.post(f"{limiter}/acquire", {"lease_ms": 3_600_000, "wait_ms": 60_000})["granted"] is True


def test_who_waited_for_a_permit_and_went_away_takes_none(weir, native, limiter, waiting_receivers):
    native.put(limiter, {"concurrency": 1})
    permit = native.post(f"{limiter}/acquire", {"lease_ms": 3_600_000})["permit"]
    body = b'{"lease_ms": 3600000, "wait_ms": 3600000}'
    before = waiting_receivers()
    gone = weir.connect()
    gone.sendall(
        f"POST {limiter}/acquire HTTP/1.1\r\nHost: weir\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n".encode()
        + body
    )
    eventually(lambda: waiting_receivers() > before, "somebody waits for the permit")
    gone.shutdown(socket.SHUT_RDWR)
    gone.close()
    eventually(lambda: waiting_receivers() == before, "he is forgotten")
    native.post(f"{limiter}/release", {"permit": permit})
    assert native.post(f"{limiter}/acquire", {"wait_ms": 60_000})["granted"] is True


def test_jobs_of_a_throttled_key_do_not_hold_up_others(native, limiter, make_jobs):
    native.put(limiter, {"windows": [{"max": 1, "per_ms": 3_600_000}]})
    jobs = make_jobs(limiters=[{"limiter": limiter.rsplit("/", 1)[1], "key": "data.to"}])
    jobs.add(*({"data": {"to": to, "n": n}} for n in range(3) for to in ("ada", "bob")))
    assert [job["data"] for job in jobs.lease(max=10)] == [{"to": "ada", "n": 0}, {"to": "bob", "n": 0}]
    assert jobs.lease(max=10) == []
    waiting = jobs.list(states="ready")["jobs"][0]
    explained = native.get(f"{jobs.path}/jobs/{waiting['id']}/explain")
    [hold] = [hold for hold in explained["holds"] if hold["by"] == "limiter"]
    assert (hold["limiter"], hold["key"]) == (limiter.rsplit("/", 1)[1], waiting["data"]["to"])


def test_a_worker_pauses_the_key_that_asked_to_be_left_alone(native, limiter, make_jobs):
    native.put(limiter, {"concurrency": 100})
    jobs = make_jobs(limiters=[{"limiter": limiter.rsplit("/", 1)[1], "key": "attributes.host"}])
    jobs.add(*({"attributes": {"host": host}} for host in ("slow", "slow", "fast")))
    job = jobs.lease()[0]
    assert job["attributes"]["host"] == "slow"
    jobs.settle({"lease": job["lease"], "action": "release", "pause": {"for_ms": 3_600_000}})
    assert [job["attributes"]["host"] for job in jobs.lease(max=9)] == ["fast"]
