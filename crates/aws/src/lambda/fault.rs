//! What Lambda answers when it refuses.

use serde::Serialize;

/// A refusal.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct Fault {
    /// Lambda's name for it.
    pub code: &'static str,
    /// The status of the answer.
    pub status: u16,
    /// What is wrong.
    pub message: String,
}

#[derive(Serialize)]
struct Body<'a> {
    #[serde(rename = "Type")]
    kind: &'a str,
    #[serde(rename = "Message")]
    message: &'a str,
    /// Some clients look for it in small letters.
    #[serde(rename = "message")]
    small: &'a str,
}

impl Fault {
    /// A refusal.
    pub fn new(code: &'static str, status: u16, message: impl Into<String>) -> Self {
        Self { code, status, message: message.into() }
    }

    /// A function, or another thing, that is not there.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new("ResourceNotFoundException", 404, message)
    }

    /// A parameter with a value that it cannot have.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new("InvalidParameterValueException", 400, message)
    }

    /// A payload that is no JSON.
    pub fn content(message: impl Into<String>) -> Self {
        Self::new("InvalidRequestContentException", 400, message)
    }

    /// A payload that is too long.
    pub fn too_large(message: impl Into<String>) -> Self {
        Self::new("RequestTooLargeException", 413, message)
    }

    /// More than can be taken in now.
    pub fn too_many(message: impl Into<String>) -> Self {
        Self::new("TooManyRequestsException", 429, message)
    }

    /// Something that is there already.
    pub fn conflict(message: impl Into<String>) -> Self {
        Self::new("ResourceConflictException", 409, message)
    }

    /// The server cannot do it.
    pub fn service(message: impl Into<String>) -> Self {
        Self::new("ServiceException", 500, message)
    }

    /// Something within broke.
    pub fn internal() -> Self {
        Self::service("The request failed because of an internal error; see the server's log.")
    }

    /// The body of the answer.
    pub fn body(&self) -> Vec<u8> {
        let kind = if self.status < 500 { "User" } else { "Service" };
        let body = Body { kind, message: &self.message, small: &self.message };
        serde_json::to_vec(&body).expect("texts are JSON")
    }
}

impl From<crate::Fault> for Fault {
    /// A refusal that all services share.
    fn from(fault: crate::Fault) -> Self {
        Self::new(fault.code.shape(), fault.code.status(), fault.message)
    }
}
