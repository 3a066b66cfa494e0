"""Attempts: when a job is tried again, what it costs, how long one may take, and what is remembered of each."""

import time

import pytest

from native_words import Problem
from weir_process import PATIENCE_SECONDS, eventually

HOUR = 3_600_000
NOW = {"backoff": {"fixed_ms": 0}}


def leased(jobs, **rest):
    """The next job, once there is one."""
    [job] = jobs.lease(wait_ms=PATIENCE_SECONDS * 1_000, **rest)
    return job


def waits(jobs, id, times):
    """Fails a job so many times; how long it is made to wait after each."""
    found = []
    for _ in range(times):
        job = leased(jobs)
        assert job["id"] == id
        settled = jobs.fail(job)
        assert settled["state"] == "delayed"
        [ended] = jobs.job(id)["history"][-1:]
        found.append(settled["due_at_ms"] - ended["at_ms"])
        jobs.native.post(f"{jobs.path}/jobs/{id}/promote")
    return found


@pytest.mark.parametrize(
    "backoff, expected",
    [
        ({"fixed_ms": HOUR}, [1, 1, 1, 1]),
        ({"exponential_ms": HOUR}, [1, 2, 4, 5]),
        ({"list_ms": [3 * HOUR, HOUR, 9 * HOUR]}, [3, 1, 5, 5]),
    ],
)
def test_the_wait_between_attempts_is_as_the_policy_says_and_capped(jobs, backoff, expected):
    retry = {"attempts_max": 9, "backoff": backoff, "jitter_percent": 0, "backoff_ms_max": 5 * HOUR}
    [id] = jobs.add({"retry": retry})
    assert waits(jobs, id, 4) == [hours * HOUR for hours in expected]


def test_jitter_takes_a_part_of_the_wait_off(jobs):
    retry = {"attempts_max": 99, "backoff": {"fixed_ms": HOUR}, "jitter_percent": 50}
    [id] = jobs.add({"retry": retry})
    found = waits(jobs, id, 12)
    assert all(HOUR / 2 <= wait <= HOUR for wait in found)
    assert len(set(found)) > 6


def test_the_queues_policy_is_changed_while_jobs_wait(make_jobs, native):
    jobs = make_jobs(retry={"attempts_max": 5, "backoff": {"fixed_ms": HOUR}, "jitter_percent": 0})
    [id] = jobs.add({})
    assert waits(jobs, id, 1) == [HOUR]
    native.patch(jobs.path, {"retry": {"backoff": {"fixed_ms": 2 * HOUR}}})
    assert waits(jobs, id, 1) == [2 * HOUR]
    native.patch(jobs.path, {"retry": {"attempts_max": 3}})
    assert jobs.fail(leased(jobs))["state"] == "failed"


def test_the_history_tells_of_every_attempt(make_jobs):
    jobs = make_jobs(retry={"attempts_max": 9, **NOW}, stalls_max=9)
    [id] = jobs.add({"timeout_ms": HOUR})
    jobs.fail(leased(jobs), error={"status": 503})
    leased(jobs, lease_ms=1)
    jobs.settle({"lease": leased(jobs)["lease"], "action": "release"})
    jobs.fail(leased(jobs), error="gone", retry=False)
    seen = jobs.job(id)
    assert [(attempt["lease"], attempt["kind"]) for attempt in seen["history"]] == [
        (1, "reported"),
        (2, "stalled"),
        (4, "reported"),
    ]
    assert [attempt.get("error") for attempt in seen["history"]] == [{"status": 503}, None, "gone"]
    assert (seen["failures"], seen["stalls"], seen["failed"]) == (2, 1, "reported")
    assert seen["history"][0]["at_ms"] <= seen["history"][-1]["at_ms"] == seen["finished_at_ms"]


def test_a_lost_worker_costs_no_attempt_until_too_many_were_lost(make_jobs):
    jobs = make_jobs(stalls_max=1)
    [id] = jobs.add({})
    leased(jobs, lease_ms=1)
    job = leased(jobs, lease_ms=1)
    assert (job["attempt"], job["stalls"]) == (1, 1)
    assert jobs.job(id, wait=PATIENCE_SECONDS)["failed"] == "stalled"


def test_an_attempt_that_takes_too_long_counts_whatever_the_heartbeats(make_jobs):
    jobs = make_jobs(retry={"attempts_max": 2, **NOW}, timeout_ms=1)
    [id] = jobs.add({})
    job = leased(jobs, lease_ms=HOUR)
    assert job["timeout_at_ms"] <= job["lease_until_ms"]
    second = leased(jobs, lease_ms=HOUR)
    assert (second["id"], second["attempt"]) == (id, 2)
    [stale] = jobs.complete(job)
    assert stale["code"] == "lease.lost"
    seen = jobs.job(id, wait=PATIENCE_SECONDS)
    assert (seen["state"], [attempt["kind"] for attempt in seen["history"]]) == ("failed", ["timed_out", "timed_out"])


