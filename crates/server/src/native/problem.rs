//! Errors of the native API, as RFC 9457 has them.

use hyper::StatusCode;
use weir_aws::Fault;
use weir_shard::Refused;

use crate::http::Reply;

/// Why a request is refused.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    /// The stable code.
    code: &'static str,
    detail: String,
    retry_after_s: Option<u64>,
}

impl Problem {
    /// A refusal under a stable code.
    pub(crate) fn new(status: StatusCode, code: &'static str, detail: &str) -> Self {
        Self { status, code, detail: detail.to_owned(), retry_after_s: None }
    }

    /// A request that makes no sense.
    pub(crate) fn bad(detail: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "request.invalid", detail)
    }

    /// Something that is not there.
    pub(crate) fn not_found(detail: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "queue.not_found", detail)
    }

    /// A reply that makes no sense.
    pub(crate) fn internal() -> Self {
        let detail = "the request failed because of an internal error; see the server's log";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "server.internal", detail)
    }

    /// A refusal of who asks.
    pub(crate) fn of_fault(fault: Fault) -> Self {
        let status = StatusCode::from_u16(fault.code.status()).unwrap_or(StatusCode::FORBIDDEN);
        Self { status, code: "access.denied", detail: fault.message.into_owned(), retry_after_s: None }
    }

    /// A command that was refused.
    pub(crate) fn of(refused: Refused) -> Self {
        let busy = |code, retry_after_s, detail: &str| Self {
            retry_after_s: Some(retry_after_s),
            ..Self::new(StatusCode::SERVICE_UNAVAILABLE, code, detail)
        };
        match refused {
            Refused::Engine(error) => Self::new(StatusCode::CONFLICT, error.code(), &error.to_string()),
            Refused::Overloaded { retry_after } => {
                let seconds = (retry_after.as_millis().div_ceil(1_000) as u64).max(1);
                busy("server.overloaded", seconds, "the server has more to do than it can take in; try again")
            }
            Refused::DiskFull => busy("server.disk_full", 5, "the server's disk is full"),
            Refused::Closed => busy("server.closed", 1, "the server is shutting down"),
            other => {
                tracing::error!(error = %other, "a command of the native API was refused");
                Self::internal()
            }
        }
    }

    pub(crate) fn into_reply(self) -> Reply {
        let body = serde_json::json!({
            "type": "about:blank",
            "title": self.status.canonical_reason().unwrap_or_default(),
            "status": self.status.as_u16(),
            "code": self.code,
            "detail": self.detail,
        });
        let mut reply = Reply::new(self.status, "application/problem+json", body.to_string());
        reply.retry_after_s = self.retry_after_s;
        reply
    }
}
