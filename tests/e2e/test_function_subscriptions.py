"""Subscriptions of functions: what is published becomes a call that nobody waits for."""

import json
import urllib.parse

import pytest

from native_words import Native, Problem
from sns_words import arn_of, make_topic, text, verify
from sqs_words import receive
from weir_process import Weir, eventually

FUNCTION = "arn:aws:lambda:us-east-1:000000000000:function:"


@pytest.fixture
def api(weir):
    return Native(weir)


@pytest.fixture
def sns(weir):
    return weir.sns()


def subscribe(sns, topic, function, **attributes):
    """Subscribes a function; the ARN of the subscription."""
    return sns.subscribe(
        TopicArn=topic,
        Protocol="lambda",
        Endpoint=FUNCTION + function,
        Attributes={name: value if isinstance(value, str) else json.dumps(value) for name, value in attributes.items()},
    )["SubscriptionArn"]


def leased(api, function, count=1):
    """Calls of a function, as its worker gets them."""
    found = []

    def enough():
        found.extend(api.post(f"/v1/queues/{function}/lease", {"max": 10, "wait_ms": 100})["jobs"])
        return len(found) >= count

    eventually(enough, "the calls are there")
    return found


def test_a_function_is_called_with_the_event_of_aws(api, sns):
    api.put("/v1/functions/told", {})
    topic = make_topic(sns)
    subscription = subscribe(sns, topic, "told")
    attributes = {"kind": text("greeting"), "count": text("3", "Number")}
    sent = sns.publish(TopicArn=topic, Message="hello", Subject="Hi", MessageAttributes=attributes)
    (job,) = leased(api, "told")
    (record,) = job["data"]["Records"]
    assert (record["EventSource"], record["EventVersion"]) == ("aws:sns", "1.0")
    assert record["EventSubscriptionArn"] == subscription
    told = record["Sns"]
    assert (told["Type"], told["MessageId"], told["TopicArn"]) == ("Notification", sent["MessageId"], topic)
    assert (told["Subject"], told["Message"]) == ("Hi", "hello")
    assert told["MessageAttributes"] == {
        "kind": {"Type": "String", "Value": "greeting"},
        "count": {"Type": "Number", "Value": "3"},
    }
    assert subscription in told["UnsubscribeUrl"]
    # What a function is told differs in its names only from what a URL is.
    verify(told | {"SigningCertURL": told["SigningCertUrl"]})


def test_each_protocol_has_its_own_text_and_filters_hold(api, sns):
    api.put("/v1/functions/filtered", {})
    topic = make_topic(sns)
    subscribe(sns, topic, "filtered", FilterPolicy={"plan": ["pro"]})
    bodies = json.dumps({"default": "for all", "lambda": "for functions"})
    for plan in ("free", "pro"):
        attributes = {"plan": text(plan)}
        sns.publish(TopicArn=topic, Message=bodies, MessageStructure="json", MessageAttributes=attributes)
    (job,) = leased(api, "filtered")
    told = job["data"]["Records"][0]["Sns"]
    assert (told["Message"], told["MessageAttributes"]["plan"]["Value"]) == ("for functions", "pro")
    assert api.post("/v1/queues/filtered/lease", {"max": 10, "wait_ms": 200})["jobs"] == []


def test_calls_are_tried_again_as_the_function_says(api, sns):
    api.put("/v1/functions/retried", {"retry": {"attempts_max": 2, "backoff": {"fixed_ms": 0}}})
    topic = make_topic(sns)
    subscribe(sns, topic, "retried")
    sns.publish(TopicArn=topic, Message="again")
    for attempt in (1, 2):
        (job,) = leased(api, "retried")
        assert job["attempt"] == attempt
        api.post("/v1/queues/retried/settle", {"settle": [{"lease": job["lease"], "action": "fail", "error": "no"}]})
    job = api.get(f"/v1/queues/retried/jobs/{job['id']}")
    assert (job["state"], len(job["history"])) == ("failed", 2)


def test_what_no_function_takes_goes_to_the_dead_letters_of_the_subscription(api, sns, sqs):
    queue = sqs.create_queue(QueueName="no-function")["QueueUrl"]
    topic = make_topic(sns)
    subscribe(sns, topic, "not-there", RedrivePolicy={"deadLetterTargetArn": arn_of(sqs, queue)})
    sns.publish(TopicArn=topic, Message="to nobody")
    (message,) = eventually(lambda: receive(sqs, queue, 10), "the dead letter comes")
    assert "to nobody" in message["Body"]


