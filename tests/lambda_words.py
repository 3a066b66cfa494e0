"""What tests of functions say to the door of AWS Lambda."""

import itertools

import botocore.exceptions
import pytest

from sqs_words import counts, send

ACCOUNT = "arn:aws:sqs:us-east-1:000000000000:"

_numbers = itertools.count(1)


class Source:
    """A queue of a test's own, and its mappings."""

    def __init__(self, client, queues, **attributes):
        self.client, self.queues = client, queues
        self.name = f"source-{next(_numbers)}" + (".fifo" if "FifoQueue" in attributes else "")
        self.arn = ACCOUNT + self.name
        self.url = queues.create_queue(QueueName=self.name, Attributes=attributes)["QueueUrl"]

    def map(self, function, **settings):
        return self.client.create_event_source_mapping(EventSourceArn=self.arn, FunctionName=function, **settings)

    def send(self, *bodies, **options):
        return send(self.queues, self.url, *bodies, **options)

    def counts(self):
        return counts(self.queues, self.url)

    def is_empty(self):
        return self.counts() == (0, 0, 0)


def refused(code, status, call, **arguments):
    """Expects a call to be refused; what was said of that."""
    with pytest.raises(botocore.exceptions.ClientError) as error:
        call(**arguments)
    answer = error.value.response
    assert (answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]) == (code, status), answer
    return answer["Error"]["Message"]


def bodies(event):
    """The bodies of the messages of an event."""
    return [record["body"] for record in event["Records"]]
