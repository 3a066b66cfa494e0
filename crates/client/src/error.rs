//! Why something was not done.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;

/// Why something was not done.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The address is none.
    #[error("{url:?} is not the address of a server such as http://127.0.0.1:9324")]
    Address {
        /// What was given.
        url: String,
    },
    /// The environment names half of an access key.
    #[error("{set} is set but {missing} is not: set both or neither")]
    HalfAKey {
        /// The variable that is set.
        set: String,
        /// The one that is not.
        missing: String,
    },
    /// No connection: nothing was done.
    #[error("cannot reach Weir at {url}: {reason}")]
    Unreachable {
        /// The server.
        url: String,
        /// Why.
        reason: String,
    },
    /// The request left, and no answer came: it may or may not have been carried out.
    #[error("Weir at {url} did not answer: {reason}")]
    NoAnswer {
        /// The server.
        url: String,
        /// Why.
        reason: String,
    },
    /// The server refused: nothing was done.
    #[error("{0}")]
    Refused(Arc<Problem>),
    /// What answers does not speak as Weir does.
    #[error("what answers at {url} does not speak as Weir does: {reason}")]
    Strange {
        /// The server.
        url: String,
        /// What is strange.
        reason: String,
    },
    /// A value cannot be written as JSON.
    #[error("{what} cannot be written as JSON: {error}")]
    Encode {
        /// Which value.
        what: &'static str,
        /// Why.
        error: Arc<serde_json::Error>,
    },
    /// A value is not what was expected.
    #[error("{what} is not what was expected: {error}")]
    Decode {
        /// Which value.
        what: &'static str,
        /// Why.
        error: Arc<serde_json::Error>,
    },
    /// The producer has ended.
    #[error("the producer has ended")]
    Ended,
}

/// What a server says when it refuses: a problem after RFC 9457.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, thiserror::Error)]
#[error("{detail} ({code})")]
#[non_exhaustive]
pub struct Problem {
    /// The status of the answer.
    pub status: u16,
    /// The stable code; the server's list of errors says what helps.
    pub code: String,
    /// What happened, for people.
    pub detail: String,
    /// The path of the field that is at fault, if it is one.
    #[serde(default)]
    pub field: Option<String>,
    /// When the server wants to be asked again.
    #[serde(skip)]
    pub retry_after: Option<Duration>,
}

impl Error {
    /// The server's stable code, such as `queue.not_found`, where it refused.
    pub fn code(&self) -> Option<&str> {
        match self {
            Error::Refused(problem) => Some(&problem.code),
            _ => None,
        }
    }

    /// Whether the same may succeed a little later.
    pub fn is_transient(&self) -> bool {
        match self {
            Error::Unreachable { .. } | Error::NoAnswer { .. } => true,
            Error::Refused(problem) => matches!(problem.status, 408 | 429 | 500 | 502 | 503 | 504),
            _ => false,
        }
    }

    /// Whether nothing was done for certain.
    pub(crate) fn is_undone(&self) -> bool {
        match self {
            Error::NoAnswer { .. } => false,
            // A server that fails within, or a proxy that waited in vain, may have done it.
            Error::Refused(problem) => !matches!(problem.status, 500 | 502 | 504),
            _ => true,
        }
    }

    /// When the server wants to be asked again.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self {
            Error::Refused(problem) => problem.retry_after,
            _ => None,
        }
    }

    pub(crate) fn encode(what: &'static str) -> impl FnOnce(serde_json::Error) -> Self {
        move |error| Error::Encode { what, error: Arc::new(error) }
    }

    pub(crate) fn decode(what: &'static str) -> impl FnOnce(serde_json::Error) -> Self {
        move |error| Error::Decode { what, error: Arc::new(error) }
    }
}
