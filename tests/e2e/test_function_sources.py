"""Sources of functions over the native API: queues whose messages are handed over, and the same as Lambda's clients see it."""

import itertools
import json
import sys
import threading
import urllib.parse

import pytest

from lambda_words import ACCOUNT, bodies
from native_words import JobQueue, Native, Problem
from sqs_words import counts, send
from weir_process import Weir, eventually

DEFAULTS = {
    "batch": {"count": 10, "wait_ms": 0},
    "concurrency": 100,
    "filters": [],
    "partial_failures": False,
    "enabled": True,
}
SET = {
    "batch": {"count": 500, "wait_ms": 200},
    "concurrency": 1,
    "filters": [{"body": {"n": [{"numeric": [">", 5]}]}}],
    "partial_failures": True,
    "enabled": False,
}


def path(function, queue):
    return f"/v1/functions/{function}/sources/{queue.name}"


def settings(source):
    return {name: source[name] for name in DEFAULTS}


def test_a_source_is_made_replaced_changed_and_deleted(api, source, function):
    queue, name = source(), function()
    at = path(name, queue)
    made = api.put(at)
    assert made["created"] and settings(made["source"]) == DEFAULTS
    assert (made["source"]["queue"], made["source"]["function"]) == (queue.name, name)
    assert made["source"]["status"] == {"state": "running", "last_result": "none"}
    replaced = api.put(at, SET)
    assert not replaced["created"] and settings(replaced["source"]) == SET
    assert replaced["source"]["status"]["state"] == "disabled"
    assert replaced["source"]["id"] == made["source"]["id"]
    assert settings(api.patch(at, {"batch": {"count": 5}})) == SET | {"batch": {"count": 5, "wait_ms": 200}}
    again = api.put(at, {"concurrency": 7})["source"]
    assert settings(again) == DEFAULTS | {"concurrency": 7, "enabled": False}, "what was disabled stays so"
    assert settings(api.patch(at, {"enabled": True})) == DEFAULTS | {"concurrency": 7}
    assert api.get(at)["id"] == made["source"]["id"]
    assert api.delete(at) == {}
    for call in [api.get, api.delete, lambda at: api.patch(at, {})]:
        with pytest.raises(Problem) as refused:
            call(at)
        assert (refused.value.status, refused.value.code) == (404, "source.not_found")
        assert queue.name in refused.value.detail and name in refused.value.detail


