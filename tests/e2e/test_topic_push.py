"""Subscriptions of URLs over the native API: pushed as the URL behind a queue is."""

import itertools
import json
import threading

import pytest
from standardwebhooks.webhooks import Webhook

from native_words import Native, Problem
from weir_process import eventually

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
ONCE = {"attempts_max": 1}

_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def api(pushing):
    return Native(pushing)


class Topic:
    """A topic of a test's own."""

    def __init__(self, api, fifo=False):
        self.api, self.path = api, f"/v1/topics/push-{next(_numbers)}" + (".fifo" if fifo else "")
        api.put(self.path, {})

    def subscribe(self, url, **settings):
        """Subscribes a URL; the id of the subscription."""
        made = self.api.post(f"{self.path}/subscriptions", {"url": url, "settings": settings})
        return made["subscription"]["id"]

    def put(self, subscription, **settings):
        return self.api.put(f"{self.path}/subscriptions/{subscription}", settings)

    def push(self, subscription):
        return self.api.get(f"{self.path}/subscriptions/{subscription}")["push"]

    def publish(self, *data, **more):
        self.api.post(f"{self.path}/messages", {"messages": [{"data": each} | more for each in data]})


@pytest.fixture
def topic(api):
    return Topic(api)


def test_a_message_is_pushed_in_the_form_and_with_the_signature_that_were_set(topic, receiver):
    id = topic.subscribe(receiver.url, push={"secrets": [SECRET], "headers": {"x-plan": "{{ job.attributes.plan }}"}})
    topic.publish({"n": 1}, name="order", attributes={"plan": "pro"})
    request = receiver.next()
    assert Webhook(SECRET).verify(request.body, dict(request.headers))["data"] == {"n": 1}
    assert (request.json["name"], request.headers["x-plan"]) == ("order", "pro")
    shown = topic.push(id)
    assert shown["secrets"] == 1 and "whsec" not in json.dumps(shown)
    assert (shown["target"]["url"], shown["queue"].split("/")[0]) == (receiver.url, "subscription")
    eventually(lambda: topic.push(id)["status"]["delivered"] == 1, "the delivery counts")
    # Another form; the secret stays.
    topic.put(id, push={"mode": "cloudevents"})
    topic.publish({"n": 2}, name="order")
    request = receiver.next()
    event = Webhook(SECRET).verify(request.body, dict(request.headers))
    assert (event["specversion"], event["type"], event["data"]) == ("1.0", "order", {"n": 2})


def test_only_what_its_filter_lets_through_is_pushed(topic, receiver):
    topic.subscribe(receiver.url, filter={"plan": ["pro"]})
    topic.publish(1, attributes={"plan": "free"})
    topic.publish(2, attributes={"plan": "pro"})
    assert receiver.next().json["data"] == 2
    assert receiver.requests.empty()


def test_what_fails_goes_to_the_dead_letters_as_the_retries_say(api, topic, receiver):
    dead = f"push-dead-{next(_numbers)}"
    api.put(f"/v1/queues/{dead}", {})
    id = topic.subscribe(receiver.url, dead_letter_queue=dead, retry={"attempts_max": 2, "backoff": {"fixed_ms": 0}})
    receiver.answer = lambda request: 500
    topic.publish("x")
    assert [receiver.next().json["attempt"] for _ in range(2)] == [1, 2]
    leased = lambda: api.post(f"/v1/queues/{dead}/lease", {"max": 1})["jobs"]
    [job] = eventually(leased, "the dead letter comes")
    assert job["data"] == "x"
    topic.put(id, dead_letter_queue=dead, retry=ONCE)
    topic.publish("y")
    receiver.next()
    [job] = eventually(leased, "the dead letter comes")
    assert job["data"] == "y" and receiver.requests.empty()


