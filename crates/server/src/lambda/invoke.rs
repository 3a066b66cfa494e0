//! `Invoke`.

use std::sync::Arc;

use bytes::Bytes;
use hyper::StatusCode;
use hyper::header::{HeaderName, HeaderValue};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use weir_aws::lambda::{self, Fault, Invocation, Kind, LATEST};
use weir_aws::sqs::Limits;
use weir_core::api::job::{FailureKind, JobRef};
use weir_core::api::{Command, LIST_MAX, Queue, Reply as EngineReply};
use weir_push::request::CLIENT_CONTEXT;

use super::{Door, JSON, fault};
use crate::engine::{self, Engine};
use crate::functions::{self, Called, Ended, Waited};
use crate::http::Reply;
use crate::native::{Problem, Spec};

/// How long a result is waited for: as long as a function of AWS may take.
const WAIT_MS: u64 = 900_000;

const VERSION: HeaderName = HeaderName::from_static("x-amz-executed-version");
const FUNCTION_ERROR: HeaderName = HeaderName::from_static("x-amz-function-error");
const LOG_RESULT: HeaderName = HeaderName::from_static("x-amz-log-result");

impl<E: Engine> Door<'_, E> {
    pub(super) async fn invoke(&self, payload: &Bytes) -> Result<Reply, Fault> {
        let (queue, _) = self.function()?;
        let invocation = Invocation::read(|name| self.header(name))?;
        let limits = self.limits(invocation.kind);
        let text = text(payload, &invocation, limits.message_bytes_max)?;
        let spec: Spec<'_> = serde_json::from_str(&text).map_err(|_| Fault::internal())?;
        match invocation.kind {
            Kind::DryRun => Ok(Reply::new(StatusCode::NO_CONTENT, JSON, "")),
            Kind::Event => {
                self.add(&queue, &limits, &spec).await?;
                Ok(Reply::new(StatusCode::ACCEPTED, JSON, ""))
            }
            Kind::RequestResponse => {
                let called = self.add(&queue, &limits, &spec.called(WAIT_MS)).await?;
                let waited = functions::wait(self.app, &called, WAIT_MS).await.map_err(|problem| fault(&problem))?;
                self.answer(&called, waited, invocation.log_tail).await
            }
        }
    }

    /// The bounds of a payload.
    fn limits(&self, kind: Kind) -> Limits {
        let limits = self.app.config.limits;
        if limits.message_bytes_max != Limits::AWS.message_bytes_max {
            return limits;
        }
        let bytes = if kind == Kind::Event { lambda::EVENT_BYTES_MAX } else { lambda::REQUEST_BYTES_MAX };
        Limits { message_bytes_max: bytes as u64, ..limits }
    }

    async fn add(&self, queue: &Arc<Queue>, limits: &Limits, spec: &Spec<'_>) -> Result<Called, Fault> {
        let find = || {
            let now = self.app.engine.find(queue.namespace, &queue.name).filter(|now| now.id == queue.id);
            now.ok_or_else(|| Problem::no_queue(&queue.name))
        };
        functions::add(self.app, find, |queue| spec.job(queue, limits, None)).await.map_err(|problem| fault(&problem))
    }

    async fn answer(&self, called: &Called, waited: Waited, log_tail: bool) -> Result<Reply, Fault> {
        let name = &called.queue.name;
        let (body, is_error) = match waited.ended {
            Ended::Done(result) => (result.unwrap_or(Bytes::from_static(b"null")), false),
            Ended::Failed(kind, said) => (failure(kind, said.as_deref(), called.queue.config.timeout_ms), true),
            Ended::Late { is_begun: true } => (timed_out(WAIT_MS), true),
            Ended::Late { is_begun: false } => {
                let text = format!(
                    "The call of {name} was not begun within {} s: all that stands behind it is busy.",
                    WAIT_MS / 1_000
                );
                return Err(Fault::too_many(text));
            }
            Ended::Removed => {
                return Err(Fault::service(format!(
                    "The call {} of {name} was removed before its end was known.",
                    called.id
                )));
            }
        };
        let mut reply = Reply::new(StatusCode::OK, JSON, body);
        reply.headers.push((VERSION, HeaderValue::from_static(LATEST)));
        if is_error {
            reply.headers.push((FUNCTION_ERROR, HeaderValue::from_static("Unhandled")));
        }
        if log_tail {
            let log = self.log(called, waited.log_lines).await;
            reply.headers.extend(HeaderValue::try_from(log).ok().map(|log| (LOG_RESULT, log)));
        }
        Ok(reply)
    }

    /// The end of the log of a call, in base64; nothing where the job is not there any more.
    async fn log(&self, called: &Called, lines: u64) -> String {
        let from = lines.saturating_sub(LIST_MAX as u64);
        let command =
            Command::JobLogs { queue: called.queue.id, job: JobRef::Id(called.id), from, max: LIST_MAX as u32 };
        match engine::call(&self.app.engine, command).await {
            Ok(answered) if matches!(answered.reply, EngineReply::Logs { .. }) => {
                lambda::log_tail(answered.payloads.iter().map(|line| &**line))
            }
            _ => String::new(),
        }
    }
}

