"""Jobs over the native API: adding, leasing, settling."""

import concurrent.futures
import json
import time

import pytest

from native_words import Native, Problem
from weir_process import eventually


def test_a_job_is_added_leased_and_completed_with_a_result(jobs):
    [id] = jobs.add({"name": "mail", "data": {"to": "ada", "n": [1, 2.5, None]}, "attributes": {"kind": "a", "n": 7}})
    [job] = jobs.lease()
    assert (job["id"], job["name"], job["data"]) == (id, "mail", {"to": "ada", "n": [1, 2.5, None]})
    assert (job["attempt"], job["leases"], job["priority"]) == (1, 1, 0)
    assert job["attributes"] == {"kind": "a", "n": 7}
    assert job["lease_until_ms"] == pytest.approx(time.time() * 1000 + 30_000, abs=20_000)
    [settled] = jobs.complete(job, result={"sent": True})
    assert settled == {"state": "completed"}
    seen = jobs.job(id)
    assert (seen["state"], seen["result"], seen["name"]) == ("completed", {"sent": True}, "mail")
    counters = jobs.counters()
    assert (counters["ready"], counters["leased"], counters["completed"]) == (0, 0, 1)


def test_one_job_needs_no_list(jobs, native):
    added = native.post(f"{jobs.path}/jobs", {"name": "one", "data": "text"})["jobs"]
    assert len(added) == 1
    [job] = jobs.lease()
    assert (job["name"], job["data"]) == ("one", "text")


@pytest.mark.parametrize("data", [None, True, 17, -2.5, "", "plain", "{not json", [], {"a": {"b": []}}, "ünï\n\u0001\\\""])
def test_any_json_goes_through_unchanged(jobs, data):
    jobs.add({"data": data})
    [job] = jobs.lease()
    assert job["data"] == data


def test_a_thousand_jobs_are_added_at_once_and_settled_while_more_are_leased(jobs, native):
    ids = jobs.add(*({"data": n} for n in range(1_000)))
    assert len(set(ids)) == 1_000
    leased = jobs.lease(max=400)
    done = [job["data"] for job in leased]
    while leased:
        settle = [{"lease": job["lease"]} for job in leased]
        answer = native.post(f"{jobs.path}/lease", {"max": 400, "settle": settle})
        assert answer["settled"] == [{"state": "completed"}] * len(leased)
        leased = answer["jobs"]
        done += [job["data"] for job in leased]
    assert done == list(range(1_000))
    assert jobs.counters()["completed"] == 1_000


def test_ten_thousand_jobs_are_added_at_once_and_one_more_is_too_many(jobs):
    with pytest.raises(Problem) as refused:
        jobs.add(*({} for _ in range(9_999)), {"children": [{}]})
    assert (refused.value.code, refused.value.field) == ("request.invalid", "jobs")
    assert "from 1 to 10000 entries, children included, found 10001" in refused.value.detail
    assert jobs.counters()["ready"] == 0
    assert len(set(jobs.add(*({} for _ in range(10_000))))) == 10_000
    assert jobs.counters()["ready"] == 10_000


@pytest.mark.parametrize(
    "request_, field, words",
    [
        ({"max": 1_001}, "max", "from 0 to 1000, found 1001"),
        ({"wait_ms": 3_600_001}, "wait_ms", "from 0 to 3600000, found 3600001"),
        ({"linger_ms": 3_600_001}, "linger_ms", "from 0 to 3600000, found 3600001"),
        ({"lease_ms": 0}, "lease_ms", "found 0"),
        ({"bytes_max": 0}, "bytes_max", "found 0"),
        ({"settle": [{"lease": "x"}] * 1_001}, "settle", "1000 entries, found 1001"),
        ({"settle": [{}]}, "settle[0]", "missing field `lease`"),
    ],
)
def test_a_lease_that_asks_too_much_leases_and_settles_nothing(jobs, native, request_, field, words):
    jobs.add({})
    with pytest.raises(Problem) as refused:
        native.post(f"{jobs.path}/lease", request_)
    assert refused.value.field == field
    assert words in refused.value.detail
    assert jobs.counters()["leased"] == 0


