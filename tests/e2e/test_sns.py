"""SNS over boto3: topics, subscriptions of queues, publishing, filters, FIFO."""

import base64
import json

import pytest

from sns_words import arn_of, envelopes, make_topic, refused, subscribe, text
from sqs_words import bodies, receive
from weir_process import eventually

BYTES = {"DataType": "Binary", "BinaryValue": b"x"}
POLICY = {"Version": "2012-10-17", "Statement": []}


def topics_of(sns):
    pages = sns.get_paginator("list_topics").paginate()
    return [topic["TopicArn"] for page in pages for topic in page["Topics"]]


def test_a_topic_is_made_once_listed_and_deleted(sns):
    topic = make_topic(sns, Attributes={"DisplayName": "Orders"}, Tags=[{"Key": "team", "Value": "mail"}])
    assert topic.startswith("arn:aws:sns:us-east-1:000000000000:topic-")
    name = topic.rsplit(":", 1)[1]
    assert sns.create_topic(Name=name)["TopicArn"] == topic
    assert sns.create_topic(Name=name, Attributes={"DisplayName": "Orders"})["TopicArn"] == topic
    with refused("InvalidParameter", "already exists with different attributes", "DisplayName", status=400):
        sns.create_topic(Name=name, Attributes={"DisplayName": "Other"})
    with refused("InvalidParameter", "different tags"):
        sns.create_topic(Name=name, Tags=[{"Key": "team", "Value": "post"}])
    assert topic in topics_of(sns)
    sns.delete_topic(TopicArn=topic)
    sns.delete_topic(TopicArn=topic)
    assert topic not in topics_of(sns)
    with refused("NotFound", "Topic does not exist", status=404):
        sns.publish(TopicArn=topic, Message="x")


def test_lists_come_in_pages(sns, sqs, make_queue):
    made = {make_topic(sns) for _ in range(101)}
    first = sns.list_topics()
    assert len(first["Topics"]) == 100 and first["NextToken"]
    assert made <= set(topics_of(sns))
    topic, queue = made.pop(), make_queue()
    endpoint = arn_of(sqs, queue)
    for number in range(101):
        sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=f"{endpoint}-{number}")
    pages = list(sns.get_paginator("list_subscriptions_by_topic").paginate(TopicArn=topic))
    assert [len(page["Subscriptions"]) for page in pages] == [100, 1]
    everything = [each for page in sns.get_paginator("list_subscriptions").paginate() for each in page["Subscriptions"]]
    assert {each["TopicArn"] for each in everything} >= {topic}
    for token in ["no token", "a"]:
        with refused("InvalidParameter", "NextToken"):
            sns.list_topics(NextToken=token)


def test_a_message_comes_to_every_queue_in_an_envelope(sns, sqs, make_queue):
    topic, queues = make_topic(sns), [make_queue(), make_queue()]
    arns = [subscribe(sns, sqs, topic, queue) for queue in queues]
    assert all(arn.startswith(topic + ":") for arn in arns)
    sent = sns.publish(
        TopicArn=topic,
        Message="hello <&> \u00fc",
        Subject="A subject",
        MessageAttributes={"kind": text("order"), "bytes": {"DataType": "Binary", "BinaryValue": b"\x00\xff"}},
    )
    for queue, arn in zip(queues, arns):
        [message] = receive(sqs, queue)
        assert "MessageAttributes" not in message
        envelope = json.loads(message["Body"])
        assert list(envelope) == [
            "Type",
            "MessageId",
            "TopicArn",
            "Subject",
            "Message",
            "Timestamp",
            "SignatureVersion",
            "Signature",
            "SigningCertURL",
            "UnsubscribeURL",
            "MessageAttributes",
        ]
        assert (envelope["Type"], envelope["MessageId"]) == ("Notification", sent["MessageId"])
        assert (envelope["TopicArn"], envelope["Subject"]) == (topic, "A subject")
        assert envelope["Message"] == "hello <&> \u00fc"
        assert envelope["UnsubscribeURL"].endswith(f"Action=Unsubscribe&SubscriptionArn={arn}")
        assert envelope["MessageAttributes"] == {
            "kind": {"Type": "String", "Value": "order"},
            "bytes": {"Type": "Binary", "Value": base64.b64encode(b"\x00\xff").decode()},
        }


