//! Which door a request goes to.

use std::sync::Arc;
use std::time::Instant;

use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HOST, HeaderValue};
use hyper::http::request::Parts;
use hyper::http::uri::Authority;
use hyper::{Method, Request, Response, StatusCode, Uri};
use weir_aws::sns as sns_wire;
use weir_aws::sqs::query::{self, Form};
use weir_aws::sqs::{AnyRequest, Operation, Protocol};
use weir_aws::{Code, Fault, account_id};

use super::body::{self, Unread};
use super::content::{Content, Whole};
use super::reply::request_id;
use super::{Reply, admin};
use crate::access::Caller;
use crate::app::App;
use crate::engine::Engine;
use crate::lambda;
use crate::metrics::{self, Counted};
use crate::native;
use crate::sns;
use crate::sqs::{self, Call, Refusal};

/// Answers a request. Never fails: a refusal is an answer.
pub(crate) async fn respond<E: Engine>(app: &Arc<App<E>>, request: Request<Incoming>) -> Response<Whole> {
    let reply = match (request.method(), request.uri().path()) {
        (&Method::POST, admin::BACKUP) => admin::backup(app, request).await,
        (_, path) if native::is_native(path) => native::respond(app, request).await,
        (_, path) if lambda::is_lambda(path) => lambda::respond(app, request).await,
        (&Method::POST, _) => aws(app, request).await,
        (&Method::GET, "/health/live") => Reply::text(StatusCode::OK, "live\n"),
        (&Method::GET, "/health/ready") if app.is_ready() => Reply::text(StatusCode::OK, "ready\n"),
        (&Method::GET, "/health/ready") => Reply::text(StatusCode::SERVICE_UNAVAILABLE, "not ready\n"),
        (&Method::GET, "/metrics") => metrics::page(app).await,
        (&Method::GET, path) if sns::is_certificate(path) => sns::certificate(app, path).await,
        (&Method::GET, _) if names_action(request.uri()) => aws(app, request).await,
        (&Method::GET, _) if is_queue(request.uri()) => {
            Reply::new(StatusCode::NOT_FOUND, query::CONTENT_TYPE, query::unknown_operation())
        }
        (&Method::GET | &Method::HEAD, _) => Reply::text(StatusCode::NOT_FOUND, "no such page\n"),
        _ => Reply::text(StatusCode::METHOD_NOT_ALLOWED, "this server takes GET and POST\n"),
    };
    reply.into_response()
}

/// Answers a request of an AWS protocol.
async fn aws<E: Engine>(app: &Arc<App<E>>, request: Request<Incoming>) -> Reply {
    let started = Instant::now();
    let (head, incoming) = request.into_parts();
    let target = head.headers.get("x-amz-target").map(HeaderValue::as_bytes);
    let protocol = Protocol::of(target, head.headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes));
    let id = (protocol == Protocol::Query).then(request_id);
    let request_id = id.as_ref().and_then(|id| id.to_str().ok()).unwrap_or_default();
    let mut found = None;
    let outcome = match body::read(incoming, &app.config, &app.bodies_bytes).await {
        Err(unread) => Err(refuse_body(&unread, app.config.body_bytes_max)),
        Ok(body) => serve(app, &head, protocol, request_id, &body, &mut found).await,
    };
    let mut reply = match (outcome, found) {
        (Ok(content), _) => Reply::new(StatusCode::OK, protocol.content_type(), content),
        (Err(refusal), Some(Spoken::Sns(_))) => sns::refuse(&refusal, request_id),
        (Err(refusal), _) => refusal.into_reply(protocol, request_id),
    };
    reply.request_id = id;
    let operation = match found {
        Some(Spoken::Sqs(operation)) => Some(Counted::Sqs(operation)),
        Some(Spoken::Sns(operation)) => operation.map(Counted::Sns),
        None => None,
    };
    app.metrics.count(operation, reply.status.as_u16(), started.elapsed());
    reply
}

/// Which service a request turned out to speak to, and what it asks of it.
#[derive(Clone, Copy, Debug)]
enum Spoken {
    Sqs(Operation),
    Sns(Option<sns_wire::Operation>),
}

/// Longest body of a request without a signature that is looked into: links have none.
const LINK_BYTES_MAX: usize = 8_192;