def test_a_message_to_many_functions_is_one_publication(api, sns):
    names = [f"one-of-many-{number}" for number in range(20)]
    topic = make_topic(sns)
    for name in names:
        api.put(f"/v1/functions/{name}", {})
        subscribe(sns, topic, name)
    sns.publish(TopicArn=topic, Message="for all")
    for name in names:
        (job,) = leased(api, name)
        assert job["data"]["Records"][0]["Sns"]["Message"] == "for all"


def test_nothing_that_was_published_is_lost_or_called_twice_when_the_server_is_killed(tmp_path):
    with Weir(tmp_path / "data") as weir:
        api, sns = Native(weir), weir.sns()
        api.put("/v1/functions/lasting", {})
        topic = make_topic(sns)
        subscribe(sns, topic, "lasting")
        for number in range(40):
            sns.publish(TopicArn=topic, Message=str(number))
        weir.kill()
        weir.start()
        api = Native(weir)
        jobs = []

        def all_there():
            jobs.extend(api.post("/v1/queues/lasting/lease", {"max": 100, "lease_ms": 600_000})["jobs"])
            return len(jobs) >= 40

        eventually(all_there, "all are called", patience=60)
        told = sorted(int(job["data"]["Records"][0]["Sns"]["Message"]) for job in jobs)
        assert told == list(range(40))


def test_over_the_native_api_a_function_gets_the_data_itself_or_the_event(api):
    for name in ("plain", "wrapped"):
        api.put(f"/v1/functions/{name}", {})
    api.put("/v1/topics/native-calls", {})
    path = "/v1/topics/native-calls/subscriptions"
    made = api.post(path, {"function": "plain"})
    assert made["created"] and made["subscription"]["function"] == "plain"
    api.post(path, {"function": "wrapped", "settings": {"raw": False}})
    message = {"messages": [{"data": {"n": 1}, "attributes": {"plan": "pro", "seats": 4}}]}
    api.post("/v1/topics/native-calls/messages", message)
    (job,) = leased(api, "plain")
    assert (job["data"], job["attributes"]) == ({"n": 1}, {"plan": "pro", "seats": 4})
    (job,) = leased(api, "wrapped")
    told = job["data"]["Records"][0]["Sns"]
    assert (json.loads(told["Message"]), told["MessageAttributes"]["seats"]["Type"]) == ({"n": 1}, "Number")
    with pytest.raises(Problem) as refused:
        api.post(path, {"function": "nowhere"})
    assert (refused.value.code, refused.value.field) == ("function.not_found", "function")


def test_a_delivery_that_cannot_be_signed_is_tried_as_often_as_any_other_and_says_why(tmp_path):
    with Weir(tmp_path / "data") as weir:
        api = Native(weir)
        keys = tmp_path / "data" / "sns"
        keys.mkdir()
        (keys / "signing-key.pem").write_text("no key")
        api.put("/v1/functions/unsigned", {})
        weir.sns().create_topic(Name="unsigned")
        path = "/v1/topics/unsigned/subscriptions"
        made = api.post(path, {"function": "unsigned", "settings": {"raw": False}})
        api.post("/v1/topics/unsigned/messages", {"messages": [{"data": "kept"}]})
        calls = api.get(f"{path}/{made['subscription']['id']}")["calls"]
        own = "/v1/queues/" + urllib.parse.quote(calls["queue"], safe="")

        def failed():
            return api.get(f"{own}/jobs", states="failed")["jobs"]

        (job,) = eventually(failed, "it failed for good", patience=60)
        reason = "cannot be signed: There is no key to sign with; the server's log says why."
        history = api.get(f"{own}/jobs/{job['id']}")["history"]
        assert [attempt["error"] for attempt in history] == [{"error": reason}] * 3
        status = api.get(f"{path}/{made['subscription']['id']}")["calls"]["status"]
        assert (status["failed"], status["throttled"], status["delivered"]) == (3, 0, 0)
        assert [(told["error"], told["times"]) for told in status["last_errors"]] == [(reason, 3)]
        # It is there still, and goes out once there is a key.
        (keys / "signing-key.pem").unlink()
        api.post(f"{own}/jobs/{job['id']}/retry")
        (called,) = leased(api, "unsigned")
        assert called["data"]["Records"][0]["Sns"]["Message"] == '"kept"'
