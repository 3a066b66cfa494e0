//! A campaign under a limiter, and one urgent job each second: from adding it to its start.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use crate::arguments::{Campaign, Common};
use crate::child::Server;
use crate::native::fill::fill;
use crate::native::flow::{WorkRequest, leased};
use crate::native::setup::{self, LimiterUse};
use crate::report::{Report, rate};
use crate::samples::Samples;
use crate::wire::{Connection, find};
use crate::work_dir;

/// The queue.
const QUEUE: &str = "campaign";
/// Priority of the campaign's jobs.
const BULK: u32 = 10;
/// What an urgent job's data begins with, before the moment of its sending.
const URGENT: &str = "urgent:";
/// Bytes of an urgent job's data: the mark and the digits of the moment.
const URGENT_BYTES: usize = 32;
/// An urgent job is to start within so long.
const AIM: Duration = Duration::from_millis(100);
/// How long a lease waits for jobs.
const WAIT_MS: u64 = 500;

pub(crate) fn run(common: &Common, campaign: &Campaign) -> anyhow::Result<()> {
    let dir = work_dir::fresh(&common.dir)?;
    let server = Server::weir(&common.weir, &dir.path().join("campaign"))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut connection = Connection::open(server.address).await?;
        let terms = serde_json::json!({
            "windows": [{ "max": campaign.rate, "per_ms": 1_000 }],
            "pacing": true,
            "reserves": [{ "priority_max": 0, "share": 1 }],
        });
        setup::put_limiter(&mut connection, "provider", &terms).await?;
        setup::create_queue(&mut connection, QUEUE, Some(LimiterUse { name: "provider", key: None })).await?;
        let body = common.body.max(URGENT_BYTES);
        let began = Instant::now();
        fill(server.address, QUEUE, campaign.jobs, move |n| setup::job(n, BULK, body)).await?;
        let loaded_in = began.elapsed();
        let loaded_peak = server.memory_peak()?;

        let origin = Instant::now();
        let until = origin + Duration::from_secs(campaign.seconds + 1);
        let mut workers = JoinSet::new();
        for _ in 0..campaign.workers {
            workers.spawn(work(server.address, origin, until));
        }
        send(&mut connection, origin, campaign.seconds).await?;
        let mut worked = Worked::default();
        while let Some(one) = workers.join_next().await {
            let one = one??;
            worked.urgent.extend(one.urgent);
            worked.starts.extend(one.starts);
        }
        let found = worked.urgent.len() as u64;
        anyhow::ensure!(found == campaign.seconds, "{found} of {} urgent jobs started", campaign.seconds);

        let mut report = Report::new("campaign, an urgent job each second");
        report.value("jobs of the campaign", campaign.jobs, "").value("bytes of each job's data", body, "B");
        report.value("starts a second that the limiter allows", campaign.rate, "/s");
        report.rate("added", campaign.jobs, loaded_in, "/s");
        report.value("peak memory, campaign added", loaded_peak >> 20, "MiB");
        report.value("starts", (rate(worked.starts.len() as u64, origin.elapsed())).round(), "/s");
        report.value("most starts within a second, as they arrived", most_within_a_second(&mut worked.starts), "");
        report.value("urgent jobs", found, "");
        report.millis("urgent, from add to start, p50", worked.urgent.percentile(50.0));
        report.millis("urgent, from add to start, longest", worked.urgent.longest());
        report.value("urgent, started within 100 ms", worked.urgent.within(AIM), "");
        report.value("peak memory", server.memory_peak()? >> 20, "MiB");
        report.print()
    })
}

/// Adds an urgent job each second.
async fn send(connection: &mut Connection, origin: Instant, count: u64) -> anyhow::Result<()> {
    let mut times = tokio::time::interval_at((origin + Duration::from_millis(500)).into(), Duration::from_secs(1));
    times.set_missed_tick_behavior(MissedTickBehavior::Burst);
    for _ in 0..count {
        times.tick().await;
        let digits = URGENT_BYTES - URGENT.len() - 2;
        let data = format!("{URGENT}{:0>digits$}", origin.elapsed().as_nanos());
        connection.ask(&setup::add(QUEUE, std::iter::once(format!("{{\"data\":\"{data}\"}}")))).await?;
    }
    Ok(())
}

/// What a worker saw.
#[derive(Default)]
struct Worked {
    /// From adding an urgent job to its arrival.
    urgent: Samples,
    /// When jobs arrived, in milliseconds.
    starts: Vec<u64>,
}

/// Leases one job after the other, and completes it with the next lease.
async fn work(address: SocketAddr, origin: Instant, until: Instant) -> anyhow::Result<Worked> {
    let mut connection = Connection::open(address).await?;
    let mut request = WorkRequest::new(QUEUE, 1, WAIT_MS);
    let mut worked = Worked::default();
    while Instant::now() < until {
        let answer = connection.ask(&request.take()).await?;
        let now = origin.elapsed();
        let started = leased(answer.body, &mut request, URGENT_BYTES)?;
        worked.starts.extend((0..started).map(|_| now.as_millis() as u64));
        if let Some(at) = find(answer.body, URGENT.as_bytes()) {
            let digits = answer.body.get(at + URGENT.len()..at + URGENT_BYTES - 2).unwrap_or_default();
            let sent = Duration::from_nanos(std::str::from_utf8(digits)?.parse()?);
            worked.urgent.push(now.saturating_sub(sent));
        }
    }
    Ok(worked)
}

/// The most of `times`, in milliseconds, that lie within any second.
fn most_within_a_second(times: &mut [u64]) -> usize {
    times.sort_unstable();
    let mut first = 0;
    let mut most = 0;
    for (at, &time) in times.iter().enumerate() {
        while times.get(first).is_some_and(|&begin| begin + 1_000 <= time) {
            first += 1;
        }
        most = most.max(at + 1 - first);
    }
    most
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_holds_what_lies_within_it() {
        assert_eq!(most_within_a_second(&mut [1_998, 0, 999, 1_000, 1_001]), 4);
        assert_eq!(most_within_a_second(&mut []), 0);
    }
}
