"""`--compat-enforce aws`: the limits that we lift hold again, with AWS's errors."""

import pytest

from sqs_words import receive, refused, send


@pytest.fixture
def strict(own_weir):
    sqs = own_weir("--compat-enforce", "aws").sqs()
    return sqs, sqs.create_queue(QueueName="strict")["QueueUrl"]


def test_what_aws_refuses_is_refused(strict):
    sqs, queue = strict
    with refused("AWS.SimpleQueueService.TooManyEntriesInBatchRequest"):
        sqs.send_message_batch(QueueUrl=queue, Entries=[{"Id": str(n), "MessageBody": "x"} for n in range(11)])
    for options in ({"MaxNumberOfMessages": 11}, {"WaitTimeSeconds": 21}, {"VisibilityTimeout": 43_201}):
        with refused("InvalidParameterValue"):
            sqs.receive_message(QueueUrl=queue, **options)
    with refused("InvalidParameterValue"):
        send(sqs, queue, "x", DelaySeconds=901)
    with refused("InvalidParameterValue"):
        send(sqs, queue, "x" * (1_048_576 + 1))
    with refused("InvalidParameterValue"):
        attributes = {f"a{n}": {"DataType": "String", "StringValue": "x"} for n in range(11)}
        send(sqs, queue, "x", MessageAttributes=attributes)
    with refused("InvalidMessageContents"):
        send(sqs, queue, "\x01")
    with refused("InvalidAttributeValue"):
        sqs.set_queue_attributes(QueueUrl=queue, Attributes={"MessageRetentionPeriod": "1209601"})
    assert receive(sqs, queue, 10) == []


def test_a_delay_of_its_own_is_refused_on_a_fifo_queue(strict):
    sqs, _ = strict
    fifo = sqs.create_queue(QueueName="strict.fifo", Attributes={"FifoQueue": "true"})["QueueUrl"]
    with refused("InvalidParameterValue"):
        send(sqs, fifo, "x", group="a", DelaySeconds=1)
    send(sqs, fifo, "x", group="a", DelaySeconds=0)
    assert len(receive(sqs, fifo, 10)) == 1
