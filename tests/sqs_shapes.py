"""What becomes of each member of SQS's model: writes docs/sqs-shapes.md from botocore's model and the words below.

    .venv/bin/python tests/sqs_shapes.py

A member without words, or words without a member, is an error; tests/e2e/test_sqs_shapes.py runs this and fails when the
page is not what it would write.
"""

import pathlib
import sys

from botocore.loaders import Loader

PAGE = pathlib.Path(__file__).parents[1] / "docs" / "sqs-shapes.md"

# Shape and member, what becomes of it, and what there is to say.
#   acts     it changes what the server does or answers
#   kept     it is checked, stored and returned as it was given, without any other effect
#   told     the server answers it
#   refused  a request with it is refused with an error that names it
#   never    the server does not answer it
MEMBERS = """
AddPermissionRequest.QueueUrl                     acts
AddPermissionRequest.Label                        acts     1 to 80 letters, digits, hyphens and underscores; once in a policy
AddPermissionRequest.AWSAccountIds                kept     as a statement of the policy
AddPermissionRequest.Actions                      kept     as a statement of the policy; at most 7, none of the owner's own
BatchResultErrorEntry.Id                          told
BatchResultErrorEntry.SenderFault                 told
BatchResultErrorEntry.Code                        told     the code of the Query protocol, in JSON too
BatchResultErrorEntry.Message                     told
CancelMessageMoveTaskRequest.TaskHandle           acts
CancelMessageMoveTaskResult.ApproximateNumberOfMessagesMoved told
ChangeMessageVisibilityBatchRequest.QueueUrl      acts
ChangeMessageVisibilityBatchRequest.Entries       acts     1 to 10 on AWS, to 1 000 here
ChangeMessageVisibilityBatchRequestEntry.Id       acts
ChangeMessageVisibilityBatchRequestEntry.ReceiptHandle acts
ChangeMessageVisibilityBatchRequestEntry.VisibilityTimeout acts
ChangeMessageVisibilityBatchResult.Successful     told     always, also when it is empty
ChangeMessageVisibilityBatchResult.Failed         told     only when it is not empty
ChangeMessageVisibilityBatchResultEntry.Id        told
ChangeMessageVisibilityRequest.QueueUrl           acts
ChangeMessageVisibilityRequest.ReceiptHandle      acts
ChangeMessageVisibilityRequest.VisibilityTimeout  acts     to 43 200 on AWS, without an end here
CreateQueueRequest.QueueName                      acts
CreateQueueRequest.Attributes                     acts     see the queue attributes
CreateQueueRequest.tags                           kept     a queue that is there already keeps its own
CreateQueueResult.QueueUrl                        told
DeleteMessageBatchRequest.QueueUrl                acts
DeleteMessageBatchRequest.Entries                 acts     1 to 10 on AWS, to 1 000 here
DeleteMessageBatchRequestEntry.Id                 acts
DeleteMessageBatchRequestEntry.ReceiptHandle      acts
DeleteMessageBatchResult.Successful               told     always, also when it is empty
DeleteMessageBatchResult.Failed                   told     only when it is not empty
DeleteMessageBatchResultEntry.Id                  told
DeleteMessageRequest.QueueUrl                     acts
DeleteMessageRequest.ReceiptHandle                acts
DeleteQueueRequest.QueueUrl                       acts
GetQueueAttributesRequest.QueueUrl                acts
GetQueueAttributesRequest.AttributeNames          acts
GetQueueAttributesResult.Attributes               told     only when it is not empty
GetQueueUrlRequest.QueueName                      acts
GetQueueUrlRequest.QueueOwnerAWSAccountId         acts     the namespace
GetQueueUrlResult.QueueUrl                        told
ListDeadLetterSourceQueuesRequest.QueueUrl        acts
ListDeadLetterSourceQueuesRequest.NextToken       acts
ListDeadLetterSourceQueuesRequest.MaxResults      acts     1 to 1 000
ListDeadLetterSourceQueuesResult.queueUrls        told     always, also when it is empty
ListDeadLetterSourceQueuesResult.NextToken        told     only to a request with MaxResults
ListMessageMoveTasksRequest.SourceArn             acts
ListMessageMoveTasksRequest.MaxResults            acts     1 to 10, 1 where it is absent
ListMessageMoveTasksResult.Results                told     always, also when it is empty
ListMessageMoveTasksResultEntry.TaskHandle        told     while the task runs
ListMessageMoveTasksResultEntry.Status            told
ListMessageMoveTasksResultEntry.SourceArn         told
ListMessageMoveTasksResultEntry.DestinationArn    told     if the task has one
ListMessageMoveTasksResultEntry.MaxNumberOfMessagesPerSecond told if the task has one
ListMessageMoveTasksResultEntry.ApproximateNumberOfMessagesMoved told
ListMessageMoveTasksResultEntry.ApproximateNumberOfMessagesToMove told
ListMessageMoveTasksResultEntry.FailureReason     told     of a task that failed
ListMessageMoveTasksResultEntry.StartedTimestamp  told
ListQueueTagsRequest.QueueUrl                     acts
ListQueueTagsResult.Tags                          told     only when it is not empty
ListQueuesRequest.QueueNamePrefix                 acts
ListQueuesRequest.NextToken                       acts
ListQueuesRequest.MaxResults                      acts     1 to 1 000
ListQueuesResult.QueueUrls                        told     only when it is not empty
ListQueuesResult.NextToken                        told     only to a request with MaxResults
Message.MessageId                                 told
Message.ReceiptHandle                             told
Message.MD5OfBody                                 told
Message.Body                                      told
Message.Attributes                                told     those that were asked for
Message.MD5OfMessageAttributes                    told     of those that were asked for
Message.MessageAttributes                         told     those that were asked for
MessageAttributeValue.StringValue                 kept
MessageAttributeValue.BinaryValue                 kept
MessageAttributeValue.StringListValues            refused  UnsupportedOperation, as on AWS; an empty list is passed over
MessageAttributeValue.BinaryListValues            refused  UnsupportedOperation, as on AWS; an empty list is passed over
MessageAttributeValue.DataType                    kept     `String`, `Number` or `Binary`, with a suffix after a dot
MessageSystemAttributeValue.StringValue           kept
MessageSystemAttributeValue.BinaryValue           refused  InvalidParameterValue: the one attribute that can be sent is a String
MessageSystemAttributeValue.StringListValues      refused  UnsupportedOperation, as on AWS; an empty list is passed over
MessageSystemAttributeValue.BinaryListValues      refused  UnsupportedOperation, as on AWS; an empty list is passed over
MessageSystemAttributeValue.DataType              acts     `String`
PurgeQueueRequest.QueueUrl                        acts
ReceiveMessageRequest.QueueUrl                    acts
ReceiveMessageRequest.AttributeNames              acts     the old name of the next
ReceiveMessageRequest.MessageSystemAttributeNames acts
ReceiveMessageRequest.MessageAttributeNames       acts     a name, `All`, `.*`, `prefix.*`
ReceiveMessageRequest.MaxNumberOfMessages         acts     1 to 10 on AWS, to 1 000 here
ReceiveMessageRequest.VisibilityTimeout           acts     to 43 200 on AWS, without an end here
ReceiveMessageRequest.WaitTimeSeconds             acts     to 20 on AWS, to 3 600 here
ReceiveMessageRequest.ReceiveRequestAttemptId     acts     on FIFO queues
ReceiveMessageResult.Messages                     told     only when it is not empty
RemovePermissionRequest.QueueUrl                  acts
RemovePermissionRequest.Label                     acts
SendMessageBatchRequest.QueueUrl                  acts
SendMessageBatchRequest.Entries                   acts     1 to 10 on AWS, to 1 000 here
SendMessageBatchRequestEntry.Id                   acts
SendMessageBatchRequestEntry.MessageBody          kept
SendMessageBatchRequestEntry.DelaySeconds         acts     to 900 on AWS, without an end here
SendMessageBatchRequestEntry.MessageAttributes    kept     `weir.priority` acts
SendMessageBatchRequestEntry.MessageSystemAttributes kept
SendMessageBatchRequestEntry.MessageDeduplicationId acts   on FIFO queues
SendMessageBatchRequestEntry.MessageGroupId       acts     on FIFO queues; kept on standard ones
SendMessageBatchResult.Successful                 told     always, also when it is empty
SendMessageBatchResult.Failed                     told     only when it is not empty
SendMessageBatchResultEntry.Id                    told
SendMessageBatchResultEntry.MessageId             told
SendMessageBatchResultEntry.MD5OfMessageBody      told
SendMessageBatchResultEntry.MD5OfMessageAttributes told    where there are any
SendMessageBatchResultEntry.MD5OfMessageSystemAttributes told where there are any
SendMessageBatchResultEntry.SequenceNumber        told     on FIFO queues
SendMessageRequest.QueueUrl                       acts
SendMessageRequest.MessageBody                    kept     1 MiB on AWS, 16 MiB here
SendMessageRequest.DelaySeconds                   acts     to 900 on AWS, without an end here
SendMessageRequest.MessageAttributes              kept     `weir.priority` acts
SendMessageRequest.MessageSystemAttributes        kept
SendMessageRequest.MessageDeduplicationId         acts     on FIFO queues
SendMessageRequest.MessageGroupId                 acts     on FIFO queues; kept on standard ones
SendMessageResult.MD5OfMessageBody                told
SendMessageResult.MD5OfMessageAttributes          told     where there are any
SendMessageResult.MD5OfMessageSystemAttributes    told     where there are any
SendMessageResult.MessageId                       told
SendMessageResult.SequenceNumber                  told     on FIFO queues
SetQueueAttributesRequest.QueueUrl                acts
SetQueueAttributesRequest.Attributes              acts     see the queue attributes
StartMessageMoveTaskRequest.SourceArn             acts
StartMessageMoveTaskRequest.DestinationArn        acts
StartMessageMoveTaskRequest.MaxNumberOfMessagesPerSecond acts 1 to 500 on AWS, to 1 000 000 here
StartMessageMoveTaskResult.TaskHandle             told
TagQueueRequest.QueueUrl                          acts
TagQueueRequest.Tags                              kept     at most 50 on a queue
UntagQueueRequest.QueueUrl                        acts
UntagQueueRequest.TagKeys                         acts

QueueAttributeName.All                            acts     all that the queue has
QueueAttributeName.Policy                         kept     8 192 bytes, 20 statements, 50 principals, 10 conditions
QueueAttributeName.VisibilityTimeout              acts
QueueAttributeName.MaximumMessageSize             acts
QueueAttributeName.MessageRetentionPeriod         acts
QueueAttributeName.ApproximateNumberOfMessages    told     exact
QueueAttributeName.ApproximateNumberOfMessagesNotVisible told exact
QueueAttributeName.CreatedTimestamp               told
QueueAttributeName.LastModifiedTimestamp          told
QueueAttributeName.QueueArn                       told
QueueAttributeName.ApproximateNumberOfMessagesDelayed told exact
QueueAttributeName.DelaySeconds                   acts
QueueAttributeName.ReceiveMessageWaitTimeSeconds  acts
QueueAttributeName.RedrivePolicy                  acts
QueueAttributeName.FifoQueue                      acts     fixed at creation
QueueAttributeName.ContentBasedDeduplication      acts     on FIFO queues
QueueAttributeName.KmsMasterKeyId                 kept     turns SqsManagedSseEnabled off; nothing is encrypted
QueueAttributeName.KmsDataKeyReusePeriodSeconds   kept
QueueAttributeName.DeduplicationScope             acts     on FIFO queues
QueueAttributeName.FifoThroughputLimit            kept     throughput has no limit; `perMessageGroupId` needs the scope messageGroup
QueueAttributeName.RedriveAllowPolicy             acts
QueueAttributeName.SqsManagedSseEnabled           kept     nothing is encrypted

MessageSystemAttributeName.All                    acts
MessageSystemAttributeName.SenderId               told     the account
MessageSystemAttributeName.SentTimestamp          told
MessageSystemAttributeName.ApproximateReceiveCount told    exact
MessageSystemAttributeName.ApproximateFirstReceiveTimestamp told exact
MessageSystemAttributeName.SequenceNumber         told     on FIFO queues
MessageSystemAttributeName.MessageDeduplicationId told     on FIFO queues
MessageSystemAttributeName.MessageGroupId         told
MessageSystemAttributeName.AWSTraceHeader         told
MessageSystemAttributeName.DeadLetterQueueSourceArn told   of a dead letter
MessageSystemAttributeNameForSends.AWSTraceHeader kept

error.BatchEntryIdsNotDistinct                    told
error.BatchRequestTooLong                         told
error.EmptyBatchRequest                           told
error.InvalidAddress                              told
error.InvalidAttributeName                        told
error.InvalidAttributeValue                       told
error.InvalidBatchEntryId                         told
error.InvalidIdFormat                             never    a bad receipt handle is ReceiptHandleIsInvalid
error.InvalidMessageContents                      told     where AWS's limits are enforced, and for what XML cannot carry
error.InvalidSecurity                             never    requests without TLS are the operator's choice
error.KmsAccessDenied                             never    there is no KMS
error.KmsDisabled                                 never    there is no KMS
error.KmsInvalidKeyUsage                          never    there is no KMS
error.KmsInvalidState                             never    there is no KMS
error.KmsNotFound                                 never    there is no KMS
error.KmsOptInRequired                            never    there is no KMS
error.KmsThrottled                                never    there is no KMS
error.MessageNotInflight                          told
error.OverLimit                                   told     permissions of a policy, bounds of the engine; messages in flight where AWS's limits are enforced
error.PurgeQueueInProgress                        told     where AWS's limits are enforced
error.QueueDeletedRecently                        told     where AWS's limits are enforced
error.QueueDoesNotExist                           told
error.QueueNameExists                             told
error.ReceiptHandleIsInvalid                      told
error.RequestThrottled                            never    rates are not limited; a server that is full answers 503
error.ResourceNotFoundException                   told     of message move tasks
error.TooManyEntriesInBatchRequest                told
error.UnsupportedOperation                        told
"""

