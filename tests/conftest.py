"""One server for each folder of tests, and queues with names of their own in it."""

import itertools

import pytest

from native_words import JobQueue, Native
from weir_process import Weir

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def weir(tmp_path_factory):
    """A running server that tests share; nobody ends it but this fixture."""
    with Weir(tmp_path_factory.mktemp("weir") / "data") as server:
        yield server


@pytest.fixture(scope="session")
def sqs(weir):
    return weir.sqs()


@pytest.fixture(scope="session")
def sns(weir):
    return weir.sns()


@pytest.fixture
def own_weir(tmp_path):
    """Makes a server for one test alone, which may end it."""
    servers = []

    def make(*arguments, name="data", **options):
        server = Weir(tmp_path / name, *arguments, **options)
        servers.append(server)
        return server.start()

    yield make
    for server in servers:
        if server.process is not None and server.process.poll() is None:
            server.end()


@pytest.fixture
def make_queue(sqs):
    """Makes queues that no other test knows; returns the URL."""

    def make(name="queue", fifo=False, client=sqs, **attributes):
        suffix = ".fifo" if fifo else ""
        if fifo:
            attributes["FifoQueue"] = "true"
        attributes = {key: str(value) for key, value in attributes.items()}
        return client.create_queue(QueueName=f"{name}-{next(_numbers)}{suffix}", Attributes=attributes)["QueueUrl"]

    return make


@pytest.fixture
def queue(make_queue):
    return make_queue()


@pytest.fixture
def fifo(make_queue):
    return make_queue(fifo=True)


@pytest.fixture(scope="session")
def native(weir):
    """The native API of the shared server."""
    return Native(weir)


@pytest.fixture
def make_jobs(native):
    """Makes queues for jobs that no other test knows."""

    def make(name="jobs", native=native, **settings):
        queue = JobQueue(native, f"{name}-{next(_numbers)}" + (".fifo" if settings.pop("fifo", False) else ""))
        native.put(queue.path, settings)
        return queue

    return make


@pytest.fixture
def jobs(make_jobs):
    return make_jobs()
