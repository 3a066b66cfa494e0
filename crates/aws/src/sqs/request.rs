//! Requests as the operations take them, whichever protocol they came in.
//!
//! Nothing is checked here beyond the types: what is absent is `None`, numbers may be out of range.

pub use crate::request::{AttributeValue, Pairs, Text};

/// A message to send: what `SendMessage` and an entry of `SendMessageBatch` have in common.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message<'a> {
    /// `MessageBody`
    pub body: Option<Text<'a>>,
    /// `DelaySeconds`
    pub delay_seconds: Option<i64>,
    /// `MessageAttributes`
    pub attributes: Option<Pairs<'a, AttributeValue<'a>>>,
    /// `MessageSystemAttributes`
    pub system_attributes: Option<Pairs<'a, AttributeValue<'a>>>,
    /// `MessageDeduplicationId`
    pub deduplication_id: Option<Text<'a>>,
    /// `MessageGroupId`
    pub group_id: Option<Text<'a>>,
}

/// `SendMessage`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SendMessage<'a> {
    /// `QueueUrl`
    pub queue_url: Option<Text<'a>>,
    /// The message.
    pub message: Message<'a>,
}

/// An entry of [`SendMessageBatch`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SendEntry<'a> {
    /// `Id`
    pub id: Option<Text<'a>>,
    /// The message.
    pub message: Message<'a>,
}

/// `SendMessageBatch`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SendMessageBatch<'a> {
    /// `QueueUrl`
    pub queue_url: Option<Text<'a>>,
    /// `Entries`
    pub entries: Option<Vec<SendEntry<'a>>>,
}

/// `ReceiveMessage`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReceiveMessage<'a> {
    /// `QueueUrl`
    pub queue_url: Option<Text<'a>>,
    /// `AttributeNames`, the old name of the next.
    pub attribute_names: Option<Vec<Text<'a>>>,
    /// `MessageSystemAttributeNames`
    pub system_attribute_names: Option<Vec<Text<'a>>>,
    /// `MessageAttributeNames`
    pub message_attribute_names: Option<Vec<Text<'a>>>,
    /// `MaxNumberOfMessages`
    pub messages_max: Option<i64>,
    /// `VisibilityTimeout`
    pub visibility_timeout: Option<i64>,
    /// `WaitTimeSeconds`
    pub wait_time_seconds: Option<i64>,
    /// `ReceiveRequestAttemptId`
    pub attempt_id: Option<Text<'a>>,
}

/// `DeleteMessage`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeleteMessage<'a> {
    /// `QueueUrl`
    pub queue_url: Option<Text<'a>>,
    /// `ReceiptHandle`
    pub receipt_handle: Option<Text<'a>>,
}

/// An entry of [`DeleteMessageBatch`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeleteEntry<'a> {
    /// `Id`
    pub id: Option<Text<'a>>,
    /// `ReceiptHandle`
    pub receipt_handle: Option<Text<'a>>,
}

/// `DeleteMessageBatch`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeleteMessageBatch<'a> {
    /// `QueueUrl`
    pub queue_url: Option<Text<'a>>,
    /// `Entries`
    pub entries: Option<Vec<DeleteEntry<'a>>>,
}

/// `ChangeMessageVisibility`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChangeMessageVisibility<'a> {
    /// `QueueUrl`
    pub queue_url: Option<Text<'a>>,
    /// `ReceiptHandle`
    pub receipt_handle: Option<Text<'a>>,
    /// `VisibilityTimeout`
    pub visibility_timeout: Option<i64>,
}

/// An entry of [`ChangeMessageVisibilityBatch`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VisibilityEntry<'a> {
    /// `Id`
    pub id: Option<Text<'a>>,
    /// `ReceiptHandle`
    pub receipt_handle: Option<Text<'a>>,
    /// `VisibilityTimeout`
    pub visibility_timeout: Option<i64>,
}

