"""Operations of SQS beside sending and receiving, through boto3."""

import json
import threading

import botocore.exceptions
import pytest

from sqs_words import counts, receive, send
from weir_process import eventually


def arn(sqs, queue):
    return sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]


def redrive(target_arn, receives=1):
    return json.dumps({"deadLetterTargetArn": target_arn, "maxReceiveCount": receives})


@pytest.fixture
def dead_letters(sqs, make_queue):
    """A source, its dead-letter queue, and some messages that have died."""

    def make(count=3):
        dead = make_queue("dead")
        source = make_queue("source", VisibilityTimeout=0, RedrivePolicy=redrive(arn(sqs, dead)))
        send(sqs, source, *[f"poison {n}" for n in range(count)])
        while counts(sqs, source)[0]:
            receive(sqs, source, 10)
        assert counts(sqs, dead)[0] == count
        return source, dead

    return make


def test_every_operation_of_the_model_is_answered(sqs, weir):
    """None of SQS's operations is unknown to the server."""
    client = weir.sqs(parameter_validation=False)
    for operation in client.meta.service_model.operation_names:
        import botocore

        method = getattr(client, botocore.xform_name(operation))
        try:
            method()
        except botocore.exceptions.ClientError as error:
            code = error.response["Error"]["Code"]
            assert code not in ("InvalidAction", "UnknownOperationException"), (operation, code)


class TestTags:
    def test_come_back_as_they_were_given(self, sqs, queue):
        sqs.tag_queue(QueueUrl=queue, Tags={"team": "mail", "empty": ""})
        sqs.tag_queue(QueueUrl=queue, Tags={"team": "growth"})
        assert sqs.list_queue_tags(QueueUrl=queue)["Tags"] == {"team": "growth", "empty": ""}
        sqs.untag_queue(QueueUrl=queue, TagKeys=["empty", "never there"])
        assert sqs.list_queue_tags(QueueUrl=queue)["Tags"] == {"team": "growth"}

    def test_an_untagged_queue_answers_without_tags(self, sqs, queue):
        assert "Tags" not in sqs.list_queue_tags(QueueUrl=queue)

    def test_are_given_at_creation(self, sqs):
        queue = sqs.create_queue(QueueName="tagged-at-birth", tags={"a": "b"})["QueueUrl"]
        assert sqs.list_queue_tags(QueueUrl=queue)["Tags"] == {"a": "b"}

    def test_of_many_writers_at_once_all_stay(self, weir, queue):
        client = weir.sqs()

        def tag(n):
            client.tag_queue(QueueUrl=queue, Tags={f"key{n}": str(n)})

        run_at_once(tag, 40)
        assert client.list_queue_tags(QueueUrl=queue)["Tags"] == {f"key{n}": str(n) for n in range(40)}


class TestPermissions:
    def test_are_stored_as_a_policy(self, sqs, queue):
        sqs.add_permission(QueueUrl=queue, Label="l", AWSAccountIds=["123456789012"], Actions=["*"])
        policy = json.loads(
            sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["Policy"])["Attributes"]["Policy"]
        )
        assert policy["Version"] == "2008-10-17"
        with pytest.raises(botocore.exceptions.ClientError, match="InvalidParameterValue"):
            sqs.add_permission(QueueUrl=queue, Label="l", AWSAccountIds=["123456789012"], Actions=["*"])
        sqs.remove_permission(QueueUrl=queue, Label="l")
        assert "Attributes" not in sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["Policy"])

    def test_an_unknown_label_is_refused(self, sqs, queue):
        with pytest.raises(botocore.exceptions.ClientError, match="InvalidParameterValue"):
            sqs.remove_permission(QueueUrl=queue, Label="nobody")


class TestDeadLetterSources:
    def test_are_listed_page_by_page(self, sqs, make_queue):
        dead = make_queue("dead")
        sources = {make_queue("source", RedrivePolicy=redrive(arn(sqs, dead))) for _ in range(5)}
        found, token = [], {}
        while True:
            page = sqs.list_dead_letter_source_queues(QueueUrl=dead, MaxResults=2, **token)
            found += page["queueUrls"]
            if "NextToken" not in page:
                break
            token = {"NextToken": page["NextToken"]}
        assert len(found) == 5 and set(found) == sources

    def test_the_target_says_who_may_use_it(self, sqs, make_queue):
        deny = json.dumps({"redrivePermission": "denyAll"})
        dead = make_queue("dead", RedriveAllowPolicy=deny)
        with pytest.raises(botocore.exceptions.ClientError, match="InvalidParameterValue"):
            make_queue("source", RedrivePolicy=redrive(arn(sqs, dead)))
        source = make_queue("source")
        allow = json.dumps({"redrivePermission": "byQueue", "sourceQueueArns": [arn(sqs, source)]})
        sqs.set_queue_attributes(QueueUrl=dead, Attributes={"RedriveAllowPolicy": allow})
        sqs.set_queue_attributes(QueueUrl=source, Attributes={"RedrivePolicy": redrive(arn(sqs, dead))})


