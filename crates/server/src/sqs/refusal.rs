//! Refusals: the engine's and the shard's errors as AWS's.

use hyper::StatusCode;
use weir_aws::sqs::{Protocol, receipt};
use weir_aws::{Code, Fault};
use weir_core::api::Error;
use weir_shard::Refused;

use crate::http::Reply;

/// Why a request is refused.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) fault: Fault,
    /// When to try again.
    pub(crate) retry_after_s: Option<u64>,
    /// Whether the connection ends with the answer.
    pub(crate) closes: bool,
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        Self { fault, retry_after_s: None, closes: false }
    }
}

impl Refusal {
    /// The refusal of a command as a whole.
    pub(crate) fn of(refused: Refused) -> Self {
        let busy = |message: &'static str, seconds: u64| Self {
            retry_after_s: Some(seconds.max(1)),
            ..Fault::new(Code::ServiceUnavailable, message).into()
        };
        match refused {
            Refused::Engine(error) => engine_fault(&error).into(),
            Refused::Overloaded { retry_after } => busy(
                "The server has more to do than it can take in; try again.",
                retry_after.as_millis().div_ceil(1_000) as u64,
            ),
            Refused::DiskFull => busy(
                "The server's disk is full: messages can be received and deleted, and sent again once there is room.",
                5,
            ),
            Refused::Closed => busy("The server is shutting down.", 1),
            Refused::Poisoned { reason } => {
                tracing::error!(reason, "a command was refused because the shard is stopped");
                Fault::internal().into()
            }
            other => {
                tracing::error!(error = %other, "a command was refused for an unknown reason");
                Fault::internal().into()
            }
        }
    }

    /// The response, by the protocol of the request.
    pub(crate) fn into_reply(self, protocol: Protocol, request_id: &str) -> Reply {
        let code = self.fault.code;
        let status = StatusCode::from_u16(code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut reply = Reply::new(status, protocol.content_type(), protocol.error(&self.fault, request_id));
        if protocol == Protocol::Json {
            let side = if code.is_sender() { "Sender" } else { "Receiver" };
            reply.query_error = Some(format!("{};{side}", code.query_code()));
        }
        reply.retry_after_s = self.retry_after_s;
        reply.closes = self.closes;
        reply
    }
}

/// An error of the engine that says nothing of one receipt handle.
pub(super) fn engine_fault(error: &Error) -> Fault {
    match error {
        Error::QueueNotFound => Fault::no_queue(),
        Error::QueueExists { field } => weir_aws::sqs::attributes::exists(field),
        Error::RedriveNotAllowed { target, source_queue } => {
            weir_aws::sqs::attributes::redrive_not_allowed(target, source_queue)
        }
        Error::LaneRequired => Fault::missing("MessageGroupId"),
        Error::LimitExceeded { .. } => Fault::new(Code::OverLimit, format!("{error}.")),
        Error::Stale { .. } => Fault::new(
            Code::ServiceUnavailable,
            "The queue was reconfigured again and again while the request ran; try again.",
        ),
        _ => {
            tracing::error!(%error, "the engine refused a command for a reason that the door does not expect");
            Fault::internal()
        }
    }
}

/// What a settlement is told of `handle`.
pub(super) fn settle_fault(error: &Error, handle: &str, parameter_reason: &str) -> Fault {
    match error {
        Error::HandleInvalid => receipt::invalid(handle),
        Error::LeaseExpired => Fault::invalid("ReceiptHandle", &handle, "The receipt handle has expired."),
        Error::MessageNotFound => Fault::invalid("ReceiptHandle", &handle, parameter_reason),
        Error::NotLeased => Fault::new(Code::MessageNotInflight, "The message referred to is not in flight."),
        other => engine_fault(other),
    }
}