INTRODUCTION = """# Every member of SQS

What becomes of each member of each operation of Amazon SQS, as the model that AWS's SDKs are made from has it
(API version 2012-11-05), in the JSON and in the Query protocol alike. This page is written by `tests/sqs_shapes.py` and
tested: a member of the model that is not here fails the tests.

- **acts**: it changes what the server does or answers
- **kept**: checked, stored and returned as it was given, without any other effect
- **told**: the server answers it
- **refused**: a request with it is refused with an error that names it
- **never**: the server does not answer it
- **not yet**: read and checked, but not carried out
"""


def model():
    return Loader().load_service_model("sqs", "service-2")


def words():
    """What is said of each member: (fate, remark) by name."""
    said = {}
    for line in MEMBERS.splitlines():
        if line.strip():
            name, fate, *remark = line.split(maxsplit=2)
            assert name not in said, f"{name} comes twice"
            said[name] = (fate, " ".join(remark))
    return said


def members(shapes, shape, path=""):
    """The members of a structure and of those inside, as (path, shape.member)."""
    found = []
    for name, member in shapes[shape].get("members", {}).items():
        inside, step = member["shape"], name
        while shapes[inside]["type"] in ("list", "map"):
            step += "[]" if shapes[inside]["type"] == "list" else "{}"
            inside = (shapes[inside].get("member") or shapes[inside]["value"])["shape"]
        found.append((path + name, f"{shape}.{name}"))
        found += members(shapes, inside, f"{path}{step}.")
    return found


