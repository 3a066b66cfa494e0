//! The Lambda door: invoking functions, describing them, and mapping queues to them, as AWS's clients do it.

mod describe;
mod invoke;
mod mappings;

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use hyper::StatusCode;
use hyper::body::Incoming;
use hyper::header::{HeaderName, HeaderValue};
use hyper::http::request::Parts;
use percent_encoding::percent_decode_str;
use weir_aws::lambda::{self, Fault, FunctionName, Operation, Routed, function_arn};
use weir_core::api::{Namespace, Queue};

use crate::access::{Caller, Role};
use crate::app::App;
use crate::engine::Engine;
use crate::functions::{self, Note};
use crate::http::{Reply, Unread, read_body};
use crate::metrics::Counted;
use crate::native::Problem;

const JSON: &str = "application/json";
const ERROR_TYPE: HeaderName = HeaderName::from_static("x-amzn-errortype");

/// Whether a path is one of Lambda's.
pub(crate) fn is_lambda(path: &str) -> bool {
    path.starts_with(lambda::PREFIX)
}

/// A request on its way through the door.
struct Door<'a, E> {
    app: &'a App<E>,
    head: &'a Parts,
    caller: Caller,
    /// What it is about, decoded.
    subject: String,
}

/// Answers a request.
pub(crate) async fn respond<E: Engine>(app: &Arc<App<E>>, request: hyper::Request<Incoming>) -> Reply {
    let started = Instant::now();
    let (head, incoming) = request.into_parts();
    let mut operation = None;
    let outcome = match read_body(incoming, &app.config, &app.bodies_bytes).await {
        Ok(body) => serve(app, &head, &body, &mut operation).await.map_err(|fault| refusal(&fault)),
        Err(unread) => {
            let mut reply = refusal(&unread_fault(&unread, app.config.body_bytes_max));
            // The rest of the body is not read, so nothing else can come on this connection.
            reply.closes = true;
            Err(reply)
        }
    };
    let reply = outcome.unwrap_or_else(|refusal| refusal);
    app.metrics.count(operation.map(Counted::Lambda), reply.status.as_u16(), started.elapsed());
    reply
}

async fn serve<E: Engine>(
    app: &App<E>,
    head: &Parts,
    body: &Bytes,
    found: &mut Option<Operation>,
) -> Result<Reply, Fault> {
    let Routed { operation, subject } = lambda::route(head.method.as_str(), head.uri.path())?;
    *found = Some(operation);
    let caller = app.access.caller(head, body)?;
    let needed = match operation {
        Operation::Invoke => Role::Write,
        Operation::CreateEventSourceMapping
        | Operation::UpdateEventSourceMapping
        | Operation::DeleteEventSourceMapping => Role::Admin,
        _ => Role::Read,
    };
    caller.check_role(operation.name(), needed)?;
    let subject = percent_decode_str(subject).decode_utf8();
    let subject = subject.map_err(|_| Fault::invalid("FunctionName: must be UTF-8, percent-encoded"))?.into_owned();
    let door = Door { app, head, caller, subject };
    match operation {
        Operation::Invoke => door.invoke(body).await,
        Operation::GetFunction => door.get_function(),
        Operation::GetFunctionConfiguration => door.get_configuration(),
        Operation::ListFunctions => door.list_functions(),
        Operation::CreateEventSourceMapping => door.create_mapping(body).await,
        Operation::GetEventSourceMapping => door.get_mapping(),
        Operation::ListEventSourceMappings => door.list_mappings(),
        Operation::UpdateEventSourceMapping => door.update_mapping(body).await,
        Operation::DeleteEventSourceMapping => door.delete_mapping().await,
    }
}

impl<E: Engine> Door<'_, E> {
    /// The function that the path names.
    fn function(&self) -> Result<(Arc<Queue>, Note), Fault> {
        let query = self.head.uri.query().unwrap_or_default();
        let mut parameters = query.split('&').filter_map(|part| part.split_once('='));
        let qualifier = parameters.find(|(name, _)| *name == "Qualifier").map(|(_, value)| value);
        let qualifier = qualifier.map(|value| percent_decode_str(value).decode_utf8_lossy());
        let FunctionName { namespace, name } = FunctionName::parse(&self.subject, qualifier.as_deref())?;
        let namespace = namespace.unwrap_or(self.caller.namespace);
        self.caller.check_namespace(namespace)?;
        self.function_called(namespace, name)
    }

    fn function_called(&self, namespace: Namespace, name: &str) -> Result<(Arc<Queue>, Note), Fault> {
        let found = functions::find(&self.app.engine, namespace, name).map_err(|error| {
            tracing::error!(function = name, %error, "a stored function cannot be read");
            Fault::internal()
        })?;
        found.ok_or_else(|| self.no_function(namespace, name))
    }

    fn no_function(&self, namespace: Namespace, name: &str) -> Fault {
        Fault::not_found(format!("Function not found: {}", function_arn(&self.app.config.region, namespace, name)))
    }

    /// The text of a header.
    fn header(&self, name: &str) -> Option<&str> {
        self.head.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

/// A refusal of the native API in Lambda's words.
fn fault(problem: &Problem) -> Fault {
    let detail = problem.detail();
    match problem.code() {
        "server.overloaded" => Fault::too_many(detail),
        "server.internal" | "server.disk_full" | "server.closed" | "queue.stale" => Fault::service(detail),
        "queue.not_found" | "function.not_found" => Fault::not_found(detail),
        _ => Fault::invalid(detail),
    }
}

fn refusal(fault: &Fault) -> Reply {
    let status = StatusCode::from_u16(fault.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut reply = Reply::new(status, JSON, fault.body());
    reply.headers.push((ERROR_TYPE, HeaderValue::from_static(fault.code)));
    if fault.status == 429 || fault.status >= 500 {
        reply.retry_after_s = Some(1);
    }
    reply
}

fn unread_fault(unread: &Unread, bytes_max: usize) -> Fault {
    match unread {
        Unread::TooLarge => Fault::too_large(format!("Request must be smaller than {bytes_max} bytes")),
        Unread::TooSlow => Fault::new("RequestTimeout", 408, "The body of the request came too slowly."),
        Unread::Broken => Fault::content("The body of the request ends before its end, or is not of the form of HTTP."),
        Unread::TooMany => Fault::too_many("The server is reading too many requests; try again."),
    }
}
