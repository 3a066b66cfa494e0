//! Errors of the native API, as RFC 9457 has them.

use hyper::StatusCode;
use serde::Serialize;
use serde_json::value::RawValue;
use weir_aws::Fault;
use weir_core::api::Error;
use weir_core::api::topic::SubscriptionId;
use weir_shard::Refused;

use super::catalog;
use super::jobs::FailureView;
use crate::http::{Reply, Unread};

/// Why a request is refused.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    /// The stable code: one of the catalog.
    code: &'static str,
    detail: String,
    /// The path of the field that is at fault, if it is one.
    field: Option<String>,
    /// The status where it is not the code's.
    status: Option<u16>,
    retry_after_s: Option<u64>,
    /// Whether nothing else can come on this connection.
    closes: bool,
    /// The methods that the address takes.
    allow: Option<String>,
    /// What it is about.
    about: Option<Box<About>>,
}

/// What is there that a problem is about.
#[derive(Clone, Debug, Default)]
struct About {
    /// The job that a call of a function was.
    job: Option<String>,
    /// How that failed, and what was said of it.
    failed: Option<(FailureView, Option<Box<RawValue>>)>,
    /// The subscription that is there already.
    subscription: Option<String>,
}

/// A problem as it goes on the wire.
#[derive(Debug, Serialize, schemars::JsonSchema)]
#[schemars(rename = "Problem")]
pub(super) struct Document<'a> {
    /// Where the code is described, relative to the server.
    #[serde(rename = "type")]
    kind: String,
    /// What happened, in general.
    title: &'a str,
    /// The status of the answer.
    #[schemars(range(min = 400, max = 599))]
    status: u16,
    /// The stable code. See the list of errors.
    code: &'a str,
    /// What happened here, for people.
    detail: &'a str,
    /// The path of the field that is at fault, if it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'a str>,
    /// Of a call of a function: the id of its job.
    #[serde(skip_serializing_if = "Option::is_none")]
    job: Option<&'a str>,
    /// Of a call of a function: how it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<FailureView>,
    /// Of a call of a function: what was said of its failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a RawValue>,
    /// The id of the subscription that is there already.
    #[serde(skip_serializing_if = "Option::is_none")]
    subscription: Option<&'a str>,
}

/// A problem of one item among others.
#[derive(Debug, Serialize)]
struct Item {
    code: &'static str,
    detail: String,
}

impl Problem {
    /// A refusal under a stable code.
    pub(crate) fn new(code: &'static str, detail: &str) -> Self {
        debug_assert!(catalog::find(code).is_some(), "{code} is not in the catalog");
        let detail = detail.to_owned();
        Self { code, detail, field: None, status: None, retry_after_s: None, closes: false, allow: None, about: None }
    }

    /// The same, about a job.
    pub(crate) fn of_job(self, id: u64) -> Self {
        self.about(|about| about.job = Some(id.to_string()))
    }

    /// The same, about a subscription that is there already.
    pub(crate) fn of_subscription(self, id: SubscriptionId) -> Self {
        self.about(|about| about.subscription = Some(id.0.to_string()))
    }

    /// The same, with how the job failed and what was said of it.
    pub(crate) fn with_failure(self, failure: FailureView, error: Option<Box<RawValue>>) -> Self {
        self.about(|about| about.failed = Some((failure, error)))
    }

    fn about(mut self, say: impl FnOnce(&mut About)) -> Self {
        say(self.about.get_or_insert_default());
        self
    }

    /// The same with another status than the code's own.
    pub(crate) fn with_status(self, status: StatusCode) -> Self {
        Self { status: Some(status.as_u16()), ..self }
    }

    /// A request that makes no sense.
    pub(crate) fn bad(detail: &str) -> Self {
        Self::new("request.invalid", detail)
    }

    /// A field that makes no sense: `text` says what it allows and what was found.
    pub(crate) fn field(field: &str, text: &str) -> Self {
        Self { field: Some(field.to_owned()), ..Self::bad(&format!("{field}: {text}")) }
    }

    /// The same, of a field that the detail names already.
    pub(crate) fn of_field(self, field: &str) -> Self {
        Self { field: Some(field.to_owned()), ..self }
    }

    /// The same, of a field that stands under `place`; nowhere in particular where that is empty.
    pub(crate) fn under(self, place: &str) -> Self {
        if place.is_empty() {
            return self;
        }
        let detail = format!("{place}.{}", self.detail);
        Self { detail, field: self.field.map(|field| format!("{place}.{field}")), ..self }
    }