def test_a_cancelled_job_is_final_though_its_worker_is_lost(jobs, native):
    [id] = jobs.add({})
    job = leased(jobs)
    native.post(f"{jobs.path}/jobs/{id}/cancel")
    assert jobs.job(id)["cancel_requested"] is True
    [beat] = jobs.settle({"lease": job["lease"], "action": "extend", "lease_ms": 1})
    assert beat["cancel_requested"] is True
    seen = jobs.job(id, wait=PATIENCE_SECONDS)
    assert (seen["state"], seen["failed"]) == ("failed", "cancelled")


def test_a_job_that_was_not_started_in_time_has_expired(jobs):
    ids = jobs.add({"ttl_ms": 1}, {"expires_at_ms": 1}, {"ttl_ms": HOUR}, {"ttl_ms": 1, "delay_ms": HOUR})
    for id in (ids[0], ids[1], ids[3]):
        seen = jobs.job(id, wait=PATIENCE_SECONDS)
        assert (seen["state"], seen["failed"]) == ("failed", "expired")
    assert [job["id"] for job in jobs.lease(max=9)] == [ids[2]]


def test_a_job_may_run_a_year_or_a_lifetime_from_now(jobs, native):
    year = 365 * 24 * HOUR
    at = int(time.time() * 1_000) + 80 * year
    later, sooner = jobs.add({"run_at_ms": at}, {"delay_ms": year})
    assert (jobs.job(later)["state"], jobs.job(later)["due_at_ms"]) == ("delayed", at)
    native.patch(f"{jobs.path}/jobs/{sooner}", {"delay_ms": 90 * year})
    assert [job["id"] for job in jobs.list(states="delayed")["jobs"]] == [later, sooner]
    native.patch(f"{jobs.path}/jobs/{sooner}", {"run_at_ms": 0})
    assert [job["id"] for job in jobs.lease(max=2)] == [sooner]


def test_a_delay_that_the_queue_would_not_keep_is_refused_with_a_cure(make_jobs, native):
    jobs = make_jobs(retention_ms=HOUR)
    at = int(time.time() * 1_000) + 2 * HOUR
    for field, value in [("delay_ms", HOUR + 1), ("run_at_ms", at)]:
        with pytest.raises(Problem) as refused:
            jobs.add({"delay_ms": HOUR - 1}, {field: value})
        assert (refused.value.code, refused.value.field) == ("request.invalid", f"jobs[1].{field}")
        assert "retention_ms" in refused.value.detail and str(HOUR) in refused.value.detail
    [id] = jobs.add({})
    with pytest.raises(Problem) as refused:
        native.patch(f"{jobs.path}/jobs/{id}", {"delay_ms": 2 * HOUR})
    assert refused.value.field == "delay_ms"


@pytest.mark.parametrize(
    "job, field, words",
    [
        ({"timeout_ms": 0}, "timeout_ms", "from 1 to"),
        ({"retry": {"backoff": {"fixed_ms": 2**63}}}, "retry.backoff.fixed_ms", "found 9223372036854775808"),
        ({"retry": {"backoff": {"list_ms": [1, 2**63]}}}, "retry.backoff.list_ms[1]", "found 9223372036854775808"),
        ({"retry": {"backoff": {"list_ms": []}}}, "retry.backoff.list_ms", "from 1 to 64 entries, found 0"),
        ({"retry": {"backoff_ms_max": 2**63}}, "retry.backoff_ms_max", "found 9223372036854775808"),
        ({"retry": {"jitter_percent": 101}}, "retry.jitter_percent", "from 0 to 100, found 101"),
        ({"run_at_ms": 99999999999999}, "run_at_ms", "found 99999999999999"),
    ],
)
def test_a_wrong_number_is_named_where_it_stands(jobs, native, job, field, words):
    with pytest.raises(Problem) as refused:
        native.post(f"{jobs.path}/jobs", job)
    assert refused.value.field == field
    assert words in refused.value.detail
    with pytest.raises(Problem) as refused:
        jobs.add({}, job)
    assert refused.value.field == f"jobs[1].{field}"


def test_what_remains_of_finished_jobs_is_bounded_by_number_and_by_age(make_jobs):
    jobs = make_jobs(keep_completed={"count": 2}, keep_failed={"age_ms": 1})
    ids = jobs.add(*({} for _ in range(4)))
    for _ in range(3):
        jobs.complete(leased(jobs))
    assert [job["id"] for job in jobs.list(states="completed")["jobs"]] == [ids[2], ids[1]]
    jobs.fail(leased(jobs), retry=False)
    eventually(lambda: jobs.list(states="failed")["jobs"] == [], "the failed job is older than a millisecond")
    # A job's own word counts for it.
    [kept] = jobs.add({"keep_failed": {}})
    jobs.fail(leased(jobs), retry=False)
    assert [job["id"] for job in jobs.list(states="failed")["jobs"]] == [kept]
    [none] = jobs.add({"keep_completed": {"count": 0}})
    jobs.complete(leased(jobs))
    with pytest.raises(Problem) as gone:
        jobs.job(none)
    assert gone.value.code == "job.not_found"