def test_a_url_that_stalls_runs_out_of_time(api, topic, receiver):
    dead = f"push-dead-{next(_numbers)}"
    api.put(f"/v1/queues/{dead}", {})
    goes_on = threading.Event()
    receiver.answer = lambda request: goes_on.wait(60) and 200
    short = {"timeouts": {"first_byte_ms": 50, "connect_ms": 50}}
    id = topic.subscribe(receiver.url, dead_letter_queue=dead, retry=ONCE, push=short)
    topic.publish("x")
    [job] = eventually(lambda: api.post(f"/v1/queues/{dead}/lease", {"max": 1})["jobs"], "the dead letter comes")
    goes_on.set()
    assert topic.push(id)["status"]["last_errors"][0]["error"] == "no answer within 100 ms"


def test_a_fifo_topic_pushes_in_order_within_a_group(api, receiver):
    topic = Topic(api, fifo=True)
    failed_once = threading.Event()

    def answer(request):
        if request.json["data"] == 2 and not failed_once.is_set():
            failed_once.set()
            return 500
        return 200

    receiver.answer = answer
    topic.subscribe(receiver.url, retry={"backoff": {"fixed_ms": 0}})
    for number in range(5):
        topic.api.post(
            f"{topic.path}/messages",
            {"messages": [{"data": number, "group": "g", "deduplication_id": str(number)}]},
        )
    assert [receiver.next().json["data"] for _ in range(6)] == [0, 1, 2, 2, 3, 4]


def test_subscribing_again_finds_what_is_the_same_and_refuses_what_is_not(topic, receiver):
    id = topic.subscribe(receiver.url, push={"mode": "cloudevents"}, retry=ONCE)
    assert topic.subscribe(receiver.url, push={"mode": "cloudevents"}, retry=ONCE) == id
    for other in [{"push": {"mode": "native"}, "retry": ONCE}, {"push": {"mode": "cloudevents"}}]:
        with pytest.raises(Problem) as refused:
            topic.subscribe(receiver.url, **other)
        assert refused.value.code == "subscription.exists"
        assert refused.value.answer["subscription"] == id
    # What differs is seen by the engine here, and by the door above.
    with pytest.raises(Problem) as refused:
        topic.subscribe(receiver.url, push={"mode": "cloudevents"}, retry=ONCE, filter={"plan": ["pro"]})
    assert (refused.value.code, refused.value.answer["subscription"]) == ("subscription.exists", id)


def test_settings_that_make_no_sense_are_refused_by_their_field(api, topic):
    for url, settings, field in [
        ("ftp://a/", {}, "url"),
        ("http://a:0/", {}, "url"),
        ("http://a/", {"push": {"url": "http://b/"}}, "settings.push.url"),
        ("http://a/", {"push": {"mode": "letter"}}, "settings.push.mode"),
        ("http://a/", {"push": {"concurrency": {"max": 0}}}, "settings.push.concurrency.max"),
        ("http://a/", {"retry": {"attempts_max": 0}}, "settings.retry.attempts_max"),
    ]:
        with pytest.raises(Problem) as refused:
            topic.subscribe(url, **settings)
        assert refused.value.field == field, refused.value
    api.put("/v1/queues/no-url", {})
    with pytest.raises(Problem) as refused:
        api.post(f"{topic.path}/subscriptions", {"queue": "no-url", "settings": {"push": {}}})
    assert refused.value.field == "settings.push"


def test_the_queue_of_a_subscription_is_not_given_another_target(topic, receiver):
    own = topic.push(topic.subscribe(receiver.url))["queue"].replace("/", "%2F")
    with pytest.raises(Problem) as refused:
        topic.api.put(f"/v1/queues/{own}/push", {"url": "http://example.com/"})
    assert refused.value.code == "queue.owned"


def test_pushing_goes_on_after_a_restart_and_ends_with_the_subscription(own_weir, receiver):
    server = own_weir("--push-allow-networks", "127.0.0.0/8")
    topic = Topic(Native(server))
    id = topic.subscribe(receiver.url)
    topic.publish(1)
    assert receiver.next().json["data"] == 1
    server.kill()
    server.start()
    topic.api = Native(server)
    topic.publish(2)
    seen = set()
    while 2 not in seen:
        seen.add(receiver.next().json["data"])
    topic.api.delete(f"{topic.path}/subscriptions/{id}")
    topic.publish(3)
    assert receiver.requests.empty()
