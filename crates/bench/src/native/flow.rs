//! Producers that add batches while workers lease them and complete those before in the same request.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::setup;
use crate::child::Server;
use crate::http::drive::{Driven, Worker};
use crate::wire::{call, find};

/// Batches for each connection that producers may be ahead of workers: enough that these never wait for them, few enough
/// that it is no backlog.
const AHEAD: usize = 8;
/// How long a lease waits for jobs.
const WAIT_MS: u64 = 500;
/// Different requests that a producer repeats.
const REQUESTS: u64 = 16;

/// What flows.
#[derive(Clone)]
pub(crate) struct Flow {
    pub(crate) queue: String,
    /// Jobs of a batch.
    pub(crate) batch: usize,
    pub(crate) body_bytes: usize,
    /// Different keys that the jobs have.
    pub(crate) keys: u64,
    /// How many add, and how many work.
    pub(crate) connections: usize,
}

/// What came of it.
pub(crate) struct Flowed {
    /// Jobs that were completed.
    pub(crate) jobs: u64,
    pub(crate) took: Duration,
    /// Processor time of the server.
    pub(crate) processor_time: Duration,
    /// Most memory that the server held.
    pub(crate) memory_peak: u64,
    pub(crate) adding: Driven,
    pub(crate) working: Driven,
}

/// Lets it flow for `duration`.
pub(crate) async fn drive(server: &Server, flow: &Flow, duration: Duration) -> anyhow::Result<Flowed> {
    let flow = Arc::new(flow.clone());
    let requests: Arc<[Vec<u8>]> = (0..REQUESTS).map(|n| batch(&flow, n)).collect();
    let room = Arc::new(Semaphore::new(flow.batch * flow.connections * AHEAD));
    let completed = Arc::new(AtomicU64::new(0));
    let (mut producers, mut workers) = (JoinSet::new(), JoinSet::new());
    let processor_before = server.processor_time()?;
    let began = Instant::now();
    let until = began + duration;
    for who in 0..flow.connections {
        let requests = Arc::clone(&requests);
        producers.spawn(produce(server.address, until, who, flow.batch, requests, Arc::clone(&room)));
        workers.spawn(work(server.address, until, Arc::clone(&flow), Arc::clone(&room), Arc::clone(&completed)));
    }
    tokio::time::sleep_until(until.into()).await;
    let jobs = completed.load(Ordering::Relaxed);
    let processor_time = server.processor_time()?.saturating_sub(processor_before);
    let took = began.elapsed();
    // Whoever waits for room has nothing to wait for any more.
    room.close();
    let (mut adding, mut working) = (Driven::default(), Driven::default());
    while let Some(one) = producers.join_next().await {
        adding.beside(one??);
    }
    while let Some(one) = workers.join_next().await {
        working.beside(one??);
    }
    anyhow::ensure!(jobs > 0, "nothing was completed in {took:?}");
    Ok(Flowed { jobs, took, processor_time, memory_peak: server.memory_peak()?, adding, working })
}

fn batch(flow: &Flow, number: u64) -> Vec<u8> {
    let first = number * flow.batch as u64;
    let jobs = (0..flow.batch as u64).map(|n| setup::job((first + n) % flow.keys.max(1), 0, flow.body_bytes));
    setup::add(&flow.queue, jobs)
}

async fn produce(
    address: SocketAddr,
    until: Instant,
    who: usize,
    batch: usize,
    requests: Arc<[Vec<u8>]>,
    room: Arc<Semaphore>,
) -> anyhow::Result<Driven> {
    let mut producer = Worker::open(address, until).await?;
    for request in requests.iter().cycle().skip(who) {
        let Ok(taken) = room.acquire_many(u32::try_from(batch)?).await else { break };
        taken.forget();
        if producer.ask(request).await?.is_none() {
            break;
        }
    }
    Ok(producer.driven)
}