def test_a_list_with_one_wrong_job_adds_none(jobs, native):
    with pytest.raises(Problem):
        jobs.add({"data": 1}, {"data": 2, "priority": "high"})
    with pytest.raises(Problem) as refused:
        native.post("/v1/jobs", {"jobs": [{"queue": jobs.name}, {"queue": "nowhere"}]})
    assert refused.value.code == "queue.not_found"
    assert jobs.counters()["ready"] == 0


def test_an_idempotency_key_adds_once(jobs):
    first = jobs.add({"data": 1}, {"data": 2}, Idempotency_Key="order-17")
    assert jobs.add({"data": 1}, {"data": 2}, Idempotency_Key="order-17") == first
    assert jobs.add({"data": 1}, Idempotency_Key="order-18") != first[:1]
    assert jobs.counters()["ready"] == 3


def test_a_custom_id_names_a_job_and_is_there_once(jobs, native):
    [id] = jobs.add({"custom_id": "order-17", "data": 1})
    [again] = native.post(f"{jobs.path}/jobs", {"custom_id": "order-17", "data": 2})["jobs"]
    assert again == {"id": id, "duplicate": True}
    seen = jobs.job("order-17")
    assert (seen["id"], seen["custom_id"], seen["data"]) == (id, "order-17", 1)


def test_priority_and_lifo_order_jobs(jobs):
    jobs.add({"data": "late", "priority": 5}, {"data": "b"}, {"data": "c"}, {"data": "a", "lifo": True})
    assert [job["data"] for job in jobs.lease(max=4)] == ["a", "b", "c", "late"]


def test_a_delayed_job_can_be_promoted(jobs, native):
    [id] = jobs.add({"delay_ms": 3_600_000})
    assert jobs.job(id)["state"] == "delayed"
    assert jobs.lease() == []
    native.post(f"{jobs.path}/jobs/{id}/promote")
    assert [job["id"] for job in jobs.lease()] == [id]


def test_a_lease_waits_for_a_job(weir, jobs, waiting_receivers):
    before = waiting_receivers()
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        other = Native(weir)
        waiting = pool.submit(other.post, f"{jobs.path}/lease", {"wait_ms": 30_000})
        eventually(lambda: waiting_receivers() == before + 1, "the worker waits")
        [id] = jobs.add({"data": 1})
        assert [job["id"] for job in waiting.result()["jobs"]] == [id]


def test_a_worker_that_hangs_up_costs_nothing(weir, jobs, waiting_receivers):
    before = waiting_receivers()
    other = Native(weir)
    body = json.dumps({"wait_ms": 60_000})
    other.connection.request("POST", f"{jobs.path}/lease", body, {"Content-Type": "application/json"})
    eventually(lambda: waiting_receivers() == before + 1, "the worker waits")
    other.connection.close()
    eventually(lambda: waiting_receivers() == before, "it is gone")
    jobs.add({})
    [job] = jobs.lease()
    assert job["leases"] == 1


def test_a_failure_is_tried_again_by_policy_and_then_final(make_jobs):
    jobs = make_jobs(retry={"attempts_max": 2, "backoff": {"fixed_ms": 0}})
    [id] = jobs.add({})
    [first] = jobs.lease()
    assert jobs.fail(first, error={"message": "boom"})["state"] in ("ready", "delayed")
    [second] = jobs.lease(wait_ms=10_000)
    assert second["attempt"] == 2
    assert jobs.fail(second, error="again")["state"] == "failed"
    seen = jobs.job(id)
    assert (seen["state"], seen["failures"], seen["failed"]) == ("failed", 2, "reported")
    assert [attempt["error"] for attempt in seen["history"]] == [{"message": "boom"}, "again"]


