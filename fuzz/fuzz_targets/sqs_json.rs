//! Requests in JSON: the first byte names the operation, the rest is the body.
#![no_main]

use libfuzzer_sys::fuzz_target;
use weir_aws::sqs::Operation;
use weir_aws::sqs::json::{self, decode};
use weir_aws::sqs::request::{
    AddPermission, CancelMessageMoveTask, ChangeMessageVisibility, ChangeMessageVisibilityBatch, CreateQueue,
    DeleteMessage, DeleteMessageBatch, GetQueueAttributes, GetQueueUrl, ListDeadLetterSourceQueues,
    ListMessageMoveTasks, ListQueues, OnQueue, ReceiveMessage, RemovePermission, SendMessage, SendMessageBatch,
    SetQueueAttributes, StartMessageMoveTask, TagQueue, UntagQueue,
};

fuzz_target!(|bytes: &[u8]| {
    let Some((&operation, body)) = bytes.split_first() else { return };
    let operation = Operation::ALL[usize::from(operation) % Operation::ALL.len()];
    let fault = match operation {
        Operation::SendMessage => decode::<SendMessage>(body).err(),
        Operation::SendMessageBatch => decode::<SendMessageBatch>(body).err(),
        Operation::ReceiveMessage => decode::<ReceiveMessage>(body).err(),
        Operation::DeleteMessage => decode::<DeleteMessage>(body).err(),
        Operation::DeleteMessageBatch => decode::<DeleteMessageBatch>(body).err(),
        Operation::ChangeMessageVisibility => decode::<ChangeMessageVisibility>(body).err(),
        Operation::ChangeMessageVisibilityBatch => decode::<ChangeMessageVisibilityBatch>(body).err(),
        Operation::CreateQueue => decode::<CreateQueue>(body).err(),
        Operation::DeleteQueue | Operation::PurgeQueue | Operation::ListQueueTags => decode::<OnQueue>(body).err(),
        Operation::GetQueueUrl => decode::<GetQueueUrl>(body).err(),
        Operation::ListQueues => decode::<ListQueues>(body).err(),
        Operation::GetQueueAttributes => decode::<GetQueueAttributes>(body).err(),
        Operation::SetQueueAttributes => decode::<SetQueueAttributes>(body).err(),
        Operation::AddPermission => decode::<AddPermission>(body).err(),
        Operation::RemovePermission => decode::<RemovePermission>(body).err(),
        Operation::TagQueue => decode::<TagQueue>(body).err(),
        Operation::UntagQueue => decode::<UntagQueue>(body).err(),
        Operation::ListDeadLetterSourceQueues => decode::<ListDeadLetterSourceQueues>(body).err(),
        Operation::StartMessageMoveTask => decode::<StartMessageMoveTask>(body).err(),
        Operation::CancelMessageMoveTask => decode::<CancelMessageMoveTask>(body).err(),
        Operation::ListMessageMoveTasks => decode::<ListMessageMoveTasks>(body).err(),
    };
    if let Some(fault) = fault {
        let answer = json::error(&fault);
        assert!(std::str::from_utf8(&answer).is_ok());
    }
});
