//! A request of any operation, for who does not know beforehand which.

use super::operation::Operation;
use super::query::Form;
use super::request::{
    AddPermission, CancelMessageMoveTask, ChangeMessageVisibility, ChangeMessageVisibilityBatch, CreateQueue,
    DeleteMessage, DeleteMessageBatch, GetQueueAttributes, GetQueueUrl, ListDeadLetterSourceQueues,
    ListMessageMoveTasks, ListQueues, OnQueue, ReceiveMessage, RemovePermission, SendMessage, SendMessageBatch,
    SetQueueAttributes, StartMessageMoveTask, TagQueue, UntagQueue,
};
use super::{json, query};
use crate::fault::Fault;

macro_rules! requests {
    ($($operation:ident($shape:ident)),+ $(,)?) => {
        /// A request of any operation.
        #[derive(Clone, Debug, PartialEq, Eq)]
        #[expect(missing_docs, reason = "each variant is the operation of its name")]
        pub enum AnyRequest<'a> {
            $($operation($shape<'a>)),+
        }

        impl<'a> AnyRequest<'a> {
            /// Reads the body of a request of `operation` in JSON.
            ///
            /// # Errors
            /// Those of [`json::decode`].
            pub fn from_json(operation: Operation, body: &'a [u8]) -> Result<Self, Fault> {
                match operation {
                    $(Operation::$operation => json::decode(body).map(AnyRequest::$operation)),+
                }
            }

            /// Reads a form as a request of `operation`.
            ///
            /// # Errors
            /// Those of [`query::decode`].
            pub fn from_form(operation: Operation, form: &'a Form<'_>) -> Result<Self, Fault> {
                match operation {
                    $(Operation::$operation => query::decode(form).map(AnyRequest::$operation)),+
                }
            }

            /// The operation.
            pub const fn operation(&self) -> Operation {
                match self {
                    $(AnyRequest::$operation(_) => Operation::$operation),+
                }
            }
        }
    };
}

requests!(
    SendMessage(SendMessage),
    SendMessageBatch(SendMessageBatch),
    ReceiveMessage(ReceiveMessage),
    DeleteMessage(DeleteMessage),
    DeleteMessageBatch(DeleteMessageBatch),
    ChangeMessageVisibility(ChangeMessageVisibility),
    ChangeMessageVisibilityBatch(ChangeMessageVisibilityBatch),
    CreateQueue(CreateQueue),
    DeleteQueue(OnQueue),
    GetQueueUrl(GetQueueUrl),
    ListQueues(ListQueues),
    GetQueueAttributes(GetQueueAttributes),
    SetQueueAttributes(SetQueueAttributes),
    PurgeQueue(OnQueue),
    AddPermission(AddPermission),
    RemovePermission(RemovePermission),
    TagQueue(TagQueue),
    UntagQueue(UntagQueue),
    ListQueueTags(OnQueue),
    ListDeadLetterSourceQueues(ListDeadLetterSourceQueues),
    StartMessageMoveTask(StartMessageMoveTask),
    CancelMessageMoveTask(CancelMessageMoveTask),
    ListMessageMoveTasks(ListMessageMoveTasks),
);
