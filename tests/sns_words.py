"""Short forms of what many tests say to SNS."""

import contextlib
import itertools
import json

import botocore.exceptions
import pytest

from sqs_words import receive

_numbers = itertools.count(1)


def arn_of(sqs, queue):
    """The ARN of a queue."""
    answer = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])
    return answer["Attributes"]["QueueArn"]


def make_topic(sns, fifo=False, **options):
    """Makes a topic that no other test knows; its ARN."""
    name = f"topic-{next(_numbers)}"
    if fifo:
        options["Attributes"] = {"FifoTopic": "true"} | options.get("Attributes", {})
        name += ".fifo"
    return sns.create_topic(Name=name, **options)["TopicArn"]


def subscribe(sns, sqs, topic, queue, **attributes):
    """Subscribes a queue; the subscription's ARN."""
    return sns.subscribe(
        TopicArn=topic,
        Protocol="sqs",
        Endpoint=arn_of(sqs, queue),
        Attributes={name: value if isinstance(value, str) else json.dumps(value) for name, value in attributes.items()},
        ReturnSubscriptionArn=True,
    )["SubscriptionArn"]


def envelopes(sqs, queue, count=10):
    """The envelopes of the messages that one receive gives."""
    return [json.loads(message["Body"]) for message in receive(sqs, queue, count)]


def text(value, data_type="String"):
    """A message attribute."""
    return {"DataType": data_type, "StringValue": value}


@contextlib.contextmanager
def refused(code, *words, status=None):
    """Expects an error with this code, all of these words in its message, and this status."""
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        yield
    error = caught.value.response["Error"]
    assert error["Code"] == code, error
    for word in words:
        assert word in error["Message"], error
    if status is not None:
        assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == status
