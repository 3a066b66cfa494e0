"""Short forms of what many tests say to SQS."""

import hashlib
import struct

import botocore.exceptions


def send(sqs, queue, *bodies, group=None, **options):
    """Sends bodies one by one; the answers."""
    if group is not None:
        options["MessageGroupId"] = group
    answers = []
    for body in bodies:
        more = {"MessageDeduplicationId": f"{group}/{body}"} if group is not None else {}
        answers.append(sqs.send_message(QueueUrl=queue, MessageBody=body, **(more | options)))
    return answers


def receive(sqs, queue, count=1, wait=0, **options):
    """One receive; the messages, with every attribute."""
    options.setdefault("MessageAttributeNames", ["All"])
    options.setdefault("MessageSystemAttributeNames", ["All"])
    return sqs.receive_message(
        QueueUrl=queue, MaxNumberOfMessages=count, WaitTimeSeconds=wait, **options
    ).get("Messages", [])


def bodies(messages):
    return [message["Body"] for message in messages]


def receive_bodies(sqs, queue, count=1, wait=0, **options):
    return bodies(receive(sqs, queue, count, wait, **options))


def delete(sqs, queue, *messages):
    for message in messages:
        sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])


def counts(sqs, queue):
    """Ready, leased and delayed messages of a queue."""
    names = [
        "ApproximateNumberOfMessages",
        "ApproximateNumberOfMessagesNotVisible",
        "ApproximateNumberOfMessagesDelayed",
    ]
    found = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=names)["Attributes"]
    return tuple(int(found[name]) for name in names)


def arn(sqs, queue):
    return sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]


def md5(text):
    return hashlib.md5(text.encode()).hexdigest()


def md5_of_attributes(attributes):
    """The digest of message attributes, as AWS documents it."""
    digest = hashlib.md5()

    def add(raw):
        digest.update(struct.pack(">I", len(raw)) + raw)

    for name in sorted(attributes):
        attribute = attributes[name]
        add(name.encode())
        add(attribute["DataType"].encode())
        binary = attribute["DataType"].startswith("Binary")
        digest.update(b"\x02" if binary else b"\x01")
        add(attribute["BinaryValue"] if binary else attribute["StringValue"].encode())
    return digest.hexdigest()


class refused:
    """Expects the call within to be refused with this code and HTTP status; `message` holds what was said."""

    def __init__(self, code, status=400):
        self.code, self.status, self.message = code, status, None

    def __enter__(self):
        return self

    def __exit__(self, kind, error, _):
        assert kind is not None, f"not refused: expected {self.code}"
        if not issubclass(kind, botocore.exceptions.ClientError):
            return False
        found = error.response["Error"]["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"]
        assert found == (self.code, self.status), error
        self.message = error.response["Error"]["Message"]
        return True
