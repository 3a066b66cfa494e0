"""Looking at jobs and changing them over the native API, one and many."""

import urllib.parse

import pytest

from native_words import Problem


def page_through(jobs, **query):
    """All jobs of a listing, page by page."""
    return jobs.native.pages(f"{jobs.path}/jobs", "jobs", **query)


def test_a_queue_is_put_changed_and_deleted(native):
    path = "/v1/queues/" + urllib.parse.quote("über / alles", safe="")
    put = native.put(path, {"lease_ms": 5_000, "retry": {"attempts_max": 9}, "limiters": [{"limiter": "l", "key": "data.to"}]})
    assert put["created"] is True
    queue = native.patch(path, {"retry": {"backoff": {"list_ms": [1, 2]}}, "timeout_ms": 7_000})
    assert (queue["name"], queue["lease_ms"], queue["timeout_ms"]) == ("über / alles", 5_000, 7_000)
    assert queue["retry"]["attempts_max"] == 9
    assert queue["retry"]["backoff"] == {"list_ms": [1, 2]}
    assert queue["limiters"] == [{"limiter": "l", "key": "data.to"}]
    assert native.patch(path, {"timeout_ms": None}).get("timeout_ms") is None
    assert "über / alles" in [queue["name"] for queue in native.get("/v1/queues", prefix="über")["queues"]]
    native.delete(path)
    with pytest.raises(Problem):
        native.get(path)


def test_jobs_are_listed_by_state_page_by_page(jobs):
    ready = jobs.add(*({"data": n, "name": "even" if n % 2 == 0 else "odd"} for n in range(7)))
    delayed = jobs.add({"delay_ms": 3_600_000}, {"delay_ms": 3_500_000})
    [done] = jobs.lease()
    jobs.complete(done)
    assert [job["id"] for job in page_through(jobs, states="ready", limit=2)] == ready[1:]
    assert [job["id"] for job in page_through(jobs, states="delayed")] == delayed[::-1]
    assert [job["id"] for job in page_through(jobs, states="completed")] == ready[:1]
    everything = page_through(jobs, limit=3)
    assert sorted(job["id"] for job in everything) == sorted(ready + delayed)
    assert {job["state"] for job in everything} == {"ready", "delayed", "completed"}


def test_listings_show_of_each_job_when_it_was_started_and_how_often_it_failed(jobs):
    jobs.add({"retry": {"attempts_max": 2, "backoff": {"fixed_ms": 0}}})
    [job] = jobs.list()["jobs"]
    assert (job["failures"], "started_at_ms" in job) == (0, False)
    for failures in (1, 2):
        jobs.fail(*jobs.lease())
        [listed] = jobs.list()["jobs"]
        seen = jobs.job(job["id"])
        assert (listed["failures"], listed["started_at_ms"]) == (failures, seen["started_at_ms"])
        assert seen["failures"] == failures


def test_listings_are_filtered(jobs):
    jobs.add(*({"name": "even" if n % 2 == 0 else "odd", "data": {"n": n}, "attributes": {"k": n}} for n in range(20)))
    assert [job["data"]["n"] for job in page_through(jobs, name="odd", limit=3)] == list(range(1, 20, 2))
    found = page_through(jobs, filter="body.json.n >= 5 and attributes.k < 8")
    assert [job["data"]["n"] for job in found] == [5, 6, 7]
    with pytest.raises(Problem) as refused:
        jobs.list(filter="receives > many")
    assert refused.value.field == "filter"


def test_a_filter_looks_at_every_job_of_the_states_and_says_how_many(jobs):
    jobs.add(*({"data": n} for n in range(300)))
    page = jobs.list(states="ready", filter='body contains "299"')
    assert ([job["data"] for job in page["jobs"]], page["examined"]) == ([299], 300)
    assert jobs.list(states="failed", filter='body contains "299"')["examined"] == 0
    [old] = jobs.list(states="ready", limit=1)["jobs"]
    assert jobs.list(filter="sent before 2001-01-01")["jobs"] == []
    assert jobs.list(filter="sent after 2001-01-01", limit=1)["jobs"] == [old]


