//! What AWS's services answer when they refuse.

use std::borrow::Cow;

/// A refusal: AWS's code and a sentence for the caller.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code:?}: {message}")]
pub struct Fault {
    /// Which error it is.
    pub code: Code,
    /// What is wrong: field, limit and value found.
    pub message: Cow<'static, str>,
}

impl Fault {
    /// A refusal.
    pub fn new(code: Code, message: impl Into<Cow<'static, str>>) -> Self {
        Self { code, message: message.into() }
    }

    /// A required parameter is absent.
    pub fn missing(parameter: &str) -> Self {
        Self::new(Code::MissingParameter, format!("The request must contain the parameter {parameter}."))
    }

    /// A parameter has a value that it cannot have.
    pub fn invalid(parameter: &str, value: &dyn std::fmt::Display, reason: &str) -> Self {
        let message = format!("Value {value} for parameter {parameter} is invalid. Reason: {reason}");
        Self::new(Code::InvalidParameterValue, message)
    }

    /// An operation, or a part of one, that is not for this queue or not served at all.
    pub fn unsupported(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::UnsupportedOperation, message)
    }

    /// The queue does not exist.
    pub fn no_queue() -> Self {
        Self::new(Code::QueueDoesNotExist, "The specified queue does not exist.")
    }

    /// The answer is not known to be right: something within broke.
    pub fn internal() -> Self {
        Self::new(Code::InternalFailure, "The request failed because of an internal error; see the server's log.")
    }
}

/// AWS's error codes that we answer with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Code {
    /// No queue of this name.
    QueueDoesNotExist,
    /// A queue of this name with other attributes.
    QueueNameExists,
    /// An attribute that does not exist, or not on this kind of queue.
    InvalidAttributeName,
    /// An attribute with a value that it cannot have.
    InvalidAttributeValue,
    /// A queue URL that names no queue.
    InvalidAddress,
    /// Characters that a body may not have.
    InvalidMessageContents,
    /// A receipt handle that this server did not write.
    ReceiptHandleIsInvalid,
    /// The message is not under a lease.
    MessageNotInflight,
    /// A batch without entries.
    EmptyBatchRequest,
    /// A batch with too many entries.
    TooManyEntriesInBatchRequest,
    /// Two entries with one id.
    BatchEntryIdsNotDistinct,
    /// The entries are too long together.
    BatchRequestTooLong,
    /// An entry's id is not of the permitted form.
    InvalidBatchEntryId,
    /// More than the server permits.
    OverLimit,
    /// A queue of this name was deleted less than 60 seconds ago; only where AWS's limits are enforced.
    QueueDeletedRecently,
    /// The queue was purged less than 60 seconds ago; only where AWS's limits are enforced.
    PurgeQueueInProgress,
    /// More calls than the server permits; only where AWS's limits are enforced.
    RequestThrottled,
    /// What a message move task refers to does not exist.
    ResourceNotFound,
    /// Not for this kind of queue, or not yet.
    UnsupportedOperation,
    /// A parameter with a value that it cannot have.
    InvalidParameterValue,
    /// A required parameter is absent.
    MissingParameter,
    /// The request's bytes are not of the form that the protocol has.
    SerializationException,
    /// There is no such operation.
    UnknownOperation,
    /// The Query protocol names an operation that does not exist.
    InvalidAction,
    /// A request of the Query protocol names no operation.
    MissingAction,
    /// The parameters of the Query protocol are not of the form that it has.
    MalformedQueryString,
    /// Another version of the API than the one that there is.
    NoSuchVersion,
    /// A request that has to be signed is not.
    MissingAuthenticationToken,
    /// A signature lacks a part.
    IncompleteSignature,
    /// A signature is not that of the request, or was not made now.
    SignatureDoesNotMatch,
    /// An access key that nobody has.
    InvalidClientTokenId,
    /// The access key may not do this.
    AccessDenied,
    /// The request came too slowly.
    RequestTimeout,
    /// The request is longer than the server reads.
    RequestEntityTooLarge,
    /// A parameter with a value that it cannot have; SNS.
    InvalidParameter,
    /// There is no such topic or subscription; SNS.
    NotFound,
    /// Too many filter policies, or one that is too large; SNS.
    FilterPolicyLimitExceeded,
    /// More tags than a topic can have; SNS.
    TagLimitExceeded,
    /// More subscriptions than a topic can have; SNS.
    SubscriptionLimitExceeded,
    /// More topics than there can be; SNS.
    TopicLimitExceeded,
    /// The server cannot take this now.
    ServiceUnavailable,
    /// Something within broke.
    InternalFailure,
}

const SQS: &str = "com.amazonaws.sqs#";
const SNS: &str = "com.amazonaws.sns#";
const COMMON: &str = "com.amazon.coral.service#";

