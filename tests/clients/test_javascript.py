"""The AWS SDK for JavaScript, sqs-consumer and sqs-producer: their own test runner, against our server."""

import javascript
import pytest

from weir_process import Weir


@pytest.fixture
def calling(tmp_path):
    """A server that may call this machine."""
    with Weir(tmp_path / "data", "--push-allow-networks", "127.0.0.0/8") as server:
        yield server


def test_the_clients_of_sqs_work(weir):
    javascript.run("sqs.test.mjs", weir)


def test_the_client_of_lambda_works(calling):
    javascript.run("lambda.test.mjs", calling)
