//! How an attempt can end other than by success.

use std::fmt;
use std::time::Duration;

use serde::Serialize;
use serde_json::value::to_raw_value;
use serde_json::{Value, json};

use super::wire::{Action, Pause};
use crate::new_job::ms;

/// Longest result that the server takes.
const RESULT_BYTES_MAX: usize = 16 << 20;
/// Longest text of an error that is sent; the server takes 64 KiB of JSON, in which a character may take six bytes.
const ERROR_BYTES_MAX: usize = 8 << 10;

/// How an attempt ends other than by success. Every `std::error::Error` becomes one, so that `?` works.
#[derive(Clone, Debug)]
pub struct Failure {
    error: Value,
    end: End,
}

#[derive(Clone, Debug)]
enum End {
    Retry { delay: Option<Duration> },
    Fatal,
    Release { delay: Duration },
    Throttled { pause: Duration, limiter: Option<String> },
    WaitForChildren,
}

impl Failure {
    /// The attempt failed: the job is tried again as its queue says, until no attempt is left.
    pub fn new(error: impl fmt::Display) -> Self {
        Self::with_details(json!({ "message": cut(error.to_string()) }))
    }

    /// The same, with what is to be kept of it in the history of the job: any JSON of up to 64 KiB.
    pub fn with_details(error: Value) -> Self {
        Self { error, end: End::Retry { delay: None } }
    }

    /// The job is tried again after so long, in place of its backoff.
    #[must_use]
    pub fn retry_after(mut self, delay: Duration) -> Self {
        self.end = End::Retry { delay: Some(delay) };
        self
    }

    /// The job is not tried again.
    #[must_use]
    pub fn fatal(mut self) -> Self {
        self.end = End::Fatal;
        self
    }

    /// The work was not begun: the job is ready again after so long, and no attempt is counted.
    #[must_use]
    pub fn release(delay: Duration) -> Self {
        Self { error: Value::Null, end: End::Release { delay } }
    }

    /// Somebody downstream wants to be left alone, as by a 429 with Retry-After: the limiters that hold a key for this job
    /// pause that key, and no attempt is counted.
    #[must_use]
    pub fn throttled(pause: Duration) -> Self {
        Self { error: Value::Null, end: End::Throttled { pause, limiter: None } }
    }

    /// The same for the key that one limiter of the queue has for this job.
    #[must_use]
    pub fn throttled_by(limiter: impl Into<String>, pause: Duration) -> Self {
        Self { error: Value::Null, end: End::Throttled { pause, limiter: Some(limiter.into()) } }
    }

    /// The job runs again when the children are done that were added to it. No attempt is counted.
    #[must_use]
    pub fn wait_for_children() -> Self {
        Self { error: Value::Null, end: End::WaitForChildren }
    }

    /// What is the matter, for people.
    pub(super) fn text(&self) -> String {
        match &self.end {
            End::Release { .. } => "released".to_owned(),
            End::Throttled { .. } => "throttled".to_owned(),
            End::WaitForChildren => "waits for its children".to_owned(),
            _ => {
                self.error.get("message").and_then(Value::as_str).map_or_else(|| self.error.to_string(), str::to_owned)
            }
        }
    }

    fn action(self) -> Action {
        match self.end {
            End::Retry { delay } => Action::Fail { error: self.error, retry: None, delay_ms: delay.map(ms) },
            End::Fatal => Action::Fail { error: self.error, retry: Some(false), delay_ms: None },
            End::Release { delay } => Action::Release { delay_ms: ms(delay), pause: None },
            End::Throttled { pause, limiter } => {
                // The server knows no pause of no length.
                let pause = Some(ms(pause)).filter(|ms| *ms > 0).map(|for_ms| Pause { for_ms, limiter });
                Action::Release { delay_ms: 0, pause }
            }
            End::WaitForChildren => Action::WaitForChildren {},
        }
    }
}

impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Self {
        let mut causes = Vec::new();
        let mut source = error.source();
        while let Some(cause) = source.filter(|_| causes.len() < 4) {
            causes.push(cut(cause.to_string()));
            source = cause.source();
        }
        let message = cut(error.to_string());
        Self::with_details(if causes.is_empty() {
            json!({ "message": message })
        } else {
            json!({ "message": message, "causes": causes })
        })
    }
}

/// What the server is told of an attempt that ended by itself.
pub(super) fn ended<R: Serialize>(result: Result<R, Failure>) -> Action {
    let result = match result {
        Ok(result) => result,
        Err(failure) => {
            tracing::info!(error = failure.text(), "the attempt did not succeed");
            return failure.action();
        }
    };
    let refused = |why: String| {
        tracing::error!("{why}");
        Failure::new(why).fatal().action()
    };
    match to_raw_value(&result) {
        Ok(json) if json.get().len() > RESULT_BYTES_MAX => {
            refused(format!("the result has {} bytes, more than {RESULT_BYTES_MAX}", json.get().len()))
        }
        Ok(json) if json.get() == "null" => Action::Complete { result: None },
        Ok(json) => Action::Complete { result: Some(json) },
        Err(error) => refused(format!("the result cannot be written as JSON: {error}")),
    }
}

/// What the server is told of an attempt that panicked.
pub(super) fn panicked(panic: &(dyn std::any::Any + Send)) -> Action {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "panicked".to_owned());
    Failure::with_details(json!({ "message": cut(text), "panic": true })).action()
}

/// What the server is told of an attempt that is not begun, or was broken off.
pub(super) fn released() -> Action {
    Failure::release(Duration::ZERO).action()
}

/// What the server is told of a job that was cancelled and did not end by itself.
pub(super) fn cancelled() -> Action {
    Failure::new("cancelled").fatal().action()
}

/// The beginning of a text that may be too long.
fn cut(mut text: String) -> String {
    if text.len() > ERROR_BYTES_MAX {
        text.truncate(text.floor_char_boundary(ERROR_BYTES_MAX));
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(action: &Action) -> Value {
        serde_json::to_value(action).unwrap()
    }

    #[test]
    fn an_error_is_told_with_what_caused_it() {
        let error = std::io::Error::other("5".parse::<bool>().unwrap_err());
        let failure = Failure::from(crate::Error::encode("x")(serde_json::Error::io(error)));
        let expected = "x cannot be written as JSON: provided string was not `true` or `false`";
        assert_eq!(failure.text(), expected);
        assert_eq!(written(&failure.action()), json!({ "action": "fail", "error": { "message": expected } }));
    }

    #[test]
    fn each_end_is_told_in_its_own_way() {
        let second = Duration::from_secs(1);
        let told = |failure: Failure| written(&ended::<()>(Err(failure)));
        let error = json!({ "message": "no" });
        assert_eq!(told(Failure::new("no").fatal()), json!({ "action": "fail", "error": error, "retry": false }));
        assert_eq!(
            told(Failure::new("no").retry_after(second)),
            json!({ "action": "fail", "error": error, "delay_ms": 1_000 })
        );
        assert_eq!(told(Failure::release(second)), json!({ "action": "release", "delay_ms": 1_000 }));
        assert_eq!(
            told(Failure::throttled_by("crm", second)),
            json!({ "action": "release", "pause": { "for_ms": 1_000, "limiter": "crm" } })
        );
        assert_eq!(told(Failure::throttled(Duration::ZERO)), json!({ "action": "release" }));
        assert_eq!(told(Failure::wait_for_children()), json!({ "action": "wait_for_children" }));
        assert_eq!(written(&ended(Ok(()))), json!({ "action": "complete" }));
        assert_eq!(written(&ended(Ok(5))), json!({ "action": "complete", "result": 5 }));
    }

    #[test]
    fn a_long_error_is_cut_between_characters() {
        let text = Failure::new("ß".repeat(ERROR_BYTES_MAX)).text();
        assert_eq!((text.len(), text.chars().last()), (ERROR_BYTES_MAX + "…".len(), Some('…')));
    }
}