def test_a_failure_may_be_final_at_once_or_be_tried_after_a_time(jobs):
    ids = jobs.add({}, {})
    one, two = jobs.lease(max=2)
    assert jobs.fail(one, retry=False)["state"] == "failed"
    settled = jobs.fail(two, delay_ms=3_600_000)
    assert settled["state"] == "delayed"
    assert settled["due_at_ms"] > time.time() * 1000 + 3_000_000
    assert [jobs.job(id)["state"] for id in ids] == ["failed", "delayed"]


def test_a_release_costs_no_attempt(jobs):
    jobs.add({})
    [job] = jobs.lease()
    assert jobs.settle({"lease": job["lease"], "action": "release"}) == [{"state": "ready"}]
    [job] = jobs.lease()
    assert job["attempt"] == 1


def test_a_heartbeat_extends_the_lease_and_brings_progress_and_log(jobs, native):
    [id] = jobs.add({})
    [job] = jobs.lease(lease_ms=60_000)
    beat = {"lease": job["lease"], "action": "extend", "lease_ms": 600_000, "progress": {"percent": 40}, "logs": ["a", "b"]}
    [settled] = jobs.settle(beat)
    assert settled["state"] == "leased"
    assert settled["due_at_ms"] > job["lease_until_ms"]
    assert jobs.job(id)["progress"] == {"percent": 40}
    native.post(f"{jobs.path}/jobs/{id}/report", {"logs": ["c"]})
    assert native.get(f"{jobs.path}/jobs/{id}/logs") == {"lines": ["a", "b", "c"], "from": 0, "total": 3}
    assert native.get(f"{jobs.path}/jobs/{id}/logs", **{"from": 1, "limit": 1})["lines"] == ["b"]


def test_a_stale_worker_changes_nothing(jobs):
    [id] = jobs.add({})
    [stale] = jobs.lease(lease_ms=1)
    [job] = jobs.lease(wait_ms=30_000)
    assert (job["id"], job["leases"]) == (id, 2)
    [refused, wrong] = jobs.settle({"lease": stale["lease"], "result": 1}, {"lease": "nonsense"})
    assert (refused["code"], wrong["code"]) == ("lease.lost", "lease.invalid")
    assert jobs.job(id)["state"] == "leased"
    assert jobs.complete(job) == [{"state": "completed"}]
    assert jobs.complete(job)[0]["code"] == "lease.lost"


def test_members_that_mean_nothing_with_the_action_are_refused(jobs):
    jobs.add({})
    [job] = jobs.lease()
    with pytest.raises(Problem) as refused:
        jobs.settle({"lease": job["lease"], "error": "x"})
    assert refused.value.field == "settle[0].error"
    assert jobs.complete(job) == [{"state": "completed"}]


def test_a_result_can_be_waited_for(weir, jobs):
    [id] = jobs.add({})
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        other = Native(weir)
        waiting = pool.submit(other.get, f"{jobs.path}/jobs/{id}", wait=30)
        [job] = jobs.lease()
        jobs.complete(job, result=[42])
        seen = waiting.result()
    assert (seen["state"], seen["result"]) == ("completed", [42])
    assert jobs.job(id, wait=30)["result"] == [42]


def test_a_running_job_learns_with_its_heartbeat_that_it_is_to_be_cancelled(jobs, native):
    [running, waiting] = jobs.add({}, {})
    [job] = jobs.lease()
    for id in (running, waiting):
        native.post(f"{jobs.path}/jobs/{id}/cancel")
    assert jobs.job(waiting)["failed"] == "cancelled"
    [beat] = jobs.settle({"lease": job["lease"], "action": "extend"})
    assert beat["cancel_requested"] is True
    assert jobs.fail(job, error="stopped")["state"] == "failed"
    assert jobs.job(running)["state"] == "failed"