def test_raw_delivery_hands_over_the_message_and_its_attributes(sns, sqs, queue):
    topic = make_topic(sns)
    subscribe(sns, sqs, topic, queue, RawMessageDelivery="true")
    sns.publish(TopicArn=topic, Message="raw", MessageAttributes={"kind": text("order"), "n": text("7", "Number")})
    [message] = receive(sqs, queue)
    assert message["Body"] == "raw"
    assert message["MessageAttributes"]["kind"] == {"StringValue": "order", "DataType": "String"}
    assert message["MessageAttributes"]["n"] == {"StringValue": "7", "DataType": "Number"}


def test_a_message_may_have_a_body_for_each_protocol(sns, sqs, make_queue):
    topic, raw, wrapped = make_topic(sns), make_queue(), make_queue()
    subscribe(sns, sqs, topic, raw, RawMessageDelivery="true")
    subscribe(sns, sqs, topic, wrapped)
    body = json.dumps({"default": "d", "sqs": "for queues", "http": "h"})
    sns.publish(TopicArn=topic, Message=body, MessageStructure="json")
    assert bodies(receive(sqs, raw)) == ["for queues"]
    assert [envelope["Message"] for envelope in envelopes(sqs, wrapped)] == ["for queues"]
    with refused("InvalidParameter", "No default entry"):
        sns.publish(TopicArn=topic, Message="{}", MessageStructure="json")


@pytest.mark.parametrize(
    "policy, passes, stays",
    [
        ({"kind": ["order"]}, {"kind": text("order")}, {"kind": text("Order")}),
        ({"kind": [{"anything-but": ["order"]}]}, {"kind": text("x")}, {"kind": text("order")}),
        ({"kind": [{"prefix": "or"}]}, {"kind": text("order")}, {"kind": text("xor")}),
        ({"kind": [{"suffix": "er"}]}, {"kind": text("order")}, {"kind": text("orders")}),
        ({"kind": [{"equals-ignore-case": "order"}]}, {"kind": text("ORDER")}, {"kind": text("ORDERS")}),
        ({"kind": [{"wildcard": "o*r"}]}, {"kind": text("order")}, {"kind": text("orders")}),
        ({"price": [{"numeric": [">", 0, "<=", 150]}]}, {"price": text("150", "Number")}, {"price": text("0", "Number")}),
        ({"price": [100]}, {"price": text("1e2", "Number")}, {"price": text("100")}),
        ({"kind": [{"exists": False}]}, {"other": text("x")}, {"kind": text("x")}),
        ({"ip": [{"cidr": "10.0.0.0/24"}]}, {"ip": text("10.0.0.9")}, {"ip": text("10.0.1.9")}),
        ({"$or": [{"a": ["x"]}, {"b": ["y"]}]}, {"b": text("y")}, {"b": text("x")}),
        ({"kind": [{"exists": False}]}, {"kind": BYTES}, {"kind": text("x")}),
        ({"kind": [{"exists": True}]}, {"kind": text("x")}, {"kind": BYTES}),
        ({"kind": [{"anything-but": "x"}]}, {"kind": text("y")}, {"kind": BYTES}),
        ({"tags": ["a"]}, {"tags": text('["b","a"]', "String.Array")}, {"tags": text('["b"]', "String.Array")}),
    ],
)
def test_filters_look_at_attributes(sns, sqs, queue, policy, passes, stays):
    topic = make_topic(sns)
    subscribe(sns, sqs, topic, queue, FilterPolicy=policy, RawMessageDelivery="true")
    sns.publish(TopicArn=topic, Message="stays", MessageAttributes=stays)
    sns.publish(TopicArn=topic, Message="passes", MessageAttributes=passes)
    assert bodies(receive(sqs, queue, 10)) == ["passes"]