def test_delayed_jobs_are_listed_past_those_of_other_queues(make_jobs):
    crowd, jobs = make_jobs(), make_jobs()
    crowd.add(*({"delay_ms": 1_000_000 + n} for n in range(1_000)))
    ids = jobs.add({"delay_ms": 3_000_000}, {"delay_ms": 2_000_000})
    assert [job["id"] for job in jobs.list(states="delayed")["jobs"]] == ids[::-1]


def test_queues_are_listed_page_by_page_in_the_order_of_their_names(make_jobs, native):
    names = sorted(make_jobs("paged").name for _ in range(5))
    queues = native.pages("/v1/queues", "queues", prefix="paged-", limit=2)
    assert [queue["name"] for queue in queues] == names


def test_a_change_that_cannot_be_is_refused_with_what_stands_against_it(make_jobs, native):
    jobs, fifo = make_jobs(), make_jobs(fifo=True)
    leased, waiting = jobs.add({}, {})
    jobs.lease()
    for job, change, code in [
        (leased, {"priority": 1}, "job.state"),
        (leased, {"delay_ms": 1}, "job.state"),
        (leased, {"queue": make_jobs().name}, "message.leased"),
        (waiting, {"queue": fifo.name}, "queue.kind_differs"),
        (waiting, {"queue": jobs.name}, "queue.same"),
        (waiting, {"queue": "nowhere"}, "request.invalid"),
        ("nobody", {"priority": 1}, "job.not_found"),
    ]:
        with pytest.raises(Problem) as refused:
            native.patch(f"{jobs.path}/jobs/{job}", change)
        assert refused.value.code == code, change
    with pytest.raises(Problem) as refused:
        fifo.add({"group": "g", "lifo": True})
    assert refused.value.field == "jobs[0].lifo"


def test_a_parent_that_has_finished_takes_no_more_children(jobs):
    [parent] = jobs.add({})
    jobs.complete(*jobs.lease())
    with pytest.raises(Problem) as refused:
        jobs.add({}, {"parent": {"queue": jobs.name, "id": parent}})
    assert (refused.value.code, refused.value.field) == ("job.state", "jobs[1].parent.id")
    assert jobs.counters()["ready"] == 0


def test_a_pause_ends_by_itself(jobs, native):
    jobs.add({})
    assert native.post(f"{jobs.path}/pause", {"for_ms": 3_600_000})["paused_until_ms"] > 0
    assert jobs.lease() == []
    native.post(f"{jobs.path}/pause", {"for_ms": 1})
    assert len(jobs.lease(wait_ms=30_000)) == 1


def test_a_cursor_of_somebody_else_is_refused(jobs):
    with pytest.raises(Problem) as refused:
        jobs.list(cursor="x")
    assert refused.value.field == "cursor"


def test_a_waiting_job_is_changed(make_jobs, native):
    jobs, other = make_jobs(), make_jobs()
    first, second = jobs.add({"data": 1, "name": "n", "priority": 3}, {"data": 2, "priority": 2})
    native.patch(f"{jobs.path}/jobs/{first}", {"priority": 1})
    native.patch(f"{jobs.path}/jobs/{first}", {"data": {"new": True}})
    seen = jobs.job(first)
    assert (seen["priority"], seen["data"], seen["name"]) == (1, {"new": True}, "n")
    native.patch(f"{jobs.path}/jobs/{first}", {"delay_ms": 3_600_000})
    assert jobs.job(first)["state"] == "delayed"
    native.patch(f"{jobs.path}/jobs/{first}", {"run_at_ms": 0})
    assert [job["id"] for job in page_through(jobs, states="ready")] == [first, second]
    native.patch(f"{jobs.path}/jobs/{second}", {"queue": other.name})
    assert [job["data"] for job in other.lease()] == [2]
    for wrong in ({}, {"priority": 1, "delay_ms": 1}):
        with pytest.raises(Problem):
            native.patch(f"{jobs.path}/jobs/{first}", wrong)


