//! Requests a second over HTTP: Weir against a bare handler that answers the same bytes to the same requests.

pub(crate) mod bare;
mod drive;

use std::path::Path;
use std::time::Duration;

use crate::arguments::{Common, Http};
use crate::child::Server;
use crate::report::{Report, rate};
use crate::wire::{Connection, create_queue, request};
use crate::work_dir;
use drive::{Driven, Plan, drive};

/// The workloads, one after the other.
pub(crate) fn run(common: &Common, http: &Http) -> anyhow::Result<()> {
    let dir = work_dir::fresh(&common.dir)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        send(common, http, dir.path(), 1).await?;
        send(common, http, dir.path(), 10).await?;
        receive_and_delete(common, http, dir.path()).await
    })
}

/// `SendMessage`, or `SendMessageBatch` where `messages` is above 1.
async fn send(common: &Common, http: &Http, dir: &Path, messages: usize) -> anyhow::Result<()> {
    let (server, url) = serve(common, dir, &format!("send-{messages}")).await?;
    let body = "x".repeat(common.body);
    let (operation, content) = if messages == 1 {
        ("SendMessage", serde_json::json!({ "QueueUrl": url, "MessageBody": body }))
    } else {
        let entries: Vec<_> =
            (0..messages).map(|n| serde_json::json!({ "Id": format!("e{n}"), "MessageBody": body })).collect();
        ("SendMessageBatch", serde_json::json!({ "QueueUrl": url, "Entries": entries }))
    };
    let plan = Plan::Same(request(operation, &content.to_string()));
    let name = format!("http {operation} of {messages}");
    compare(http, dir, &name, messages, server, &plan).await
}

/// `ReceiveMessage` of one message and `DeleteMessage` of it.
async fn receive_and_delete(common: &Common, http: &Http, dir: &Path) -> anyhow::Result<()> {
    let (server, url) = serve(common, dir, "receive").await?;
    fill(server.address, &url, common.body, http.filled).await?;
    let plan = Plan::ReceiveAndDelete { url };
    compare(http, dir, "http ReceiveMessage + DeleteMessage", 1, server, &plan).await
}

async fn serve(common: &Common, dir: &Path, name: &str) -> anyhow::Result<(Server, String)> {
    let server = Server::weir(&common.weir, &dir.join(name))?;
    let mut connection = Connection::open(server.address).await?;
    let url = create_queue(&mut connection, "bench", &[("VisibilityTimeout", "600")]).await?;
    Ok((server, url))
}

/// Drives `server` and then, with the answers that it gave, a bare one.
async fn compare(
    http: &Http,
    dir: &Path,
    name: &str,
    messages: usize,
    server: Server,
    plan: &Plan,
) -> anyhow::Result<()> {
    let answers = dir.join(format!("{}.answers", name.replace(' ', "-")));
    plan.record(server.address, &answers).await?;
    let duration = Duration::from_secs(http.seconds);
    let mut weir = drive(&server, plan, http.connections, duration).await?;
    server.kill()?;
    let bare = bare::start(&answers)?;
    let mut bare = drive(&bare, plan, http.connections, duration).await?;

    let mut report = Report::new(name);
    report.value("connections", http.connections, "").value("seconds each", http.seconds, "s");
    figures(&mut report, "weir", &mut weir, messages);
    figures(&mut report, "bare axum", &mut bare, messages);
    report.ratio("weir to bare axum", rate(weir.requests, weir.took) / rate(bare.requests, bare.took));
    report.print()
}

fn figures(report: &mut Report, who: &str, driven: &mut Driven, messages: usize) {
    report.rate(&format!("{who}, requests"), driven.requests, driven.took, "/s");
    if messages > 1 {
        report.rate(&format!("{who}, messages"), driven.requests * messages as u64, driven.took, "/s");
    }
    report.millis(&format!("{who}, p50"), driven.samples.percentile(50.0));
    report.millis(&format!("{who}, p99"), driven.samples.percentile(99.0));
    let per_request = 1e6 / rate(driven.requests, driven.processor_time);
    report.value(&format!("{who}, processor time a request"), per_request.round(), "us");
}

/// Puts `count` messages into a queue, in large batches.
pub(crate) async fn fill(
    address: std::net::SocketAddr,
    url: &str,
    body_bytes: usize,
    count: usize,
) -> anyhow::Result<()> {
    const BATCH: usize = 500;
    let body = "x".repeat(body_bytes);
    let mut connection = Connection::open(address).await?;
    for _ in 0..count.div_ceil(BATCH) {
        let entries: Vec<_> =
            (0..BATCH).map(|n| serde_json::json!({ "Id": n.to_string(), "MessageBody": body })).collect();
        let content = serde_json::json!({ "QueueUrl": url, "Entries": entries }).to_string();
        connection.ask(&request("SendMessageBatch", &content)).await?;
    }
    Ok(())
}
