//! A bare axum handler: takes a request's body in and gives recorded bytes back.

use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use anyhow::Context as _;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;

use crate::arguments::Bare;
use crate::child::Server;
use crate::wire::find;

/// A recorded answer. The first part is the operation that it answers.
struct Recorded {
    operation: String,
    headers: HeaderMap,
    body: Bytes,
}

/// Starts this program again as a bare server that repeats the answers in `dir`.
pub(crate) fn start(dir: &Path) -> anyhow::Result<Server> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("bare").arg(dir);
    Server::start(command, &dir.with_extension("log"))
}

/// Serves until it is killed.
pub(crate) fn run(bare: &Bare) -> anyhow::Result<()> {
    let recorded: Arc<[Recorded]> =
        std::fs::read_dir(&bare.answers)?.map(|entry| read(&entry?.path())).collect::<anyhow::Result<Vec<_>>>()?.into();
    let router = Router::new().route("/health/ready", get(async || "ready")).fallback(answer).with_state(recorded);
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        writeln!(std::io::stdout(), "listening on {}", listener.local_addr()?)?;
        axum::serve(listener, router).await?;
        Ok(())
    })
}

async fn answer(State(recorded): State<Arc<[Recorded]>>, headers: HeaderMap, body: Bytes) -> Response {
    std::hint::black_box(body);
    let target = headers.get("x-amz-target").and_then(|target| target.to_str().ok()).unwrap_or_default();
    let one = recorded.iter().find(|one| target.ends_with(&one.operation)).or(recorded.first());
    one.map_or_else(
        || axum::http::StatusCode::NOT_FOUND.into_response(),
        |one| (one.headers.clone(), one.body.clone()).into_response(),
    )
}

fn read(path: &Path) -> anyhow::Result<Recorded> {
    let bytes = std::fs::read(path)?;
    let end = find(&bytes, b"\r\n\r\n").context("a recorded answer without a head")?;
    let (head, body) = bytes.split_at(end + 4);
    let mut headers = HeaderMap::new();
    for line in std::str::from_utf8(head)?.lines().skip(1) {
        let Some((name, value)) = line.split_once(':') else { continue };
        // The server writes these two itself.
        if !name.eq_ignore_ascii_case("date") && !name.eq_ignore_ascii_case("content-length") {
            headers.insert(HeaderName::from_bytes(name.as_bytes())?, HeaderValue::from_str(value.trim())?);
        }
    }
    let operation = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Ok(Recorded { operation, headers, body: Bytes::copy_from_slice(body) })
}