def test_a_job_sent_natively_is_received_over_sqs_and_the_other_way_round(sqs, make_queue, native):
    url = make_queue()
    name = url.rsplit("/", 1)[1]
    native.post(f"/v1/queues/{name}/jobs", {"name": "mail", "data": {"a": 1}, "attributes": {"k": "v"}, "group": "g"})
    answer = sqs.receive_message(QueueUrl=url, MessageAttributeNames=["All"], AttributeNames=["All"])
    [message] = answer["Messages"]
    assert message["Body"] == '{"a": 1}'
    assert message["MessageAttributes"]["weir.name"]["StringValue"] == "mail"
    assert message["MessageAttributes"]["k"]["StringValue"] == "v"
    assert message["Attributes"]["MessageGroupId"] == "g"
    sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    text = {"StringValue": "v", "DataType": "String"}
    for body in ('{"b": [2]}', "plain", "17"):
        sqs.send_message(QueueUrl=url, MessageBody=body, MessageAttributes={"weir.name": text, "k": text})
    jobs = native.post(f"/v1/queues/{name}/lease", {"max": 3})["jobs"]
    assert [job["data"] for job in jobs] == [{"b": [2]}, "plain", "17"]
    assert (jobs[0]["name"], jobs[0]["attributes"]) == ("v", {"k": "v"})
    # A lease is the same thing under both names.
    sqs.delete_message(QueueUrl=url, ReceiptHandle=jobs[0]["lease"])
    settled = native.post(f"/v1/queues/{name}/settle", {"settle": [{"lease": job["lease"]} for job in jobs[1:]]})
    assert [entry["state"] for entry in settled["settled"]] == ["completed", "completed"]


def test_groups_on_a_fifo_queue_run_one_after_the_other(make_jobs):
    jobs = make_jobs(fifo=True)
    jobs.add(*({"group": group, "data": f"{group}{n}"} for n in (1, 2) for group in ("a", "b")))
    first = jobs.lease(max=4)
    assert sorted(job["data"] for job in first) in (["a1", "b1"], ["a1", "a2", "b1", "b2"])
    with pytest.raises(Problem) as refused:
        jobs.add({"data": "no group"})
    assert refused.value.code == "message.group_required"


def test_bytes_bound_a_lease(jobs):
    jobs.add(*({"data": "x" * 1_000} for _ in range(10)))
    assert 1 <= len(jobs.lease(max=10, bytes_max=2_500)) <= 3


def test_a_deduplication_id_tells_its_job_and_can_be_made_free(jobs, native):
    once = {"data": 1, "deduplication": {"id": "customer/7"}}
    [id] = jobs.add(once)
    path = f"{jobs.path}/deduplication/customer%2F7"
    assert native.get(path)["id"] == id
    with pytest.raises(Problem) as refused:
        native.delete(f"{path}?job={int(id) + 1}")
    assert refused.value.code == "job.not_found"
    native.delete(f"{path}?job={id}")
    with pytest.raises(Problem) as refused:
        native.get(path)
    assert refused.value.code == "job.not_found"
    assert jobs.add(once) != [id]


def test_the_log_of_a_job_is_cut_to_its_newest_lines(jobs, native):
    [id] = jobs.add({"data": 1})
    report = f"{jobs.path}/jobs/{id}/report"
    native.post(report, {"logs": ["a", "b", "c"], "logs_max": 2})
    assert native.get(f"{jobs.path}/jobs/{id}/logs") == {"lines": ["b", "c"], "from": 1, "total": 3}
    native.post(report, {"logs_max": 0})
    assert native.get(f"{jobs.path}/jobs/{id}/logs") == {"lines": [], "from": 3, "total": 3}


def test_a_lease_says_how_often_work_was_started_where_some_was_released(jobs):
    jobs.add({"data": 1})
    [job] = jobs.lease()
    assert (job["leases"], job.get("starts")) == (1, None)
    jobs.settle({"lease": job["lease"], "action": "release"})
    [job] = jobs.lease()
    assert (job["leases"], job["starts"]) == (1, 2)
