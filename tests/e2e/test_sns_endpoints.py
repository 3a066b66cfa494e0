"""Subscriptions of URLs over SNS: what the endpoint is sent, when it is sent again, and what becomes of what it refuses."""

import base64
import json
import threading
import urllib.request

import pytest

from native_words import Native
from receiver import Receiver
from sns_words import arn_of, make_topic, refused, text, verify, verify_handshake
from sqs_words import bodies, receive
from weir_process import Weir, eventually

AGAIN_AT_ONCE = {"healthyRetryPolicy": {"numRetries": 2, "numNoDelayRetries": 2}}
ARGUMENTS = ["--push-allow-networks", "127.0.0.0/8"]


@pytest.fixture(scope="module")
def pushing(tmp_path_factory):
    """A server that may push to this machine."""
    with Weir(tmp_path_factory.mktemp("endpoints") / "data", *ARGUMENTS) as server:
        yield server


@pytest.fixture
def sns(pushing):
    return pushing.sns()


@pytest.fixture
def queues(pushing):
    return pushing.sqs()


def ask(sns, topic, url, **attributes):
    """Subscribes a URL, which has to confirm; the ARN."""
    return sns.subscribe(
        TopicArn=topic,
        Protocol="http",
        Endpoint=url,
        Attributes={name: value if isinstance(value, str) else json.dumps(value) for name, value in attributes.items()},
        ReturnSubscriptionArn=True,
    )["SubscriptionArn"]


def visit(url):
    with urllib.request.urlopen(url) as response:
        return response.read().decode()


def subscribe(sns, topic, receiver, **attributes):
    """Subscribes a receiver, and confirms as it would; the ARN."""
    arn = ask(sns, topic, receiver.url, **attributes)
    assert arn in visit(receiver.next().json["SubscribeURL"])
    return arn


def dead_letters(sqs, name):
    queue = sqs.create_queue(QueueName=name)["QueueUrl"]
    return queue, {"deadLetterTargetArn": arn_of(sqs, queue)}


def received(sqs, queue):
    return eventually(lambda: receive(sqs, queue, 10), "dead letters come")


def test_an_endpoint_confirms_is_notified_and_is_told_of_the_end(sns, receiver):
    topic = make_topic(sns)
    assert sns.subscribe(TopicArn=topic, Protocol="http", Endpoint=receiver.url)["SubscriptionArn"] == (
        "pending confirmation"
    )
    asked = receiver.next()
    assert asked.path == "/hook"
    assert asked.headers["content-type"] == "text/plain; charset=UTF-8"
    assert asked.headers["user-agent"] == "Amazon Simple Notification Service Agent"
    assert asked.headers["x-amz-sns-message-type"] == asked.json["Type"] == "SubscriptionConfirmation"
    assert asked.headers["x-amz-sns-message-id"] == asked.json["MessageId"]
    assert asked.headers["x-amz-sns-topic-arn"] == asked.json["TopicArn"] == topic
    assert asked.headers["x-amz-sns-subscription-arn"] is None
    assert verify_handshake(asked.json) == "SHA-1"
    # Before it has confirmed, nothing else comes.
    sns.publish(TopicArn=topic, Message="too early")
    assert asked.json["Token"] in asked.json["SubscribeURL"]
    visit(asked.json["SubscribeURL"])
    [listed] = sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
    arn = listed["SubscriptionArn"]
    assert arn.startswith(topic + ":")

    sent = sns.publish(TopicArn=topic, Message="hello", Subject="S", MessageAttributes={"kind": text("order")})
    notified = receiver.next()
    envelope = notified.json
    assert notified.headers["x-amz-sns-message-type"] == envelope["Type"] == "Notification"
    assert notified.headers["x-amz-sns-message-id"] == envelope["MessageId"] == sent["MessageId"]
    assert notified.headers["x-amz-sns-topic-arn"] == envelope["TopicArn"] == topic
    assert notified.headers["x-amz-sns-subscription-arn"] == arn
    assert notified.headers["x-amz-sns-rawdelivery"] is None
    assert (envelope["Message"], envelope["Subject"]) == ("hello", "S")
    assert envelope["MessageAttributes"] == {"kind": {"Type": "String", "Value": "order"}}
    assert verify(envelope) == "SHA-1"

    visit(envelope["UnsubscribeURL"])
    ended = receiver.next()
    assert ended.headers["x-amz-sns-message-type"] == ended.json["Type"] == "UnsubscribeConfirmation"
    assert ended.headers["x-amz-sns-subscription-arn"] == arn
    assert verify_handshake(ended.json) == "SHA-1"
    assert sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"] == []
    sns.publish(TopicArn=topic, Message="to nobody")
    # Who did not want that is subscribed once more.
    visit(ended.json["SubscribeURL"])
    [again] = sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
    assert again["Endpoint"] == receiver.url and again["SubscriptionArn"] != arn
    sns.publish(TopicArn=topic, Message="back")
    assert receiver.next().json["Message"] == "back"
    assert receiver.requests.empty()


