"""The AWS command line, version 1, as a person would type it."""

import functools
import json
import os
import subprocess
import sys

import pytest

from native_words import Native
from receiver import Receiver


@pytest.fixture
def aws(weir):
    """Runs `aws sqs …`, or another service; gives back what it printed, read as JSON, or fails with what it complained of."""

    def run(*words, fails=False, service="sqs", server=weir):
        command = [sys.executable, "-m", "awscli", service, *words]
        command += ["--endpoint-url", server.url, "--region", "us-east-1", "--output", "json"]
        credentials = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_MAX_ATTEMPTS": "1"}
        done = subprocess.run(command, env={**os.environ, **credentials}, capture_output=True, text=True, timeout=120)
        if fails:
            assert done.returncode != 0, done.stdout
            return done.stderr
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout) if done.stdout.strip() else None

    return run


def test_a_message_goes_round(aws):
    url = aws("create-queue", "--queue-name", "cli", "--attributes", "VisibilityTimeout=45", "--tags", "team=mail")[
        "QueueUrl"
    ]
    assert aws("get-queue-url", "--queue-name", "cli")["QueueUrl"] == url
    attributes = '{"kind": {"DataType": "String", "StringValue": "mail"}}'
    aws("send-message", "--queue-url", url, "--message-body", "hello", "--message-attributes", attributes)
    asked = ["--message-attribute-names", "All", "--attribute-names", "All", "--wait-time-seconds", "1"]
    [message] = aws("receive-message", "--queue-url", url, *asked)["Messages"]
    assert message["Body"] == "hello"
    assert message["MessageAttributes"]["kind"]["StringValue"] == "mail"
    handle = ["--receipt-handle", message["ReceiptHandle"]]
    aws("change-message-visibility", "--queue-url", url, *handle, "--visibility-timeout", "90")
    aws("delete-message", "--queue-url", url, *handle)
    attributes = aws("get-queue-attributes", "--queue-url", url, "--attribute-names", "All")["Attributes"]
    assert attributes["VisibilityTimeout"] == "45"
    assert attributes["ApproximateNumberOfMessagesNotVisible"] == "0"
    assert aws("list-queue-tags", "--queue-url", url)["Tags"] == {"team": "mail"}
    aws("delete-queue", "--queue-url", url)
    assert "NonExistentQueue" in aws("get-queue-url", "--queue-name", "cli", fails=True)


def test_batches_and_purge(aws):
    url = aws("create-queue", "--queue-name", "cli-batches")["QueueUrl"]
    entries = json.dumps([{"Id": str(n), "MessageBody": f"body {n}"} for n in range(10)])
    assert len(aws("send-message-batch", "--queue-url", url, "--entries", entries)["Successful"]) == 10
    messages = aws("receive-message", "--queue-url", url, "--max-number-of-messages", "10")["Messages"]
    handles = [{"Id": str(n), "ReceiptHandle": m["ReceiptHandle"]} for n, m in enumerate(messages[:5])]
    assert len(aws("delete-message-batch", "--queue-url", url, "--entries", json.dumps(handles))["Successful"]) == 5
    aws("purge-queue", "--queue-url", url)
    attributes = aws("get-queue-attributes", "--queue-url", url, "--attribute-names", "All")["Attributes"]
    assert attributes["ApproximateNumberOfMessagesNotVisible"] == "0"


