"""Queues: made, found, listed, configured, emptied and deleted."""

import time

from sqs_words import arn, bodies, counts, receive, refused, send

MISSING = "AWS.SimpleQueueService.NonExistentQueue"


def attributes(sqs, queue, *names):
    return sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=list(names) or ["All"]).get("Attributes", {})


def test_creating_a_queue_twice_gives_the_same_queue(sqs):
    first = sqs.create_queue(QueueName="twice", Attributes={"DelaySeconds": "5"})
    assert sqs.create_queue(QueueName="twice", Attributes={"DelaySeconds": "5"})["QueueUrl"] == first["QueueUrl"]
    assert sqs.create_queue(QueueName="twice")["QueueUrl"] == first["QueueUrl"]


def test_creating_a_queue_with_another_value_is_refused_and_names_the_attribute(sqs):
    sqs.create_queue(QueueName="differs", Attributes={"DelaySeconds": "5"})
    with refused("QueueAlreadyExists") as refusal:
        sqs.create_queue(QueueName="differs", Attributes={"DelaySeconds": "6"})
    assert "DelaySeconds" in refusal.message


def test_a_new_queue_has_the_defaults_of_sqs(sqs, queue):
    found = attributes(sqs, queue)
    expected = {
        "DelaySeconds": "0",
        "MaximumMessageSize": "1048576",
        "MessageRetentionPeriod": "345600",
        "ReceiveMessageWaitTimeSeconds": "0",
        "VisibilityTimeout": "30",
        "ApproximateNumberOfMessages": "0",
        "ApproximateNumberOfMessagesNotVisible": "0",
        "ApproximateNumberOfMessagesDelayed": "0",
    }
    assert {name: found[name] for name in expected} == expected
    assert abs(int(found["CreatedTimestamp"]) - time.time()) < 600
    assert found["LastModifiedTimestamp"] >= found["CreatedTimestamp"]
    assert found["QueueArn"] == f"arn:aws:sqs:us-east-1:000000000000:{queue.rsplit('/', 1)[1]}"
    assert "FifoQueue" not in found


def test_only_the_attributes_asked_for_are_given(sqs, queue):
    assert attributes(sqs, queue, "DelaySeconds") == {"DelaySeconds": "0"}


def test_attributes_set_later_are_in_force(sqs, queue):
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"VisibilityTimeout": "0", "DelaySeconds": "900"})
    found = attributes(sqs, queue, "VisibilityTimeout", "DelaySeconds")
    assert found == {"VisibilityTimeout": "0", "DelaySeconds": "900"}
    send(sqs, queue, "x")
    assert counts(sqs, queue) == (0, 0, 1)


def test_a_fifo_queue_says_so(sqs, make_queue):
    found = attributes(sqs, make_queue(fifo=True, ContentBasedDeduplication="true"))
    assert (found["FifoQueue"], found["ContentBasedDeduplication"]) == ("true", "true")


def test_a_queue_is_found_by_its_name(sqs, queue):
    assert sqs.get_queue_url(QueueName=queue.rsplit("/", 1)[1])["QueueUrl"] == queue


def test_queues_are_listed_by_prefix_and_page(sqs):
    urls = [sqs.create_queue(QueueName=f"listed-{n}")["QueueUrl"] for n in range(5)]
    assert sqs.list_queues(QueueNamePrefix="listed-")["QueueUrls"] == urls
    assert sqs.list_queues(QueueNamePrefix="no such").get("QueueUrls", []) == []
    pages = sqs.get_paginator("list_queues").paginate(
        QueueNamePrefix="listed-", PaginationConfig={"PageSize": 2}
    )
    pages = [page["QueueUrls"] for page in pages]
    assert [len(page) for page in pages] == [2, 2, 1]
    assert sum(pages, []) == urls


def test_a_deleted_queue_is_gone_with_its_messages_and_may_be_made_anew(sqs, make_queue):
    queue = make_queue("gone")
    send(sqs, queue, "x")
    sqs.delete_queue(QueueUrl=queue)
    with refused(MISSING):
        send(sqs, queue, "y")
    name = queue.rsplit("/", 1)[1]
    assert sqs.create_queue(QueueName=name)["QueueUrl"] == queue
    assert counts(sqs, queue) == (0, 0, 0)
    assert receive(sqs, queue) == []


def test_a_purge_removes_every_message_the_leased_and_delayed_too(sqs, queue):
    send(sqs, queue, "a", "b", "c")
    [leased] = receive(sqs, queue, VisibilityTimeout=1)
    sqs.send_message(QueueUrl=queue, MessageBody="later", DelaySeconds=1)
    sqs.purge_queue(QueueUrl=queue)
    assert counts(sqs, queue) == (0, 0, 0)
    # A second message whose delay ends after theirs shows that nothing of the old came first.
    sqs.send_message(QueueUrl=queue, MessageBody="new", DelaySeconds=2)
    assert bodies(receive(sqs, queue, 10, wait=20)) == ["new"]
    sqs.delete_message(QueueUrl=queue, ReceiptHandle=leased["ReceiptHandle"])


def test_a_purged_queue_works_on_and_may_be_purged_again_at_once(sqs, queue):
    for round in range(3):
        send(sqs, queue, f"old{round}")
        sqs.purge_queue(QueueUrl=queue)
    send(sqs, queue, "new")
    assert bodies(receive(sqs, queue, 10)) == ["new"]


def test_names_and_values_that_are_none_are_refused(sqs):
    with refused("MissingParameter"):
        sqs.create_queue(QueueName="")
    for name in ("a b", "x" * 81, "a.b", "ü", ".fifo"):
        with refused("InvalidParameterValue"):
            sqs.create_queue(QueueName=name)
    for attribute, value in [
        ("DelaySeconds", "-1"),
        ("DelaySeconds", "soon"),
        ("VisibilityTimeout", "-1"),
        ("MessageRetentionPeriod", "x"),
        ("MessageRetentionPeriod", "59"),
        ("MaximumMessageSize", "0"),
        ("ReceiveMessageWaitTimeSeconds", "-1"),
    ]:
        with refused("InvalidAttributeValue"):
            sqs.create_queue(QueueName="refused", Attributes={attribute: value})
    with refused("InvalidAttributeName"):
        sqs.create_queue(QueueName="refused", Attributes={"Colour": "blue"})
    with refused(MISSING):
        sqs.get_queue_url(QueueName="refused")


def test_the_kind_is_in_the_name_and_never_changes(sqs, queue, fifo):
    with refused("InvalidAttributeName"):
        sqs.create_queue(QueueName="standard", Attributes={"FifoQueue": "false"})
    with refused("InvalidParameterValue"):
        sqs.create_queue(QueueName="a.fifo")
    with refused("InvalidAttributeName"):
        sqs.set_queue_attributes(QueueUrl=queue, Attributes={"FifoQueue": "true"})


def test_names_are_told_apart_by_case(sqs):
    sqs.create_queue(QueueName="Case")
    with refused(MISSING):
        sqs.get_queue_url(QueueName="case")


def test_every_queue_has_an_arn_of_its_own(sqs, make_queue):
    assert arn(sqs, make_queue()) != arn(sqs, make_queue())