def test_a_job_is_removed_unless_a_worker_has_it(jobs, native):
    leased, waiting = jobs.add({}, {})
    jobs.lease()
    native.delete(f"{jobs.path}/jobs/{waiting}")
    with pytest.raises(Problem) as refused:
        jobs.job(waiting)
    assert (refused.value.code, refused.value.detail) == ("job.not_found", f"there is no job {waiting} in queue {jobs.name}")
    with pytest.raises(Problem) as refused:
        native.delete(f"{jobs.path}/jobs/{leased}")
    assert refused.value.code == "job.state"


def test_the_starts_of_a_job_that_is_retried_are_counted_anew_where_that_is_asked_for(jobs, native):
    [id] = jobs.add({})
    for retry, starts in (({}, 2), ({"reset_starts": True}, 1)):
        [job] = jobs.lease()
        jobs.complete(job)
        native.post(f"{jobs.path}/jobs/{id}/retry", retry)
        [again] = jobs.lease()
        assert (again["leases"], again.get("starts", again["leases"])) == (starts, starts)
        jobs.complete(again)
        native.post(f"{jobs.path}/jobs/{id}/retry")


def test_what_finished_is_told_by_the_minute(jobs, native):
    assert native.get(f"{jobs.path}/metrics") == {"completed": 0, "failed": 0, "minutes": []}
    jobs.add({}, {}, {"retry": {"attempts_max": 1}})
    first, second, third = jobs.lease(max=3)
    jobs.complete(first)
    jobs.complete(second)
    jobs.fail(third)
    found = native.get(f"{jobs.path}/metrics")
    assert (found["completed"], found["failed"]) == (2, 1)
    # A minute may end in between.
    assert sum(minute["completed"] for minute in found["minutes"]) == 2
    assert sum(minute["failed"] for minute in found["minutes"]) == 1
    assert all(minute["at_ms"] % 60_000 == 0 for minute in found["minutes"])
    begin = found["minutes"][0]["at_ms"]
    assert native.get(f"{jobs.path}/metrics", from_ms=begin - 120_000, to_ms=begin - 1)["minutes"] == []
    with pytest.raises(Problem) as refused:
        native.get(f"{jobs.path}/metrics", from_ms=0)
    assert (refused.value.code, refused.value.field) == ("request.invalid", "from_ms")
    page = native.raw("GET", "/metrics")[2].decode()
    assert f'weir_queue_finished_total{{queue="{jobs.name}",outcome="completed"}} 2' in page


def test_ready_jobs_are_counted_by_priority(jobs, native):
    jobs.add({"priority": 7}, {}, {"priority": 7}, {"priority": 3, "delay_ms": 60_000})
    assert native.get(jobs.path)["ready_priorities"] == [{"priority": 0, "count": 1}, {"priority": 7, "count": 2}]
    jobs.add(*({"priority": 100 + n} for n in range(63)))
    assert "ready_priorities" not in native.get(jobs.path)


def test_tags_are_changed_one_by_one(jobs, native):
    native.patch(jobs.path, {"tags": {"team": "mail", "trial": "yes"}})
    queue = native.patch(f"{jobs.path}/tags", {"trial": None, "color": "red", "never there": None})
    assert queue["tags"] == {"team": "mail", "color": "red"}
    with pytest.raises(Problem) as refused:
        native.patch(f"{jobs.path}/tags", {f"tag-{n}": "x" for n in range(49)})
    assert refused.value.code in ("request.invalid", "limit.exceeded")
    assert native.get(jobs.path)["tags"] == {"team": "mail", "color": "red"}


def test_a_failed_job_is_retried_with_all_its_attempts(jobs, native):
    [id] = jobs.add({"retry": {"attempts_max": 1}})
    [job] = jobs.lease()
    jobs.fail(job)
    assert jobs.job(id)["state"] == "failed"
    native.post(f"{jobs.path}/jobs/{id}/retry")
    [again] = jobs.lease()
    assert (again["id"], again["attempt"]) == (id, 1)


