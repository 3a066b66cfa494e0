//! Why a server did not do what it was asked, and what to do about it.

use serde_json::Value;

use super::text;
use super::transport::Response;

/// Why a server did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Failure {
    /// No connection.
    #[error("cannot reach Weir at {url}: {reason}; start it with `weir serve`, or name its URL with --url or WEIR_URL")]
    Unreachable {
        /// The URL.
        url: String,
        /// Why.
        reason: String,
    },
    /// A connection, but no answer.
    #[error("Weir at {url} did not answer: {reason}; it may or may not have done what was asked")]
    NoAnswer {
        /// The URL.
        url: String,
        /// Why.
        reason: String,
    },
    /// An answer that is none of Weir's.
    #[error("what answers at {url} does not speak as Weir does: {reason}; check --url or WEIR_URL")]
    Strange {
        /// The URL.
        url: String,
        /// What is strange.
        reason: String,
    },
    /// The URL is none.
    #[error("--url or WEIR_URL: {url:?} is not a URL such as http://127.0.0.1:9324")]
    BadUrl {
        /// What was given.
        url: String,
    },
    /// What was named does not exist.
    #[error("{message} ({code}){}", lists(code))]
    NotFound {
        /// The server's code.
        code: String,
        /// The server's sentence.
        message: String,
    },
    /// The server does not let this caller do it.
    #[error(
        "{message} ({code}); requests are signed with WEIR_ACCESS_KEY_ID and WEIR_SECRET_ACCESS_KEY, which must be a key that the server knows and that may do this"
    )]
    Denied {
        /// The server's code.
        code: String,
        /// The server's sentence.
        message: String,
    },
    /// The server cannot do it now.
    #[error("{message} ({code}); try again in a moment")]
    Busy {
        /// The server's code.
        code: String,
        /// The server's sentence.
        message: String,
        /// After how long, if it says so.
        retry_after_s: Option<u64>,
    },
    /// The server refuses the request as it is.
    #[error("{message} ({code})")]
    Refused {
        /// The server's code.
        code: String,
        /// The server's sentence.
        message: String,
    },
}

/// Codes by which AWS says that the caller may not.
const DENIED: [&str; 10] = [
    "AccessDenied",
    "AccessDeniedException",
    "ExpiredToken",
    "IncompleteSignature",
    "InvalidClientTokenId",
    "InvalidSecurity",
    "MissingAuthenticationToken",
    "RequestExpired",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
];

impl Failure {
    /// What a refusal in the JSON protocol says.
    pub(super) fn of_sqs(status: u16, answer: &Value) -> Self {
        let code = text(answer, "__type").unwrap_or("Unknown");
        // The JSON protocol puts a namespace before it.
        let code = code.rsplit('#').next().unwrap_or(code).to_owned();
        let message = text(answer, "message").or_else(|| text(answer, "Message"));
        let message = message.map_or_else(|| format!("the server answers with status {status}"), str::to_owned);
        Self::classify(status, code, message.trim_end_matches('.').to_owned())
    }

    /// What a refusal of the native API says.
    pub(super) fn of_native(response: &Response, path: &str) -> Self {
        let Response { status, retry_after_s, body } = response;
        let status = *status;
        let problem: Option<Value> = serde_json::from_slice(body).ok();
        let said = |name: &str| problem.as_ref().and_then(|problem| text(problem, name)).map(str::to_owned);
        let code = said("code").or_else(|| said("__type")).unwrap_or_else(|| format!("status {status}"));
        let detail = said("detail").or_else(|| said("title")).or_else(|| said("message"));
        // An older server takes what it does not know for a request of SQS, and says nothing that is ours.
        let unknown = detail.is_none() && matches!(status, 400 | 404 | 405);
        if unknown || matches!(code.as_str(), "request.not_found" | "request.method") {
            let message = format!("this server does not serve {path}: it may be an older version");
            return Self::Refused { code, message };
        }
        let mut detail = detail.unwrap_or_else(|| format!("the server answers with status {status}"));
        if let Some(failure) = said("failure") {
            detail = format!("{detail} ({})", failure.replace('_', " "));
        }
        if let Some(subscription) = said("subscription") {
            detail = format!("{detail} (subscription {subscription})");
        }
        // Of what failed elsewhere the server tells what was said of it.
        match problem.as_ref().and_then(|problem| problem.get("error")) {
            Some(Value::String(error)) => detail = format!("{detail}: {error}"),
            Some(error) if !error.is_null() => detail = format!("{detail}: {error}"),
            _ => {}
        }
        match Self::classify(status, code, detail) {
            Self::Busy { code, message, .. } => Self::Busy { code, message, retry_after_s: *retry_after_s },
            failure => failure,
        }
    }