/// Finds out what is asked for, and has it done.
async fn serve<E: Engine>(
    app: &Arc<App<E>>,
    head: &Parts,
    protocol: Protocol,
    request_id: &str,
    body: &[u8],
    found: &mut Option<Spoken>,
) -> Result<Content, Refusal> {
    let host = head.headers.get(HOST).and_then(|host| host.to_str().ok());
    let host = host.or(head.uri.authority().map(Authority::as_str));
    let caller = app.access.caller(head, body);
    let unsigned = matches!(&caller, Err(fault) if fault.code == Code::MissingAuthenticationToken);
    if protocol == Protocol::Json || caller.is_err() && (!unsigned || body.len() > LINK_BYTES_MAX) {
        let caller = caller?;
        let target = head.headers.get("x-amz-target").map(HeaderValue::as_bytes);
        let operation = target.and_then(Operation::from_target).ok_or_else(|| unknown_operation(target))?;
        *found = Some(Spoken::Sqs(operation));
        let call = Call { protocol, operation, request_id, host, caller };
        return sqs::serve(app, &call, AnyRequest::from_json(operation, body)?).await;
    }
    // What is no form says nothing.
    let is_form = head.headers.get(CONTENT_TYPE).is_none_or(|value| is_form(value.as_bytes()));
    let query = head.uri.query().unwrap_or_default().as_bytes();
    let form = Form::parse(head.uri.path(), query, if is_form { body } else { b"" });
    let form = match (form, &caller) {
        (Ok(form), _) => form,
        // Who may not ask is told nothing else.
        (Err(_), Err(fault)) => return Err(fault.clone().into()),
        (Err(fault), Ok(_)) => return Err(fault.into()),
    };
    if sns_wire::is_meant(&form) {
        *found = Some(Spoken::Sns(None));
        return serve_sns(app, &form, (request_id, host), caller, found).await;
    }
    let caller = caller?;
    let operation = query::operation(&form)?;
    *found = Some(Spoken::Sqs(operation));
    let call = Call { protocol, operation, request_id, host, caller };
    sqs::serve(app, &call, AnyRequest::from_form(operation, &form)?).await
}

async fn serve_sns<E: Engine>(
    app: &Arc<App<E>>,
    form: &Form<'_>,
    (request_id, host): (&str, Option<&str>),
    caller: Result<Caller, Fault>,
    found: &mut Option<Spoken>,
) -> Result<Content, Refusal> {
    let operation = sns_wire::operation(form);
    let caller = match (caller, &operation) {
        (Ok(caller), _) => Some(caller),
        (Err(_), Ok(operation)) if sns::is_link(*operation) => None,
        (Err(fault), _) => return Err(fault.into()),
    };
    let operation = operation?;
    *found = Some(Spoken::Sns(Some(operation)));
    let call = sns::Call { operation, request_id, host, caller };
    sns::serve(app, &call, sns_wire::decode(operation, form)?).await
}

fn is_form(content_type: &[u8]) -> bool {
    let media = content_type.split(|&byte| byte == b';').next().unwrap_or_default();
    media.trim_ascii().eq_ignore_ascii_case(query::FORM_TYPE.as_bytes())
}

/// Whether the query of a URL names an operation of the Query protocol.
fn names_action(uri: &Uri) -> bool {
    uri.query().is_some_and(|query| query.split('&').any(|part| part.starts_with("Action=")))
}

/// Whether a URL has the form of a queue's address: an account, and a name.
fn is_queue(uri: &Uri) -> bool {
    uri.path().trim_start_matches('/').split_once('/').is_some_and(|(account, _)| account_id(account).is_some())
}

fn unknown_operation(target: Option<&[u8]>) -> Fault {
    let message = match target {
        None => "The request names no operation: the header X-Amz-Target is missing.".to_owned(),
        Some(target) => {
            let target = String::from_utf8_lossy(target.get(..256).unwrap_or(target)).into_owned();
            format!("The operation {target} does not exist here.")
        }
    };
    Fault::new(Code::UnknownOperation, message)
}

fn refuse_body(unread: &Unread, bytes_max: usize) -> Refusal {
    let refusal = match unread {
        Unread::TooLarge => {
            let message = format!("The request is longer than {bytes_max} bytes.");
            Refusal::from(Fault::new(Code::RequestEntityTooLarge, message))
        }
        Unread::TooSlow => Fault::new(Code::RequestTimeout, "The body of the request came too slowly.").into(),
        Unread::Broken => {
            let message = "The body of the request ends before its end, or is not of the form of HTTP.";
            Fault::new(Code::SerializationException, message).into()
        }
        Unread::TooMany => {
            let message = "The server is reading too many requests; try again.";
            Refusal { retry_after_s: Some(1), ..Fault::new(Code::ServiceUnavailable, message).into() }
        }
    };
    // The rest of the body is not read, so nothing else can come on this connection.
    Refusal { closes: true, ..refusal }
}
