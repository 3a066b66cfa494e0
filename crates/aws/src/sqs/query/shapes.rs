//! The form of each request: which parameter is which field.

use super::decode::{Decode, Source};
use crate::fault::Fault;
use crate::query::Parameters;
use crate::sqs::request::{
    AddPermission, AttributeValue, CancelMessageMoveTask, ChangeMessageVisibility, ChangeMessageVisibilityBatch,
    CreateQueue, DeleteEntry, DeleteMessage, DeleteMessageBatch, GetQueueAttributes, GetQueueUrl,
    ListDeadLetterSourceQueues, ListMessageMoveTasks, ListQueues, Message, OnQueue, Pairs, ReceiveMessage,
    RemovePermission, SendEntry, SendMessage, SendMessageBatch, SetQueueAttributes, StartMessageMoveTask, TagQueue,
    UntagQueue, VisibilityEntry,
};

// The name of one item and the name of the whole: SDKs send the first, and the second where the list is empty.
const ATTRIBUTES: [&str; 2] = ["Attribute", "Attributes"];
const TAGS: [&str; 2] = ["Tag", "Tags"];

macro_rules! form {
    ($shape:ident, |$source:ident, $at:ident| { $($field:ident : $value:expr),+ $(,)? }) => {
        impl<'f> Decode<'f> for $shape<'f> {
            fn read($source: &Source<'f>) -> Result<Self, Fault> {
                let $at = $source.at;
                Ok(Self { $($field: $value),+ })
            }
        }
    };
}

form!(SendMessage, |source, at| { queue_url: source.queue_url(), message: message(at)? });

form!(SendMessageBatch, |source, at| {
    queue_url: source.queue_url(),
    entries: entries(at, "SendMessageBatchRequestEntry", |at| {
        Ok(SendEntry { id: at.text("Id"), message: message(at)? })
    })?,
});

form!(ReceiveMessage, |source, at| {
    queue_url: source.queue_url(),
    attribute_names: at.texts(["AttributeName", "AttributeNames"])?,
    system_attribute_names: at.texts(["MessageSystemAttributeName", "MessageSystemAttributeNames"])?,
    message_attribute_names: at.texts(["MessageAttributeName", "MessageAttributeNames"])?,
    messages_max: at.number("MaxNumberOfMessages")?,
    visibility_timeout: at.number("VisibilityTimeout")?,
    wait_time_seconds: at.number("WaitTimeSeconds")?,
    attempt_id: at.text("ReceiveRequestAttemptId"),
});

form!(DeleteMessage, |source, at| { queue_url: source.queue_url(), receipt_handle: at.text("ReceiptHandle") });

form!(DeleteMessageBatch, |source, at| {
    queue_url: source.queue_url(),
    entries: entries(at, "DeleteMessageBatchRequestEntry", |at| {
        Ok(DeleteEntry { id: at.text("Id"), receipt_handle: at.text("ReceiptHandle") })
    })?,
});

form!(ChangeMessageVisibility, |source, at| {
    queue_url: source.queue_url(),
    receipt_handle: at.text("ReceiptHandle"),
    visibility_timeout: at.number("VisibilityTimeout")?,
});

form!(ChangeMessageVisibilityBatch, |source, at| {
    queue_url: source.queue_url(),
    entries: entries(at, "ChangeMessageVisibilityBatchRequestEntry", |at| {
        Ok(VisibilityEntry {
            id: at.text("Id"),
            receipt_handle: at.text("ReceiptHandle"),
            visibility_timeout: at.number("VisibilityTimeout")?,
        })
    })?,
});

form!(CreateQueue, |_source, at| {
    queue_name: at.text("QueueName"),
    attributes: at.text_map(ATTRIBUTES)?,
    tags: match at.text_map(TAGS)? {
        None => at.text_map(["tag", "tags"])?,
        tags => tags,
    },
});

form!(GetQueueUrl, |_source, at| { queue_name: at.text("QueueName"), owner: at.text("QueueOwnerAWSAccountId") });

form!(ListQueues, |_source, at| {
    prefix: at.text("QueueNamePrefix"),
    next_token: at.text("NextToken"),
    results_max: at.number("MaxResults")?,
});

form!(OnQueue, |source, _at| { queue_url: source.queue_url() });

form!(GetQueueAttributes, |source, at| {
    queue_url: source.queue_url(),
    attribute_names: at.texts(["AttributeName", "AttributeNames"])?,
});

form!(SetQueueAttributes, |source, at| { queue_url: source.queue_url(), attributes: at.text_map(ATTRIBUTES)? });

form!(AddPermission, |source, at| {
    queue_url: source.queue_url(),
    label: at.text("Label"),
    account_ids: at.texts(["AWSAccountId", "AWSAccountIds"])?,
    actions: at.texts(["ActionName", "Actions"])?,
});

form!(RemovePermission, |source, at| { queue_url: source.queue_url(), label: at.text("Label") });

form!(TagQueue, |source, at| { queue_url: source.queue_url(), tags: at.text_map(TAGS)? });

form!(UntagQueue, |source, at| { queue_url: source.queue_url(), tag_keys: at.texts(["TagKey", "TagKeys"])? });

form!(ListDeadLetterSourceQueues, |source, at| {
    queue_url: source.queue_url(),
    next_token: at.text("NextToken"),
    results_max: at.number("MaxResults")?,
});

form!(StartMessageMoveTask, |_source, at| {
    source_arn: at.text("SourceArn"),
    destination_arn: at.text("DestinationArn"),
    per_second_max: at.number("MaxNumberOfMessagesPerSecond")?,
});

form!(CancelMessageMoveTask, |_source, at| { task_handle: at.text("TaskHandle") });

form!(ListMessageMoveTasks, |_source, at| {
    source_arn: at.text("SourceArn"),
    results_max: at.number("MaxResults")?,
});

fn entries<'f, T>(
    at: Parameters<'f>,
    name: &str,
    read: impl Fn(Parameters<'f>) -> Result<T, Fault>,
) -> Result<Option<Vec<T>>, Fault> {
    at.list([name, "Entries"]).map(|items| items.into_iter().map(read).collect()).transpose()
}

fn message(at: Parameters<'_>) -> Result<Message<'_>, Fault> {
    Ok(Message {
        body: at.text("MessageBody"),
        delay_seconds: at.number("DelaySeconds")?,
        attributes: attributes(at, ["MessageAttribute", "MessageAttributes"])?,
        system_attributes: attributes(at, ["MessageSystemAttribute", "MessageSystemAttributes"])?,
        deduplication_id: at.text("MessageDeduplicationId"),
        group_id: at.text("MessageGroupId"),
    })
}

fn attributes<'f>(at: Parameters<'f>, names: [&str; 2]) -> Result<Option<Pairs<'f, AttributeValue<'f>>>, Fault> {
    at.map(names, |at| {
        Ok(AttributeValue {
            data_type: at.text("DataType"),
            string_value: at.text("StringValue"),
            binary_value: at.text("BinaryValue"),
            string_list_values: at.texts(["StringListValue", "StringListValues"])?,
            binary_list_values: at.texts(["BinaryListValue", "BinaryListValues"])?,
        })
    })
}