    fn classify(status: u16, code: String, message: String) -> Self {
        let missing = matches!(
            code.as_str(),
            "QueueDoesNotExist" | "AWS.SimpleQueueService.NonExistentQueue" | "ResourceNotFoundException"
        );
        if DENIED.contains(&code.as_str()) || status == 401 || (status == 403 && code != "OverLimit") {
            Self::Denied { code, message }
        } else if missing || status == 404 {
            Self::NotFound { code, message }
        } else if matches!(status, 429 | 503) {
            Self::Busy { code, message, retry_after_s: None }
        } else {
            Self::Refused { code, message }
        }
    }

    /// The server's code, of refusals.
    pub(crate) fn code(&self) -> Option<&str> {
        match self {
            Self::NotFound { code, .. }
            | Self::Denied { code, .. }
            | Self::Busy { code, .. }
            | Self::Refused { code, .. } => Some(code),
            _ => None,
        }
    }
}

/// Which command lists what could have been named in place of what does not exist.
fn lists(code: &str) -> &'static str {
    match code.split('.').next() {
        Some("job" | "message") => "; `weir job list QUEUE` shows the jobs of a queue",
        Some("function") => "; `weir function list` shows the functions",
        Some("limiter" | "permit") => "; `weir limiter list` shows the limiters",
        _ => "; `weir queue list` shows the queues",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn kind(status: u16, code: &str) -> &'static str {
        let answer = json!({ "__type": format!("com.amazonaws.sqs#{code}"), "message": "No." });
        match Failure::of_sqs(status, &answer) {
            Failure::NotFound { .. } => "not found",
            Failure::Denied { .. } => "denied",
            Failure::Busy { .. } => "busy",
            _ => "refused",
        }
    }

    #[test]
    fn refusals_are_told_apart_by_their_codes() {
        assert_eq!(kind(400, "QueueDoesNotExist"), "not found");
        assert_eq!(kind(400, "ResourceNotFoundException"), "not found");
        assert_eq!(kind(403, "SignatureDoesNotMatch"), "denied");
        assert_eq!(kind(400, "AccessDeniedException"), "denied");
        assert_eq!(kind(403, "OverLimit"), "refused");
        assert_eq!(kind(503, "ServiceUnavailable"), "busy");
        assert_eq!(kind(400, "InvalidParameterValueException"), "refused");
    }

    #[test]
    fn refusals_of_the_native_api_are_told_apart_by_their_codes() {
        let of = |status, body: &[u8]| {
            let response = Response { status, retry_after_s: Some(3), body: body.to_vec() };
            Failure::of_native(&response, "/v1/queues/x/redrive")
        };
        let problem = br#"{"status":404,"code":"request.not_found","detail":"there is nothing"}"#;
        for (status, body) in [(404, &b"no such page\n"[..]), (400, b"<ErrorResponse/>"), (404, problem)] {
            let failure = of(status, body);
            assert!(failure.to_string().starts_with("this server does not serve /v1/queues/x/redrive"), "{failure}");
        }
        let missing = of(404, br#"{"status":404,"code":"queue.not_found","detail":"no queue x"}"#);
        assert_eq!(missing.to_string(), "no queue x (queue.not_found); `weir queue list` shows the queues");
        let busy = of(503, br#"{"status":503,"code":"server.overloaded","detail":"too much"}"#);
        assert!(matches!(busy, Failure::Busy { retry_after_s: Some(3), .. }), "{busy:?}");
    }
}
