"""The door of AWS Lambda, asked by boto3."""

import base64
import json
import threading
import urllib.request

import botocore.exceptions
import pytest

from lambda_words import refused
from native_words import Native
from signatures import Key
from weir_process import Weir, eventually


def test_a_function_is_invoked_and_its_answer_comes_back(client, function, receiver):
    receiver.answer = lambda request: (200, {}, {"doubled": 2 * request.json["n"]})
    name = function(url=receiver.url)
    answer = client.invoke(FunctionName=name, Payload=json.dumps({"n": 21}))
    assert (answer["StatusCode"], answer["ExecutedVersion"]) == (200, "$LATEST")
    assert json.load(answer["Payload"]) == {"doubled": 42}
    assert "FunctionError" not in answer and "LogResult" not in answer
    assert receiver.next().json == {"n": 21}


def test_without_a_payload_a_function_gets_an_empty_object(client, function, receiver):
    receiver.answer = lambda request: (200, {}, b"")
    name = function(url=receiver.url)
    assert json.load(client.invoke(FunctionName=name)["Payload"]) is None
    assert receiver.next().json == {}


@pytest.mark.parametrize(
    "form",
    [
        "{}",
        "{}:$LATEST",
        "000000000000:function:{}",
        "arn:aws:lambda:us-east-1:000000000000:function:{}",
        "arn:aws:lambda:us-east-1:000000000000:function:{}:$LATEST",
    ],
)
def test_a_function_is_named_in_every_form(client, function, receiver, form):
    receiver.answer = lambda request: (200, {}, b"1")
    name = form.format(function(url=receiver.url))
    assert json.load(client.invoke(FunctionName=name, Qualifier="$LATEST")["Payload"]) == 1


def test_an_event_is_taken_in_and_tried_as_the_function_says(client, api, function, receiver):
    answers = iter([500, 200])
    receiver.answer = lambda request: next(answers)
    name = function(url=receiver.url, retry={"backoff": {"fixed_ms": 0}})
    answer = client.invoke(FunctionName=name, InvocationType="Event", Payload=b'{"n": 1}')
    assert answer["StatusCode"] == 202 and answer["Payload"].read() == b""
    assert [receiver.next().json for _ in range(2)] == [{"n": 1}] * 2
    eventually(lambda: api.get(f"/v1/queues/{name}")["counters"]["completed"] == 1, "it is done")


def test_a_dry_run_calls_nothing(client, api, function, receiver):
    name = function(url=receiver.url)
    assert client.invoke(FunctionName=name, InvocationType="DryRun")["StatusCode"] == 204
    assert sum(api.get(f"/v1/queues/{name}")["counters"].values()) == 0
    refused("ResourceNotFoundException", 404, client.invoke, FunctionName="nobody", InvocationType="DryRun")


@pytest.mark.parametrize(
    "answer",
    [
        (200, {"x-amz-function-error": "Unhandled"}, {"errorMessage": "no", "errorType": "ValueError"}),
        (500, {}, {"errorMessage": "no", "errorType": "ValueError"}),
    ],
)
def test_what_a_function_says_of_its_failure_is_told(client, function, receiver, answer):
    receiver.answer = lambda request: answer
    name = function(url=receiver.url)
    told = client.invoke(FunctionName=name, Payload=b"{}")
    assert (told["StatusCode"], told["FunctionError"]) == (200, "Unhandled")
    assert json.load(told["Payload"]) == {"errorMessage": "no", "errorType": "ValueError"}
    assert receiver.requests.qsize() == 1, "it is tried once"


def test_a_function_that_takes_too_long_has_timed_out(client, api, function):
    name = function(timeout_ms=50)
    told = []
    calling = threading.Thread(target=lambda: told.append(client.invoke(FunctionName=name)))
    calling.start()
    api.post(f"/v1/queues/{name}/lease", {"max": 1, "wait_ms": 30_000})
    calling.join(60)
    assert told[0]["FunctionError"] == "Unhandled"
    error = json.load(told[0]["Payload"])
    assert error == {"errorType": "Sandbox.Timedout", "errorMessage": "Task timed out after 0.05 seconds"}


def test_the_end_of_the_log_is_told(client, api, function):
    name = function()
    told = []
    calling = threading.Thread(target=lambda: told.append(client.invoke(FunctionName=name, LogType="Tail")))
    calling.start()
    (job,) = api.post(f"/v1/queues/{name}/lease", {"max": 1, "wait_ms": 30_000})["jobs"]
    lines = ["x" * 5_000, "begun", "done"]
    settle = [{"lease": job["lease"], "action": "extend", "logs": lines}, {"lease": job["lease"], "result": 1}]
    api.post(f"/v1/queues/{name}/settle", {"settle": settle})
    calling.join(60)
    log = base64.b64decode(told[0]["LogResult"])
    assert len(log) == 4_096 and log.endswith(b"x\nbegun\ndone\n")
    assert json.load(told[0]["Payload"]) == 1


