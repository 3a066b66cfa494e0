//! The native API in batches: adding and completing at once, and what a limiter costs each job.

pub(crate) mod drain;
pub(crate) mod fill;
pub(crate) mod flow;
pub(crate) mod setup;

use std::path::Path;
use std::time::Duration;

use crate::arguments::{Common, Native};
use crate::child::Server;
use crate::http::median;
use crate::report::{Report, rate};
use crate::wire::Connection;
use crate::work_dir;
use flow::{Flow, Flowed};

pub(crate) use setup::keep_nothing;

/// Keys that jobs under a keyed limiter have.
const KEYS: u64 = 1_000;

/// What the queue's limiter is.
#[derive(Clone, Copy, Debug)]
enum Limited {
    No,
    ByOneKey,
    ByManyKeys,
}

impl Limited {
    fn name(self) -> String {
        match self {
            Limited::No => "no limiter".to_owned(),
            Limited::ByOneKey => "a limiter".to_owned(),
            Limited::ByManyKeys => format!("a limiter of {KEYS} keys"),
        }
    }
}

pub(crate) fn run(common: &Common, native: &Native) -> anyhow::Result<()> {
    let dir = work_dir::fresh(&common.dir)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut plain = Vec::new();
        let mut limited = Vec::new();
        let mut keyed = Vec::new();
        for round in 0..native.rounds {
            let data = |limited| dir.path().join(format!("{limited:?}-{round}"));
            plain.push(drive(common, native, &data(Limited::No), Limited::No).await?);
            limited.push(drive(common, native, &data(Limited::ByOneKey), Limited::ByOneKey).await?);
            keyed.push(drive(common, native, &data(Limited::ByManyKeys), Limited::ByManyKeys).await?);
        }
        report(common, native, &mut [(Limited::No, plain), (Limited::ByOneKey, limited), (Limited::ByManyKeys, keyed)])
    })
}

/// A server of its own, driven for its time.
async fn drive(common: &Common, native: &Native, data: &Path, limited: Limited) -> anyhow::Result<Flowed> {
    let server = Server::weir(&common.weir, data)?;
    let mut connection = Connection::open(server.address).await?;
    let under = match limited {
        Limited::No => None,
        Limited::ByOneKey => Some(setup::LimiterUse { name: "wide", key: None }),
        Limited::ByManyKeys => Some(setup::LimiterUse { name: "wide", key: Some(setup::KEY) }),
    };
    if let Some(limiter) = &under {
        // It has a window and a concurrency to count in, and is never in the way.
        setup::put_limiter(&mut connection, limiter.name, &setup::wide()).await?;
    }
    setup::create_queue(&mut connection, "flow", under).await?;
    let flow = Flow {
        queue: "flow".to_owned(),
        batch: usize::from(native.batch),
        body_bytes: common.body,
        keys: KEYS,
        connections: native.connections,
    };
    let flowed = flow::drive(&server, &flow, Duration::from_secs(native.seconds)).await?;
    server.kill()?;
    std::fs::remove_dir_all(data)?;
    Ok(flowed)
}

fn report(common: &Common, native: &Native, sides: &mut [(Limited, Vec<Flowed>)]) -> anyhow::Result<()> {
    let mut report = Report::new("native, batches added and completed at once");
    report.value("jobs of a batch", native.batch, "").value("bytes of each job's data", common.body, "B");
    report.value("connections that add, and that work", native.connections, "");
    report.value("seconds each", native.seconds, "s").value("rounds, of which medians", native.rounds, "");
    let mut plain = None;
    for (limited, rounds) in sides {
        let who = limited.name();
        let jobs = median(rounds.iter().map(|flowed| rate(flowed.jobs, flowed.took)));
        let micros = median(rounds.iter().map(|flowed| 1e6 / rate(flowed.jobs, flowed.processor_time)));
        report.value(&format!("{who}, jobs"), jobs.round(), "/s");
        report.value(&format!("{who}, processor time a job"), (micros * 100.0).round() / 100.0, "us");
        let added = median(rounds.iter_mut().map(|flowed| flowed.adding.samples.percentile(50.0).as_secs_f64()));
        report.millis(&format!("{who}, p50 of an add"), Duration::from_secs_f64(added));
        let worked = median(rounds.iter_mut().map(|flowed| flowed.working.samples.percentile(50.0).as_secs_f64()));
        report.millis(&format!("{who}, p50 of a settle and lease"), Duration::from_secs_f64(worked));
        let told: u64 = rounds.iter().map(|flowed| flowed.adding.told_to_wait + flowed.working.told_to_wait).sum();
        report.value(&format!("{who}, answers to come back later, in all"), told, "");
        let peak = rounds.iter().map(|flowed| flowed.memory_peak).max().unwrap_or_default();
        report.value(&format!("{who}, peak memory"), peak >> 20, "MiB");
        match plain {
            None => plain = Some((jobs, micros)),
            Some((jobs_plain, micros_plain)) => {
                report.ratio(&format!("{who}, jobs to those without"), jobs / jobs_plain);
                report.ratio(&format!("{who}, processor time to that without"), micros / micros_plain);
            }
        }
    }
    report.print()
}