def test_permissions_and_dead_letter_sources(aws):
    dead = aws("create-queue", "--queue-name", "cli-dead")["QueueUrl"]
    arn = aws("get-queue-attributes", "--queue-url", dead, "--attribute-names", "QueueArn")["Attributes"]["QueueArn"]
    policy = json.dumps({"RedrivePolicy": json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": "3"})})
    source = aws("create-queue", "--queue-name", "cli-source", "--attributes", policy)["QueueUrl"]
    assert aws("list-dead-letter-source-queues", "--queue-url", dead)["queueUrls"] == [source]
    account = "123456789012"
    aws("add-permission", "--queue-url", source, "--label", "send", "--aws-account-ids", account, "--actions", "SendMessage")
    attributes = aws("get-queue-attributes", "--queue-url", source, "--attribute-names", "Policy")["Attributes"]
    [statement] = json.loads(attributes["Policy"])["Statement"]
    assert statement["Sid"] == "send" and statement["Action"] == "SQS:SendMessage"
    aws("remove-permission", "--queue-url", source, "--label", "send")
    assert aws("get-queue-attributes", "--queue-url", source, "--attribute-names", "Policy") is None


def test_a_topic_feeds_a_queue(aws):
    def sns(*words, **options):
        return aws(*words, service="sns", **options)

    url = aws("create-queue", "--queue-name", "cli-fed")["QueueUrl"]
    arn = aws("get-queue-attributes", "--queue-url", url, "--attribute-names", "QueueArn")["Attributes"]["QueueArn"]
    topic = sns("create-topic", "--name", "cli-topic", "--tags", "Key=team,Value=mail")["TopicArn"]
    attributes = json.dumps({"FilterPolicy": '{"plan": ["pro"]}', "RawMessageDelivery": "true"})
    to = ["--topic-arn", topic]
    fed = ["--protocol", "sqs", "--notification-endpoint", arn, "--attributes", attributes]
    subscription = sns("subscribe", *to, *fed)["SubscriptionArn"]
    plan = '{"plan": {"DataType": "String", "StringValue": "%s"}}'
    for name in ["free", "pro"]:
        assert sns("publish", *to, "--message", name, "--message-attributes", plan % name)["MessageId"]
    [message] = aws("receive-message", "--queue-url", url, "--max-number-of-messages", "10")["Messages"]
    assert message["Body"] == "pro"
    [listed] = sns("list-subscriptions-by-topic", *to)["Subscriptions"]
    assert (listed["SubscriptionArn"], listed["Endpoint"]) == (subscription, arn)
    assert topic in [each["TopicArn"] for each in sns("list-topics")["Topics"]]
    sns("unsubscribe", "--subscription-arn", subscription)
    sns("delete-topic", *to)
    assert "NotFound" in sns("get-topic-attributes", *to, fails=True)


def test_a_function_is_invoked_and_mapped_to_a_queue(aws, own_weir, tmp_path):
    server, receiver = own_weir("--push-allow-networks", "127.0.0.0/8"), Receiver()
    receiver.answer = lambda request: (200, {}, {"doubled": 2 * request.json["n"]} if "n" in request.json else {})
    Native(server).put("/v1/functions/double", {"url": receiver.url})
    lambda_ = functools.partial(aws, service="lambda", server=server)

    result = tmp_path / "result.json"
    answer = lambda_("invoke", "--function-name", "double", "--payload", '{"n": 21}', str(result))
    assert (answer["StatusCode"], json.loads(result.read_text())) == (200, {"doubled": 42})
    assert receiver.next().json == {"n": 21}
    nobody = lambda_("invoke", "--function-name", "nobody", str(result), fails=True)
    assert "ResourceNotFoundException" in nobody

    url = aws("create-queue", "--queue-name", "uploads", server=server)["QueueUrl"]
    source = ["--event-source-arn", "arn:aws:sqs:us-east-1:000000000000:uploads"]
    made = lambda_("create-event-source-mapping", "--function-name", "double", *source, "--batch-size", "5")
    aws("send-message", "--queue-url", url, "--message-body", "hello", server=server)
    assert receiver.next().json["Records"][0]["body"] == "hello"
    [found] = lambda_("list-event-source-mappings", *source)["EventSourceMappings"]
    assert (found["UUID"], found["BatchSize"], found["State"]) == (made["UUID"], 5, "Enabled")
    lambda_("delete-event-source-mapping", "--uuid", made["UUID"])
    assert lambda_("list-event-source-mappings", *source)["EventSourceMappings"] == []
    receiver.close()