def test_many_failed_jobs_are_retried_by_filter(make_jobs, native):
    jobs = make_jobs(retry={"attempts_max": 1})
    jobs.add(*({"name": "a" if n % 2 else "b", "data": {"n": n}} for n in range(600)))
    leased = jobs.lease(max=1_000)
    jobs.settle(*({"lease": job["lease"], "action": "fail"} for job in leased))
    assert jobs.counters()["failed"] == 600
    dry = native.post(f"{jobs.path}/jobs/retry", {"name": "a", "dry_run": True})
    assert (dry["matched"], dry["changed"], dry["done"]) == (300, 0, True)
    some = native.post(f"{jobs.path}/jobs/retry", {"filter": "body.json.n < 100", "max": 10})
    assert some["changed"] == 10
    done = native.post(f"{jobs.path}/jobs/retry", {"name": "a"})
    assert done["done"] is True
    counters = jobs.counters()
    assert counters["ready"] + counters["failed"] == 600
    assert counters["ready"] >= 300


def test_queues_are_drained_and_cleaned(jobs, native):
    jobs.add({}, {}, {"delay_ms": 3_600_000})
    [job] = jobs.lease()
    jobs.complete(job)
    assert native.post(f"{jobs.path}/drain")["changed"] == 1
    assert native.post(f"{jobs.path}/drain", {"states": ["delayed"]})["changed"] == 1
    assert native.post(f"{jobs.path}/clean", {"older_than_ms": 3_600_000})["changed"] == 0
    assert native.post(f"{jobs.path}/clean")["changed"] == 1
    assert set(jobs.counters().values()) == {0}
    with pytest.raises(Problem) as refused:
        native.post(f"{jobs.path}/drain", {"states": ["leased"]})
    assert refused.value.field == "states"


def test_a_paused_queue_gives_nothing_out_and_says_so(jobs, native):
    assert native.post(f"{jobs.path}/pause")["paused"] is True
    [id] = jobs.add({})
    assert jobs.lease() == []
    assert "queue_paused" in [hold["by"] for hold in native.get(f"{jobs.path}/jobs/{id}/explain")["holds"]]
    assert native.post(f"{jobs.path}/resume")["paused"] is False
    assert len(jobs.lease()) == 1


def test_obliterating_a_queue_needs_force_while_it_is_worked_on(jobs, native):
    jobs.add({})
    jobs.lease()
    with pytest.raises(Problem) as refused:
        native.post(f"{jobs.path}/obliterate")
    assert refused.value.code == "queue.active"
    native.post(f"{jobs.path}/obliterate", {"force": True})
    with pytest.raises(Problem):
        jobs.counters()


def test_explain_says_what_a_delayed_job_waits_for(jobs, native):
    [id] = jobs.add({"delay_ms": 3_600_000})
    explained = native.get(f"{jobs.path}/jobs/{id}/explain")
    assert explained["state"] == "delayed"
    assert explained["holds"][0]["by"] == "delay"
    assert explained["not_before_ms"] == explained["holds"][0]["until_ms"]
    [id] = jobs.add({})
    explained = native.get(f"{jobs.path}/jobs/{id}/explain")
    assert "not_before_ms" in explained or explained["unknown"]


def test_explain_names_the_limiter_the_group_and_the_jobs_before(make_jobs, native):
    native.put("/v1/limiters/explained", {"concurrency": 1})
    jobs, fifo = make_jobs(limiters=[{"limiter": "explained"}]), make_jobs(fifo=True)
    running, first, second = jobs.add({}, {}, {})
    assert [job["id"] for job in jobs.lease(max=2)] == [running]
    held = {hold["by"]: hold for hold in native.get(f"{jobs.path}/jobs/{second}/explain")["holds"]}
    assert held["limiter"]["limiter"] == "explained"
    assert held["position"]["count"] == 1
    explained = native.get(f"{jobs.path}/jobs/{running}/explain")
    assert (explained["state"], explained["holds"][0]["by"]) == ("leased", "lease")
    assert "being worked on" in explained["unknown"]
    head, behind = fifo.add({"group": "g"}, {"group": "g"})
    fifo.lease()
    held = {hold["by"]: hold for hold in native.get(f"{fifo.path}/jobs/{behind}/explain")["holds"]}
    assert "group" in held
