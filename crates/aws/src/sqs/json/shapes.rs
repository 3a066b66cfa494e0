//! The JSON form of each request: which key is which field.

use std::fmt;

use serde::de::{Deserializer, Error, MapAccess, Visitor};

use super::decode::{As, Decode, Skipped};
use crate::sqs::request::{
    AddPermission, AttributeValue, CancelMessageMoveTask, ChangeMessageVisibility, ChangeMessageVisibilityBatch,
    CreateQueue, DeleteEntry, DeleteMessage, DeleteMessageBatch, GetQueueAttributes, GetQueueUrl,
    ListDeadLetterSourceQueues, ListMessageMoveTasks, ListQueues, OnQueue, ReceiveMessage, RemovePermission, SendEntry,
    SendMessage, SendMessageBatch, SetQueueAttributes, StartMessageMoveTask, TagQueue, Text, UntagQueue,
    VisibilityEntry,
};

/// Reads an object into a request whose fields are all optional. Unknown keys are passed over, as AWS does; a null is an
/// absent value; a known key that comes twice is refused.
macro_rules! shape {
    ($shape:ident { $($key:literal => $($field:ident).+),+ $(,)? }) => {
        impl<'de: 'a, 'a> Decode<'de> for $shape<'a> {
            fn decode<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct ShapeVisitor;

                impl<'de> Visitor<'de> for ShapeVisitor {
                    type Value = $shape<'de>;

                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str("an object")
                    }

                    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                        let mut shape = $shape::default();
                        let mut seen = 0_u32;
                        while let Some(As(key)) = map.next_key::<As<Text<'de>>>()? {
                            let mut bit = 1_u32;
                            $(
                                if key == $key {
                                    if seen & bit != 0 {
                                        return Err(A::Error::duplicate_field($key));
                                    }
                                    seen |= bit;
                                    As(shape.$($field).+) = map.next_value()?;
                                    continue;
                                }
                                bit <<= 1;
                            )+
                            let _ = bit;
                            map.next_value::<Skipped>()?;
                        }
                        Ok(shape)
                    }
                }

                deserializer.deserialize_map(ShapeVisitor)
            }
        }
    };
}

shape!(AttributeValue {
    "DataType" => data_type,
    "StringValue" => string_value,
    "BinaryValue" => binary_value,
    "StringListValues" => string_list_values,
    "BinaryListValues" => binary_list_values,
});

shape!(SendMessage {
    "QueueUrl" => queue_url,
    "MessageBody" => message.body,
    "DelaySeconds" => message.delay_seconds,
    "MessageAttributes" => message.attributes,
    "MessageSystemAttributes" => message.system_attributes,
    "MessageDeduplicationId" => message.deduplication_id,
    "MessageGroupId" => message.group_id,
});

shape!(SendEntry {
    "Id" => id,
    "MessageBody" => message.body,
    "DelaySeconds" => message.delay_seconds,
    "MessageAttributes" => message.attributes,
    "MessageSystemAttributes" => message.system_attributes,
    "MessageDeduplicationId" => message.deduplication_id,
    "MessageGroupId" => message.group_id,
});

shape!(SendMessageBatch { "QueueUrl" => queue_url, "Entries" => entries });

shape!(ReceiveMessage {
    "QueueUrl" => queue_url,
    "AttributeNames" => attribute_names,
    "MessageSystemAttributeNames" => system_attribute_names,
    "MessageAttributeNames" => message_attribute_names,
    "MaxNumberOfMessages" => messages_max,
    "VisibilityTimeout" => visibility_timeout,
    "WaitTimeSeconds" => wait_time_seconds,
    "ReceiveRequestAttemptId" => attempt_id,
});

shape!(DeleteMessage { "QueueUrl" => queue_url, "ReceiptHandle" => receipt_handle });

shape!(DeleteEntry { "Id" => id, "ReceiptHandle" => receipt_handle });

shape!(DeleteMessageBatch { "QueueUrl" => queue_url, "Entries" => entries });

shape!(ChangeMessageVisibility {
    "QueueUrl" => queue_url,
    "ReceiptHandle" => receipt_handle,
    "VisibilityTimeout" => visibility_timeout,
});

shape!(VisibilityEntry {
    "Id" => id,
    "ReceiptHandle" => receipt_handle,
    "VisibilityTimeout" => visibility_timeout,
});

shape!(ChangeMessageVisibilityBatch { "QueueUrl" => queue_url, "Entries" => entries });

shape!(CreateQueue { "QueueName" => queue_name, "Attributes" => attributes, "tags" => tags });

shape!(GetQueueUrl { "QueueName" => queue_name, "QueueOwnerAWSAccountId" => owner });

shape!(ListQueues {
    "QueueNamePrefix" => prefix,
    "NextToken" => next_token,
    "MaxResults" => results_max,
});

shape!(OnQueue { "QueueUrl" => queue_url });

shape!(GetQueueAttributes { "QueueUrl" => queue_url, "AttributeNames" => attribute_names });

shape!(SetQueueAttributes { "QueueUrl" => queue_url, "Attributes" => attributes });

shape!(AddPermission {
    "QueueUrl" => queue_url,
    "Label" => label,
    "AWSAccountIds" => account_ids,
    "Actions" => actions,
});

shape!(RemovePermission { "QueueUrl" => queue_url, "Label" => label });

shape!(TagQueue { "QueueUrl" => queue_url, "Tags" => tags });

shape!(UntagQueue { "QueueUrl" => queue_url, "TagKeys" => tag_keys });

shape!(ListDeadLetterSourceQueues {
    "QueueUrl" => queue_url,
    "NextToken" => next_token,
    "MaxResults" => results_max,
});

shape!(StartMessageMoveTask {
    "SourceArn" => source_arn,
    "DestinationArn" => destination_arn,
    "MaxNumberOfMessagesPerSecond" => per_second_max,
});

shape!(CancelMessageMoveTask { "TaskHandle" => task_handle });

shape!(ListMessageMoveTasks { "SourceArn" => source_arn, "MaxResults" => results_max });