def test_the_context_of_a_client_reaches_what_is_behind(client, function, receiver):
    receiver.answer = lambda request: (200, {}, b"1")
    name = function(url=receiver.url)
    context = base64.b64encode(b'{"custom": {"a": 1}}').decode()
    client.invoke(FunctionName=name, ClientContext=context)
    assert receiver.next().headers["x-amz-client-context"] == context


def test_what_cannot_be_invoked_is_refused_by_name(client, function, api):
    name = function()
    api.put("/v1/queues/plain-queue")
    message = refused("ResourceNotFoundException", 404, client.invoke, FunctionName="nobody")
    assert message == "Function not found: arn:aws:lambda:us-east-1:000000000000:function:nobody"
    refused("ResourceNotFoundException", 404, client.invoke, FunctionName="plain-queue")
    refused("ResourceNotFoundException", 404, client.invoke, FunctionName=name, Qualifier="live")
    message = refused("InvalidRequestContentException", 400, client.invoke, FunctionName=name, Payload=b"{")
    assert message.startswith("Could not parse request body into json: ")
    refused("InvalidParameterValueException", 400, client.invoke, FunctionName="a:b:c")
    refused("RequestTooLargeException", 413, client.invoke, FunctionName=name, Payload=b'"' + b"x" * (16 << 20) + b'"')


def test_other_operations_are_refused(client):
    with pytest.raises(botocore.exceptions.ClientError) as error:
        client.delete_function(FunctionName="a")
    assert error.value.response["Error"]["Code"] == "UnknownOperationException"


def test_functions_are_described_and_listed(client, api, function, receiver):
    api.put("/v1/queues/lambda-dead")
    name = function(url=receiver.url, description="resizes", timeout_ms=1_500, dead_letters="lambda-dead")
    others = [function(), function()]
    arn = f"arn:aws:lambda:us-east-1:000000000000:function:{name}"
    found = client.get_function(FunctionName=arn)["Configuration"]
    assert (found["FunctionName"], found["FunctionArn"], found["Timeout"]) == (name, arn, 2)
    assert (found["Description"], found["State"], found["Version"]) == ("resizes", "Active", "$LATEST")
    assert found["DeadLetterConfig"]["TargetArn"] == "arn:aws:sqs:us-east-1:000000000000:lambda-dead"
    again = client.get_function_configuration(FunctionName=name)
    assert {**again, "ResponseMetadata": None} == {**found, "ResponseMetadata": None}
    pages = client.get_paginator("list_functions").paginate(PaginationConfig={"PageSize": 1})
    names = [one["FunctionName"] for page in pages for one in page["Functions"]]
    assert {name, *others} <= set(names) and names == sorted(names)


def test_signatures_are_those_of_lambda(tmp_path):
    writer, reader = Key("WRITER", "write"), Key("READER", "read")
    admin = Key("ADMIN", "admin", namespace="111122223333")
    (tmp_path / "weir.toml").write_text("\n".join(key.table for key in (writer, reader, admin)))
    with Weir(tmp_path / "data", "--config", str(tmp_path / "weir.toml")) as weir:
        name = "arn:aws:lambda:us-east-1:000000000000:function:nobody"
        refused("ResourceNotFoundException", 404, weir.client("lambda", writer.pair).invoke, FunctionName=name)
        refused("AccessDeniedException", 403, weir.client("lambda", reader.pair).invoke, FunctionName=name)
        refused("AccessDeniedException", 403, weir.client("lambda", admin.pair).invoke, FunctionName=name)
        wrong = (writer.id, "wrong")
        refused("InvalidSignatureException", 403, weir.client("lambda", wrong).invoke, FunctionName="nobody")
        assert weir.client("lambda", reader.pair).list_functions()["Functions"] == []


def test_an_answer_has_the_headers_of_lambda(pushing, function, receiver):
    receiver.answer = lambda request: (200, {}, b"1")
    name = function(url=receiver.url)
    url = f"{pushing.url}/2015-03-31/functions/{name}/invocations"
    with urllib.request.urlopen(urllib.request.Request(url, b"{}", method="POST"), timeout=30) as answer:
        assert answer.headers["x-amz-executed-version"] == "$LATEST"
        assert answer.headers["x-amzn-requestid"]
