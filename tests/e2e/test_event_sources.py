"""Event source mappings: what is sent to a queue over SQS arrives at a function, asked by boto3."""

import itertools
import json
import threading

import pytest

from lambda_words import ACCOUNT, refused
from lambda_words import bodies as bodies_of
from native_words import JobQueue, Native
from signatures import Key
from sqs_words import counts, send
from weir_process import Weir, eventually

UNKNOWN = "00000000-0000-4000-8000-000000000000"


def bodies(request):
    return bodies_of(request.json)


def test_messages_arrive_at_a_function_as_those_of_sqs(client, source, function, receiver, queues):
    queue, name = source(), function(url=receiver.url)
    made = queue.map(name)
    assert (made["State"], made["BatchSize"], made["EventSourceArn"]) == ("Enabled", 10, queue.arn)
    assert made["FunctionArn"] == f"arn:aws:lambda:us-east-1:000000000000:function:{name}"
    sent = queues.send_message(
        QueueUrl=queue.url,
        MessageBody='{"n": 1}',
        MessageAttributes={"kind": {"DataType": "String", "StringValue": "a"}},
    )
    [record] = receiver.next().json["Records"]
    assert (record["messageId"], record["body"]) == (sent["MessageId"], '{"n": 1}')
    assert record["messageAttributes"]["kind"]["stringValue"] == "a"
    assert (record["eventSource"], record["eventSourceARN"], record["awsRegion"]) == ("aws:sqs", queue.arn, "us-east-1")
    assert record["attributes"]["ApproximateReceiveCount"] == "1" and record["receiptHandle"]
    eventually(queue.is_empty, "what was handled is deleted")
    told = lambda: client.get_event_source_mapping(UUID=made["UUID"])["LastProcessingResult"]
    eventually(lambda: told() == "OK", "the result is told")


def test_a_batch_fills_for_as_long_as_its_window(source, function, receiver):
    queue, name = source(), function(url=receiver.url)
    queue.map(name, BatchSize=50, MaximumBatchingWindowInSeconds=300)
    for n in range(5):
        queue.send(*[str(10 * n + k) for k in range(10)])
    assert sorted(map(int, bodies(receiver.next()))) == list(range(50))
    eventually(queue.is_empty, "all of them are deleted")


def test_a_window_ends_with_fewer(source, function, receiver):
    queue, name = source(), function(url=receiver.url)
    queue.map(name, BatchSize=1_000, MaximumBatchingWindowInSeconds=1)
    queue.send("1", "2", "3")
    assert sorted(bodies(receiver.next())) == ["1", "2", "3"]


def test_what_a_function_could_not_handle_comes_again_and_ends_as_a_dead_letter(source, function, receiver, queues):
    dead = source()
    redrive = json.dumps({"deadLetterTargetArn": dead.arn, "maxReceiveCount": 2})
    queue, name = source(VisibilityTimeout="1", RedrivePolicy=redrive), function(url=receiver.url)

    def answer(request):
        failed = [record["messageId"] for record in request.json["Records"] if record["body"] == "bad"]
        return 200, {}, {"batchItemFailures": [{"itemIdentifier": id} for id in failed]}

    receiver.answer = answer
    queue.send("good", "bad", "fine")
    queue.map(name, FunctionResponseTypes=["ReportBatchItemFailures"])
    assert sorted(bodies(receiver.next())) == ["bad", "fine", "good"]
    [record] = receiver.next().json["Records"]
    assert (record["body"], record["attributes"]["ApproximateReceiveCount"]) == ("bad", "2")
    eventually(lambda: counts(queues, dead.url)[0] == 1, "it is a dead letter")
    assert queue.is_empty() and receiver.requests.qsize() == 0


@pytest.mark.parametrize(
    "answer",
    [
        500,
        (200, {"x-amz-function-error": "Unhandled"}, {"errorMessage": "no"}),
        (200, {}, {"batchItemFailures": [{"itemIdentifier": "nobody"}]}),
        (200, {}, {"batchItemFailures": [{"id": "a"}]}),
        (200, {}, b"ok"),
    ],
)
def test_a_batch_that_failed_comes_again_as_a_whole(client, source, function, receiver, answer):
    queue, name = source(VisibilityTimeout="1"), function(url=receiver.url)
    answers = itertools.chain([answer], itertools.repeat((200, {}, {"batchItemFailures": []})))
    receiver.answer = lambda request: next(answers)
    queue.send("a", "b")
    uuid = queue.map(name, FunctionResponseTypes=["ReportBatchItemFailures"])["UUID"]
    assert sorted(bodies(receiver.next())) == ["a", "b"]
    again = bodies(receiver.next())
    again += bodies(receiver.next()) if len(again) == 1 else []
    assert sorted(again) == ["a", "b"]
    eventually(queue.is_empty, "the second time it is handled")
    told = lambda: client.get_event_source_mapping(UUID=uuid)["LastProcessingResult"]
    eventually(lambda: told() == "OK", "the result is told")


