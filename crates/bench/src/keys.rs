//! One key that a limiter holds back, among many: how fast the jobs of the others flow beside it, and what it costs while
//! nothing else is there.

use std::path::Path;
use std::time::Duration;

use serde_json::json;

use crate::arguments::{Common, Keys};
use crate::child::Server;
use crate::http::median;
use crate::native::drain::{Drained, drain};
use crate::native::fill::fill;
use crate::native::setup::{self, KEY, LimiterUse};
use crate::report::{Report, rate};
use crate::wire::Connection;
use crate::work_dir;

/// Starts of each key in a day: more than the jobs of an ordinary key, and none of those of the throttled one but these.
const STARTS: u64 = 10;
/// Jobs that are leased and completed at once.
const BATCH: usize = 500;
/// Connections that work.
const WORKERS: usize = 4;
/// How long the server is watched when only blocked jobs are left.
const IDLE: Duration = Duration::from_secs(5);

struct Round {
    drained: Drained,
    /// Processor time within [`IDLE`].
    idle: Duration,
    memory_peak: u64,
}

pub(crate) fn run(common: &Common, keys: &Keys) -> anyhow::Result<()> {
    anyhow::ensure!(keys.jobs < STARTS, "--jobs: below {STARTS}, which is what a key may start: found {}", keys.jobs);
    let dir = work_dir::fresh(&common.dir)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (mut free, mut throttled) = (Vec::new(), Vec::new());
    for round in 0..keys.rounds {
        free.push(runtime.block_on(drive(common, keys, &dir.path().join(format!("free-{round}")), 0))?);
        let data = dir.path().join(format!("throttled-{round}"));
        throttled.push(runtime.block_on(drive(common, keys, &data, keys.throttled))?);
    }
    let count = keys.count * keys.jobs;
    let mut report = Report::new("keys, one of them throttled");
    report.value("keys", keys.count, "").value("jobs of each", keys.jobs, "");
    report.value("jobs of the throttled key", keys.throttled, "");
    report.value("rounds, of which medians", keys.rounds, "");
    let mut speeds = Vec::new();
    for (name, rounds) in [("nothing throttled", &free), ("a key throttled", &throttled)] {
        let speed = median(rounds.iter().map(|round| rate(count, round.drained.took)));
        let micros = median(rounds.iter().map(|round| 1e6 / rate(count, round.drained.processor_time)));
        report.value(&format!("{name}, jobs of the others"), speed.round(), "/s");
        report.value(&format!("{name}, processor time of each"), (micros * 100.0).round() / 100.0, "us");
        let idle = rounds.iter().map(|round| round.idle).max().unwrap_or_default();
        report.millis(&format!("{name}, processor time in 5 s afterwards"), idle);
        let peak = rounds.iter().map(|round| round.memory_peak).max().unwrap_or_default();
        report.value(&format!("{name}, peak memory"), peak >> 20, "MiB");
        speeds.push((speed, micros));
    }
    if let [(free, free_micros), (throttled, throttled_micros)] = speeds.as_slice() {
        report.ratio("speed beside a throttled key to that without", throttled / free);
        report.ratio("processor time beside a throttled key to that without", throttled_micros / free_micros);
    }
    report.print()
}

/// A server with `throttled` jobs of a key that may not start them, before those of all others.
async fn drive(common: &Common, keys: &Keys, data: &Path, throttled: u64) -> anyhow::Result<Round> {
    let server = Server::weir(&common.weir, data)?;
    let mut connection = Connection::open(server.address).await?;
    let terms = json!({ "windows": [{ "max": STARTS, "per_ms": 86_400_000 }] });
    setup::put_limiter(&mut connection, "customer", &terms).await?;
    setup::create_queue(&mut connection, "keys", Some(LimiterUse { name: "customer", key: Some(KEY) })).await?;
    let (body, others) = (common.body, keys.count);
    fill(server.address, "keys", throttled, move |_| setup::job(others, 0, body)).await?;
    fill(server.address, "keys", others * keys.jobs, move |n| setup::job(n % others, 0, body)).await?;
    let count = others * keys.jobs + throttled.min(STARTS);
    let drained = drain(&server, "keys", count, BATCH, body, WORKERS).await?;
    let before = server.processor_time()?;
    tokio::time::sleep(IDLE).await;
    let idle = server.processor_time()?.saturating_sub(before);
    let memory_peak = server.memory_peak()?;
    server.kill()?;
    std::fs::remove_dir_all(data)?;
    Ok(Round { drained, idle, memory_peak })
}
