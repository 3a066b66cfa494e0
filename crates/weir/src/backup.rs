//! Asking a running server for a copy of its data.

use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context, bail};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// Asks `server` to copy its data into `directory` on its machine, and returns what it says of it.
pub(crate) fn ask(server: SocketAddr, directory: &Path) -> anyhow::Result<String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().context("cannot start")?;
    runtime.block_on(request(server, directory))
}

async fn request(server: SocketAddr, directory: &Path) -> anyhow::Result<String> {
    let stream = TcpStream::connect(server).await.with_context(|| format!("no server answers on {server}"))?;
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.context("cannot speak to the server")?;
    // It ends with the request; what it says then is said by the request too.
    tokio::spawn(connection);
    let body = serde_json::json!({ "directory": directory }).to_string();
    let request = Request::builder()
        .method(Method::POST)
        .uri("/v1/admin/backup")
        .header(HOST, server.to_string())
        .header(CONTENT_TYPE, "application/json")
        .body(Full::new(Bytes::from(body)))
        .context("cannot make the request")?;
    let response = sender.send_request(request).await.context("the server does not answer")?;
    let status = response.status();
    let answer = response.into_body().collect().await.context("the server's answer broke off")?.to_bytes();
    let answer: serde_json::Value = serde_json::from_slice(&answer).context("the server's answer is not JSON")?;
    if !status.is_success() {
        bail!(
            "no copy was made: {}",
            answer.get("detail").and_then(|detail| detail.as_str()).unwrap_or(status.as_str())
        );
    }
    let figure = |name: &str| answer.get(name).and_then(serde_json::Value::as_u64).unwrap_or_default();
    Ok(format!("{} rows, {} bytes, as of commit {}", figure("rows"), figure("bytes"), figure("sequence")))
}