def test_filters_choose_and_what_nobody_wants_is_deleted(source, function, receiver, queues):
    queue, name = source(), function(url=receiver.url)
    patterns = [{"body": {"n": [{"numeric": [">", 5]}]}}, {"messageAttributes": {"kind": {"stringValue": [{"prefix": "b"}]}}}]
    queue.map(name, FilterCriteria={"Filters": [{"Pattern": json.dumps(pattern)} for pattern in patterns]})
    queue.send('{"n": 5}', "no JSON", '{"n": 6}')
    assert bodies(receiver.next()) == ['{"n": 6}']
    queues.send_message(
        QueueUrl=queue.url,
        MessageBody="by its attribute",
        MessageAttributes={"kind": {"DataType": "String", "StringValue": "big"}},
    )
    assert bodies(receiver.next()) == ["by its attribute"]
    eventually(queue.is_empty, "the others are deleted")
    assert receiver.requests.qsize() == 0


def test_no_more_batches_run_at_once_than_it_says(source, function, receiver):
    queue, name = source(), function(url=receiver.url, concurrency=10)
    gate = threading.Semaphore(0)

    def answer(request):
        gate.acquire(timeout=30)
        return 200

    receiver.answer = answer
    queue.send(*map(str, range(10)))
    queue.map(name, BatchSize=1, ScalingConfig={"MaximumConcurrency": 2})
    eventually(lambda: receiver.under_way == 2, "two batches are under way")
    gate.release(20)
    eventually(queue.is_empty, "all of them are handled")
    assert receiver.most_under_way == 2


def test_workers_and_limits_of_the_function_hold(api, source, function):
    api.put("/v1/limiters/mapped", {"concurrency": 1})
    queue, name = source(VisibilityTimeout="1"), function(limiters=[{"limiter": "mapped"}])
    calls = JobQueue(api, name)
    queue.map(name, BatchSize=1)
    queue.send("1", "2")
    [job] = eventually(calls.lease, "a batch is a call of the function")
    eventually(lambda: calls.counters()["ready"] == 1, "the other waits for its turn")
    assert calls.lease() == [] and counts(queue.queues, queue.url) == (0, 2, 0)
    calls.complete(job)
    [other] = eventually(calls.lease, "its turn comes")
    records = job["data"]["Records"] + other["data"]["Records"]
    assert sorted(record["body"] for record in records) == ["1", "2"]
    assert {record["attributes"]["ApproximateReceiveCount"] for record in records} == {"1"}, "waiting costs nothing"
    calls.complete(other)
    eventually(queue.is_empty, "both are handled")


def test_a_mapping_is_found_listed_changed_and_deleted(client, source, function, receiver):
    queue, name, other = source(), function(url=receiver.url), function(url=receiver.url)
    made = queue.map(f"arn:aws:lambda:us-east-1:000000000000:function:{name}", Enabled=False)
    uuid = made["UUID"]
    assert made["State"] == "Disabled" and made["ResponseMetadata"]["HTTPStatusCode"] == 202
    second = queue.map(other, Enabled=False)["UUID"]
    listed = lambda **by: [each["UUID"] for each in client.list_event_source_mappings(**by)["EventSourceMappings"]]
    assert listed(EventSourceArn=queue.arn) == sorted([uuid, second])
    assert listed(FunctionName=name) == [uuid] and listed(EventSourceArn=queue.arn, FunctionName=other) == [second]
    pages = client.get_paginator("list_event_source_mappings")
    pages = list(pages.paginate(EventSourceArn=queue.arn, PaginationConfig={"PageSize": 1}))
    assert [len(page["EventSourceMappings"]) for page in pages] == [1, 1]
    queue.send("1")
    changed = client.update_event_source_mapping(UUID=uuid, BatchSize=5, Enabled=True)
    assert (changed["BatchSize"], changed["State"]) == (5, "Enabled")
    assert bodies(receiver.next()) == ["1"]
    found = client.get_event_source_mapping(UUID=uuid)
    assert (found["BatchSize"], found["MaximumBatchingWindowInSeconds"]) == (5, 0)
    assert client.delete_event_source_mapping(UUID=uuid)["State"] == "Deleting"
    for call in [client.get_event_source_mapping, client.delete_event_source_mapping]:
        refused("ResourceNotFoundException", 404, call, UUID=uuid)
    eventually(queue.is_empty, "what was under way ended")
    queue.send("2")
    assert counts(queue.queues, queue.url) == (1, 0, 0) and listed(EventSourceArn=queue.arn) == [second]


