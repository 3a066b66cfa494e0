//! Pushing to a fast receiver on loopback: one job in each request, and batches.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use serde_json::{Value, json};

use crate::arguments::{Common, Push};
use crate::child::Server;
use crate::http::drive::Worker;
use crate::native::setup::{add, create_queue, job};
use crate::report::{Report, rate};
use crate::wire::{Connection, call};
use crate::work_dir;

/// Jobs that are added by one request.
const ADDED: u64 = 1_000;
/// Longest that adding all jobs may take, with waiting whenever the server says so.
const ADDING_MAX: Duration = Duration::from_hours(1);
/// Longest wait for all jobs to arrive.
const PATIENCE: Duration = Duration::from_mins(5);

/// Targets that answer when there are some among dead ones.
const LIVE: u32 = 10;

/// How many targets there are.
#[derive(Clone, Copy)]
struct Targets {
    live: u32,
    dead: u64,
}

/// What came of a run.
struct Pushed {
    jobs: u64,
    took: Duration,
    processor_time: Duration,
    requests: u64,
}

/// What arrived.
#[derive(Default)]
struct Arrived {
    requests: AtomicU64,
    jobs: AtomicU64,
}

pub(crate) fn run(common: &Common, push: &Push) -> anyhow::Result<()> {
    let dir = work_dir::fresh(&common.dir)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    runtime.block_on(async {
        let alone = Targets { live: 1, dead: 0 };
        let single = drive(common, push, &dir.path().join("single"), None, alone).await?;
        let batches = drive(common, push, &dir.path().join("batches"), Some(push.batch), alone).await?;
        let live = Targets { live: LIVE, dead: 0 };
        let together = drive(common, push, &dir.path().join("together"), None, live).await?;
        let dead = Targets { live: LIVE, dead: push.dead };
        let among = drive(common, push, &dir.path().join("among"), None, dead).await?;
        let mut report = Report::new("push to a receiver on loopback");
        report.value("bytes of each job's data", common.body, "B").value("requests at once", push.concurrency, "");
        report.value("jobs of a batch", push.batch, "").value("dead targets", push.dead, "");
        let without = rate(together.jobs, together.took);
        let with = rate(among.jobs, among.took);
        for (name, pushed) in [
            ("one job in each request", single),
            ("batches", batches),
            ("ten targets", together),
            ("ten among dead ones", among),
        ] {
            let micros = 1e6 / rate(pushed.jobs, pushed.processor_time);
            report.value(&format!("{name}, jobs"), rate(pushed.jobs, pushed.took).round(), "/s");
            report.value(&format!("{name}, requests"), rate(pushed.requests, pushed.took).round(), "/s");
            report.value(&format!("{name}, server's processor time a job"), (micros * 100.0).round() / 100.0, "us");
        }
        report.ratio("ten among dead ones to ten", with / without);
        report.print()
    })
}

async fn drive(
    common: &Common,
    push: &Push,
    data: &std::path::Path,
    batch: Option<u32>,
    targets: Targets,
) -> anyhow::Result<Pushed> {
    let server = Server::weir_configured(&common.weir, data, "[push]\nallow_networks = \"127.0.0.1\"\n")?;
    let arrived = Arc::new(Arrived::default());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let router = Router::new()
        .route("/single", post(one))
        .route("/batch", post(many))
        .layer(axum::extract::DefaultBodyLimit::disable())
        .with_state(Arc::clone(&arrived));
    let serving = tokio::spawn(async move { axum::serve(listener, router).await });
    let mut connection = Connection::open(server.address).await?;
    keep_dead(&mut connection, targets.dead, push.probed_after).await?;
    let place = if batch.is_some() { "batch" } else { "single" };
    let target = json!({
        "url": format!("http://{address}/{place}"),
        "batch": batch.map(|max| json!({ "max": max })),
        "concurrency": { "max": push.concurrency.div_ceil(targets.live), "adaptive": false },
    });
    let queues: Vec<String> = (0..targets.live).map(|number| format!("pushed-{number}")).collect();
    for queue in &queues {
        create_queue(&mut connection, queue, None).await?;
        tell(&mut connection, "PUT", &format!("/v1/queues/{queue}/push"), &target).await?;
        tell(&mut connection, "POST", &format!("/v1/queues/{queue}/push/pause"), &json!({})).await?;
    }
    let rounds = (if batch.is_some() { push.jobs * 4 } else { push.jobs }).div_ceil(ADDED);
    let jobs = rounds * ADDED;
    let mut adding = Worker::open(server.address, Instant::now() + ADDING_MAX).await?;
    for queue in (0..rounds).zip(queues.iter().cycle()).map(|(_, queue)| queue) {
        let request = add(queue, (0..ADDED).map(|key| job(key, 0, common.body)));
        adding.ask(&request).await?.context("the jobs were not added within an hour")?;
    }
    let processor_before = server.processor_time()?;
    let began = Instant::now();
    for queue in &queues {
        tell(&mut connection, "POST", &format!("/v1/queues/{queue}/push/resume"), &json!({})).await?;
    }
    while arrived.jobs.load(Ordering::Relaxed) < jobs {
        ensure!(began.elapsed() < PATIENCE, "not all jobs were pushed in {PATIENCE:?}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let took = began.elapsed();
    let processor_time = server.processor_time()?.saturating_sub(processor_before);
    serving.abort();
    server.kill()?;
    std::fs::remove_dir_all(data)?;
    Ok(Pushed { jobs, took, processor_time, requests: arrived.requests.load(Ordering::Relaxed) })
}

/// Puts targets behind queues at which nobody listens, and waits until their breakers have seen it.
async fn keep_dead(connection: &mut Connection, dead: u64, probed_after: u64) -> anyhow::Result<()> {
    // A port that was free a moment ago, and that nobody listens at.
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await?.local_addr()?;
    let target =
        json!({ "url": format!("http://{closed}/"), "breaker": { "failures": 1, "open_ms": probed_after * 1_000 } });
    for number in 0..dead {
        let name = format!("dead-{number}");
        create_queue(connection, &name, None).await?;
        connection.ask(&add(&name, (0..2).map(|key| job(key, 0, 16)))).await?;
        tell(connection, "PUT", &format!("/v1/queues/{name}/push"), &target).await?;
    }
    Ok(())
}

async fn tell(connection: &mut Connection, method: &str, path: &str, body: &Value) -> anyhow::Result<()> {
    connection.ask(&call(method, path, &body.to_string())).await?;
    Ok(())
}

async fn one(State(arrived): State<Arc<Arrived>>, body: Bytes) -> StatusCode {
    std::hint::black_box(body);
    arrived.requests.fetch_add(1, Ordering::Relaxed);
    arrived.jobs.fetch_add(1, Ordering::Relaxed);
    StatusCode::NO_CONTENT
}

async fn many(State(arrived): State<Arc<Arrived>>, body: Bytes) -> StatusCode {
    // Counting the ids costs the receiver less than reading the JSON would.
    let jobs = body.windows(6).filter(|window| window == b"{\"id\":").count();
    arrived.requests.fetch_add(1, Ordering::Relaxed);
    arrived.jobs.fetch_add(jobs as u64, Ordering::Relaxed);
    StatusCode::NO_CONTENT
}