def test_a_token_works_for_who_asks_by_the_api(sns, receiver):
    topic = make_topic(sns)
    arn = ask(sns, topic, receiver.url)
    token = receiver.next().json["Token"]
    assert sns.confirm_subscription(TopicArn=topic, Token=token)["SubscriptionArn"] == arn
    told = sns.get_subscription_attributes(SubscriptionArn=arn)["Attributes"]
    assert told["PendingConfirmation"] == "false"


def test_raw_deliveries_are_the_message_itself(sns, receiver):
    topic = make_topic(sns)
    policy = {"requestPolicy": {"headerContentType": "application/json"}}
    subscribe(sns, topic, receiver, RawMessageDelivery="true", DeliveryPolicy=policy)
    body = json.dumps({"default": "d", "http": '{"for": "http"}'})
    sns.publish(TopicArn=topic, Message=body, MessageStructure="json")
    notified = receiver.next()
    assert notified.body == b'{"for": "http"}'
    assert notified.headers["content-type"] == "application/json"
    assert notified.headers["x-amz-sns-rawdelivery"] == "true"
    assert notified.headers["x-amz-sns-message-type"] == "Notification"


def test_what_is_published_natively_comes_in_an_envelope_too(pushing, sns, receiver):
    topic = make_topic(sns)
    subscribe(sns, topic, receiver)
    name = topic.rsplit(":", 1)[1]
    Native(pushing).post(f"/v1/topics/{name}/messages", {"messages": [{"data": {"n": 1}}]})
    envelope = receiver.next().json
    assert (envelope["Type"], json.loads(envelope["Message"])) == ("Notification", {"n": 1})
    assert verify(envelope) == "SHA-1"


def test_a_user_in_the_url_is_sent_as_basic_authentication(sns, receiver):
    url = receiver.url.replace("http://", "http://me:pass%20word@")
    topic = make_topic(sns)
    ask(sns, topic, url)
    asked = receiver.next()
    assert asked.headers["authorization"] == "Basic " + base64.b64encode(b"me:pass word").decode()
    visit(asked.json["SubscribeURL"])
    [listed] = sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
    assert listed["Endpoint"] == url


@pytest.mark.parametrize("answer", [500, 503, 302])
def test_what_fails_is_tried_as_often_as_the_policy_says(sns, queues, receiver, answer):
    queue, redrive = dead_letters(queues, f"dead-{answer}")
    topic = make_topic(sns)
    subscribe(sns, topic, receiver, DeliveryPolicy=AGAIN_AT_ONCE, RedrivePolicy=redrive)
    receiver.answer = lambda request: (answer, {"location": receiver.url}, b"")
    sent = sns.publish(TopicArn=topic, Message="never taken")
    tries = [receiver.next() for _ in range(3)]
    assert {each.headers["x-amz-sns-message-id"] for each in tries} == {sent["MessageId"]}
    [dead] = received(queues, queue)
    assert json.loads(dead["Body"])["Message"] == "never taken"
    assert receiver.requests.empty()


