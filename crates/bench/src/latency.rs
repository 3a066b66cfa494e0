//! From send to a waiting receiver, at a fixed rate, beside what the disk's fsync takes at the same time: over SQS, and
//! over the native API.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use crate::arguments::{Common, Latency};
use crate::child::Server;
use crate::disk;
use crate::native::setup;
use crate::report::Report;
use crate::samples::Samples;
use crate::signing::Signing;
use crate::wire::{Connection, call, create_queue, request, text_member};
use crate::work_dir;

/// The queue.
const NAME: &str = "latency";
/// Connections that send in turn, so that one slow answer does not hold up the next send.
const SENDERS: usize = 8;
/// Receivers that wait: enough that one always does.
const RECEIVERS: usize = 8;
/// How many fsyncs of the disk are timed, before and after.
const FSYNCS: usize = 500;
/// Bytes of each of these: about what a send and its lease write.
const FSYNC_BYTES: usize = 1024;

pub(crate) fn run(common: &Common, latency: &Latency) -> anyhow::Result<()> {
    over(Door::Sqs, common, latency)?;
    over(Door::Native, common, latency)
}

/// By which door messages come and go.
#[derive(Clone, Copy, Debug)]
enum Door {
    Sqs,
    Native,
}

fn over(door: Door, common: &Common, latency: &Latency) -> anyhow::Result<()> {
    let dir = work_dir::fresh(&common.dir)?;
    let mut fsyncs = disk::fsyncs(dir.path(), FSYNC_BYTES, FSYNCS)?;
    let server = Server::weir(&common.weir, &dir.path().join("latency"))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut samples = runtime.block_on(measure(door, server.address, common.body, latency))?;
    fsyncs.extend(disk::fsyncs(dir.path(), FSYNC_BYTES, FSYNCS)?);

    let fsync = [50.0, 99.0].map(|percent| fsyncs.percentile(percent));
    let took = [50.0, 99.0].map(|percent| samples.percentile(percent));
    let mut report = Report::new(match door {
        Door::Sqs => "latency, send to waiting receiver",
        Door::Native => "latency, a job added to its start by a waiting worker",
    });
    report.value("messages", samples.len(), "").value("rate", latency.rate, "/s");
    for ((name, took), fsync) in ["p50", "p99"].into_iter().zip(took).zip(fsync) {
        report.millis(name, took);
        report.millis(&format!("fsync of the disk, {name}"), fsync);
        report.millis(&format!("{name} beyond the fsync"), took.saturating_sub(fsync));
    }
    report.millis("longest", samples.longest());
    report.print()
}

async fn measure(door: Door, address: SocketAddr, body_bytes: usize, latency: &Latency) -> anyhow::Result<Samples> {
    let mut connection = Connection::open(address).await?;
    let queue = Queue { door, url: create_queue(&mut connection, &Signing::Plain, NAME, &[]).await? };
    if let Door::Native = door {
        setup::keep_nothing(&mut connection, NAME).await?;
    }
    let origin = Instant::now();
    let count = latency.rate * latency.seconds;
    let mut senders = JoinSet::new();
    let mut receivers = JoinSet::new();
    for _ in 0..RECEIVERS {
        receivers.spawn(receive(address, queue.clone(), origin));
    }
    for who in 0..SENDERS {
        senders.spawn(send(address, queue.clone(), origin, who, body_bytes, latency.rate, count));
    }
    while let Some(sent) = senders.join_next().await {
        sent??;
    }
    let mut samples = Samples::default();
    while let Some(received) = receivers.join_next().await {
        samples.extend(received??);
    }
    anyhow::ensure!(samples.len() as u64 == count, "{} of {count} messages were received", samples.len());
    Ok(samples)
}

/// Every eighth message at its time; its body tells when it was sent.
async fn send(
    address: SocketAddr,
    queue: Queue,
    origin: Instant,
    who: usize,
    body_bytes: usize,
    rate: u64,
    count: u64,
) -> anyhow::Result<()> {
    let mut connection = Connection::open(address).await?;
    let gap = Duration::from_secs(1) * SENDERS as u32 / u32::try_from(rate)?;
    let first = Duration::from_millis(500) + Duration::from_secs(1) * who as u32 / u32::try_from(rate)?;
    let mut times = tokio::time::interval_at((origin + first).into(), gap);
    times.set_missed_tick_behavior(MissedTickBehavior::Burst);
    for _ in (who as u64..count).step_by(SENDERS) {
        times.tick().await;
        let body = format!("{:0>body_bytes$}", origin.elapsed().as_nanos());
        connection.ask(&queue.send(&body)).await?;
    }
    Ok(())
}

/// Receives and deletes until nothing comes for a while.
async fn receive(address: SocketAddr, queue: Queue, origin: Instant) -> anyhow::Result<Samples> {
    let mut connection = Connection::open(address).await?;
    let poll = queue.receive();
    let mut samples = Samples::default();
    loop {
        let answer = connection.ask(&poll).await?;
        let now = origin.elapsed();
        let Some((handle, body)) = queue.received(answer.body)? else { return Ok(samples) };
        samples.push(now.saturating_sub(Duration::from_nanos(body.parse()?)));
        let delete = queue.delete(handle);
        connection.ask(&delete).await?;
    }
}

/// The queue, as its door names it.
#[derive(Clone)]
struct Queue {
    door: Door,
    url: String,
}

impl Queue {
    fn send(&self, body: &str) -> Vec<u8> {
        match self.door {
            Door::Sqs => request("SendMessage", &json!({ "QueueUrl": self.url, "MessageBody": body }).to_string()),
            Door::Native => call("POST", "/v1/queues/latency/jobs", &json!({ "data": body }).to_string()),
        }
    }

    fn receive(&self) -> Vec<u8> {
        match self.door {
            Door::Sqs => request("ReceiveMessage", &json!({ "QueueUrl": self.url, "WaitTimeSeconds": 3 }).to_string()),
            Door::Native => call("POST", "/v1/queues/latency/lease", &json!({ "wait_ms": 3_000 }).to_string()),
        }
    }

    /// What a message is settled with, and its body, if there is one.
    fn received<'a>(&self, answer: &'a [u8]) -> anyhow::Result<Option<(&'a str, &'a str)>> {
        let (handle, body) = match self.door {
            Door::Sqs => ("ReceiptHandle", "Body"),
            Door::Native => ("lease", "data"),
        };
        let Some(handle) = text_member(answer, handle) else { return Ok(None) };
        Ok(Some((handle, text_member(answer, body).context("a message without a body")?)))
    }

    fn delete(&self, handle: &str) -> Vec<u8> {
        match self.door {
            Door::Sqs => {
                request("DeleteMessage", &json!({ "QueueUrl": self.url, "ReceiptHandle": handle }).to_string())
            }
            Door::Native => {
                let content = json!({ "settle": [{ "lease": handle }] });
                call("POST", "/v1/queues/latency/settle", &content.to_string())
            }
        }
    }
}
