"""Short forms of what many tests say to SNS."""

import base64
import contextlib
import itertools
import json
import re
import urllib.request

import botocore.exceptions
import pytest
import rsa
from pyasn1.codec.der import decoder

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


def public_key(pem):
    """The key of a certificate."""
    der = base64.b64decode("".join(line for line in pem.splitlines() if "-----" not in line))
    certificate, _ = decoder.decode(der)
    to_be_signed = certificate[0]
    # version, serial, algorithm, issuer, validity, subject, key
    key = to_be_signed[6]
    return rsa.PublicKey.load_pkcs1(key[1].asOctets(), "DER")


def signed_text(envelope):
    """What is signed of an envelope."""
    names = ["Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"]
    return "".join(f"{name}\n{envelope[name]}\n" for name in names if name in envelope).encode()


def verify(envelope):
    """Verifies an envelope; the name of the digest."""
    url = envelope["SigningCertURL"]
    assert re.search(r"/sns/SimpleNotificationService-[0-9a-f]{32}\.pem$", url)
    with urllib.request.urlopen(url) as response:
        key = public_key(response.read().decode())
    return rsa.verify(signed_text(envelope), base64.b64decode(envelope["Signature"]), key)


def verify_handshake(message):
    """Verifies a message about a subscription; the name of the digest."""
    names = ["Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"]
    with urllib.request.urlopen(message["SigningCertURL"]) as response:
        key = public_key(response.read().decode())
    signed = "".join(f"{name}\n{message[name]}\n" for name in names).encode()
    return rsa.verify(signed, base64.b64decode(message["Signature"]), key)