    /// The same refusal, for what stands in a field.
    pub(crate) fn at(self, field: &str) -> Self {
        Self { detail: format!("{field}: {}", self.detail), field: Some(field.to_owned()), ..self }
    }

    /// A queue that is not there.
    pub(crate) fn no_queue(name: &str) -> Self {
        Self::new("queue.not_found", &format!("there is no queue called {name}"))
    }

    /// A function that is not there.
    pub(crate) fn no_function(name: &str) -> Self {
        Self::new("function.not_found", &format!("there is no function called {name}"))
    }

    /// A job that is not there.
    pub(crate) fn no_job(id: &str, queue: &str) -> Self {
        Self::new("job.not_found", &format!("there is no job {id} in queue {queue}"))
    }

    /// An address that takes other methods.
    pub(crate) fn method(allow: String) -> Self {
        let detail = format!("the address takes {allow}");
        Self { allow: Some(allow), ..Self::new("request.method", &detail) }
    }

    /// A reply that makes no sense.
    pub(crate) fn internal() -> Self {
        Self::new("server.internal", "the request failed because of an internal error; see the server's log")
    }

    /// A refusal of who asks.
    #[expect(clippy::needless_pass_by_value, reason = "it is what errors are mapped with")]
    pub(crate) fn of_fault(fault: Fault) -> Self {
        Self { status: Some(fault.code.status()), ..Self::new("access.denied", &fault.message) }
    }

    /// An error of the engine.
    pub(crate) fn of_error(error: &Error) -> Self {
        let code = error.code();
        if catalog::find(code).is_none() {
            tracing::error!(%error, code, "a code of the engine is not in the catalog");
            return Self::internal();
        }
        let problem = Self::new(code, &error.to_string());
        match error {
            Error::SubscriptionExists { subscription, .. } => problem.of_subscription(*subscription),
            _ => problem,
        }
    }

    /// A command that was refused.
    pub(crate) fn of(refused: Refused) -> Self {
        let busy =
            |code, retry_after_s, detail: &str| Self { retry_after_s: Some(retry_after_s), ..Self::new(code, detail) };
        match refused {
            Refused::Engine(error) => Self::of_error(&error),
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

    /// A body that was not read. The rest of it is still to come, so that nothing else can on this connection.
    pub(crate) fn of_unread(unread: &Unread, bytes_max: usize) -> Self {
        let problem = match unread {
            Unread::TooLarge => Self::new("request.too_large", &format!("the body is longer than {bytes_max} bytes")),
            Unread::TooSlow => Self::new("request.too_slow", "the body came too slowly"),
            Unread::Broken => {
                Self::new("request.broken", "the body ended before its end, or is not of the form of HTTP")
            }
            Unread::TooMany => Self {
                retry_after_s: Some(1),
                ..Self::new("request.too_many", "the server is reading too many bodies; try again")
            },
        };
        Self { closes: true, ..problem }
    }

    /// The problem as that of one item among others.
    pub(crate) fn item(&self) -> impl Serialize {
        Item { code: self.code, detail: self.detail.clone() }
    }

    pub(crate) fn code(&self) -> &'static str {
        self.code
    }

    pub(crate) fn detail(&self) -> &str {
        &self.detail
    }

    pub(crate) fn into_reply(self) -> Reply {
        let entry = catalog::find(self.code);
        let about = self.about.as_deref();
        let failed = about.and_then(|about| about.failed.as_ref());
        let status = self.status.or(entry.map(|entry| entry.status)).unwrap_or(500);
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let document = Document {
            kind: format!("/v1/docs#{}", self.code),
            title: entry.map_or("", |entry| entry.cause),
            status: status.as_u16(),
            code: self.code,
            detail: &self.detail,
            field: self.field.as_deref(),
            job: about.and_then(|about| about.job.as_deref()),
            failure: failed.map(|(failure, _)| *failure),
            error: failed.and_then(|(_, error)| error.as_deref()),
            subscription: about.and_then(|about| about.subscription.as_deref()),
        };
        let body = serde_json::to_vec(&document).expect("texts and numbers are JSON");
        let mut reply = Reply::new(status, "application/problem+json", body);
        reply.retry_after_s = self.retry_after_s;
        reply.closes = self.closes;
        reply.allow = self.allow;
        reply
    }
}