/// `ChangeMessageVisibilityBatch`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChangeMessageVisibilityBatch<'a> {
    /// `QueueUrl`
    pub queue_url: Option<Text<'a>>,
    /// `Entries`
    pub entries: Option<Vec<VisibilityEntry<'a>>>,
}

/// `CreateQueue`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CreateQueue<'a> {
    /// `QueueName`
    pub queue_name: Option<Text<'a>>,
    /// `Attributes`
    pub attributes: Option<Pairs<'a, Text<'a>>>,
    /// `tags`
    pub tags: Option<Pairs<'a, Text<'a>>>,
}

/// `GetQueueUrl`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GetQueueUrl<'a> {
    /// `QueueName`
    pub queue_name: Option<Text<'a>>,
    /// `QueueOwnerAWSAccountId`
    pub owner: Option<Text<'a>>,
}

/// `ListQueues`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListQueues<'a> {
    /// `QueueNamePrefix`
    pub prefix: Option<Text<'a>>,
    /// `NextToken`
    pub next_token: Option<Text<'a>>,
    /// `MaxResults`
    pub results_max: Option<i64>,
}

/// An operation on a queue that says nothing else: `DeleteQueue`, `PurgeQueue`, `ListQueueTags`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OnQueue<'a> {
    /// `QueueUrl`
    pub queue_url: Option<Text<'a>>,
}

/// `GetQueueAttributes`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GetQueueAttributes<'a> {
    /// `QueueUrl`
    pub queue_url: Option<Text<'a>>,
    /// `AttributeNames`
    pub attribute_names: Option<Vec<Text<'a>>>,
}

/// `SetQueueAttributes`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SetQueueAttributes<'a> {
    /// `QueueUrl`
    pub queue_url: Option<Text<'a>>,
    /// `Attributes`
    pub attributes: Option<Pairs<'a, Text<'a>>>,
}

/// `AddPermission`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AddPermission<'a> {
    /// `QueueUrl`
    pub queue_url: Option<Text<'a>>,
    /// `Label`
    pub label: Option<Text<'a>>,
    /// `AWSAccountIds`
    pub account_ids: Option<Vec<Text<'a>>>,
    /// `Actions`
    pub actions: Option<Vec<Text<'a>>>,
}

/// `RemovePermission`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RemovePermission<'a> {
    /// `QueueUrl`
    pub queue_url: Option<Text<'a>>,
    /// `Label`
    pub label: Option<Text<'a>>,
}

/// `TagQueue`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TagQueue<'a> {
    /// `QueueUrl`
    pub queue_url: Option<Text<'a>>,
    /// `Tags`
    pub tags: Option<Pairs<'a, Text<'a>>>,
}

/// `UntagQueue`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UntagQueue<'a> {
    /// `QueueUrl`
    pub queue_url: Option<Text<'a>>,
    /// `TagKeys`
    pub tag_keys: Option<Vec<Text<'a>>>,
}

/// `ListDeadLetterSourceQueues`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListDeadLetterSourceQueues<'a> {
    /// `QueueUrl`
    pub queue_url: Option<Text<'a>>,
    /// `NextToken`
    pub next_token: Option<Text<'a>>,
    /// `MaxResults`
    pub results_max: Option<i64>,
}

/// `StartMessageMoveTask`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StartMessageMoveTask<'a> {
    /// `SourceArn`
    pub source_arn: Option<Text<'a>>,
    /// `DestinationArn`
    pub destination_arn: Option<Text<'a>>,
    /// `MaxNumberOfMessagesPerSecond`
    pub per_second_max: Option<i64>,
}

/// `CancelMessageMoveTask`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CancelMessageMoveTask<'a> {
    /// `TaskHandle`
    pub task_handle: Option<Text<'a>>,
}

/// `ListMessageMoveTasks`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListMessageMoveTasks<'a> {
    /// `SourceArn`
    pub source_arn: Option<Text<'a>>,
    /// `MaxResults`
    pub results_max: Option<i64>,
}