/// The job that a payload makes, as the native API has it.
fn text(payload: &[u8], invocation: &Invocation<'_>, bytes_max: u64) -> Result<String, Fault> {
    if payload.len() as u64 > bytes_max {
        let text = format!(
            "{} byte payload is too large for the {:?} invocation type (limit {bytes_max} bytes)",
            payload.len(),
            invocation.kind
        );
        return Err(Fault::too_large(text));
    }
    // Without a payload a function is given an empty object.
    let payload = if payload.is_empty() { b"{}" } else { payload };
    let data: &RawValue = serde_json::from_slice(payload)
        .map_err(|error| Fault::content(format!("Could not parse request body into json: {error}")))?;
    let attributes = match invocation.client_context {
        Some(context) => json!({ CLIENT_CONTEXT: context }),
        None => json!({}),
    };
    Ok(format!(r#"{{"data":{},"attributes":{attributes}}}"#, data.get()))
}

/// What a function that took too long is told to have said.
fn timed_out(after_ms: u64) -> Bytes {
    let (whole, part) = (after_ms / 1_000, after_ms % 1_000 / 10);
    let message = format!("Task timed out after {whole}.{part:02} seconds");
    json!({ "errorMessage": message, "errorType": "Sandbox.Timedout" }).to_string().into()
}

/// What a call that failed says, in the form that functions have for it. What has that form stays as it is.
fn failure(kind: FailureKind, said: Option<&[u8]>, timeout_ms: Option<u64>) -> Bytes {
    if kind == FailureKind::TimedOut {
        return timed_out(timeout_ms.unwrap_or_default());
    }
    let said = said.and_then(|said| serde_json::from_slice::<Value>(said).ok()).unwrap_or_default();
    let has_form = |told: &Value| told.get("errorMessage").is_some();
    if has_form(&said) {
        return said.to_string().into();
    }
    // What a URL answered stands there as text.
    let answer = said.get("answer").and_then(Value::as_str).and_then(|text| serde_json::from_str::<Value>(text).ok());
    if let Some(answer) = answer.filter(has_form) {
        return answer.to_string().into();
    }
    let words = ["error", "message"].into_iter().find_map(|name| said.get(name)?.as_str());
    let message = match (words.or(said.as_str()), &said) {
        (Some(words), _) => words.to_owned(),
        (None, Value::Null) => format!("the call failed ({kind:?})"),
        (None, said) => said.to_string(),
    };
    let mut told = json!({ "errorMessage": message, "errorType": format!("Function.{kind:?}") });
    if let (true, Some(told)) = (said.is_object(), told.as_object_mut()) {
        told.insert("error".to_owned(), said);
    }
    told.to_string().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_has_the_form_of_a_functions() {
        let told = |said: &str| -> Value {
            serde_json::from_slice(&failure(FailureKind::Reported, Some(said.as_bytes()), None)).unwrap()
        };
        let own = r#"{"errorMessage":"no","errorType":"E","stackTrace":[]}"#;
        assert_eq!(told(own).to_string(), serde_json::from_str::<Value>(own).unwrap().to_string());
        let answered = json!({ "error": "answered 500", "status": 500, "answer": own }).to_string();
        assert_eq!(told(&answered)["errorType"], "E");
        assert_eq!(told(r#"{"error": "answered 404"}"#)["errorMessage"], "answered 404");
        assert_eq!(
            told(r#"{"message": "the process ended with code 3"}"#)["errorMessage"],
            "the process ended with code 3"
        );
        assert_eq!(told(r#""oh""#), json!({ "errorMessage": "oh", "errorType": "Function.Reported" }));
        assert_eq!(told("[1]")["errorMessage"], "[1]");
        let late: Value = serde_json::from_slice(&failure(FailureKind::TimedOut, None, Some(3_050))).unwrap();
        assert_eq!(late["errorMessage"], "Task timed out after 3.05 seconds");
        let stalled: Value = serde_json::from_slice(&failure(FailureKind::Stalled, None, None)).unwrap();
        assert_eq!(stalled["errorType"], "Function.Stalled");
    }

    #[test]
    fn a_payload_is_one_json_value_or_nothing() {
        let invocation = Invocation { client_context: Some("e30="), ..Invocation::default() };
        let made = text(b" [1, 2]", &invocation, 100).unwrap();
        let made: Value = serde_json::from_str(&made).unwrap();
        assert_eq!(made, json!({ "data": [1, 2], "attributes": { CLIENT_CONTEXT: "e30=" } }));
        assert!(text(b"", &Invocation::default(), 100).unwrap().starts_with(r#"{"data":{},"#));
        assert_eq!(text(b"{}}", &invocation, 100).unwrap_err().code, "InvalidRequestContentException");
        assert_eq!(text(b"\xff", &invocation, 100).unwrap_err().code, "InvalidRequestContentException");
        let fault = text(b"[1, 2]", &invocation, 5).unwrap_err();
        assert!(fault.status == 413 && fault.message.starts_with("6 byte payload"), "{fault}");
    }
}
