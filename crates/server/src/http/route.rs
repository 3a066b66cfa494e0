//! Which door a request goes to.

use std::sync::Arc;
use std::time::Instant;

use hyper::body::Incoming;
use hyper::header::{HOST, HeaderValue};
use hyper::http::uri::Authority;
use hyper::{Method, Request, Response, StatusCode};
use weir_aws::sqs::Operation;
use weir_aws::{Code, Fault};

use super::body::{self, Unread};
use super::content::Whole;
use super::{Reply, admin};
use crate::app::App;
use crate::engine::Engine;
use crate::metrics;
use crate::sqs::{self, Refusal};

/// Answers a request. Never fails: a refusal is an answer.
pub(crate) async fn respond<E: Engine>(app: &Arc<App<E>>, request: Request<Incoming>) -> Response<Whole> {
    let reply = match (request.method(), request.uri().path()) {
        (&Method::POST, admin::BACKUP) => admin::backup(app, request).await,
        (&Method::POST, _) => aws(app, request).await,
        (&Method::GET, "/health/live") => Reply::text(StatusCode::OK, "live\n"),
        (&Method::GET, "/health/ready") if app.is_ready() => Reply::text(StatusCode::OK, "ready\n"),
        (&Method::GET, "/health/ready") => Reply::text(StatusCode::SERVICE_UNAVAILABLE, "not ready\n"),
        (&Method::GET, "/metrics") => metrics::page(app).await,
        (&Method::GET | &Method::HEAD, _) => Reply::text(StatusCode::NOT_FOUND, "no such page\n"),
        _ => Reply::text(StatusCode::METHOD_NOT_ALLOWED, "this server takes GET and POST\n"),
    };
    reply.into_response()
}

/// Answers a request of an AWS protocol.
async fn aws<E: Engine>(app: &App<E>, request: Request<Incoming>) -> Reply {
    let started = Instant::now();
    let (head, incoming) = request.into_parts();
    let target = head.headers.get("x-amz-target").map(HeaderValue::as_bytes);
    let operation = target.and_then(Operation::from_target);
    let body = body::read(incoming, &app.config, &app.bodies_bytes).await;
    let outcome = match (operation, body) {
        (_, Err(unread)) => Err(refuse_body(&unread, app.config.body_bytes_max)),
        (None, Ok(_)) => Err(unknown_operation(target).into()),
        (Some(operation), Ok(body)) => {
            let host = head.headers.get(HOST).and_then(|host| host.to_str().ok());
            let host = host.or(head.uri.authority().map(Authority::as_str));
            sqs::serve(app, operation, host, &body).await
        }
    };
    let reply = sqs::reply(outcome);
    app.metrics.count(operation, reply.status.as_u16(), started.elapsed());
    reply
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