impl Code {
    /// Whose shape it is and its name in the JSON protocol, its code in the Query protocol, the HTTP status.
    const fn row(self) -> (&'static str, &'static str, &'static str, u16) {
        match self {
            Code::QueueDoesNotExist => (SQS, "QueueDoesNotExist", "AWS.SimpleQueueService.NonExistentQueue", 400),
            Code::QueueNameExists => (SQS, "QueueNameExists", "QueueAlreadyExists", 400),
            Code::InvalidAttributeName => (SQS, "InvalidAttributeName", "InvalidAttributeName", 400),
            Code::InvalidAttributeValue => (SQS, "InvalidAttributeValue", "InvalidAttributeValue", 400),
            Code::InvalidAddress => (SQS, "InvalidAddress", "InvalidAddress", 400),
            Code::InvalidMessageContents => (SQS, "InvalidMessageContents", "InvalidMessageContents", 400),
            Code::ReceiptHandleIsInvalid => (SQS, "ReceiptHandleIsInvalid", "ReceiptHandleIsInvalid", 400),
            Code::MessageNotInflight => (SQS, "MessageNotInflight", "AWS.SimpleQueueService.MessageNotInflight", 400),
            Code::EmptyBatchRequest => (SQS, "EmptyBatchRequest", "AWS.SimpleQueueService.EmptyBatchRequest", 400),
            Code::TooManyEntriesInBatchRequest => {
                (SQS, "TooManyEntriesInBatchRequest", "AWS.SimpleQueueService.TooManyEntriesInBatchRequest", 400)
            }
            Code::BatchEntryIdsNotDistinct => {
                (SQS, "BatchEntryIdsNotDistinct", "AWS.SimpleQueueService.BatchEntryIdsNotDistinct", 400)
            }
            Code::BatchRequestTooLong => {
                (SQS, "BatchRequestTooLong", "AWS.SimpleQueueService.BatchRequestTooLong", 400)
            }
            Code::InvalidBatchEntryId => {
                (SQS, "InvalidBatchEntryId", "AWS.SimpleQueueService.InvalidBatchEntryId", 400)
            }
            Code::OverLimit => (SQS, "OverLimit", "OverLimit", 403),
            Code::QueueDeletedRecently => {
                (SQS, "QueueDeletedRecently", "AWS.SimpleQueueService.QueueDeletedRecently", 400)
            }
            Code::PurgeQueueInProgress => {
                (SQS, "PurgeQueueInProgress", "AWS.SimpleQueueService.PurgeQueueInProgress", 403)
            }
            Code::RequestThrottled => (SQS, "RequestThrottled", "RequestThrottled", 403),
            Code::ResourceNotFound => (SQS, "ResourceNotFoundException", "ResourceNotFoundException", 404),
            Code::UnsupportedOperation => {
                (SQS, "UnsupportedOperation", "AWS.SimpleQueueService.UnsupportedOperation", 400)
            }
            Code::InvalidParameterValue => (COMMON, "InvalidParameterValueException", "InvalidParameterValue", 400),
            Code::MissingParameter => (COMMON, "MissingRequiredParameterException", "MissingParameter", 400),
            Code::SerializationException => (COMMON, "SerializationException", "SerializationException", 400),
            Code::UnknownOperation => (COMMON, "UnknownOperationException", "UnknownOperationException", 400),
            Code::InvalidAction => (COMMON, "InvalidAction", "InvalidAction", 400),
            Code::MissingAction => (COMMON, "MissingAction", "MissingAction", 400),
            Code::MalformedQueryString => (COMMON, "MalformedQueryString", "MalformedQueryString", 400),
            Code::NoSuchVersion => (COMMON, "NoSuchVersion", "NoSuchVersion", 400),
            Code::MissingAuthenticationToken => {
                (COMMON, "MissingAuthenticationTokenException", "MissingAuthenticationToken", 403)
            }
            Code::IncompleteSignature => (COMMON, "IncompleteSignatureException", "IncompleteSignature", 400),
            Code::SignatureDoesNotMatch => (COMMON, "InvalidSignatureException", "SignatureDoesNotMatch", 403),
            Code::InvalidClientTokenId => (COMMON, "UnrecognizedClientException", "InvalidClientTokenId", 403),
            Code::AccessDenied => (COMMON, "AccessDeniedException", "AccessDenied", 403),
            Code::RequestTimeout => (COMMON, "RequestTimeout", "RequestTimeout", 408),
            Code::RequestEntityTooLarge => (COMMON, "RequestEntityTooLarge", "RequestEntityTooLarge", 413),
            Code::InvalidParameter => (SNS, "InvalidParameterException", "InvalidParameter", 400),
            Code::NotFound => (SNS, "NotFoundException", "NotFound", 404),
            Code::FilterPolicyLimitExceeded => {
                (SNS, "FilterPolicyLimitExceededException", "FilterPolicyLimitExceeded", 403)
            }
            Code::TagLimitExceeded => (SNS, "TagLimitExceededException", "TagLimitExceeded", 400),
            Code::SubscriptionLimitExceeded => {
                (SNS, "SubscriptionLimitExceededException", "SubscriptionLimitExceeded", 403)
            }
            Code::TopicLimitExceeded => (SNS, "TopicLimitExceededException", "TopicLimitExceeded", 403),
            Code::ServiceUnavailable => (COMMON, "ServiceUnavailable", "ServiceUnavailable", 503),
            Code::InternalFailure => (COMMON, "InternalFailure", "InternalFailure", 500),
        }
    }

    /// The HTTP status.
    pub const fn status(self) -> u16 {
        self.row().3
    }

    /// The code of the Query protocol, which old SDK code matches on.
    pub const fn query_code(self) -> &'static str {
        self.row().2
    }

    /// The name of the shape in the JSON protocol, without its namespace.
    pub const fn shape(self) -> &'static str {
        self.row().1
    }

    /// The namespace of [`Code::shape`], with the `#` that ends it.
    pub const fn shape_namespace(self) -> &'static str {
        self.row().0
    }

    /// Whether the caller is at fault.
    pub const fn is_sender(self) -> bool {
        self.status() < 500
    }
}