def test_filters_look_at_bodies_and_change_at_once(sns, sqs, queue):
    topic = make_topic(sns)
    policy = {"user": {"plan": ["pro", {"prefix": "team-"}]}}
    arn = subscribe(
        sns, sqs, topic, queue, FilterPolicy=policy, FilterPolicyScope="MessageBody", RawMessageDelivery="true"
    )
    pro, free = '{"user":{"plan":"pro"}}', '{"user":{"plan":"free"}}'
    for body in [free, "no json", pro]:
        sns.publish(TopicArn=topic, Message=body)
    assert bodies(receive(sqs, queue, 10)) == [pro]
    told = sns.get_subscription_attributes(SubscriptionArn=arn)["Attributes"]
    assert (json.loads(told["FilterPolicy"]), told["FilterPolicyScope"]) == (policy, "MessageBody")
    sns.set_subscription_attributes(
        SubscriptionArn=arn, AttributeName="FilterPolicy", AttributeValue=json.dumps({"user": {"plan": ["free"]}})
    )
    for body in [free, pro]:
        sns.publish(TopicArn=topic, Message=body)
    assert bodies(receive(sqs, queue, 10)) == [free]
    sns.set_subscription_attributes(SubscriptionArn=arn, AttributeName="FilterPolicy", AttributeValue="{}")
    sns.publish(TopicArn=topic, Message="anything")
    assert bodies(receive(sqs, queue, 10)) == ["anything"]


def test_bad_filters_are_refused_with_the_field(sns, sqs, queue):
    topic = make_topic(sns)
    with refused("InvalidParameter", 'Attributes Reason: FilterPolicy: "a" must be an object or an array', status=400):
        subscribe(sns, sqs, topic, queue, FilterPolicy={"a": "x"})
    with refused("InvalidParameter", "does not support nested filter policy"):
        subscribe(sns, sqs, topic, queue, FilterPolicy={"a": {"b": ["x"]}})
    arn = subscribe(sns, sqs, topic, queue)
    with refused("InvalidParameter", "Invalid parameter: FilterPolicy: Unrecognized match type ending"):
        sns.set_subscription_attributes(
            SubscriptionArn=arn, AttributeName="FilterPolicy", AttributeValue='{"a":[{"ending":"x"}]}'
        )
    many = {name: ["x"] for name in "abcdef"}
    sns.set_subscription_attributes(SubscriptionArn=arn, AttributeName="FilterPolicy", AttributeValue=json.dumps(many))


def test_subscribing_again_finds_the_subscription(sns, sqs, queue):
    topic = make_topic(sns)
    arn = subscribe(sns, sqs, topic, queue)
    assert subscribe(sns, sqs, topic, queue) == arn
    with refused("InvalidParameter", "already exists with different attributes"):
        subscribe(sns, sqs, topic, queue, RawMessageDelivery="true")
    [listed] = sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
    assert listed == {
        "SubscriptionArn": arn,
        "Owner": "000000000000",
        "Protocol": "sqs",
        "Endpoint": arn_of(sqs, queue),
        "TopicArn": topic,
    }
    told = sns.get_subscription_attributes(SubscriptionArn=arn)["Attributes"]
    assert told["PendingConfirmation"] == "false" and told["ConfirmationWasAuthenticated"] == "true"
    assert (told["Protocol"], told["RawMessageDelivery"], told["TopicArn"]) == ("sqs", "false", topic)
    assert sns.get_topic_attributes(TopicArn=topic)["Attributes"]["SubscriptionsConfirmed"] == "1"
    sns.unsubscribe(SubscriptionArn=arn)
    sns.unsubscribe(SubscriptionArn=arn)
    sns.publish(TopicArn=topic, Message="to nobody")
    assert receive(sqs, queue) == []
    with refused("NotFound", "Subscription does not exist", status=404):
        sns.get_subscription_attributes(SubscriptionArn=arn)


def test_what_cannot_be_delivered_goes_to_the_dead_letters(sns, sqs, make_queue):
    topic, queue, dead = make_topic(sns), make_queue(), make_queue()
    arn = subscribe(
        sns, sqs, topic, queue, RedrivePolicy={"deadLetterTargetArn": arn_of(sqs, dead)}, RawMessageDelivery="true"
    )
    assert json.loads(sns.get_subscription_attributes(SubscriptionArn=arn)["Attributes"]["RedrivePolicy"])
    sqs.delete_queue(QueueUrl=queue)
    sns.publish(TopicArn=topic, Message="kept")
    assert bodies(receive(sqs, dead)) == ["kept"]


