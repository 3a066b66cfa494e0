//! A queue that is worked until so many jobs are done.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use tokio::task::JoinSet;

use super::flow::{WorkRequest, leased};
use crate::child::Server;
use crate::http::drive::Worker;

/// Longest that a queue is worked.
const DRAIN_MAX: Duration = Duration::from_hours(1);
/// How long a lease waits for jobs.
const WAIT_MS: u64 = 100;

/// What came of it.
pub(crate) struct Drained {
    /// Until the last job was completed.
    pub(crate) took: Duration,
    /// Processor time of the server meanwhile.
    pub(crate) processor_time: Duration,
}

/// Leases and completes in batches, by several connections, until `count` jobs are completed.
pub(crate) async fn drain(
    server: &Server,
    queue: &str,
    count: u64,
    batch: usize,
    body_bytes: usize,
    connections: usize,
) -> anyhow::Result<Drained> {
    let processor_before = server.processor_time()?;
    let began = Instant::now();
    let completed = Arc::new(AtomicU64::new(0));
    let mut workers = JoinSet::new();
    for _ in 0..connections {
        let request = WorkRequest::new(queue, batch, WAIT_MS);
        workers.spawn(work(server.address, request, body_bytes, Arc::clone(&completed), count, began));
    }
    let mut took = Duration::ZERO;
    while let Some(last) = workers.join_next().await {
        took = took.max(last??);
    }
    let processor_time = server.processor_time()?.saturating_sub(processor_before);
    let completed = completed.load(Ordering::Relaxed);
    anyhow::ensure!(completed == count, "{completed} jobs were completed where {count} could be");
    Ok(Drained { took, processor_time })
}

/// When the worker's last job was completed, counted from `began`.
async fn work(
    address: SocketAddr,
    mut request: WorkRequest,
    body_bytes: usize,
    completed: Arc<AtomicU64>,
    count: u64,
    began: Instant,
) -> anyhow::Result<Duration> {
    let mut worker = Worker::open(address, began + DRAIN_MAX).await?;
    let mut last = Duration::ZERO;
    let mut held = 0;
    loop {
        let answer = worker.ask(&request.take()).await?.context("the queue was not drained within an hour")?;
        let now = began.elapsed();
        if held > 0 {
            last = now;
        }
        let done = completed.fetch_add(held, Ordering::Relaxed) + held;
        held = leased(answer.body, &mut request, body_bytes)?;
        if held == 0 && done >= count {
            return Ok(last);
        }
    }
}