@pytest.mark.parametrize("answer", [400, 403, 404, 408, 410])
def test_an_answer_that_blames_the_message_is_final(sns, queues, receiver, answer):
    queue, redrive = dead_letters(queues, f"refused-{answer}")
    topic = make_topic(sns)
    subscribe(sns, topic, receiver, DeliveryPolicy=AGAIN_AT_ONCE, RedrivePolicy=redrive, RawMessageDelivery="true")
    receiver.answer = lambda request: answer
    sns.publish(TopicArn=topic, Message="refused")
    assert bodies(received(queues, queue)) == ["refused"]
    receiver.next()
    assert receiver.requests.empty()


def test_an_endpoint_that_asks_for_less_is_sent_the_message_later(sns, receiver):
    topic = make_topic(sns)
    none = {"healthyRetryPolicy": {"numRetries": 0}}
    subscribe(sns, topic, receiver, DeliveryPolicy=none, RawMessageDelivery="true")
    answers = iter([429, 429, 200])
    receiver.answer = lambda request: next(answers)
    sns.publish(TopicArn=topic, Message="later")
    assert [receiver.next().body for _ in range(3)] == [b"later"] * 3


def test_a_policy_that_changes_is_in_force_for_what_fails_next(sns, queues, receiver):
    queue, redrive = dead_letters(queues, "changed-policy")
    topic = make_topic(sns)
    slow = {"http": {"defaultHealthyRetryPolicy": {"numRetries": 100, "numNoDelayRetries": 100}}}
    sns.set_topic_attributes(TopicArn=topic, AttributeName="DeliveryPolicy", AttributeValue=json.dumps(slow))
    subscribe(sns, topic, receiver, RedrivePolicy=redrive, RawMessageDelivery="true")
    held = threading.Event()
    receiver.answer = lambda request: 500 if held.wait(60) else 200
    sns.publish(TopicArn=topic, Message="x")
    receiver.next()
    none = {"http": {"defaultHealthyRetryPolicy": {"numRetries": 0}}}
    sns.set_topic_attributes(TopicArn=topic, AttributeName="DeliveryPolicy", AttributeValue=json.dumps(none))
    # The request that is under way goes by the policy that it began with, and what follows by the other.
    held.set()
    assert bodies(received(queues, queue)) == ["x"]
    assert receiver.requests.qsize() < 100


def test_one_that_stalls_holds_up_nobody_else_and_can_be_unsubscribed(sns, receiver):
    topic, other = make_topic(sns), Receiver()
    goes_on = threading.Event()
    try:
        stalled = subscribe(sns, topic, receiver, RawMessageDelivery="true")
        subscribe(sns, topic, other, RawMessageDelivery="true")
        receiver.answer = lambda request: goes_on.wait(60) and 200
        for number in range(5):
            sns.publish(TopicArn=topic, Message=str(number))
        assert sorted(other.next().body for _ in range(5)) == [b"0", b"1", b"2", b"3", b"4"]
        receiver.next()
        sns.unsubscribe(SubscriptionArn=stalled)
        kinds = set()
        while "UnsubscribeConfirmation" not in kinds:
            kinds.add(receiver.next().headers["x-amz-sns-message-type"])
    finally:
        goes_on.set()
        other.close()