def test_a_batch_is_published_entry_by_entry(sns, sqs, queue):
    topic = make_topic(sns)
    subscribe(sns, sqs, topic, queue, RawMessageDelivery="true")
    answer = sns.publish_batch(
        TopicArn=topic,
        PublishBatchRequestEntries=[
            {"Id": "a", "Message": "one"},
            {"Id": "b", "Message": "two", "Subject": "\n"},
            {"Id": "c", "Message": "three", "MessageAttributes": {"k": text("v")}},
        ],
    )
    assert [entry["Id"] for entry in answer["Successful"]] == ["a", "c"]
    [failed] = answer["Failed"]
    assert (failed["Id"], failed["Code"], failed["SenderFault"]) == ("b", "InvalidParameter", True)
    assert sorted(bodies(receive(sqs, queue, 10))) == ["one", "three"]
    with refused("BatchEntryIdsNotDistinct"):
        entry = {"Id": "a", "Message": "x"}
        sns.publish_batch(TopicArn=topic, PublishBatchRequestEntries=[entry, entry])
    with refused("EmptyBatchRequest"):
        sns.publish_batch(TopicArn=topic, PublishBatchRequestEntries=[])


def test_a_fifo_topic_keeps_order_and_knows_duplicates(sns, sqs, fifo, queue):
    topic = make_topic(sns, fifo=True)
    subscribe(sns, sqs, topic, fifo)
    subscribe(sns, sqs, topic, queue, RawMessageDelivery="true")
    first = sns.publish(TopicArn=topic, Message="1", MessageGroupId="g", MessageDeduplicationId="d1")
    again = sns.publish(TopicArn=topic, Message="1", MessageGroupId="g", MessageDeduplicationId="d1")
    assert again["MessageId"] == first["MessageId"] and again["SequenceNumber"] == first["SequenceNumber"]
    second = sns.publish(TopicArn=topic, Message="2", MessageGroupId="g", MessageDeduplicationId="d2")
    assert second["SequenceNumber"] > first["SequenceNumber"]
    received = receive(sqs, fifo, 10)
    wrapped = [json.loads(message["Body"]) for message in received]
    assert [envelope["Message"] for envelope in wrapped] == ["1", "2"]
    assert wrapped[0]["SequenceNumber"] == first["SequenceNumber"] and "Signature" not in wrapped[0]
    assert received[0]["Attributes"]["MessageGroupId"] == "g"
    assert received[0]["Attributes"]["MessageDeduplicationId"] == "d1"
    assert sorted(bodies(receive(sqs, queue, 10))) == ["1", "2"]
    with refused("InvalidParameter", "MessageGroupId parameter is required for FIFO topics"):
        sns.publish(TopicArn=topic, Message="x")
    with refused("InvalidParameter", "ContentBasedDeduplication"):
        sns.publish(TopicArn=topic, Message="x", MessageGroupId="g")
    sns.set_topic_attributes(TopicArn=topic, AttributeName="ContentBasedDeduplication", AttributeValue="true")
    sent = [sns.publish(TopicArn=topic, Message="x", MessageGroupId="g")["MessageId"] for _ in range(2)]
    assert sent[0] == sent[1]


def test_a_standard_topic_feeds_no_fifo_queue(sns, sqs, fifo):
    with refused("InvalidParameter", "FIFO SQS Queues can not be subscribed to standard SNS topics"):
        subscribe(sns, sqs, make_topic(sns), fifo)
    with refused("InvalidParameter", "MessageDeduplicationId"):
        sns.publish(TopicArn=make_topic(sns), Message="x", MessageDeduplicationId="d")


def test_a_group_is_passed_on_to_standard_queues(sns, sqs, queue):
    topic = make_topic(sns)
    subscribe(sns, sqs, topic, queue, RawMessageDelivery="true")
    sns.publish(TopicArn=topic, Message="x", MessageGroupId="tenant")
    assert receive(sqs, queue)[0]["Attributes"]["MessageGroupId"] == "tenant"


