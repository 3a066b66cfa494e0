"""`--compat-enforce aws`: the limits that we lift hold again, with AWS's errors."""

import time

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


def test_a_queue_is_purged_once_in_a_minute_and_not_made_again_at_once(strict):
    sqs, queue = strict
    sqs.purge_queue(QueueUrl=queue)
    with refused("AWS.SimpleQueueService.PurgeQueueInProgress", 403):
        sqs.purge_queue(QueueUrl=queue)
    sqs.delete_queue(QueueUrl=queue)
    with refused("AWS.SimpleQueueService.QueueDeletedRecently"):
        sqs.create_queue(QueueName="strict")


def test_a_fifo_queue_takes_so_many_calls_in_a_second(strict):
    sqs, _ = strict
    throttled = sqs.create_queue(QueueName="throttled.fifo", Attributes={"FifoQueue": "true"})["QueueUrl"]
    per_group = {
        "FifoQueue": "true",
        "DeduplicationScope": "messageGroup",
        "FifoThroughputLimit": "perMessageGroupId",
    }
    free = sqs.create_queue(QueueName="free.fifo", Attributes=per_group)["QueueUrl"]

    def calls(queue, count):
        """How many of so many receives, made side by side, were refused."""
        from concurrent.futures import ThreadPoolExecutor

        def one(_):
            try:
                sqs.receive_message(QueueUrl=queue)
                return False
            except sqs.exceptions.RequestThrottled:
                return True

        with ThreadPoolExecutor(16) as pool:
            return sum(pool.map(one, range(count)))

    # However slow the machine: some second sees more than 300 of them, or they take longer than thirteen seconds.
    started = time.monotonic()
    count = calls(throttled, 4_000)
    assert count > 0 or time.monotonic() - started > 13
    assert calls(free, 400) == 0
