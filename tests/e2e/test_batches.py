"""Batches: each entry on its own, in order, under its own id."""

from sqs_words import bodies, counts, md5, receive, refused, send


def test_a_batch_sends_all_its_messages_in_order(sqs, fifo):
    entries = [
        {"Id": f"e{n}", "MessageBody": f"m{n}", "MessageGroupId": "a", "MessageDeduplicationId": str(n)}
        for n in range(10)
    ]
    answer = sqs.send_message_batch(QueueUrl=fifo, Entries=entries)
    assert [entry["Id"] for entry in answer["Successful"]] == [f"e{n}" for n in range(10)]
    assert [entry["MD5OfMessageBody"] for entry in answer["Successful"]] == [md5(f"m{n}") for n in range(10)]
    assert answer.get("Failed", []) == []
    assert bodies(receive(sqs, fifo, 10)) == [f"m{n}" for n in range(10)]


def test_a_bad_entry_fails_alone(sqs, fifo):
    def entry(name, **more):
        return {"Id": name, "MessageBody": name, "MessageDeduplicationId": name, "MessageGroupId": "a"} | more

    no_group = entry("no-group")
    del no_group["MessageGroupId"]
    answer = sqs.send_message_batch(QueueUrl=fifo, Entries=[entry("one"), no_group, entry("two")])
    assert [good["Id"] for good in answer["Successful"]] == ["one", "two"]
    [failed] = answer["Failed"]
    assert (failed["Id"], failed["SenderFault"]) == ("no-group", True)
    assert failed["Code"] == "InvalidParameterValue"
    assert failed["Message"]
    assert bodies(receive(sqs, fifo, 10)) == ["one", "two"]


def test_an_entry_with_characters_that_no_message_may_have_fails_alone(sqs, queue):
    answer = sqs.send_message_batch(
        QueueUrl=queue,
        Entries=[{"Id": "good", "MessageBody": "x"}, {"Id": "bad", "MessageBody": "x", "DelaySeconds": -1}],
    )
    assert [good["Id"] for good in answer["Successful"]] == ["good"]
    assert [bad["Id"] for bad in answer["Failed"]] == ["bad"]
    assert counts(sqs, queue) == (1, 0, 0)


def test_a_batch_deletes_what_it_can(sqs, queue):
    send(sqs, queue, "a", "b")
    first, second = receive(sqs, queue, 2)
    answer = sqs.delete_message_batch(
        QueueUrl=queue,
        Entries=[
            {"Id": "first", "ReceiptHandle": first["ReceiptHandle"]},
            {"Id": "garbage", "ReceiptHandle": "garbage"},
            {"Id": "second", "ReceiptHandle": second["ReceiptHandle"]},
        ],
    )
    assert [entry["Id"] for entry in answer["Successful"]] == ["first", "second"]
    [failed] = answer["Failed"]
    assert (failed["Id"], failed["Code"], failed["SenderFault"]) == ("garbage", "ReceiptHandleIsInvalid", True)
    assert counts(sqs, queue) == (0, 0, 0)


def test_a_batch_may_have_more_than_ten_entries(sqs, queue):
    entries = [{"Id": f"e{n}", "MessageBody": f"m{n}"} for n in range(200)]
    answer = sqs.send_message_batch(QueueUrl=queue, Entries=entries)
    assert len(answer["Successful"]) == 200
    assert counts(sqs, queue) == (200, 0, 0)


def test_an_empty_batch_is_refused(sqs, queue):
    with refused("AWS.SimpleQueueService.EmptyBatchRequest"):
        sqs.send_message_batch(QueueUrl=queue, Entries=[])
    with refused("AWS.SimpleQueueService.EmptyBatchRequest"):
        sqs.delete_message_batch(QueueUrl=queue, Entries=[])
    with refused("AWS.SimpleQueueService.EmptyBatchRequest"):
        sqs.change_message_visibility_batch(QueueUrl=queue, Entries=[])


def test_a_batch_beyond_the_bound_is_refused_whole(sqs, queue):
    entries = [{"Id": f"e{n}", "MessageBody": "x"} for n in range(1001)]
    with refused("AWS.SimpleQueueService.TooManyEntriesInBatchRequest"):
        sqs.send_message_batch(QueueUrl=queue, Entries=entries)
    assert counts(sqs, queue) == (0, 0, 0)


def test_entry_ids_that_repeat_are_refused(sqs, queue):
    with refused("AWS.SimpleQueueService.BatchEntryIdsNotDistinct"):
        sqs.send_message_batch(
            QueueUrl=queue, Entries=[{"Id": "same", "MessageBody": "x"}, {"Id": "same", "MessageBody": "y"}]
        )
    assert counts(sqs, queue) == (0, 0, 0)


def test_entry_ids_that_are_none_are_refused(sqs, queue):
    for name in ("", "a b", "x" * 81, "ü"):
        with refused("AWS.SimpleQueueService.InvalidBatchEntryId"):
            sqs.send_message_batch(QueueUrl=queue, Entries=[{"Id": name, "MessageBody": "x"}])
    assert counts(sqs, queue) == (0, 0, 0)