def test_attributes_of_topics_are_set_and_told(sns):
    topic = make_topic(sns)
    told = sns.get_topic_attributes(TopicArn=topic)["Attributes"]
    assert (told["TopicArn"], told["Owner"], told["DisplayName"]) == (topic, "000000000000", "")
    assert told["SubscriptionsConfirmed"] == told["SubscriptionsPending"] == "0"
    assert json.loads(told["EffectiveDeliveryPolicy"])["http"]["defaultHealthyRetryPolicy"]["numRetries"] == 3
    for name, value in [
        ("DisplayName", "News"),
        ("Policy", json.dumps(POLICY)),
        ("DeliveryPolicy", '{"http":{"defaultThrottlePolicy":{"maxReceivesPerSecond":5}}}'),
        ("SignatureVersion", "2"),
        ("TracingConfig", "PassThrough"),
        ("KmsMasterKeyId", "alias/aws/sns"),
        ("ArchivePolicy", '{"MessageRetentionPeriod":"7"}'),
    ]:
        sns.set_topic_attributes(TopicArn=topic, AttributeName=name, AttributeValue=value)
        assert sns.get_topic_attributes(TopicArn=topic)["Attributes"][name] == value
    with refused("InvalidParameter", "AttributeName", "Colour"):
        sns.set_topic_attributes(TopicArn=topic, AttributeName="Colour", AttributeValue="red")
    with refused("InvalidParameter", "FIFO topics only"):
        sns.set_topic_attributes(TopicArn=topic, AttributeName="ContentBasedDeduplication", AttributeValue="true")


def test_tags_permissions_and_data_protection_are_kept(sns):
    topic = make_topic(sns, Tags=[{"Key": "a", "Value": "1"}])
    sns.tag_resource(ResourceArn=topic, Tags=[{"Key": "b", "Value": "2"}])
    assert {tag["Key"]: tag["Value"] for tag in sns.list_tags_for_resource(ResourceArn=topic)["Tags"]} == {
        "a": "1",
        "b": "2",
    }
    sns.untag_resource(ResourceArn=topic, TagKeys=["a"])
    assert [tag["Key"] for tag in sns.list_tags_for_resource(ResourceArn=topic)["Tags"]] == ["b"]
    with refused("TagLimitExceeded", "50"):
        sns.tag_resource(ResourceArn=topic, Tags=[{"Key": f"k{n}", "Value": ""} for n in range(50)])
    with refused("ResourceNotFound", status=404):
        sns.list_tags_for_resource(ResourceArn=topic + "-not")
    sns.add_permission(TopicArn=topic, Label="l", AWSAccountId=["111122223333"], ActionName=["Publish"])
    policy = json.loads(sns.get_topic_attributes(TopicArn=topic)["Attributes"]["Policy"])
    [statement] = policy["Statement"]
    assert (statement["Sid"], statement["Action"], statement["Resource"]) == ("l", "SNS:Publish", topic)
    sns.remove_permission(TopicArn=topic, Label="l")
    assert "__default_policy_ID" in sns.get_topic_attributes(TopicArn=topic)["Attributes"]["Policy"]
    protection = '{"Name":"none","Version":"2021-06-01","Statement":[]}'
    sns.put_data_protection_policy(ResourceArn=topic, DataProtectionPolicy=protection)
    assert sns.get_data_protection_policy(ResourceArn=topic)["DataProtectionPolicy"] == protection


def test_bad_requests_name_what_is_wrong(sns, sqs, queue):
    topic = make_topic(sns)
    with refused("InvalidParameter", "Topic Name"):
        sns.create_topic(Name="a b")
    with refused("InvalidParameter", "TopicArn or TargetArn"):
        sns.publish(Message="x")
    with refused("InvalidParameter", "Empty message"):
        sns.publish(TopicArn=topic, Message="")
    with refused("InvalidParameter", "Subject", "101"):
        sns.publish(TopicArn=topic, Message="x", Subject="s" * 101)
    with refused("InvalidParameter", "another region"):
        sns.publish(TopicArn=topic.replace("us-east-1", "eu-west-1"), Message="x")
    with refused("ParameterValueInvalid", "kind"):
        sns.publish(TopicArn=topic, Message="x", MessageAttributes={"kind": {"DataType": "String", "StringValue": ""}})
    with refused("InvalidParameter", "sms is not supported"):
        sns.subscribe(TopicArn=topic, Protocol="sms", Endpoint="+1")
    with refused("InvalidParameter", "no ARN of a queue"):
        sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue)


