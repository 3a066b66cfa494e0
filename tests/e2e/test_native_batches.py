"""Batches of jobs for a worker: by number, by bytes, by waiting for more, of one group; each settled on its own."""

import concurrent.futures

from native_words import Native
from weir_process import PATIENCE_SECONDS, eventually

LONG = 3_600_000


def waiting_lease(pool, weir, jobs, **request):
    """A lease of another worker that goes on in the background."""
    other = Native(weir)
    return pool.submit(lambda: other.post(f"{jobs.path}/lease", request)["jobs"])


def test_a_batch_waits_until_it_is_full(weir, jobs, waiting_receivers):
    before = waiting_receivers()
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        batch = waiting_lease(pool, weir, jobs, max=500, wait_ms=LONG, linger_ms=LONG)
        eventually(lambda: waiting_receivers() == before + 1, "the batch waits")
        jobs.add(*({"data": n} for n in range(499)))
        # Nothing is leased while it fills: who wants what is there now gets it.
        assert jobs.counters()["leased"] == 0
        assert not batch.done()
        jobs.add({"data": 499}, {"data": 500})
        assert [job["data"] for job in batch.result(PATIENCE_SECONDS)] == list(range(500))
    assert [job["data"] for job in jobs.lease(max=10)] == [500]


def test_a_batch_that_does_not_become_full_comes_when_it_has_waited_long_enough(weir, jobs, waiting_receivers):
    before = waiting_receivers()
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        batch = waiting_lease(pool, weir, jobs, max=500, wait_ms=LONG, linger_ms=200)
        eventually(lambda: waiting_receivers() == before + 1, "the batch waits")
        # However short the time to fill, it begins with the first job.
        jobs.add({"data": 1})
        assert [job["data"] for job in batch.result(PATIENCE_SECONDS)] == [1]


def test_a_batch_is_full_by_bytes_too(weir, jobs, waiting_receivers):
    before = waiting_receivers()
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        batch = waiting_lease(pool, weir, jobs, max=500, bytes_max=3_000, wait_ms=LONG, linger_ms=LONG)
        eventually(lambda: waiting_receivers() == before + 1, "the batch waits")
        jobs.add(*({"data": "x" * 1_000} for _ in range(4)))
        assert 1 <= len(batch.result(PATIENCE_SECONDS)) <= 3


def test_a_batch_that_is_full_brings_what_its_limiter_lets_start(make_jobs, native):
    native.put("/v1/limiters/batch-of-two", {"concurrency": 2})
    jobs = make_jobs(limiters=[{"limiter": "batch-of-two"}])
    jobs.add(*({"data": n} for n in range(3)))
    assert [job["data"] for job in jobs.lease(max=3, wait_ms=LONG, linger_ms=LONG)] == [0, 1]


def test_a_batch_of_one_group_holds_no_other(jobs):
    jobs.add(*({"group": group, "data": f"{group}{n}"} for n in range(3) for group in ("a", "b")))
    first = jobs.lease(max=10, one_group=True)
    second = jobs.lease(max=10, one_group=True)
    assert sorted([[job["data"] for job in first], [job["data"] for job in second]]) == [["a0", "a1", "a2"], ["b0", "b1", "b2"]]
    for batch in (first, second):
        assert len({job["group"] for job in batch}) == 1
    assert jobs.lease(max=10, one_group=True) == []


def test_a_batch_of_one_group_waits_for_that_group(weir, jobs, waiting_receivers):
    before = waiting_receivers()
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        batch = waiting_lease(pool, weir, jobs, max=3, one_group=True, wait_ms=LONG, linger_ms=LONG)
        eventually(lambda: waiting_receivers() == before + 1, "the batch waits")
        jobs.add({"group": "a", "data": "a0"}, {"group": "b", "data": "b0"}, {"group": "a", "data": "a1"})
        assert not batch.done()
        jobs.add({"group": "a", "data": "a2"})
        assert [job["data"] for job in batch.result(PATIENCE_SECONDS)] == ["a0", "a1", "a2"]


def test_each_job_of_a_batch_is_settled_on_its_own(jobs):
    ids = jobs.add(*({"data": n, "retry": {"attempts_max": 1}} for n in range(6)))
    batch = jobs.lease(max=5)
    done, failed, released, kept, later = (job["lease"] for job in batch)
    settled = jobs.settle(
        {"lease": done, "result": 1},
        {"lease": failed, "action": "fail", "error": "no"},
        {"lease": "nonsense"},
        {"lease": released, "action": "release"},
        {"lease": kept, "action": "extend"},
        {"lease": later, "action": "release", "delay_ms": LONG},
        {"lease": done, "result": 2},
    )
    assert [entry.get("state", entry.get("code")) for entry in settled] == [
        "completed",
        "failed",
        "lease.invalid",
        "ready",
        "leased",
        "delayed",
        "lease.lost",
    ]
    assert [jobs.job(id)["state"] for id in ids] == ["completed", "failed", "ready", "leased", "delayed", "ready"]
    assert jobs.job(ids[0])["result"] == 1