def page():
    """The page, from the model and the words."""
    of, said, used = model(), words(), set()
    shapes, lines = of["shapes"], [INTRODUCTION]

    def table(rows):
        lines.append("| member | | |\n| --- | --- | --- |")
        for shown, name in rows:
            assert name in said, f"tests/sqs_shapes.py says nothing of {name}"
            used.add(name)
            fate, remark = said[name]
            lines.append(f"| `{shown}` | {fate} | {remark} |".replace("  ", " "))
        lines.append("")

    for operation, described in sorted(of["operations"].items()):
        lines.append(f"## {operation}\n")
        for title, shape in [("Request", described.get("input")), ("Answer", described.get("output"))]:
            if shape is None:
                lines.append(f"{title}: nothing.\n")
                continue
            lines.append(f"{title}:\n")
            table(members(shapes, shape["shape"]))
    for title, shape in [
        ("Queue attributes", "QueueAttributeName"),
        ("Message system attributes", "MessageSystemAttributeName"),
        ("Message system attributes to send", "MessageSystemAttributeNameForSends"),
    ]:
        lines.append(f"## {title}\n")
        table([(name, f"{shape}.{name}") for name in shapes[shape]["enum"]])
    lines.append("## Errors\n")
    table([(name, f"error.{name}") for name, shape in sorted(shapes.items()) if shape.get("exception")])
    superfluous = set(said) - used
    assert not superfluous, f"the model does not have {sorted(superfluous)}"
    return "\n".join(lines).rstrip() + "\n"


if __name__ == "__main__":
    PAGE.write_text(page())
    sys.stdout.write(f"{PAGE.name}: {len(words())} members\n")
