//! Many jobs put into a queue before something is measured.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use tokio::task::JoinSet;

use super::setup;
use crate::http::drive::Worker;
use crate::wire::text_member;

/// Jobs of one request.
const BATCH: u64 = 1_000;
/// Connections that add.
const LOADERS: usize = 4;
/// Longest that filling may take.
const FILL_MAX: Duration = Duration::from_hours(1);

/// Adds `count` jobs, each made by its number, several connections at once, waiting whenever the server says so. The ids
/// of some: of the first one of each request, in the order of the requests.
pub(crate) async fn fill(
    address: SocketAddr,
    queue: &str,
    count: u64,
    job: impl Fn(u64) -> String + Clone + Send + 'static,
) -> anyhow::Result<Vec<String>> {
    let next = Arc::new(AtomicU64::new(0));
    let mut loaders = JoinSet::new();
    for _ in 0..LOADERS {
        let (queue, next, job) = (queue.to_owned(), Arc::clone(&next), job.clone());
        loaders.spawn(async move {
            let mut loader = Worker::open(address, Instant::now() + FILL_MAX).await?;
            let mut ids = Vec::new();
            loop {
                let first = next.fetch_add(BATCH, Ordering::Relaxed);
                if first >= count {
                    return anyhow::Ok(ids);
                }
                let request = setup::add(&queue, (first..(first + BATCH).min(count)).map(&job));
                let answer = loader.ask(&request).await?.context("the queue was not filled within an hour")?;
                ids.push((first, text_member(answer.body, "id").context("no id in the answer")?.to_owned()));
            }
        });
    }
    let mut ids = Vec::new();
    while let Some(loaded) = loaders.join_next().await {
        ids.extend(loaded??);
    }
    ids.sort_unstable_by_key(|&(first, _)| first);
    Ok(ids.into_iter().map(|(_, id)| id).collect())
}