async fn work(
    address: SocketAddr,
    until: Instant,
    flow: Arc<Flow>,
    room: Arc<Semaphore>,
    completed: Arc<AtomicU64>,
) -> anyhow::Result<Driven> {
    let mut worker = Worker::open(address, until).await?;
    let mut request = WorkRequest::new(&flow.queue, flow.batch, WAIT_MS);
    let mut held = 0;
    loop {
        let Some(answer) = worker.ask(&request.take()).await? else { return Ok(worker.driven) };
        completed.fetch_add(held, Ordering::Relaxed);
        room.add_permits(usize::try_from(held)?);
        held = leased(answer.body, &mut request, flow.body_bytes)?;
    }
}

/// A worker's request: settles what was leased by the one before, and leases more.
pub(crate) struct WorkRequest {
    path: String,
    /// Its content up to the first settlement.
    begun: String,
    content: String,
}

impl WorkRequest {
    pub(crate) fn new(queue: &str, max: usize, wait_ms: u64) -> Self {
        let begun = format!("{{\"max\":{max},\"wait_ms\":{wait_ms},\"settle\":[");
        Self { path: format!("/v1/queues/{queue}/lease"), content: begun.clone(), begun }
    }

    /// The request with all that is to be settled; the next one begins with nothing.
    pub(crate) fn take(&mut self) -> Vec<u8> {
        self.content.push_str("]}");
        let request = call("POST", &self.path, &self.content);
        self.content.clone_from(&self.begun);
        request
    }

    /// Completes a lease with the next request.
    pub(crate) fn complete(&mut self, lease: &str) {
        if self.content.len() > self.begun.len() {
            self.content.push(',');
        }
        self.content.push_str("{\"lease\":\"");
        self.content.push_str(lease);
        self.content.push_str("\"}");
    }
}

/// Has all jobs of `answer` completed by the next request; how many there are. Fails if one of those before was not.
pub(crate) fn leased(answer: &[u8], request: &mut WorkRequest, body_bytes: usize) -> anyhow::Result<u64> {
    const LABEL: &[u8] = b"\"lease\":\"";
    let mut rest = answer;
    let mut count = 0;
    while let Some(start) = find(rest, LABEL) {
        let after = rest.get(start + LABEL.len()..).unwrap_or_default();
        let end = after.iter().position(|&byte| byte == b'"').context("a lease without an end")?;
        let (lease, after) = after.split_at(end);
        request.complete(std::str::from_utf8(lease)?);
        count += 1;
        // The data, in which nothing is to be found, follows somewhere before the next lease.
        rest = after.get(body_bytes..).unwrap_or_default();
    }
    let settled = find(rest, b"\"settled\":").and_then(|at| rest.get(at..)).unwrap_or_default();
    if find(settled, b"\"code\"").is_some() {
        anyhow::bail!("a job was not completed: {}", String::from_utf8_lossy(settled));
    }
    Ok(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_lease_of_an_answer_is_completed_once() {
        let answer = br#"{"jobs":[{"id":"1","lease":"a-1","data":"xxxx"},{"id":"2","lease":"b-2","data":"xxxx"}],"settled":[{"state":"removed"}]}"#;
        let mut request = WorkRequest::new("q", 7, 0);
        assert_eq!(leased(answer, &mut request, 4).unwrap(), 2);
        let sent = String::from_utf8(request.take()).unwrap();
        let expected = r#"{"max":7,"wait_ms":0,"settle":[{"lease":"a-1"},{"lease":"b-2"}]}"#;
        assert!(sent.ends_with(expected), "{sent}");
        assert_eq!(leased(br#"{"jobs":[]}"#, &mut request, 256).unwrap(), 0);
        assert!(String::from_utf8(request.take()).unwrap().ends_with(r#""settle":[]}"#));
    }

    #[test]
    fn a_job_that_was_not_completed_is_an_error() {
        let answer = br#"{"jobs":[],"settled":[{"state":"removed"},{"code":"lease.lost","detail":"x"}]}"#;
        assert!(leased(answer, &mut WorkRequest::new("q", 1, 0), 4).is_err());
    }
}
