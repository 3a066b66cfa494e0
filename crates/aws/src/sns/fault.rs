//! Errors in the words of the service.

use crate::fault::{Code, Fault};

/// A parameter with a value that it cannot have.
pub fn invalid(parameter: &str, reason: &str) -> Fault {
    Fault::new(Code::InvalidParameter, format!("Invalid parameter: {parameter} Reason: {reason}"))
}

/// A required parameter is absent.
pub fn missing(parameter: &str) -> Fault {
    invalid(parameter, "no value for required parameter")
}

/// The topic does not exist.
pub fn no_topic() -> Fault {
    Fault::new(Code::NotFound, "Topic does not exist")
}

/// The subscription does not exist.
pub fn no_subscription() -> Fault {
    Fault::new(Code::NotFound, "Subscription does not exist")
}

/// The resource of a request about tags does not exist.
pub fn no_resource() -> Fault {
    Fault::new(Code::ResourceNotFound, "Resource does not exist")
}

/// The code and the status of an error as this service has them: some have another name than in SQS.
pub(super) fn wire(code: Code) -> (&'static str, u16) {
    match code {
        Code::EmptyBatchRequest
        | Code::TooManyEntriesInBatchRequest
        | Code::BatchEntryIdsNotDistinct
        | Code::BatchRequestTooLong
        | Code::InvalidBatchEntryId
        | Code::UnsupportedOperation => (code.shape(), code.status()),
        Code::InvalidParameterValue => ("ParameterValueInvalid", 400),
        Code::MissingParameter | Code::InvalidAddress | Code::OverLimit => ("InvalidParameter", 400),
        Code::ResourceNotFound => ("ResourceNotFound", 404),
        Code::AccessDenied => ("AuthorizationError", 403),
        Code::RequestThrottled => ("Throttled", 429),
        Code::InternalFailure => ("InternalError", 500),
        other => (other.query_code(), other.status()),
    }
}

/// The HTTP status that the service answers a fault with.
pub fn status(fault: &Fault) -> u16 {
    wire(fault.code).1
}