def test_what_cannot_be_mapped_is_refused_by_name(client, source, function, receiver):
    queue, name = source(), function(url=receiver.url)
    create = client.create_event_source_mapping
    uuid = queue.map(name, Enabled=False)["UUID"]
    message = refused("ResourceConflictException", 409, create, EventSourceArn=queue.arn, FunctionName=name)
    assert uuid in message
    refused("ResourceNotFoundException", 404, create, EventSourceArn=queue.arn, FunctionName="nobody")
    for arguments, text in [
        ({"EventSourceArn": ACCOUNT + "nowhere"}, "there is no queue called nowhere"),
        ({"EventSourceArn": "arn:aws:kinesis:us-east-1:000000000000:stream/a"}, "no other source is supported"),
        ({"EventSourceArn": ACCOUNT + name}, "is the queue of a function"),
        ({"BatchSize": 11}, "MaximumBatchingWindowInSeconds: must be at least 1"),
        ({"StartingPosition": "LATEST"}, "StartingPosition: is not supported"),
        ({"FilterCriteria": {"Filters": [{"Pattern": '{"body": {"a": [{"regex": "b"}]}}'}]}}, "FilterCriteria.Filters[0].Pattern: "),
    ]:
        arguments = {"EventSourceArn": queue.arn, "FunctionName": name} | arguments
        assert text in refused("InvalidParameterValueException", 400, create, **arguments)


def test_a_mapping_waits_for_its_function_and_outlives_a_restart(tmp_path, receiver):
    with Weir(tmp_path / "data", "--push-allow-networks", "127.0.0.0/8") as weir:
        api, queues, client = Native(weir), weir.sqs(), weir.client("lambda")
        url = queues.create_queue(QueueName="source")["QueueUrl"]
        api.put("/v1/functions/later", {"url": receiver.url})
        uuid = client.create_event_source_mapping(EventSourceArn=ACCOUNT + "source", FunctionName="later")["UUID"]
        api.delete("/v1/functions/later")
        told = lambda: client.get_event_source_mapping(UUID=uuid)["LastProcessingResult"]
        eventually(lambda: told() == "PROBLEM: Function not found", "it is told")
        send(queues, url, "1")
        assert weir.end() == 0
        weir.start()
        api, queues, client = Native(weir), weir.sqs(), weir.client("lambda")
        assert counts(queues, queues.get_queue_url(QueueName="source")["QueueUrl"]) == (1, 0, 0)
        api.put("/v1/functions/later", {"url": receiver.url})
        [record] = receiver.next().json["Records"]
        assert (record["body"], record["attributes"]["ApproximateReceiveCount"]) == ("1", "1")


def test_a_call_that_was_not_begun_is_taken_back_when_the_server_stops(tmp_path):
    with Weir(tmp_path / "data") as weir:
        api, queues = Native(weir), weir.sqs()
        url = queues.create_queue(QueueName="source")["QueueUrl"]
        api.put("/v1/functions/worked", {})
        mapping = {"EventSourceArn": ACCOUNT + "source", "FunctionName": "worked"}
        weir.client("lambda").create_event_source_mapping(**mapping)
        send(queues, url, "1")
        eventually(lambda: JobQueue(api, "worked").counters()["ready"] == 1, "the call waits for a worker")
        assert weir.end() == 0
        weir.start()
        queues, calls = weir.sqs(), JobQueue(Native(weir), "worked")
        url = queues.get_queue_url(QueueName="source")["QueueUrl"]
        [job] = eventually(lambda: calls.lease(max=10), "it is called again")
        assert [record["body"] for record in job["data"]["Records"]] == ["1"]
        eventually(lambda: counts(queues, url) == (0, 1, 0), "the message is under way")
        calls.complete(job)
        eventually(lambda: counts(queues, url) == (0, 0, 0), "it is handled")
        assert calls.counters()["ready"] == 0


def test_messages_of_a_group_come_in_order(source, function, receiver):
    queue, name = source(FifoQueue="true", ContentBasedDeduplication="true"), function(url=receiver.url)
    queue.map(name, BatchSize=2)
    queue.send("1", "2", "3", "4", "5", group="g")
    seen = []
    while len(seen) < 5:
        seen += bodies(receiver.next())
    assert seen == ["1", "2", "3", "4", "5"]
    eventually(queue.is_empty, "all of them are handled")


def test_only_administrators_change_mappings(tmp_path):
    writer, admin = Key("WRITER", "write"), Key("ADMIN", "admin")
    (tmp_path / "weir.toml").write_text("\n".join(key.table for key in (writer, admin)))
    with Weir(tmp_path / "data", "--config", str(tmp_path / "weir.toml")) as weir:
        client = weir.client("lambda", writer.pair)
        mapping = {"EventSourceArn": ACCOUNT + "a", "FunctionName": "f"}
        refused("AccessDeniedException", 403, client.create_event_source_mapping, **mapping)
        refused("AccessDeniedException", 403, client.update_event_source_mapping, UUID=UNKNOWN)
        refused("AccessDeniedException", 403, client.delete_event_source_mapping, UUID=UNKNOWN)
        assert client.list_event_source_mappings()["EventSourceMappings"] == []
        refused("ResourceNotFoundException", 404, client.get_event_source_mapping, UUID=UNKNOWN)
        create = weir.client("lambda", admin.pair).create_event_source_mapping
        refused("ResourceNotFoundException", 404, create, **mapping)
        elsewhere = mapping | {"EventSourceArn": "arn:aws:sqs:us-east-1:111122223333:a"}
        refused("AccessDeniedException", 403, create, **elsewhere)
