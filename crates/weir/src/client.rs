//! Speaking to a running server by its URL: the JSON protocol of SQS, and the native API for what SQS cannot say.

mod arguments;
mod events;
mod exact;
mod failure;
mod pages;
mod queue_name;
mod request;
mod slices;
mod transport;

pub(crate) use arguments::ServerArguments;
pub(crate) use events::Event;
pub(crate) use exact::Exact;
pub(crate) use failure::Failure;
pub(crate) use queue_name::{Queue, is_fifo, is_plain};
pub(crate) use request::Request;

use std::time::Duration;

use serde_json::{Value, json};
use transport::Transport;

/// How long a request may take beyond what it asked the server to wait.
const PATIENCE: Duration = Duration::from_mins(1);

/// A server to speak to.
#[derive(Debug)]
pub(crate) struct Client {
    transport: Transport,
}

impl Client {
    /// Carries out an operation of SQS.
    pub(crate) fn sqs(&self, operation: &str, request: &Value) -> Result<Value, Failure> {
        self.sqs_waiting(operation, request, Duration::ZERO)
    }

    /// Carries out an operation of SQS that the server may take `wait` to answer.
    pub(crate) fn sqs_waiting(&self, operation: &str, request: &Value, wait: Duration) -> Result<Value, Failure> {
        let asked = Request::new("POST", "/".to_owned())
            .header("x-amz-target", Some(format!("AmazonSQS.{operation}")))
            .header("content-type", Some("application/x-amz-json-1.0".to_owned()))
            .body(request.to_string().into_bytes())
            .waiting(wait);
        let response = self.transport.send(&asked)?;
        let answer = self.parse(&response.body)?;
        if response.status == 200 { Ok(answer) } else { Err(Failure::of_sqs(response.status, &answer)) }
    }

    /// Carries out an operation of the native API.
    pub(crate) fn native(&self, request: &Request) -> Result<Value, Failure> {
        self.parse(&self.answer(request)?)
    }

    /// The same, with what is written in the answer as well.
    pub(crate) fn native_exactly(&self, request: &Request) -> Result<(Value, Exact), Failure> {
        let body = self.answer(request)?;
        let answer = self.parse(&body)?;
        let exact = Exact::read(&body).map_err(|error| self.strange(&format!("its answer is not JSON ({error})")))?;
        Ok((answer, exact))
    }

    fn answer(&self, request: &Request) -> Result<Vec<u8>, Failure> {
        let response = self.transport.send(request)?;
        if !(200..300).contains(&response.status) {
            return Err(Failure::of_native(&response, &request.path));
        }
        Ok(response.body)
    }

    /// Attributes of a queue.
    pub(crate) fn attributes(&self, queue: &Queue, names: &[&str]) -> Result<Value, Failure> {
        let request = json!({ "QueueUrl": queue.url(), "AttributeNames": names });
        let mut answer = self.sqs("GetQueueAttributes", &request)?;
        Ok(answer.get_mut("Attributes").map_or_else(|| json!({}), Value::take))
    }

    /// The ARN of a queue.
    pub(crate) fn arn(&self, queue: &Queue) -> Result<String, Failure> {
        let attributes = self.attributes(queue, &["QueueArn"])?;
        text(&attributes, "QueueArn").map(str::to_owned).ok_or_else(|| self.strange("the queue has no QueueArn"))
    }

    /// Its URL.
    pub(crate) fn url(&self) -> &str {
        self.transport.url()
    }

    fn parse(&self, body: &[u8]) -> Result<Value, Failure> {
        // Some operations answer with nothing at all.
        if body.is_empty() {
            return Ok(json!({}));
        }
        match serde_json::from_slice(body) {
            Ok(Value::Object(answer)) => Ok(Value::Object(answer)),
            Ok(_) => Err(self.strange("its answer is not an object")),
            Err(error) => Err(self.strange(&format!("its answer is not JSON ({error})"))),
        }
    }

    fn strange(&self, reason: &str) -> Failure {
        Failure::Strange { url: self.url().to_owned(), reason: reason.to_owned() }
    }
}

/// A text of an answer.
pub(crate) fn text<'a>(answer: &'a Value, name: &str) -> Option<&'a str> {
    answer.get(name).and_then(Value::as_str)
}

/// A list of an answer; AWS leaves empty ones out.
pub(crate) fn list<'a>(answer: &'a Value, name: &str) -> &'a [Value] {
    answer.get(name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// A number of an answer; SQS writes those of attributes as texts.
pub(crate) fn number(answer: &Value, name: &str) -> Option<u64> {
    let value = answer.get(name)?;
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}