class TestMoveTasks:
    def test_bring_dead_letters_back_to_their_source(self, sqs, dead_letters):
        source, dead = dead_letters(25)
        sqs.start_message_move_task(SourceArn=arn(sqs, dead))
        eventually(lambda: counts(sqs, source)[0] == 25, "all messages are back")
        assert counts(sqs, dead) == (0, 0, 0)
        [task] = sqs.list_message_move_tasks(SourceArn=arn(sqs, dead))["Results"]
        assert task["Status"] == "COMPLETED"
        assert task["ApproximateNumberOfMessagesMoved"] == 25
        assert "TaskHandle" not in task

    def test_move_to_a_queue_of_choice(self, sqs, dead_letters, queue):
        _, dead = dead_letters(3)
        sqs.start_message_move_task(SourceArn=arn(sqs, dead), DestinationArn=arn(sqs, queue))
        eventually(lambda: counts(sqs, queue)[0] == 3, "the messages arrive")

    def test_one_runs_at_a_time_and_can_be_cancelled(self, sqs, dead_letters):
        source, dead = dead_letters(30)
        source_arn = arn(sqs, dead)
        handle = sqs.start_message_move_task(SourceArn=source_arn, MaxNumberOfMessagesPerSecond=1)["TaskHandle"]
        with pytest.raises(botocore.exceptions.ClientError, match="UnsupportedOperation|InvalidParameterValue"):
            sqs.start_message_move_task(SourceArn=source_arn)
        sqs.cancel_message_move_task(TaskHandle=handle)

        def ended():
            [task] = sqs.list_message_move_tasks(SourceArn=source_arn)["Results"]
            return task["Status"] == "CANCELLED"

        eventually(ended, "the task is cancelled")
        assert counts(sqs, source)[0] + counts(sqs, dead)[0] == 30
        assert counts(sqs, dead)[0] > 0

    def test_a_queue_that_is_nobodys_dead_letter_queue_is_refused(self, sqs, queue):
        with pytest.raises(botocore.exceptions.ClientError, match="InvalidParameterValue|UnsupportedOperation"):
            sqs.start_message_move_task(SourceArn=arn(sqs, queue))

    def test_unknown_tasks_are_refused(self, sqs):
        with pytest.raises(botocore.exceptions.ClientError) as refused:
            sqs.cancel_message_move_task(TaskHandle="garbage")
        assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400


class TestReceiveAttempts:
    def test_the_same_attempt_gets_the_same_messages(self, sqs, fifo):
        send(sqs, fifo, "1", "2", group="g")
        first = receive(sqs, fifo, 10, ReceiveRequestAttemptId="try")
        again = receive(sqs, fifo, 10, ReceiveRequestAttemptId="try")
        assert [m["Body"] for m in first] == ["1", "2"]
        assert [m["MessageId"] for m in again] == [m["MessageId"] for m in first]
        assert receive(sqs, fifo, 10, ReceiveRequestAttemptId="other") == []

    def test_an_attempt_is_void_once_a_message_was_deleted(self, sqs, fifo):
        send(sqs, fifo, "1", "2", group="g")
        first = receive(sqs, fifo, 10, ReceiveRequestAttemptId="try")
        sqs.delete_message(QueueUrl=fifo, ReceiptHandle=first[0]["ReceiptHandle"])
        assert receive(sqs, fifo, 10, ReceiveRequestAttemptId="try") == []


class TestScopes:
    def test_a_deduplication_id_may_count_for_each_group_alone(self, sqs, make_queue):
        queue = make_queue(
            fifo=True, DeduplicationScope="messageGroup", FifoThroughputLimit="perMessageGroupId"
        )
        for group in ["a", "b", "a"]:
            sqs.send_message(QueueUrl=queue, MessageBody="x", MessageGroupId=group, MessageDeduplicationId="same")
        assert counts(sqs, queue)[0] == 2


class TestFairness:
    def test_a_quiet_tenant_overtakes_a_noisy_one(self, sqs, queue):
        send(sqs, queue, *[f"noisy {n}" for n in range(100)], MessageGroupId="noisy")
        for _ in range(4):
            assert len(receive(sqs, queue, 10)) == 10
        send(sqs, queue, "quiet", MessageGroupId="quiet")
        [message] = receive(sqs, queue, 1)
        assert message["Body"] == "quiet"
        assert message["Attributes"]["MessageGroupId"] == "quiet"
        assert len(receive(sqs, queue, 10)) == 10


class TestRaces:
    def test_many_creations_of_one_queue_agree(self, weir):
        client = weir.sqs()
        urls = run_at_once(lambda n: client.create_queue(QueueName="contested")["QueueUrl"], 40)
        assert len(set(urls)) == 1

    def test_of_creations_that_differ_one_wins(self, weir):
        client = weir.sqs()

        def create(n):
            try:
                client.create_queue(QueueName="disputed", Attributes={"VisibilityTimeout": str(n)})
                return n
            except client.exceptions.QueueNameExists:
                return None

        [winner] = [n for n in run_at_once(create, 20) if n is not None]
        queue = client.get_queue_url(QueueName="disputed")["QueueUrl"]
        found = client.get_queue_attributes(QueueUrl=queue, AttributeNames=["VisibilityTimeout"])
        assert found["Attributes"]["VisibilityTimeout"] == str(winner)

    def test_different_attributes_set_at_once_all_stay(self, weir, queue):
        client = weir.sqs()
        changes = {"VisibilityTimeout": "44", "DelaySeconds": "7", "MessageRetentionPeriod": "9999", "MaximumMessageSize": "2048"}
        items = list(changes.items())
        run_at_once(lambda n: client.set_queue_attributes(QueueUrl=queue, Attributes=dict([items[n % 4]])), 32)
        found = client.get_queue_attributes(QueueUrl=queue, AttributeNames=list(changes))["Attributes"]
        assert found == changes


def run_at_once(work, count):
    """Runs work(0) … work(count - 1), released together; the results."""
    gate = threading.Barrier(count)
    results, errors = [None] * count, []

    def run(n):
        gate.wait()
        try:
            results[n] = work(n)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(n,)) for n in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors, errors
    return results
