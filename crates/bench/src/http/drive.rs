//! A closed loop: so many connections, each asking again as soon as it is answered.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use tokio::task::JoinSet;

use crate::child::Server;
use crate::samples::Samples;
use crate::wire::{Connection, request, text_member};

/// What one connection does over and over.
#[derive(Clone)]
pub(crate) enum Plan {
    /// The same request.
    Same(Vec<u8>),
    /// A receive, and the delete of what it gave; ends when there is nothing more to receive.
    ReceiveAndDelete {
        /// The queue.
        url: String,
    },
}

/// What came of it.
#[derive(Default)]
pub(crate) struct Driven {
    pub(crate) requests: u64,
    pub(crate) took: Duration,
    pub(crate) samples: Samples,
    /// Processor time of the server.
    pub(crate) processor_time: Duration,
}

impl Plan {
    /// Asks once and keeps the answers, headers and all, for a bare server to repeat.
    pub(crate) async fn record(&self, server: SocketAddr, dir: &Path) -> anyhow::Result<()> {
        std::fs::create_dir_all(dir)?;
        let mut connection = Connection::open(server).await?;
        let keep = |operation: &str, head: &[u8], body: &[u8]| {
            std::fs::write(dir.join(operation), [head, body].concat()).context("cannot keep an answer")
        };
        match self {
            Plan::Same(request) => {
                let answer = connection.ask(request).await?;
                keep("any", answer.head, answer.body)?;
            }
            Plan::ReceiveAndDelete { url } => {
                let answer = connection.ask(&receive(url)).await?;
                keep("ReceiveMessage", answer.head, answer.body)?;
                let handle = text_member(answer.body, "ReceiptHandle").context("nothing to receive")?.to_owned();
                let answer = connection.ask(&delete(url, &handle)).await?;
                keep("DeleteMessage", answer.head, answer.body)?;
            }
        }
        Ok(())
    }

    /// One step; how many requests it was, or `None` when there is nothing left to do.
    async fn step(
        &self,
        connection: &mut Connection,
        receive: &[u8],
        samples: &mut Samples,
    ) -> anyhow::Result<Option<u64>> {
        let began = Instant::now();
        match self {
            Plan::Same(request) => {
                connection.ask(request).await?;
                samples.push(began.elapsed());
                Ok(Some(1))
            }
            Plan::ReceiveAndDelete { url } => {
                let answer = connection.ask(receive).await?;
                samples.push(began.elapsed());
                let Some(handle) = text_member(answer.body, "ReceiptHandle") else { return Ok(None) };
                let delete = delete(url, handle);
                let began = Instant::now();
                connection.ask(&delete).await?;
                samples.push(began.elapsed());
                Ok(Some(2))
            }
        }
    }
}

/// Runs `plan` on `connections` connections until `duration` is over.
pub(crate) async fn drive(
    server: &Server,
    plan: &Plan,
    connections: usize,
    duration: Duration,
) -> anyhow::Result<Driven> {
    let address = server.address;
    let plan = Arc::new(plan.clone());
    let processor_before = server.processor_time()?;
    let mut tasks = JoinSet::new();
    let began = Instant::now();
    for _ in 0..connections {
        let plan = Arc::clone(&plan);
        tasks.spawn(async move {
            let mut connection = Connection::open(address).await?;
            let receive = match &*plan {
                Plan::Same(_) => Vec::new(),
                Plan::ReceiveAndDelete { url } => receive(url),
            };
            let mut driven = Driven::default();
            while began.elapsed() < duration {
                let Some(requests) = plan.step(&mut connection, &receive, &mut driven.samples).await? else { break };
                driven.requests += requests;
            }
            driven.took = began.elapsed();
            anyhow::Ok(driven)
        });
    }
    let mut all = Driven::default();
    while let Some(driven) = tasks.join_next().await {
        let driven = driven??;
        all.requests += driven.requests;
        all.samples.extend(driven.samples);
        all.took = all.took.max(driven.took);
    }
    all.processor_time = server.processor_time()?.saturating_sub(processor_before);
    Ok(all)
}

fn receive(url: &str) -> Vec<u8> {
    request("ReceiveMessage", &serde_json::json!({ "QueueUrl": url }).to_string())
}

fn delete(url: &str, handle: &str) -> Vec<u8> {
    request("DeleteMessage", &serde_json::json!({ "QueueUrl": url, "ReceiptHandle": handle }).to_string())
}
