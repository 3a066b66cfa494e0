"""Deduplication on FIFO queues: by id, by content, and after the message is gone."""

from sqs_words import bodies, counts, delete, receive, send


def send_as(sqs, queue, body, identifier=None, group="a"):
    options = {} if identifier is None else {"MessageDeduplicationId": identifier}
    return sqs.send_message(QueueUrl=queue, MessageBody=body, MessageGroupId=group, **options)


def test_a_second_send_with_the_same_id_succeeds_and_stores_nothing(sqs, fifo):
    first = send_as(sqs, fifo, "x", "one")
    second = send_as(sqs, fifo, "y", "one")
    assert (first["MessageId"], first["SequenceNumber"]) == (second["MessageId"], second["SequenceNumber"])
    assert bodies(receive(sqs, fifo, 10)) == ["x"]
    assert counts(sqs, fifo) == (0, 1, 0)


def test_an_id_is_remembered_after_the_message_was_deleted(sqs, fifo):
    send_as(sqs, fifo, "x", "one")
    delete(sqs, fifo, *receive(sqs, fifo))
    send_as(sqs, fifo, "x", "one")
    assert receive(sqs, fifo, 10) == []
    assert counts(sqs, fifo) == (0, 0, 0)


def test_the_same_content_is_stored_once_where_content_decides(sqs, make_queue):
    fifo = make_queue(fifo=True, ContentBasedDeduplication="true")
    send_as(sqs, fifo, "x")
    send_as(sqs, fifo, "x")
    send_as(sqs, fifo, "y")
    assert bodies(receive(sqs, fifo, 10)) == ["x", "y"]


def test_content_is_the_body_and_not_the_attributes(sqs, make_queue):
    fifo = make_queue(fifo=True, ContentBasedDeduplication="true")
    for value in ("1", "2"):
        sqs.send_message(
            QueueUrl=fifo,
            MessageBody="x",
            MessageGroupId="a",
            MessageAttributes={"n": {"DataType": "Number", "StringValue": value}},
        )
    assert len(receive(sqs, fifo, 10)) == 1


def test_a_named_id_wins_over_the_content(sqs, make_queue):
    fifo = make_queue(fifo=True, ContentBasedDeduplication="true")
    send_as(sqs, fifo, "x", "one")
    send_as(sqs, fifo, "x", "two")
    send_as(sqs, fifo, "y", "two")
    assert bodies(receive(sqs, fifo, 10)) == ["x", "x"]


def test_the_same_id_on_two_queues_is_two_messages(sqs, make_queue):
    queues = make_queue(fifo=True), make_queue(fifo=True)
    for queue in queues:
        send_as(sqs, queue, "x", "one")
        assert len(receive(sqs, queue)) == 1


def test_the_same_id_in_two_groups_of_one_queue_is_one_message(sqs, fifo):
    send_as(sqs, fifo, "x", "one", group="a")
    send_as(sqs, fifo, "x", "one", group="b")
    assert len(receive(sqs, fifo, 10)) == 1


def test_duplicates_within_one_batch_are_stored_once(sqs, fifo):
    answer = sqs.send_message_batch(
        QueueUrl=fifo,
        Entries=[
            {"Id": str(n), "MessageBody": "x", "MessageGroupId": "a", "MessageDeduplicationId": "one"}
            for n in range(3)
        ],
    )
    assert len({entry["MessageId"] for entry in answer["Successful"]}) == 1
    assert len(receive(sqs, fifo, 10)) == 1


def test_a_purged_queue_takes_new_messages(sqs, fifo):
    send_as(sqs, fifo, "x", "one")
    sqs.purge_queue(QueueUrl=fifo)
    send_as(sqs, fifo, "y", "two")
    assert bodies(receive(sqs, fifo, 10)) == ["y"]
