"""Topics from the command line, against a running server."""

import itertools
import json
import re

import pytest

from native_words import Native
from weir_process import eventually

USAGE, NOT_FOUND = 2, 6

_numbers = itertools.count(1)


@pytest.fixture
def topic(said):
    name = f"cli-topic-{next(_numbers)}"
    assert said("topic", "put", name) == f"created {name}\n"
    return name


def test_a_topic_is_made_changed_listed_and_deleted(said, cli, topic):
    assert said("topic", "put", topic, "--archive", "7d") == f"changed {topic}\n"
    shown = json.loads(said("topic", "get", topic, "--json"))
    assert shown["topic"]["settings"]["archive_ms"] == 7 * 86_400_000 and shown["subscriptions"] == []
    assert said("topic", "list", "--names", "--prefix", topic) == f"{topic}\n"
    assert [each["name"] for each in json.loads(said("topic", "list", "--json", "--prefix", topic))] == [topic]
    assert re.search(rf"^{topic} +20\d\d-", said("topic", "list"), re.M)
    assert said("topic", "delete", topic) == f"deleted {topic}\n"
    assert cli("topic", "get", topic).returncode == NOT_FOUND


def test_what_is_published_comes_to_who_subscribed(said, topic, jobs):
    subscription = said("topic", "subscribe", topic, "--queue", jobs.name, "--filter", '{"plan": ["pro"]}').strip()
    told = said("topic", "publish", topic, "--data", '{"n": 1}', "--name", "order", "--attribute", "plan=pro")
    assert re.fullmatch(r"\d+: delivered to 1 subscription\n", told)
    assert said("topic", "publish", topic, "--attribute", "plan=free").endswith("delivered to 0 subscriptions\n")
    [job] = jobs.lease()
    assert (job["name"], job["data"], job["attributes"]) == ("order", {"n": 1}, {"plan": "pro"})
    shown = said("topic", "get", topic)
    assert re.search(r"^published +2$", shown, re.M)
    assert re.search(rf"^{subscription} +queue {jobs.name} +.*delivers$", shown, re.M)
    assert said("topic", "pause", topic, subscription) == f"paused {subscription}\n"
    assert "paused" in said("topic", "get", topic)
    assert said("topic", "resume", topic, subscription) == f"resumed {subscription}\n"
    assert said("topic", "unsubscribe", topic, subscription) == f"ended {subscription}\n"
    assert said("topic", "publish", topic).endswith("delivered to 0 subscriptions\n")


def test_an_archive_is_replayed(said, topic, jobs):
    said("topic", "put", topic, "--archive", "1d")
    said("topic", "publish", topic, "--data", "1")
    subscription = said("topic", "subscribe", topic, "--queue", jobs.name).strip()
    assert re.fullmatch(r"started replay \d+\n", said("topic", "replay", topic, subscription))
    [job] = eventually(jobs.lease, "what was published comes once more")
    assert job["data"] == 1


def test_a_url_is_subscribed_with_how_it_is_called(said, weir, topic, tmp_path):
    file = tmp_path / "push.json"
    file.write_text('{"mode": "cloudevents", "timeouts": {"total_ms": 5000}}')
    id = said("topic", "subscribe", topic, "--endpoint", "http://example.com/", "--push", file, "--attempts", 5).strip()
    shown = Native(weir).get(f"/v1/topics/{topic}/subscriptions/{id}")["push"]["target"]
    assert (shown["url"], shown["mode"], shown["timeouts"]["total_ms"]) == ("http://example.com/", "cloudevents", 5000)


def test_a_function_is_subscribed_and_called(said, weir, topic):
    function = f"called-by-{topic}"
    said("function", "set", function)
    said("topic", "subscribe", topic, "--function", function)
    assert re.search(rf"function {function} ", said("topic", "get", topic))
    said("topic", "publish", topic, "--data", '{"n": 1}')
    lease = lambda: Native(weir).post(f"/v1/queues/{function}/lease", {"max": 1})["jobs"]  # noqa: E731
    [call] = eventually(lease, "the function is called")
    assert call["data"] == {"n": 1}


def test_a_subscription_that_is_there_already_is_named(cli, said, topic, jobs):
    id = said("topic", "subscribe", topic, "--queue", jobs.name).strip()
    done = cli("topic", "subscribe", topic, "--queue", jobs.name, "--filter", "{}")
    assert done.returncode != 0 and f"(subscription {id})" in done.stderr


def test_mistakes_are_told(cli, topic):
    assert cli("topic", "subscribe", topic).returncode == USAGE
    assert cli("topic", "subscribe", topic, "--queue", "a", "--endpoint", "http://b/").returncode == USAGE
    done = cli("topic", "publish", topic, "--data", "{")
    assert done.returncode != 0 and "--data is not JSON" in done.stderr
    assert cli("topic", "publish", "no-such-topic").returncode == NOT_FOUND


def test_a_queue_that_a_subscription_owns_is_neither_listed_nor_measured(said, weir, topic):
    id = said("topic", "subscribe", topic, "--endpoint", "http://example.com/").strip()
    path = f"/v1/topics/{topic}/subscriptions/{id}"
    shown = eventually(lambda: [push for push in [Native(weir).get(path)["push"]] if push.get("status")], "it runs")
    queue = shown[0]["queue"]
    text = weir.get("/metrics")[1]
    assert "weir_queue_messages" in text and f'queue="{queue}"' not in text
    assert queue not in said("queue", "list", "--names") and queue not in said("push", "list")
