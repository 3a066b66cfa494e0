//! The operations of the service.

/// An operation: all that the service has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(usize)]
pub enum Operation {
    /// `SendMessage`
    SendMessage,
    /// `SendMessageBatch`
    SendMessageBatch,
    /// `ReceiveMessage`
    ReceiveMessage,
    /// `DeleteMessage`
    DeleteMessage,
    /// `DeleteMessageBatch`
    DeleteMessageBatch,
    /// `ChangeMessageVisibility`
    ChangeMessageVisibility,
    /// `ChangeMessageVisibilityBatch`
    ChangeMessageVisibilityBatch,
    /// `CreateQueue`
    CreateQueue,
    /// `DeleteQueue`
    DeleteQueue,
    /// `GetQueueUrl`
    GetQueueUrl,
    /// `ListQueues`
    ListQueues,
    /// `GetQueueAttributes`
    GetQueueAttributes,
    /// `SetQueueAttributes`
    SetQueueAttributes,
    /// `PurgeQueue`
    PurgeQueue,
    /// `AddPermission`
    AddPermission,
    /// `RemovePermission`
    RemovePermission,
    /// `TagQueue`
    TagQueue,
    /// `UntagQueue`
    UntagQueue,
    /// `ListQueueTags`
    ListQueueTags,
    /// `ListDeadLetterSourceQueues`
    ListDeadLetterSourceQueues,
    /// `StartMessageMoveTask`
    StartMessageMoveTask,
    /// `CancelMessageMoveTask`
    CancelMessageMoveTask,
    /// `ListMessageMoveTasks`
    ListMessageMoveTasks,
}

impl Operation {
    /// Every operation, in the order of their discriminants.
    pub const ALL: [Operation; 23] = [
        Operation::SendMessage,
        Operation::SendMessageBatch,
        Operation::ReceiveMessage,
        Operation::DeleteMessage,
        Operation::DeleteMessageBatch,
        Operation::ChangeMessageVisibility,
        Operation::ChangeMessageVisibilityBatch,
        Operation::CreateQueue,
        Operation::DeleteQueue,
        Operation::GetQueueUrl,
        Operation::ListQueues,
        Operation::GetQueueAttributes,
        Operation::SetQueueAttributes,
        Operation::PurgeQueue,
        Operation::AddPermission,
        Operation::RemovePermission,
        Operation::TagQueue,
        Operation::UntagQueue,
        Operation::ListQueueTags,
        Operation::ListDeadLetterSourceQueues,
        Operation::StartMessageMoveTask,
        Operation::CancelMessageMoveTask,
        Operation::ListMessageMoveTasks,
    ];

    /// Its name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Operation::SendMessage => "SendMessage",
            Operation::SendMessageBatch => "SendMessageBatch",
            Operation::ReceiveMessage => "ReceiveMessage",
            Operation::DeleteMessage => "DeleteMessage",
            Operation::DeleteMessageBatch => "DeleteMessageBatch",
            Operation::ChangeMessageVisibility => "ChangeMessageVisibility",
            Operation::ChangeMessageVisibilityBatch => "ChangeMessageVisibilityBatch",
            Operation::CreateQueue => "CreateQueue",
            Operation::DeleteQueue => "DeleteQueue",
            Operation::GetQueueUrl => "GetQueueUrl",
            Operation::ListQueues => "ListQueues",
            Operation::GetQueueAttributes => "GetQueueAttributes",
            Operation::SetQueueAttributes => "SetQueueAttributes",
            Operation::PurgeQueue => "PurgeQueue",
            Operation::AddPermission => "AddPermission",
            Operation::RemovePermission => "RemovePermission",
            Operation::TagQueue => "TagQueue",
            Operation::UntagQueue => "UntagQueue",
            Operation::ListQueueTags => "ListQueueTags",
            Operation::ListDeadLetterSourceQueues => "ListDeadLetterSourceQueues",
            Operation::StartMessageMoveTask => "StartMessageMoveTask",
            Operation::CancelMessageMoveTask => "CancelMessageMoveTask",
            Operation::ListMessageMoveTasks => "ListMessageMoveTasks",
        }
    }

    /// The operation that an `X-Amz-Target` header names; `None` for one of another service or that does not exist.
    pub fn from_target(target: &[u8]) -> Option<Self> {
        Self::from_name(target.strip_prefix(b"AmazonSQS.")?)
    }

    /// The operation called `name`.
    pub fn from_name(name: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|operation| operation.name().as_bytes() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_is_found_by_its_target() {
        for (at, operation) in Operation::ALL.into_iter().enumerate() {
            assert_eq!(operation as usize, at);
            let target = format!("AmazonSQS.{}", operation.name());
            assert_eq!(Operation::from_target(target.as_bytes()), Some(operation));
        }
        assert_eq!(Operation::from_target(b"AmazonSQS.Fly"), None);
        assert_eq!(Operation::from_target(b"SendMessage"), None);
        assert_eq!(Operation::from_target(b"AmazonSQS.sendmessage"), None);
    }
}
