//! The native API: JSON under `/v1`.

mod problem;
mod redrive;

use hyper::http::request::Parts;
use percent_encoding::percent_decode_str;
use weir_core::api::Queue;

use std::sync::Arc;

use crate::access::Caller;
use crate::app::App;
use crate::engine::Engine;
use crate::http::Reply;

pub(crate) use problem::Problem;

/// Answers a POST to `/v1/queues/{queue}/{action}`.
pub(crate) async fn post<E: Engine>(app: &App<E>, head: &Parts, body: &[u8]) -> Reply {
    match answer(app, head, body).await {
        Ok(reply) => reply,
        Err(problem) => problem.into_reply(),
    }
}

/// Whether a path is one of the native API's.
pub(crate) fn is_native(path: &str) -> bool {
    path.starts_with("/v1/queues/")
}

async fn answer<E: Engine>(app: &App<E>, head: &Parts, body: &[u8]) -> Result<Reply, Problem> {
    let caller = app.access.caller(head, body).map_err(Problem::of_fault)?;
    let path = head.uri.path().strip_prefix("/v1/queues/").unwrap_or_default();
    match path.split_once('/') {
        Some((name, "redrive")) => {
            caller.check_admin("a redrive").map_err(Problem::of_fault)?;
            let queue = queue(app, caller, name)?;
            redrive::run(app, &queue, body).await
        }
        _ => Err(Problem::not_found("there is nothing at this address")),
    }
}

/// The queue whose name, percent-encoded, is `segment`.
fn queue<E: Engine>(app: &App<E>, caller: Caller, segment: &str) -> Result<Arc<Queue>, Problem> {
    let name = percent_decode_str(segment).decode_utf8().map_err(|_| Problem::bad("queue: its name is not UTF-8"))?;
    let found = app.engine.find(caller.namespace, &name);
    found.ok_or_else(|| Problem::not_found(&format!("there is no queue called {name}")))
}
