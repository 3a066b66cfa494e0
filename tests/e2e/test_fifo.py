"""FIFO queues: order within a group, and one receive at a time for each."""

from sqs_words import bodies, counts, delete, receive, receive_bodies, refused, send


def test_a_group_comes_out_in_the_order_of_sending(sqs, fifo):
    send(sqs, fifo, *(f"{n}" for n in range(30)), group="a")
    seen = []
    while messages := receive(sqs, fifo, 7):
        seen += bodies(messages)
        delete(sqs, fifo, *messages)
    assert seen == [f"{n}" for n in range(30)]


def test_while_a_message_of_a_group_is_leased_nothing_more_of_it_comes_out(sqs, fifo):
    send(sqs, fifo, "a1", "a2", group="a")
    send(sqs, fifo, "b1", group="b")
    [first] = receive(sqs, fifo)
    assert first["Body"] == "a1"
    assert receive_bodies(sqs, fifo, 10) == ["b1"]
    assert receive(sqs, fifo, 10) == []
    delete(sqs, fifo, first)
    assert receive_bodies(sqs, fifo, 10) == ["a2"]


def test_one_receive_drains_a_group_before_the_next(sqs, fifo):
    for n in range(3):
        for group in "ab":
            send(sqs, fifo, f"{group}{n}", group=group)
    assert receive_bodies(sqs, fifo, 4) == ["a0", "a1", "a2", "b0"]


def test_deleting_a_part_of_a_receive_keeps_the_group_blocked_until_the_rest_is_settled(sqs, fifo):
    send(sqs, fifo, "1", "2", "3", "4", group="a")
    first, second = receive(sqs, fifo, 2)
    delete(sqs, fifo, first)
    assert receive(sqs, fifo, 10) == []
    delete(sqs, fifo, second)
    assert receive_bodies(sqs, fifo, 10) == ["3", "4"]


def test_a_released_message_comes_again_before_those_behind_it(sqs, fifo):
    send(sqs, fifo, "1", "2", "3", group="a")
    first, second = receive(sqs, fifo, 2)
    sqs.change_message_visibility(QueueUrl=fifo, ReceiptHandle=first["ReceiptHandle"], VisibilityTimeout=0)
    sqs.change_message_visibility(QueueUrl=fifo, ReceiptHandle=second["ReceiptHandle"], VisibilityTimeout=0)
    assert receive_bodies(sqs, fifo, 10) == ["1", "2", "3"]


def test_deleting_the_second_and_releasing_the_first_leaves_the_order_of_the_rest(sqs, fifo):
    send(sqs, fifo, "1", "2", "3", group="a")
    first, second = receive(sqs, fifo, 2)
    delete(sqs, fifo, second)
    sqs.change_message_visibility(QueueUrl=fifo, ReceiptHandle=first["ReceiptHandle"], VisibilityTimeout=0)
    assert receive_bodies(sqs, fifo, 10) == ["1", "3"]


def test_an_expired_lease_brings_the_group_back_in_order(sqs, make_queue):
    fifo = make_queue(fifo=True, VisibilityTimeout=1)
    send(sqs, fifo, "1", "2", group="a")
    [_] = receive(sqs, fifo)
    assert receive_bodies(sqs, fifo, 10, wait=20) == ["1", "2"]


def test_deleting_after_the_lease_ended_is_refused(sqs, make_queue):
    fifo = make_queue(fifo=True, VisibilityTimeout=1)
    send(sqs, fifo, "1", group="a")
    [stale] = receive(sqs, fifo)
    [fresh] = receive(sqs, fifo, wait=20)
    with refused("InvalidParameterValue") as refusal:
        delete(sqs, fifo, stale)
    assert "expired" in refusal.message
    delete(sqs, fifo, fresh)
    assert counts(sqs, fifo) == (0, 0, 0)


def test_sequence_numbers_increase_and_are_the_same_when_received(sqs, fifo):
    sent = [answer["SequenceNumber"] for answer in send(sqs, fifo, "1", "2", "3", group="a")]
    received = [message["Attributes"]["SequenceNumber"] for message in receive(sqs, fifo, 10)]
    assert sent == received
    assert sorted(sent, key=int) == sent
    assert len(set(sent)) == 3


def test_group_and_deduplication_id_come_back(sqs, fifo):
    sqs.send_message(QueueUrl=fifo, MessageBody="x", MessageGroupId="g/1", MessageDeduplicationId="d-1")
    [message] = receive(sqs, fifo)
    assert message["Attributes"]["MessageGroupId"] == "g/1"
    assert message["Attributes"]["MessageDeduplicationId"] == "d-1"


def test_a_message_without_a_group_is_refused(sqs, fifo):
    with refused("MissingParameter"):
        sqs.send_message(QueueUrl=fifo, MessageBody="x", MessageDeduplicationId="d")
    assert counts(sqs, fifo) == (0, 0, 0)


def test_a_message_without_a_deduplication_id_is_refused_where_content_does_not_stand_for_it(sqs, fifo):
    with refused("InvalidParameterValue"):
        sqs.send_message(QueueUrl=fifo, MessageBody="x", MessageGroupId="a")
    assert counts(sqs, fifo) == (0, 0, 0)


def test_many_groups_are_served_side_by_side(sqs, fifo):
    for n in range(5):
        for group in range(20):
            send(sqs, fifo, f"{group}/{n}", group=f"g{group}")
    seen = {}
    while messages := receive(sqs, fifo, 10):
        for message in messages:
            group, n = message["Body"].split("/")
            seen.setdefault(group, []).append(int(n))
        delete(sqs, fifo, *messages)
    assert seen == {str(group): [0, 1, 2, 3, 4] for group in range(20)}
