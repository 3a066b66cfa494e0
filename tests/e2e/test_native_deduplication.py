"""Jobs that are kept away by others: once at a time, for a time, debounced, and the last one that came meanwhile."""

import pytest

from native_words import Problem
from weir_process import PATIENCE_SECONDS, eventually

LONG = 3_600_000


def add(jobs, data, delay_ms=None, **deduplication):
    job = {"data": data, "deduplication": {"id": "x", **deduplication}}
    if delay_ms is not None:
        job["delay_ms"] = delay_ms
    [added] = jobs.native.post(f"{jobs.path}/jobs", job)["jobs"]
    return added["id"], added.get("duplicate", False)


def test_a_job_keeps_others_of_its_id_away_until_it_has_finished(jobs):
    first, is_duplicate = add(jobs, 1)
    assert not is_duplicate
    assert add(jobs, 2) == (first, True)
    [job] = jobs.lease()
    assert add(jobs, 3) == (first, True)
    jobs.complete(job)
    second, is_duplicate = add(jobs, 4)
    assert (second == first, is_duplicate) == (False, False)
    jobs.native.delete(f"{jobs.path}/jobs/{second}")
    assert add(jobs, 5)[1] is False
    assert [job["data"] for job in jobs.lease(max=9)] == [5]


def test_an_id_with_a_time_counts_after_the_job_is_done_and_no_longer(jobs):
    first, _ = add(jobs, 1, ttl_ms=LONG)
    jobs.complete(*jobs.lease())
    assert add(jobs, 2, ttl_ms=LONG) == (first, True)
    other = {"data": 1, "deduplication": {"id": "short", "ttl_ms": 1}}
    [short] = jobs.add(other)
    eventually(lambda: jobs.add(other) != [short], "the time is over, though the job waits still")


def test_a_debounced_job_waits_for_quiet_and_has_what_came_last(jobs):
    debounce = {"delay_ms": LONG, "ttl_ms": LONG, "extend": True, "replace": True}
    first, _ = add(jobs, {"v": 1}, **debounce)
    due = jobs.job(first)["due_at_ms"]
    later = {**debounce, "delay_ms": 2 * LONG, "ttl_ms": 2 * LONG}
    assert add(jobs, {"v": 2}, **later) == (first, True)
    seen = jobs.job(first)
    assert (seen["state"], seen["data"]) == ("delayed", {"v": 2})
    assert seen["due_at_ms"] >= due + LONG
    assert jobs.counters()["delayed"] == 1
    jobs.native.post(f"{jobs.path}/jobs/{first}/promote")
    assert [job["data"] for job in jobs.lease(max=9)] == [{"v": 2}]


def test_a_duplicate_can_move_the_time_of_a_delayed_job_and_nothing_else(jobs):
    first, _ = add(jobs, 1, delay_ms=LONG, reschedule=True)
    assert add(jobs, 2, delay_ms=2 * LONG, reschedule=True) == (first, True)
    job = jobs.job(first)
    assert (job["state"], job["data"]) == ("delayed", 1)
    assert job["due_at_ms"] - job["added_at_ms"] >= 2 * LONG
    assert add(jobs, 3, reschedule=True) == (first, True)
    assert [job["data"] for job in jobs.lease(max=9)] == [1]


def test_without_replace_the_first_one_stays_as_it_was(jobs):
    first, _ = add(jobs, 1, delay_ms=LONG, ttl_ms=LONG, extend=True)
    due = jobs.job(first)["due_at_ms"]
    assert add(jobs, 2, delay_ms=2 * LONG, ttl_ms=LONG, extend=True) == (first, True)
    seen = jobs.job(first)
    assert (seen["data"], seen["due_at_ms"]) == (1, due)


def test_of_those_that_came_while_the_job_was_worked_on_the_last_one_follows(jobs):
    first, _ = add(jobs, 1, keep_last_if_active=True)
    [job] = jobs.lease()
    for data in (2, 3):
        assert add(jobs, data, keep_last_if_active=True) == (first, True)
    assert jobs.lease() == []
    jobs.complete(job)
    [job] = jobs.lease(wait_ms=PATIENCE_SECONDS * 1_000)
    assert (job["data"], job["id"] != first) == (3, True)
    # It keeps others away in its turn.
    assert add(jobs, 4, keep_last_if_active=True) == (job["id"], True)


def test_times_that_make_no_sense_are_refused(jobs):
    for wrong, field in [({"ttl_ms": 0}, "deduplication.ttl_ms"), ({"id": ""}, "deduplication.id")]:
        with pytest.raises(Problem) as refused:
            add(jobs, 1, **wrong)
        assert refused.value.field == field
        assert "found 0" in refused.value.detail


def test_an_idempotency_key_outlives_the_jobs_and_belongs_to_the_request(jobs, native):
    first = jobs.add({"data": 1}, Idempotency_Key="once-17")
    jobs.complete(*jobs.lease())
    native.delete(f"{jobs.path}/jobs/{first[0]}")
    assert jobs.add({"data": 1}, Idempotency_Key="once-17") == first
    assert jobs.counters()["ready"] == 0
    with pytest.raises(Problem) as refused:
        jobs.add({"data": 1}, Idempotency_Key="k" * 257)
    assert (refused.value.field, "found 257" in refused.value.detail) == ("Idempotency-Key", True)
