"""What tests of a running server may ask it beside SQS."""

import itertools
import os
import re
import subprocess

import pytest

from lambda_words import Source
from native_words import Native, Problem
from receiver import Receiver
from sqs_words import counts, send
from weir_process import BINARY, Weir


@pytest.fixture
def waiting_receivers(weir):
    """How many receivers wait for a message now, by the server's own count."""

    def count():
        status, text = weir.get("/metrics")
        assert status == 200
        return int(float(re.search(r"^weir_waiting_receivers(?:\{[^}]*\})? (\S+)$", text, re.M).group(1)))

    return count


@pytest.fixture(scope="session", autouse=True)
def aging_queues(sqs):
    """Queues with messages whose retention was cut to the least that there is, a minute, when the tests began."""
    queues = []
    for name, fifo in [("aging", False), ("aging.fifo", True)]:
        attributes = {"FifoQueue": "true"} if fifo else {}
        queue = sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
        send(sqs, queue, "1", "2", "3", group="a" if fifo else None)
        sqs.set_queue_attributes(QueueUrl=queue, Attributes={"MessageRetentionPeriod": "60"})
        assert counts(sqs, queue) == (3, 0, 0)
        queues.append(queue)
    return queues


@pytest.fixture(scope="module")
def pushing(tmp_path_factory):
    """A server that may push to this machine."""
    with Weir(tmp_path_factory.mktemp("pushing") / "data", "--push-allow-networks", "127.0.0.0/8") as server:
        yield server


@pytest.fixture(scope="module")
def api(pushing):
    """The native API of that server."""
    return Native(pushing)


@pytest.fixture(scope="module")
def client(pushing):
    """Its door of AWS Lambda."""
    return pushing.client("lambda")


@pytest.fixture(scope="module")
def queues(pushing):
    """Its door of SQS."""
    return pushing.sqs()


_functions = itertools.count(1)


@pytest.fixture
def function(api):
    """Makes functions there, which go with the test; what is behind them answers their names."""
    made = []

    def make(**settings):
        name = f"function-{next(_functions)}"
        made.append(f"/v1/functions/{name}")
        answer = api.put(made[-1], settings)
        assert answer["created"] and answer["function"]["name"] == name
        return name

    yield make
    for path in made:
        try:
            api.delete(path)
        except Problem as problem:
            assert problem.code == "function.not_found"


@pytest.fixture
def source(client, queues):
    """Makes queues there that can be mapped to functions, which go with the test."""
    made = []

    def make(**attributes):
        made.append(Source(client, queues, **attributes))
        return made[-1]

    yield make
    for one in made:
        queues.delete_queue(QueueUrl=one.url)


@pytest.fixture
def receiver():
    """What is at the other end of a push."""
    one = Receiver()
    yield one
    one.close()


@pytest.fixture
def cli(weir):
    """Runs a command against the shared server; the finished process."""

    def run(*arguments, input=None, **environment):
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("WEIR_", "AWS_"))}
        return subprocess.run(
            [BINARY, *map(str, arguments)],
            input=input,
            stdin=subprocess.DEVNULL if input is None else None,
            capture_output=True,
            text=True,
            timeout=60,
            env=kept | {"WEIR_URL": weir.url} | environment,
        )

    return run


@pytest.fixture
def said(cli):
    """Runs a command that must succeed; what it wrote."""

    def run(*arguments, **options):
        done = cli(*arguments, **options)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def pytest_collection_modifyitems(items):
    """Puts what waits for the minute to pass behind all that need not wait."""
    items.sort(key=lambda item: "aging_queues" in item.function.__code__.co_varnames)
