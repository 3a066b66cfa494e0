"""Sources of functions from the command line, against a running server."""

import itertools
import json
import re

import pytest

from lambda_words import bodies
from native_words import JobQueue
from weir_process import eventually

USAGE, NOT_FOUND = 2, 6

_numbers = itertools.count(1)


@pytest.fixture
def function(said):
    name = f"cli-function-{next(_numbers)}"
    said("function", "set", name)
    yield name
    said("function", "delete", name)


def test_a_source_is_made_shown_listed_paused_and_deleted(said, cli, function, jobs):
    pair = (function, jobs.name)
    named = f"{jobs.name} -> {function}"
    filters = ["--filter", '{"body": {"n": [1]}}', "--filter", '{"body": ["a"]}']
    options = ["--batch", 50, "--wait", "2s", "--concurrency", 3, "--partial-failures", *filters]
    assert said("function", "source", "set", *pair, *options) == f"created {named}\n"
    shown = json.loads(said("function", "source", "get", *pair, "--json"))
    assert (shown["batch"], shown["concurrency"]) == ({"count": 50, "wait_ms": 2_000}, 3)
    assert shown["filters"] == [{"body": {"n": [1]}}, {"body": ["a"]}] and shown["partial_failures"]
    told = said("function", "source", "get", *pair)
    assert re.search(r"^batch +50, or after 2s$", told, re.M) and re.search(r"^state +running$", told, re.M)
    assert re.search(rf"^{jobs.name} +{function} +50, or after 2s +running +none$", said("function", "source", "list"), re.M)
    for by in [[function], ["--queue", jobs.name]]:
        listed = json.loads(said("function", "source", "list", *by, "--json"))
        assert [(each["queue"], each["function"]) for each in listed] == [(jobs.name, function)]
    assert said("function", "source", "pause", *pair) == f"paused {named}\n"
    assert json.loads(said("function", "source", "get", *pair, "--json")) | {"enabled": True} != shown
    assert said("function", "source", "set", *pair, "--batch", 5) == f"changed {named} (paused)\n"
    changed = json.loads(said("function", "source", "set", *pair, "--json"))
    assert not changed["created"] and changed["source"]["batch"] == {"count": 10, "wait_ms": 0}
    assert said("function", "source", "resume", *pair) == f"resumed {named}\n"
    assert json.loads(said("function", "source", "get", *pair, "--json"))["enabled"]
    assert said("function", "source", "delete", *pair) == f"deleted {named}\n"
    assert cli("function", "source", "get", *pair).returncode == NOT_FOUND


def test_messages_are_handed_over_once_it_is_resumed(said, function, jobs):
    assert said("function", "source", "set", function, jobs.name, "--paused").endswith(" (paused)\n")
    said("send", jobs.name, "hello")
    calls = JobQueue(jobs.native, function)
    assert jobs.counters()["ready"] == 1 and calls.counters()["ready"] == 0
    said("function", "source", "resume", function, jobs.name)
    [call] = eventually(calls.lease, "the message is handed over")
    assert bodies(call["data"]) == ["hello"]
    calls.complete(call)
    eventually(lambda: jobs.counters()["leased"] == 0, "what was handled is deleted")


def test_mistakes_are_told(cli, function, jobs):
    done = cli("function", "source", "set", function, jobs.name, "--filter", "{")
    assert done.returncode != 0 and "--filter is not JSON" in done.stderr
    done = cli("function", "source", "set", function, jobs.name, "--batch", 11)
    assert done.returncode != 0
    assert "batch.wait_ms: must be at least 1 where batch.count is greater than 10, found 0" in done.stderr
    assert cli("function", "source", "set", "nobody", jobs.name).returncode == NOT_FOUND
    assert cli("function", "source", "set", function, "no-such-queue").returncode == NOT_FOUND
    assert cli("function", "source", "list", function, "--queue", jobs.name).returncode == USAGE
