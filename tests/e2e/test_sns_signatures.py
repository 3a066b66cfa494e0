"""What topics send is signed: verified with the certificate that the server hands out, by another implementation."""

import urllib.parse
import urllib.request

import pytest
import rsa

from signatures import Key
from sns_words import envelopes, make_topic, refused, subscribe, verify
from weir_process import Weir

ADMIN = Key("ADMIN", "admin")
READER = Key("READER", "read")
WRITER = Key("WRITER", "write")


@pytest.mark.parametrize("version, digest", [("1", "SHA-1"), ("2", "SHA-256")])
def test_envelopes_are_signed_by_the_topics_version(sns, sqs, queue, version, digest):
    topic = make_topic(sns, Attributes={"SignatureVersion": version})
    subscribe(sns, sqs, topic, queue)
    sns.publish(TopicArn=topic, Message="signed\nlines", Subject="s")
    [envelope] = envelopes(sqs, queue)
    assert envelope["SignatureVersion"] == version
    assert verify(envelope) == digest
    with pytest.raises(rsa.VerificationError):
        verify(envelope | {"Message": "forged"})


def test_the_key_stays_when_the_server_is_restarted(own_weir):
    server = own_weir()
    sns, sqs = server.sns(), server.sqs()
    queue = sqs.create_queue(QueueName="q")["QueueUrl"]
    topic = make_topic(sns)
    subscribe(sns, sqs, topic, queue)
    sns.publish(TopicArn=topic, Message="1")
    [before] = envelopes(sqs, queue)
    assert server.end() == 0
    server.start()
    server.sns().publish(TopicArn=topic, Message="2")
    path = urllib.parse.urlsplit(before["SigningCertURL"]).path
    assert server.get(path)[0] == 200
    assert server.get("/sns/SimpleNotificationService-0.pem")[0] == 404


@pytest.fixture
def guarded(tmp_path):
    file = tmp_path / "weir.toml"
    file.write_text("\n".join(key.table for key in [ADMIN, WRITER, READER]))
    with Weir(tmp_path / "data", "--config", str(file)) as server:
        yield server


def test_keys_have_the_roles_that_operations_need(guarded):
    admin, writer, reader = (guarded.sns(key.pair) for key in [ADMIN, WRITER, READER])
    topic = make_topic(admin)
    with refused("AuthorizationError", "admin", status=403):
        make_topic(writer)
    with refused("AuthorizationError", "write"):
        reader.publish(TopicArn=topic, Message="x")
    writer.publish(TopicArn=topic, Message="x")
    reader.get_topic_attributes(TopicArn=topic)
    with refused("AuthorizationError", "account"):
        admin.publish(TopicArn=topic.replace("000000000000", "111122223333"), Message="x")
    with refused("SignatureDoesNotMatch", status=403):
        guarded.sns((ADMIN.id, "wrong")).list_topics()


def test_links_of_messages_need_no_signature(guarded):
    sns, sqs = guarded.sns(ADMIN.pair), guarded.sqs(ADMIN.pair)
    queue = sqs.create_queue(QueueName="q")["QueueUrl"]
    topic = make_topic(sns)
    arn = subscribe(sns, sqs, topic, queue)
    sns.publish(TopicArn=topic, Message="x")
    [envelope] = envelopes(sqs, queue)
    assert verify(envelope) == "SHA-1"
    assert arn in envelope["UnsubscribeURL"]
    with urllib.request.urlopen(envelope["UnsubscribeURL"]) as response:
        assert response.status == 200
    assert sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"] == []
    status, text = guarded.get(f"/?Action=DeleteTopic&TopicArn={topic}")
    assert status == 403 and "MissingAuthenticationToken" in text
    status, text = guarded.get(f"/?Action=ConfirmSubscription&TopicArn={topic}&Token=none")
    assert status == 400 and "Invalid parameter: Token" in text


def test_an_http_endpoint_waits_to_be_confirmed(sns, sqs):
    topic = make_topic(sns)
    url = "http://127.0.0.1:9/notifications"
    asked = sns.subscribe(TopicArn=topic, Protocol="http", Endpoint=url)
    assert asked["SubscriptionArn"] == "pending confirmation"
    arn = sns.subscribe(TopicArn=topic, Protocol="http", Endpoint=url, ReturnSubscriptionArn=True)["SubscriptionArn"]
    told = sns.get_subscription_attributes(SubscriptionArn=arn)["Attributes"]
    assert (told["PendingConfirmation"], told["Endpoint"]) == ("true", url)
    [listed] = sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
    assert listed["SubscriptionArn"] == "PendingConfirmation"
    counted = sns.get_topic_attributes(TopicArn=topic)["Attributes"]
    assert (counted["SubscriptionsPending"], counted["SubscriptionsConfirmed"]) == ("1", "0")
    with refused("InvalidParameter", "Token"):
        sns.confirm_subscription(TopicArn=topic, Token="guessed")
    with refused("InvalidParameter", "must match the specified protocol"):
        sns.subscribe(TopicArn=topic, Protocol="https", Endpoint=url)
