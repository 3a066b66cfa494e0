"""Flows: jobs that wait for their children, over several queues, and what a child's failure means."""

import pytest

from native_words import Problem
from weir_process import PATIENCE_SECONDS, eventually

FINAL = {"retry": {"attempts_max": 1}}


@pytest.fixture
def add_flow(native):
    """Adds a job with children; the ids, a job before its children."""

    def add(parent):
        return [job["id"] for job in native.post("/v1/jobs", {"jobs": [parent]})["jobs"]]

    return add


def leased(jobs):
    """The next job, once there is one."""
    [job] = jobs.lease(wait_ms=PATIENCE_SECONDS * 1_000)
    return job


def children(jobs, id):
    return jobs.native.get(f"{jobs.path}/jobs/{id}/children")["children"]


def state(jobs, id):
    return jobs.job(id)["state"]


def test_a_tree_over_three_queues_runs_from_its_leaves_and_hands_results_up(make_jobs, native):
    reports, mails, images = make_jobs("reports"), make_jobs("mails"), make_jobs("images")
    answer = native.post(
        "/v1/jobs",
        {
            "jobs": [
                {
                    "queue": reports.name,
                    "name": "report",
                    "children": [
                        {"queue": mails.name, "name": "mail", "children": [{"queue": images.name, "data": "a.png"}]},
                        {"queue": images.name, "data": "b.png"},
                    ],
                }
            ]
        },
    )["jobs"]
    assert [job["queue"] for job in answer] == [reports.name, mails.name, images.name, images.name]
    report, mail, a, b = (job["id"] for job in answer)
    assert (state(reports, report), state(mails, mail)) == ("waiting", "waiting")
    assert reports.lease() == [] and mails.lease() == []
    seen = reports.job(report)
    assert seen["children"] == {"unfinished": 2, "total": 2}
    assert images.job(a)["parent"] == {"queue": mails.name, "id": mail}
    explained = native.get(f"{reports.path}/jobs/{report}/explain")
    assert (explained["holds"][0]["by"], explained["holds"][0]["count"]) == ("children", 2)
    for job in images.lease(max=2):
        images.complete(job, result={"png": job["data"]})
    job = leased(mails)
    assert children(mails, mail) == [{"queue": images.name, "id": a, "state": "completed", "result": {"png": "a.png"}}]
    assert reports.lease() == []
    mails.complete(job, result="sent")
    job = leased(reports)
    assert job["id"] == report
    assert {child["id"]: child["result"] for child in children(reports, report)} == {mail: "sent", b: {"png": "b.png"}}
    reports.complete(job)


def test_a_flow_is_added_as_a_whole_or_not_at_all(make_jobs, native):
    parents, leaves = make_jobs(), make_jobs()
    for wrong in ({"queue": "nowhere"}, {"queue": leaves.name, "priority": -1}, {"queue": leaves.name, "timeout_ms": 0}):
        with pytest.raises(Problem):
            native.post("/v1/jobs", {"jobs": [{"queue": parents.name, "children": [{"queue": leaves.name}, wrong]}]})
    for jobs in (parents, leaves):
        assert set(jobs.counters().values()) == {0}


def test_results_of_children_outlive_the_children(make_jobs, add_flow):
    jobs = make_jobs(keep_completed={"count": 0})
    parent, child = add_flow({"queue": jobs.name, "children": [{}]})
    jobs.complete(leased(jobs), result=[1])
    with pytest.raises(Problem) as gone:
        jobs.job(child)
    assert gone.value.code == "job.not_found"
    assert leased(jobs)["id"] == parent
    assert children(jobs, parent)[0]["result"] == [1]


@pytest.mark.parametrize(
    "policy, then",
    [("wait", "waiting"), ("fail", "failed"), ("ignore", "waiting"), ("remove", "waiting"), ("continue", "ready")],
)
def test_what_the_failure_of_a_child_means_is_for_the_child_to_say(make_jobs, add_flow, policy, then):
    parents, leaves = make_jobs(), make_jobs()
    parent, broken, other = add_flow(
        {
            "queue": parents.name,
            "children": [
                {"queue": leaves.name, "on_failure": policy, **FINAL},
                {"queue": leaves.name, "priority": 1},
            ],
        }
    )
    job = leased(leaves)
    assert job["id"] == broken
    assert leaves.fail(job, error="no")["state"] == "failed"
    assert state(parents, parent) == then
    seen = {child["id"]: child for child in children(parents, parent)}
    assert (broken in seen) == (policy != "remove")
    if policy == "fail":
        assert parents.job(parent)["failed"] == "child_failed"
        return
    leaves.complete(leased(leaves), result="done")
    if policy == "wait":
        assert state(parents, parent) == "waiting"
        leaves.native.post(f"{leaves.path}/jobs/{broken}/retry")
        leaves.complete(leased(leaves), result="at last")
    assert leased(parents)["id"] == parent
    seen = {child["id"]: child for child in children(parents, parent)}
    assert (seen[other]["state"], seen[other]["result"]) == ("completed", "done")
    if policy == "wait":
        assert seen[broken]["result"] == "at last"
    if policy in ("ignore", "continue"):
        assert (seen[broken]["state"], seen[broken]["result"]) == ("failed", "no")


