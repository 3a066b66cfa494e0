"""The page of every member of SQS is complete, current and true where a request can tell."""

import http.client
import json
import pathlib

import pytest

import sqs_shapes

RECORDED = pathlib.Path(__file__).parents[2] / "crates" / "aws" / "fixtures" / "query_requests.json"


def call(weir, operation, body):
    """One request in JSON: status and answer, both as they come."""
    connection = http.client.HTTPConnection("127.0.0.1", weir.port, timeout=30)
    try:
        headers = {"Content-Type": "application/x-amz-json-1.0", "X-Amz-Target": f"AmazonSQS.{operation}"}
        connection.request("POST", "/", json.dumps(body), headers)
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


def test_the_page_is_what_the_model_and_the_words_make():
    assert sqs_shapes.PAGE.read_text() == sqs_shapes.page(), "run tests/sqs_shapes.py"


def test_every_member_of_a_request_is_decoded_in_both_protocols():
    """The unit tests read the recorded requests in both; what is refused by name need not be recorded."""
    model, words = sqs_shapes.model(), sqs_shapes.words()
    recorded = {}

    def note(operation, path, value):
        if isinstance(value, dict):
            for name, inside in value.items():
                recorded.setdefault(operation, set()).add(path + name)
                note(operation, f"{path}{name}.", inside)
                # The keys of a map are values, not members.
                note(operation, f"{path.rstrip('.')}{{}}.", inside)
        elif isinstance(value, list):
            for inside in value:
                note(operation, f"{path.rstrip('.')}[].", inside)

    for request in json.loads(RECORDED.read_text()):
        note(request["operation"], "", request["json"])
    for operation, described in model["operations"].items():
        for path, name in sqs_shapes.members(model["shapes"], described["input"]["shape"]):
            fate, _ = words[name]
            # It is not a part of the old model, which the requests were recorded with.
            late = name == "ReceiveMessageRequest.MessageSystemAttributeNames"
            assert fate == "refused" or late or path in recorded[operation], f"{operation}: {path} is not recorded"


@pytest.mark.parametrize("operation", sorted(sqs_shapes.model()["operations"]))
def test_every_operation_is_carried_out(weir, operation):
    status, answer = call(weir, operation, {})
    # Without its parameters most are refused, and say which is missing.
    assert status in (200, 400), answer
    assert "UnsupportedOperation" not in answer and "UnknownOperation" not in answer


def test_an_attempt_has_an_effect(weir, fifo):
    status, _ = call(weir, "ReceiveMessage", {"QueueUrl": fifo, "ReceiveRequestAttemptId": "not an id"})
    assert status == 400