def test_mobile_push_and_text_messages_are_refused_by_name(sns):
    with refused("UnsupportedOperation", "CreatePlatformApplication is not supported"):
        sns.create_platform_application(Name="a", Platform="GCM", Attributes={})
    with refused("UnsupportedOperation", "PhoneNumber is not supported"):
        sns.publish(PhoneNumber="+1", Message="x")
    with refused("UnsupportedOperation", "ListPhoneNumbersOptedOut"):
        sns.list_phone_numbers_opted_out()


def test_topics_outlive_the_server(own_weir):
    server = own_weir()
    sns, sqs = server.sns(), server.sqs()
    queue = sqs.create_queue(QueueName="q")["QueueUrl"]
    topic = make_topic(sns)
    subscribe(sns, sqs, topic, queue, FilterPolicy={"a": ["x"]})
    sns.publish(TopicArn=topic, Message="before", MessageAttributes={"a": text("x")})
    assert server.end() == 0
    server.start()
    sns, sqs = server.sns(), server.sqs()
    queue = sqs.get_queue_url(QueueName="q")["QueueUrl"]
    sns.publish(TopicArn=topic, Message="other", MessageAttributes={"a": text("y")})
    sns.publish(TopicArn=topic, Message="after", MessageAttributes={"a": text("x")})
    assert sorted(envelope["Message"] for envelope in envelopes(sqs, queue)) == ["after", "before"]


ARCHIVED = {"ArchivePolicy": '{"MessageRetentionPeriod":"1"}'}
ALL = '{"PointType":"Timestamp","StartingPoint":"2020-01-01T00:00:00.000Z"}'


def replay_status(sns, subscription):
    return sns.get_subscription_attributes(SubscriptionArn=subscription)["Attributes"].get("ReplayStatus")


def await_replay(sns, subscription):
    eventually(lambda: replay_status(sns, subscription) == "Completed", "the replay is over")


def test_an_archive_is_replayed_to_a_new_subscription_by_its_filter(sns, sqs, make_queue):
    topic, raw = make_topic(sns, Attributes=ARCHIVED), {"RawMessageDelivery": "true"}
    for number in range(3):
        colour = {"colour": {"DataType": "String", "StringValue": ["red", "blue"][number % 2]}}
        sns.publish(TopicArn=topic, Message=str(number), MessageAttributes=colour)
    queue, reds = make_queue(), {"FilterPolicy": '{"colour":["red"]}'}
    arn = subscribe(sns, sqs, topic, queue, **raw, **reds, ReplayPolicy=ALL)
    await_replay(sns, arn)
    assert sorted(bodies(receive(sqs, queue, 10))) == ["0", "2"]
    # To subscribe again finds what there is, and replays nothing more.
    assert subscribe(sns, sqs, topic, queue, **raw, **reds, ReplayPolicy=ALL) == arn
    await_replay(sns, arn)
    attributes = sns.get_subscription_attributes(SubscriptionArn=arn)["Attributes"]
    assert attributes["ReplayPolicy"] == ALL
    assert bodies(receive(sqs, queue)) == []


def test_a_replay_is_started_again_ended_and_refused_with_its_reason(sns, sqs, make_queue):
    topic, queue = make_topic(sns, Attributes=ARCHIVED), make_queue()
    arn = subscribe(sns, sqs, topic, queue, RawMessageDelivery="true")
    sns.publish(TopicArn=topic, Message="once")
    assert bodies(receive(sqs, queue, 1)) == ["once"]
    assert replay_status(sns, arn) is None

    def replay(value, of=arn):
        sns.set_subscription_attributes(SubscriptionArn=of, AttributeName="ReplayPolicy", AttributeValue=value)

    for _ in range(2):
        replay(ALL)
        await_replay(sns, arn)
        assert bodies(receive(sqs, queue, 10)) == ["once"]
    replay("")
    assert replay_status(sns, arn) is None
    assert "ReplayPolicy" not in sns.get_subscription_attributes(SubscriptionArn=arn)["Attributes"]
    with refused("InvalidParameter", "ReplayPolicy", "StartingPoint"):
        replay('{"PointType":"Timestamp"}')
    plain = make_topic(sns)
    with refused("InvalidParameter", "ReplayPolicy", "ArchivePolicy"):
        subscribe(sns, sqs, plain, queue, ReplayPolicy=ALL)
