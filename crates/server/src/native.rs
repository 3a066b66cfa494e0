//! The native API: JSON under `/v1`.
//!
//! The table of operations ([`table`]) is what requests are routed by and what the reference is made from.

mod bounds;
mod catalog;
mod cursor;
mod decode;
mod endpoint;
mod events;
mod functions;
#[cfg(test)]
mod generated;
mod jobs;
mod limiters;
mod openapi;
mod problem;
mod push;
mod query;
mod queues;
mod redrive;
mod reference;
mod route;
mod shapes;
mod table;
mod text;
mod topics;

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use hyper::header::{CONTENT_TYPE, HOST, HeaderMap, HeaderValue, ORIGIN};
use hyper::http::request::Parts;
use hyper::http::uri::Authority;
use hyper::{Method, body};

use crate::access::Caller;
use crate::app::App;
use crate::engine::Engine;
use crate::http::{Reply, read_body};

pub(crate) use cursor::{read as read_cursor, write as write_cursor};
pub(crate) use jobs::{CUSTOM_ID, NAME, Spec, own, push_data};
pub(crate) use problem::Problem;
pub(crate) use query::read as read_query;
pub(crate) use table::Table;

/// Whether a path is one of the native API's.
pub(crate) fn is_native(path: &str) -> bool {
    path.starts_with("/v1/")
}

/// Answers a request.
pub(crate) async fn respond<E: Engine>(app: &Arc<App<E>>, request: hyper::Request<body::Incoming>) -> Reply {
    let started = Instant::now();
    let (head, incoming) = request.into_parts();
    // Also the body of a request that is refused is read: the connection can be used again then.
    let body = match read_body(incoming, &app.config, &app.bodies_bytes).await {
        Ok(body) => body,
        Err(unread) => return Problem::of_unread(&unread, app.config.body_bytes_max).into_reply(),
    };
    let (entry, params) = match app.native.find(head.method.as_str(), head.uri.path()) {
        Ok(found) => found,
        Err(problem) => return problem.into_reply(),
    };
    let outcome = async {
        check_origin(&head)?;
        check_media_type(&head.headers, &body)?;
        let caller = caller(app, &head, &body, entry.route)?;
        (entry.run)(table::Incoming { app, caller, params, head: &head, body: &body }).await
    };
    let reply = outcome.await.unwrap_or_else(Problem::into_reply);
    entry.count(reply.status.as_u16(), started.elapsed());
    reply
}

/// Who asks, if they may.
fn caller<E: Engine>(app: &App<E>, head: &Parts, body: &[u8], route: &route::Route) -> Result<Caller, Problem> {
    let Some(role) = route.role else { return Ok(app.access.anybody()) };
    let caller = app.access.caller(head, body).map_err(Problem::of_fault)?;
    caller.check_role(route.id, role).map_err(Problem::of_fault)?;
    Ok(caller)
}

/// Refuses changes that a page of another origin asks a browser for: without keys the browser's user would be their
/// author. Browsers name the origin with every such request.
fn check_origin(head: &Parts) -> Result<(), Problem> {
    let Some(origin) = head.headers.get(ORIGIN) else { return Ok(()) };
    if head.method == Method::GET {
        return Ok(());
    }
    let host = head.headers.get(HOST).map(HeaderValue::as_bytes);
    let host = host.or(head.uri.authority().map(|authority: &Authority| authority.as_str().as_bytes()));
    let from = origin.as_bytes().splitn(3, |&byte| byte == b'/').nth(2);
    if from.is_some() && from == host {
        return Ok(());
    }
    let origin = String::from_utf8_lossy(origin.as_bytes());
    Err(Problem::new("access.foreign_origin", &format!("a page of {origin} may not change anything here")))
}

/// Refuses a body that says it is something else than JSON. One that says nothing is taken for it.
fn check_media_type(headers: &HeaderMap, body: &Bytes) -> Result<(), Problem> {
    let Some(value) = headers.get(CONTENT_TYPE).filter(|_| !body.is_empty()) else { return Ok(()) };
    let media = value.as_bytes().split(|&byte| byte == b';').next().unwrap_or_default().trim_ascii();
    let is_json = media.eq_ignore_ascii_case(b"application/json")
        || media.last_chunk::<5>().is_some_and(|end| end.eq_ignore_ascii_case(b"+json"));
    if is_json {
        return Ok(());
    }
    let found = String::from_utf8_lossy(media);
    Err(Problem::new("request.media_type", &format!("Content-Type: must be application/json, found {found}")))
}
