"""Retention: it can be shortened for messages that are there already."""

from sqs_words import counts, receive
from weir_process import eventually


def test_a_shorter_retention_holds_for_messages_already_there(sqs, aging_queues):
    for queue in aging_queues:
        eventually(lambda: counts(sqs, queue) == (0, 0, 0), f"the messages of {queue} expire", patience=120)
        assert receive(sqs, queue, 10) == []