def test_a_paused_subscription_is_sent_nothing_until_it_is_resumed(pushing, sns, receiver):
    topic = make_topic(sns)
    subscribe(sns, topic, receiver, RawMessageDelivery="true")
    api, path = Native(pushing), f"/v1/topics/{topic.rsplit(':', 1)[1]}/subscriptions"
    [found] = api.get(path)["subscriptions"]
    api.post(f"{path}/{found['id']}/pause", {})
    for number in range(3):
        sns.publish(TopicArn=topic, Message=str(number))
    shown = api.get(f"{path}/{found['id']}")
    assert shown["subscription"]["paused"] and shown["push"]["status"]["in_flight"] == 0
    assert api.get(f"/v1/queues/{shown['push']['queue'].replace('/', '%2F')}")["counters"]["ready"] == 3
    assert receiver.requests.empty()
    api.post(f"{path}/{found['id']}/resume", {})
    assert sorted(receiver.next().body for _ in range(3)) == [b"0", b"1", b"2"]


@pytest.mark.parametrize("end", ["end", "kill"])
def test_what_was_not_delivered_is_delivered_after_a_restart(own_weir, receiver, end):
    server = own_weir(*ARGUMENTS)
    sns = server.sns()
    topic = make_topic(sns)
    policy = {"healthyRetryPolicy": {"numRetries": 100, "numNoDelayRetries": 100}}
    subscribe(sns, topic, receiver, RawMessageDelivery="true", DeliveryPolicy=policy)
    receiver.answer = lambda request: 500
    sns.publish(TopicArn=topic, Message="kept")
    assert receiver.next().body == b"kept"
    assert getattr(server, end)() in (0, None)
    while not receiver.requests.empty():
        receiver.requests.get()
    taken = threading.Event()

    def answer(request):
        taken.set()
        return 200

    receiver.answer = answer
    server.start()
    # A lease of the life before ends by itself, in half a minute at most.
    assert taken.wait(60)
    assert receiver.next().body == b"kept"


def test_private_addresses_are_not_called(own_weir, receiver):
    server = own_weir()
    sns = server.sns()
    topic = make_topic(sns)
    arn = ask(sns, topic, receiver.url)
    api, path = Native(server), f"/v1/topics/{topic.rsplit(':', 1)[1]}/subscriptions"
    [found] = api.get(path)["subscriptions"]
    errors = lambda: api.get(f"{path}/{found['id']}")["push"].get("status", {}).get("last_errors")
    assert "loopback" in eventually(errors, "the error is told")[0]["error"]
    assert receiver.requests.empty()
    assert sns.get_subscription_attributes(SubscriptionArn=arn)["Attributes"]["PendingConfirmation"] == "true"


def test_the_end_of_a_topic_ends_its_pushing(pushing, sns, receiver):
    topic = make_topic(sns)
    subscribe(sns, topic, receiver, DeliveryPolicy={"healthyRetryPolicy": {"numRetries": 100, "numNoDelayRetries": 100}})
    api, path = Native(pushing), f"/v1/topics/{topic.rsplit(':', 1)[1]}/subscriptions"
    [found] = api.get(path)["subscriptions"]
    own = api.get(f"{path}/{found['id']}")["push"]["queue"].replace("/", "%2F")
    refusing = threading.Event()
    receiver.answer = lambda request: refusing.set() or 500
    sns.publish(TopicArn=topic, Message="x")
    assert refusing.wait(30)
    sns.delete_topic(TopicArn=topic)
    eventually(lambda: api.raw("GET", f"/v1/queues/{own}")[0] == 404, "the queue is gone")


def test_urls_and_policies_that_make_no_sense_are_refused(sns):
    topic = make_topic(sns)
    for url in ["http://a:0/", "http://a:99999/"]:
        with refused("InvalidParameter", "Endpoint"):
            ask(sns, topic, url)
    with refused("InvalidParameter", "headerContentType"):
        ask(sns, topic, "http://a/", DeliveryPolicy={"requestPolicy": {"headerContentType": "plain"}})
    with refused("InvalidParameter", "maxReceivesPerSecond"):
        ask(sns, topic, "http://a/", DeliveryPolicy={"throttlePolicy": {"maxReceivesPerSecond": 0}})
