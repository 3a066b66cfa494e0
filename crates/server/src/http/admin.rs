//! What an operator asks of the running server. With keys, only to administrators.

use std::path::PathBuf;
use std::sync::Arc;

use hyper::Request;
use hyper::StatusCode;
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use serde::Deserialize;

use super::{Reply, body};
use crate::app::App;
use crate::engine::Engine;
use crate::native::Problem;

/// The path under which a copy is asked for.
pub(crate) const BACKUP: &str = "/v1/admin/backup";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Backup {
    /// An absolute path on the server's machine: a directory that is empty or absent.
    directory: PathBuf,
}

/// Copies the present state into a directory while serving goes on.
pub(crate) async fn backup<E: Engine>(app: &Arc<App<E>>, request: Request<Incoming>) -> Reply {
    // A page in a browser cannot send this type to another origin without being asked first.
    let json = request.headers().get(CONTENT_TYPE).map(HeaderValue::as_bytes) == Some(b"application/json");
    if !json {
        return Problem::new("request.media_type", "Content-Type: must be application/json").into_reply();
    }
    let (head, incoming) = request.into_parts();
    let Ok(bytes) = body::read(incoming, &app.config, &app.bodies_bytes).await else {
        return problem(StatusCode::BAD_REQUEST, "the body is too long, too slow or broken");
    };
    let allowed = app.access.caller(&head, &bytes).and_then(|caller| caller.check_admin("a backup"));
    if let Err(fault) = allowed {
        return Problem::of_fault(fault).into_reply();
    }
    let directory = match serde_json::from_slice::<Backup>(&bytes) {
        Ok(Backup { directory }) if directory.is_absolute() => directory,
        Ok(_) => return problem(StatusCode::BAD_REQUEST, "directory: must be an absolute path"),
        Err(error) => return problem(StatusCode::BAD_REQUEST, &error.to_string()),
    };
    let engine = Arc::clone(app);
    let copied = tokio::task::spawn_blocking(move || engine.engine.backup(&directory)).await;
    match copied {
        Ok(Ok(copied)) => {
            let done = serde_json::json!({
                "sequence": copied.sequence, "rows": copied.rows, "bytes": copied.bytes,
            });
            Reply::new(StatusCode::OK, "application/json", done.to_string())
        }
        Ok(Err(error)) => {
            let cause = std::error::Error::source(&error).map_or(String::new(), |cause| format!(": {cause}"));
            problem(StatusCode::CONFLICT, &format!("{error}{cause}"))
        }
        Err(_) => problem(StatusCode::INTERNAL_SERVER_ERROR, "the copy was broken off"),
    }
}

fn problem(status: StatusCode, detail: &str) -> Reply {
    Problem::new("backup.refused", detail).with_status(status).into_reply()
}