def test_a_failure_goes_up_as_far_as_each_says_so(make_jobs, add_flow):
    jobs = make_jobs()
    top, middle, leaf = add_flow(
        {"queue": jobs.name, "children": [{"on_failure": "fail", "children": [{"on_failure": "fail", **FINAL}]}]}
    )
    jobs.fail(leased(jobs))
    assert [jobs.job(id)["failed"] for id in (leaf, middle, top)] == ["reported", "child_failed", "child_failed"]


def test_a_worker_adds_children_and_waits_for_them_without_an_attempt(jobs):
    [parent] = jobs.add({"name": "parent"})
    job = leased(jobs)
    [child] = jobs.add({"name": "child", "parent": {"queue": jobs.name, "id": parent}})
    [settled] = jobs.settle({"lease": job["lease"], "action": "wait_for_children"})
    assert settled == {"state": "waiting"}
    job = leased(jobs)
    assert job["id"] == child
    jobs.complete(job, result=5)
    job = leased(jobs)
    assert (job["id"], job["attempt"]) == (parent, 1)
    assert children(jobs, parent)[0]["result"] == 5
    # Nothing is left to wait for: it is ready at once.
    assert jobs.settle({"lease": job["lease"], "action": "wait_for_children"}) == [{"state": "ready"}]


def test_a_parent_that_is_not_there_is_named(jobs, native):
    for wrong in ("77", "nobody"):
        with pytest.raises(Problem) as refused:
            native.post("/v1/jobs", {"jobs": [{"queue": jobs.name}, {"queue": jobs.name, "parent": {"queue": jobs.name, "id": wrong}}]})
        assert (refused.value.code, refused.value.field) == ("job.not_found", "jobs[1].parent.id")
        assert f"{wrong} in queue {jobs.name}" in refused.value.detail
    with pytest.raises(Problem) as refused:
        native.post("/v1/jobs", {"jobs": [{"queue": jobs.name, "parent": {"queue": "nowhere", "id": "1"}}]})
    assert (refused.value.code, refused.value.field) == ("queue.not_found", "jobs[0].parent.queue")
    with pytest.raises(Problem) as refused:
        native.post("/v1/jobs", {"jobs": [{"queue": jobs.name, "children": [{"queue": "nowhere"}]}]})
    assert (refused.value.code, refused.value.field) == ("queue.not_found", "jobs[0].children[0].queue")
    assert set(jobs.counters().values()) == {0}


def test_removing_a_parent_removes_children_that_have_not_begun(make_jobs, add_flow, native):
    parents, leaves = make_jobs(), make_jobs()
    parent, begun, waiting = add_flow({"queue": parents.name, "children": [{"queue": leaves.name}, {"queue": leaves.name}]})
    assert leased(leaves)["id"] == begun
    native.delete(f"{parents.path}/jobs/{parent}")
    eventually(lambda: leaves.counters()["ready"] == 0, "the child that has not begun is gone")
    assert state(leaves, begun) == "leased"
    with pytest.raises(Problem):
        leaves.job(waiting)


def test_a_child_that_is_removed_is_nothing_to_wait_for(make_jobs, add_flow, native):
    parents, leaves = make_jobs(), make_jobs()
    parent, one, _ = add_flow({"queue": parents.name, "children": [{"queue": leaves.name}, {"queue": leaves.name}]})
    native.delete(f"{leaves.path}/jobs/{one}")
    native.post(f"{leaves.path}/purge")
    assert leased(parents)["id"] == parent


def test_children_are_listed_page_by_page(make_jobs, add_flow, native):
    jobs = make_jobs()
    parent, *ids = add_flow({"queue": jobs.name, "children": [{} for _ in range(7)]})
    found = native.pages(f"{jobs.path}/jobs/{parent}/children", "children", limit=3)
    assert [child["id"] for child in found] == ids
    with pytest.raises(Problem) as refused:
        native.get(f"{jobs.path}/jobs/{parent}/children", cursor="x")
    assert refused.value.field == "cursor"


def test_a_child_leaves_its_parent_which_runs_without_it(make_jobs, add_flow, native):
    jobs = make_jobs("apart")
    flow = {"queue": jobs.name, "children": [{"queue": jobs.name}, {"queue": jobs.name, "delay_ms": 3_600_000}]}
    parent, done, apart = add_flow(flow)
    jobs.complete(leased(jobs))
    with pytest.raises(Problem) as refused:
        native.delete(f"{jobs.path}/jobs/{done}/parent")
    assert refused.value.code == "job.state"
    native.delete(f"{jobs.path}/jobs/{apart}/parent")
    assert "parent" not in jobs.job(apart)
    assert leased(jobs)["id"] == parent
    assert [child["id"] for child in children(jobs, parent)] == [done]
    with pytest.raises(Problem) as refused:
        native.delete(f"{jobs.path}/jobs/{apart}/parent")
    assert (refused.value.code, refused.value.status) == ("job.no_parent", 404)


def test_a_parent_is_removed_without_its_children(make_jobs, add_flow, native):
    jobs = make_jobs("orphans")
    parent, child = add_flow({"queue": jobs.name, "children": [{"queue": jobs.name}]})
    native.delete(f"{jobs.path}/jobs/{parent}?children=keep")
    with pytest.raises(Problem):
        jobs.job(parent)
    job = leased(jobs)
    assert job["id"] == child
    jobs.complete(job)
    assert state(jobs, child) == "completed"
