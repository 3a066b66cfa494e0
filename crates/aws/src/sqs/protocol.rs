//! Which of the two protocols a request speaks.

use super::answer::Answer;
use super::operation::Operation;
use super::{json, query};
use crate::fault::Fault;

/// A protocol of the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// AWS JSON 1.0: a header names the operation.
    Json,
    /// Parameters in, XML out.
    Query,
}

impl Protocol {
    /// The protocol of a request, by its headers `X-Amz-Target` and `Content-Type`.
    pub fn of(target: Option<&[u8]>, content_type: Option<&[u8]>) -> Self {
        let media = content_type.and_then(|value| value.split(|&byte| byte == b';').next()).unwrap_or_default();
        let media = media.trim_ascii();
        let json = b"application/x-amz-json";
        let is_json = media.get(..json.len()).is_some_and(|start| start.eq_ignore_ascii_case(json));
        if target.is_some() || is_json { Protocol::Json } else { Protocol::Query }
    }

    /// Media type of its answers.
    pub const fn content_type(self) -> &'static str {
        match self {
            Protocol::Json => json::CONTENT_TYPE,
            Protocol::Query => query::CONTENT_TYPE,
        }
    }

    /// The body of the answer of `operation`.
    pub fn answer(self, operation: Operation, answer: &Answer<'_>, request_id: &str) -> Vec<u8> {
        match self {
            Protocol::Json => json::answer(answer),
            Protocol::Query => query::answer(operation, answer, request_id),
        }
    }

    /// The body of an error.
    pub fn error(self, fault: &Fault, request_id: &str) -> Vec<u8> {
        match self {
            Protocol::Json => json::error(fault),
            Protocol::Query => query::error(fault, request_id),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_tell_the_protocols_apart() {
        for (target, content_type, protocol) in [
            (Some("AmazonSQS.SendMessage"), Some("application/x-amz-json-1.0"), Protocol::Json),
            (Some("AmazonSQS.SendMessage"), None, Protocol::Json),
            (None, Some("Application/X-Amz-Json-1.0; charset=utf-8"), Protocol::Json),
            (None, Some("application/x-www-form-urlencoded; charset=utf-8"), Protocol::Query),
            (None, None, Protocol::Query),
            (None, Some("text/plain"), Protocol::Query),
        ] {
            let of = Protocol::of(target.map(str::as_bytes), content_type.map(str::as_bytes));
            assert_eq!(of, protocol, "{target:?} {content_type:?}");
        }
    }

    #[test]
    fn each_protocol_answers_in_its_own_form() {
        let answer = |protocol: Protocol| protocol.answer(Operation::DeleteQueue, &Answer::Done, "r");
        assert_eq!(answer(Protocol::Json), b"{}");
        assert!(answer(Protocol::Query).starts_with(b"<?xml"));
        assert!(Protocol::Json.error(&Fault::no_queue(), "r").starts_with(b"{"));
        assert!(Protocol::Query.error(&Fault::no_queue(), "r").starts_with(b"<?xml"));
        assert_eq!(
            (Protocol::Json.content_type(), Protocol::Query.content_type()),
            ("application/x-amz-json-1.0", "text/xml")
        );
    }
}