def test_both_doors_see_and_change_the_same_source(api, client, source, function):
    queue, name = source(), function()
    at = path(name, queue)
    uuid = queue.map(name, BatchSize=7, Enabled=False)["UUID"]
    assert settings(api.get(at)) == DEFAULTS | {"batch": {"count": 7, "wait_ms": 0}, "enabled": False}
    assert api.get(at)["id"] == uuid
    api.patch(at, SET)
    seen = client.get_event_source_mapping(UUID=uuid)
    assert (seen["BatchSize"], seen["MaximumBatchingWindowInSeconds"], seen["State"]) == (500, 1, "Disabled")
    assert seen["ScalingConfig"] == {"MaximumConcurrency": 1}
    assert [json.loads(each["Pattern"]) for each in seen["FilterCriteria"]["Filters"]] == SET["filters"]
    assert seen["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    client.update_event_source_mapping(UUID=uuid, BatchSize=9, ScalingConfig={}, FunctionResponseTypes=[])
    changed = SET | {"batch": {"count": 9, "wait_ms": 200}, "concurrency": 100, "partial_failures": False}
    assert settings(api.get(at)) == changed, "what is not named stays to the millisecond"
    api.delete(at)
    assert client.list_event_source_mappings(EventSourceArn=queue.arn)["EventSourceMappings"] == []
    second = api.put(at)["source"]["id"]
    client.delete_event_source_mapping(UUID=second)
    with pytest.raises(Problem) as refused:
        api.get(at)
    assert refused.value.code == "source.not_found"


def test_sources_are_listed_of_a_function_of_a_queue_and_of_all(api, source, function):
    one, other, first, second = source(), source(), function(), function()
    for name, queue in itertools.product([first, second], [one, other]):
        api.put(path(name, queue), {"enabled": False})
    pairs = lambda found: [(each["queue"], each["function"]) for each in found]
    ordered = lambda *found: sorted((queue.name, name) for queue, name in found)
    found = api.pages(f"/v1/functions/{first}/sources", "sources", limit=1)
    assert pairs(found) == ordered((one, first), (other, first))
    found = api.pages("/v1/sources", "sources", limit=1, queue=one.name)
    assert pairs(found) == ordered((one, first), (one, second))
    found = [pair for pair in pairs(api.pages("/v1/sources", "sources", limit=3)) if pair[1] in (first, second)]
    assert found == ordered((one, first), (one, second), (other, first), (other, second))
    assert api.get(f"/v1/functions/{function()}/sources")["sources"] == []
    with pytest.raises(Problem) as refused:
        api.get("/v1/functions/nobody/sources")
    assert refused.value.code == "function.not_found"


def test_messages_and_jobs_are_handed_over(api, source, function):
    queue, name = source(VisibilityTimeout="1"), function()
    calls = JobQueue(api, name)
    api.put(path(name, queue), {"batch": {"count": 3, "wait_ms": 300_000}})
    queue.send("a", '{"n": 1}')
    JobQueue(api, queue.name).add({"data": {"n": 2}})
    [call] = eventually(calls.lease, "a batch is a call of the function")
    sent = sorted(bodies(call["data"]))
    assert [json.loads(body) if body[0] == "{" else body for body in sent] == ["a", {"n": 1}, {"n": 2}]
    calls.complete(call)
    eventually(queue.is_empty, "what was handled is deleted")
    handled = {"state": "running", "last_result": "handled"}
    eventually(lambda: api.get(path(name, queue))["status"] == handled, "it is told")


def test_it_is_told_why_a_batch_was_not_handled(api, source, function):
    queue, name = source(VisibilityTimeout="1"), function()
    calls = JobQueue(api, name)
    api.put(path(name, queue))
    queue.send("a")
    [call] = eventually(calls.lease, "a batch is a call of the function")
    calls.fail(call, error={"message": "no room"})
    status = lambda: api.get(path(name, queue))["status"]
    eventually(lambda: status()["last_result"] == "failed", "it is told")
    assert status()["last_error"] == "the call failed: no room"
    [call] = eventually(calls.lease, "it comes again")
    calls.complete(call)
    eventually(lambda: status() == {"state": "running", "last_result": "handled"}, "it is handled")


def test_a_source_waits_for_its_function(api, source, function):
    queue, name = source(), function()
    at = path(name, queue)
    api.put(at)
    api.delete(f"/v1/functions/{name}")
    eventually(lambda: api.get(at)["status"] == {"state": "no_function", "last_result": "no_function"}, "it is told")
    assert [each["queue"] for each in api.get(f"/v1/functions/{name}/sources")["sources"]] == [queue.name]
    queue.send("a")
    api.put(f"/v1/functions/{name}")
    [call] = eventually(JobQueue(api, name).lease, "it goes on")
    assert bodies(call["data"]) == ["a"]


@pytest.mark.parametrize(
    "body, field, text",
    [
        ({"batch": {"count": 0}}, "batch.count", "must be from 1 to 10000, found 0"),
        ({"batch": {"count": 10_001, "wait_ms": 1}}, "batch.count", "must be from 1 to 10000, found 10001"),
        ({"batch": {"count": 11}}, "batch.wait_ms", "at least 1 where batch.count is greater than 10, found 0"),
        ({"batch": {"wait_ms": 300_001}}, "batch.wait_ms", "must be from 0 to 300000, found 300001"),
        ({"batch": {"wait_ms": -1}}, "batch.wait_ms", "integer `-1`, expected a whole number from 0"),
        ({"concurrency": 0}, "concurrency", "must be from 1 to 1000, found 0"),
        ({"filters": [{"body": ["a"]}] * 11}, "filters", "must have at most 10 entries, found 11"),
        ({"filters": [{"body": ["a"]}, {"body": {"a": [{"regex": "b"}]}}]}, "filters[1]", "cannot be used"),
        ({"filters": [{"body": ["x" * 4_096]}]}, "filters[0]", "must have at most 4096 bytes, found 4110"),
        ({"partial_failure": True}, "partial_failure", "unknown field"),
    ],
)
def test_a_refusal_names_field_limit_and_value(api, source, function, body, field, text):
    queue, name = source(), function()
    for call in [api.put, api.patch]:
        with pytest.raises(Problem) as refused:
            call(path(name, queue), body)
        assert (refused.value.status, refused.value.code) == (400, "request.invalid")
        assert refused.value.field == field and text in refused.value.detail, refused.value.detail
        api.put(path(name, queue))
    assert settings(api.get(path(name, queue))) == DEFAULTS, "nothing was changed"


def test_what_cannot_be_a_source_is_refused(api, source, function):
    queue, fifo, name = source(), source(FifoQueue="true"), function()
    for at, body, code, text in [
        (f"/v1/functions/nobody/sources/{queue.name}", {}, "function.not_found", "no function called nobody"),
        (f"/v1/functions/{name}/sources/nowhere", {}, "queue.not_found", "no queue called nowhere"),
        (f"/v1/functions/{name}/sources/{name}", {}, "request.invalid", "is the queue of a function"),
        (path(name, fifo), {"batch": {"count": 11}}, "request.invalid", "batch.count: must be from 1 to 10, found 11"),
        (path(name, fifo), {"batch": {"wait_ms": 1}}, "request.invalid", "must be 0 for a FIFO queue, found 1"),
    ]:
        with pytest.raises(Problem) as refused:
            api.put(at, body)
        assert refused.value.code == code and text in refused.value.detail, refused.value.detail


def test_the_queue_of_a_subscription_is_no_source(api, function):
    name = function()
    api.put("/v1/topics/owning")
    made = api.post("/v1/topics/owning/subscriptions", {"url": "http://example.com/"})["subscription"]
    queue = api.get(f"/v1/topics/owning/subscriptions/{made['id']}")["push"]["queue"]
    with pytest.raises(Problem) as refused:
        api.put(f"/v1/functions/{name}/sources/{urllib.parse.quote(queue, safe='')}")
    assert (refused.value.status, refused.value.code) == (409, "queue.owned")
    api.delete("/v1/topics/owning")


def test_a_queue_is_a_source_of_twenty_functions_at_most_whoever_is_first(pushing, api, source, function):
    queue, names, answers = source(), [function() for _ in range(22)], []

    def put(name):
        try:
            answers.append(Native(pushing).put(path(name, queue), {"enabled": False})["created"])
        except Problem as problem:
            answers.append(problem.code)

    asking = [threading.Thread(target=put, args=[name]) for name in names]
    for thread in asking:
        thread.start()
    for thread in asking:
        thread.join(60)
    assert sorted(answers, key=str) == [True] * 20 + ["limit.exceeded"] * 2
    assert len(api.pages("/v1/sources", "sources", queue=queue.name)) == 20


def test_a_command_names_the_messages_that_it_could_not_handle(tmp_path):
    script = tmp_path / "handle.py"
    script.write_text(
        "import json, sys\n"
        "records = json.load(sys.stdin)['Records']\n"
        "failed = [record['messageId'] for record in records if record['body'] == 'bad']\n"
        "print(json.dumps({'batchItemFailures': [{'itemIdentifier': id} for id in failed]}))\n"
    )
    with Weir(tmp_path / "data", "--functions-allow-commands") as weir:
        api, queues = Native(weir), weir.sqs()
        dead = queues.create_queue(QueueName="dead")["QueueUrl"]
        redrive = json.dumps({"deadLetterTargetArn": ACCOUNT + "dead", "maxReceiveCount": 2})
        attributes = {"VisibilityTimeout": "1", "RedrivePolicy": redrive}
        url = queues.create_queue(QueueName="work", Attributes=attributes)["QueueUrl"]
        api.put("/v1/functions/handle", {"command": [sys.executable, str(script)]})
        send(queues, url, "good", "bad", "fine")
        api.put("/v1/functions/handle/sources/work", {"partial_failures": True})
        eventually(lambda: counts(queues, dead)[0] == 1, "what it names ends as a dead letter")
        assert counts(queues, url) == (0, 0, 0), "the others are handled"
        [message] = queues.receive_message(QueueUrl=dead)["Messages"]
        assert message["Body"] == "bad"
        assert api.get("/v1/functions/handle/sources/work")["status"]["last_result"] == "handled"
        runs = api.get("/v1/queues/handle/jobs?states=completed")["jobs"]
        handed = [len(api.get(f"/v1/queues/handle/jobs/{run['id']}")["data"]["Records"]) for run in runs]
        assert sorted(handed)[:1] == [1] and sum(handed) == 4, "all once, and the bad one a second time"
