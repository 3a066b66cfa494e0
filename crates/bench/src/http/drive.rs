//! A closed loop: so many connections, each asking again as soon as it is answered.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use tokio::task::JoinSet;

use crate::child::Server;
use crate::samples::Samples;
use crate::signing::Signing;
use crate::wire::{Answer, Connection, call, text_member};

/// What one connection does over and over.
#[derive(Clone)]
pub(crate) enum Plan {
    /// The same request.
    Same(Vec<u8>),
    /// A receive, and the delete of what it gave; ends when there is nothing more to receive.
    ReceiveAndDelete {
        /// The queue.
        url: String,
        /// Whether its requests are signed: deletes one by one, since no two are the same.
        signing: Signing,
    },
    /// A lease of one job that completes the one before in the same request; ends when nothing is left.
    LeaseAndComplete {
        /// The queue.
        queue: String,
    },
}

/// What came of it.
#[derive(Default)]
pub(crate) struct Driven {
    /// Requests that succeeded.
    pub(crate) requests: u64,
    /// How often the server said: too busy, come back later.
    pub(crate) told_to_wait: u64,
    pub(crate) took: Duration,
    /// From each request to its answer, if that was a success.
    pub(crate) samples: Samples,
    /// Processor time of the server.
    pub(crate) processor_time: Duration,
}

impl Driven {
    /// Adds what came of a later part, which did not overlap with this one.
    pub(crate) fn then(&mut self, later: Driven) {
        self.took += later.took;
        self.processor_time += later.processor_time;
        self.beside(later);
    }

    /// Adds what another connection did in the same time.
    pub(crate) fn beside(&mut self, other: Driven) {
        self.requests += other.requests;
        self.told_to_wait += other.told_to_wait;
        self.samples.extend(other.samples);
    }
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
            Plan::ReceiveAndDelete { url, signing } => {
                let answer = connection.ask(&receive(signing, url)).await?;
                keep("ReceiveMessage", answer.head, answer.body)?;
                let handle = text_member(answer.body, "ReceiptHandle").context("nothing to receive")?.to_owned();
                let answer = connection.ask(&delete(signing, url, &handle)).await?;
                keep("DeleteMessage", answer.head, answer.body)?;
            }
            Plan::LeaseAndComplete { queue } => {
                // The second one is what all but the first look like.
                let answer = connection.ask(&lease(queue, None)).await?;
                let held = text_member(answer.body, "lease").context("nothing to lease")?.to_owned();
                let answer = connection.ask(&lease(queue, Some(&held))).await?;
                keep("any", answer.head, answer.body)?;
            }
        }
        Ok(())
    }
}

/// A connection at its plan.
pub(crate) struct Worker {
    connection: Connection,
    pub(crate) driven: Driven,
    /// When nothing new is asked any more.
    pub(crate) until: Instant,
}

impl Worker {
    /// A worker that asks nothing new after `until`.
    pub(crate) async fn open(address: SocketAddr, until: Instant) -> anyhow::Result<Self> {
        Ok(Self { connection: Connection::open(address).await?, driven: Driven::default(), until })
    }

    /// Asks until it is answered, waiting as long as the server says whenever that has too much to do. `None` when the
    /// time is over.
    pub(crate) async fn ask(&mut self, request: &[u8]) -> anyhow::Result<Option<Answer<'_>>> {
        loop {
            let began = Instant::now();
            if began >= self.until {
                return Ok(None);
            }
            let heading = self.connection.exchange(request).await?;
            if let (503, Some(after)) = (heading.status, heading.retry_after) {
                self.driven.told_to_wait += 1;
                tokio::time::sleep_until((Instant::now() + after).min(self.until).into()).await;
                continue;
            }
            self.driven.samples.push(began.elapsed());
            self.driven.requests += 1;
            return self.connection.success(heading).map(Some);
        }
    }

    /// Follows `plan` until the time is over or nothing is left to do.
    async fn follow(&mut self, plan: &Plan) -> anyhow::Result<()> {
        match plan {
            Plan::Same(request) => while self.ask(request).await?.is_some() {},
            Plan::ReceiveAndDelete { url, signing } => {
                let receive = receive(signing, url);
                while let Some(answer) = self.ask(&receive).await? {
                    let Some(handle) = text_member(answer.body, "ReceiptHandle") else {
                        // An empty answer is the end of the plan and none of its steps.
                        self.driven.requests -= 1;
                        break;
                    };
                    let delete = delete(signing, url, handle);
                    self.ask(&delete).await?;
                }
            }
            Plan::LeaseAndComplete { queue } => {
                let mut held: Option<String> = None;
                while let Some(answer) = self.ask(&lease(queue, held.as_deref())).await? {
                    held = text_member(answer.body, "lease").map(str::to_owned);
                    if held.is_none() {
                        self.driven.requests -= 1;
                        break;
                    }
                }
            }
        }
        Ok(())
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
            let mut worker = Worker::open(address, began + duration).await?;
            worker.follow(&plan).await?;
            anyhow::Ok(worker.driven)
        });
    }
    let mut all = Driven::default();
    while let Some(driven) = tasks.join_next().await {
        all.beside(driven??);
    }
    all.took = began.elapsed();
    all.processor_time = server.processor_time()?.saturating_sub(processor_before);
    Ok(all)
}

fn receive(signing: &Signing, url: &str) -> Vec<u8> {
    signing.request("ReceiveMessage", &serde_json::json!({ "QueueUrl": url }).to_string())
}

fn delete(signing: &Signing, url: &str, handle: &str) -> Vec<u8> {
    signing.request("DeleteMessage", &serde_json::json!({ "QueueUrl": url, "ReceiptHandle": handle }).to_string())
}

fn lease(queue: &str, held: Option<&str>) -> Vec<u8> {
    let settle: Vec<_> = held.iter().map(|lease| serde_json::json!({ "lease": lease })).collect();
    call("POST", &format!("/v1/queues/{queue}/lease"), &serde_json::json!({ "settle": settle }).to_string())
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    /// A worker on a connection whose other end gives `answers`, one to each request.
    async fn worker(answers: &'static [&'static str]) -> Worker {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            for answer in answers {
                stream.read_u8().await.unwrap();
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        Worker::open(address, Instant::now() + Duration::from_mins(1)).await.unwrap()
    }

    #[tokio::test]
    async fn who_is_told_to_wait_waits_and_asks_again() {
        const BUSY: &str = "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 0\r\nContent-Length: 0\r\n\r\n";
        let mut worker = worker(&[BUSY, BUSY, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"]).await;
        let answer = worker.ask(b"?").await.unwrap().unwrap();
        assert_eq!(answer.body, b"{}");
        assert_eq!((worker.driven.requests, worker.driven.told_to_wait), (1, 2));
    }

    #[tokio::test]
    async fn who_is_told_to_wait_beyond_the_end_asks_no_more() {
        const BUSY: &str = "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 9\r\nContent-Length: 0\r\n\r\n";
        let mut worker = worker(&[BUSY]).await;
        worker.until = Instant::now() + Duration::from_millis(200);
        assert!(worker.ask(b"?").await.unwrap().is_none());
        assert_eq!(worker.driven.requests, 0);
    }

    #[tokio::test]
    async fn another_refusal_is_an_error() {
        let mut worker = worker(&["HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"]).await;
        assert!(worker.ask(b"?").await.is_err());
    }
}
