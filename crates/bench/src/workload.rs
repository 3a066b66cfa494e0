//! Which workloads run, and with what.

use anyhow::bail;

use crate::arguments::{
    Backlog, Campaign, Common, Engine, Fanout, Filters, Http, Idle, Keys, Latency, Look, Native, Push, Resting,
    Workload,
};
use crate::{backlog, campaign, engine, fanout, filters, http, idle, keys, latency, look, native, push};

impl Workload {
    pub(crate) fn run(&self, common: &Common) -> anyhow::Result<()> {
        match self {
            Workload::Quick => all(common, &QUICK),
            Workload::Record => all(common, &RECORD),
            Workload::Engine(workload) => engine::run(common, workload),
            Workload::Fanout(workload) => fanout::run(common, workload),
            Workload::Filters(workload) => filters::run(common, workload),
            Workload::Http(workload) => http::run(common, workload),
            Workload::Latency(workload) => latency::run(common, workload),
            Workload::Backlog(workload) => backlog::run(common, workload),
            Workload::Idle(workload) => idle::run(common, workload),
            Workload::Native(workload) => native::run(common, workload),
            Workload::Push(workload) => push::run(common, workload),
            Workload::Keys(workload) => keys::run(common, workload),
            Workload::Campaign(workload) => campaign::run(common, workload),
            Workload::Look(workload) => look::run(common, workload),
            Workload::Bare(_) => bail!("the bare handler is no workload"),
        }
    }
}

/// How long and how much.
struct Scale {
    engine_seconds: u64,
    seconds: u64,
    rounds: u32,
    backlog: u64,
    groups: u64,
    keys: u64,
    campaign: u64,
}

const QUICK: Scale = Scale {
    engine_seconds: 5,
    seconds: 5,
    rounds: 1,
    backlog: 200_000,
    groups: 20_000,
    keys: 20_000,
    campaign: 100_000,
};
const RECORD: Scale = Scale {
    engine_seconds: 600,
    seconds: 20,
    rounds: 3,
    backlog: 10_000_000,
    groups: 1_000_000,
    keys: 100_000,
    campaign: 1_000_000,
};

fn all(common: &Common, scale: &Scale) -> anyhow::Result<()> {
    for queues in [1, 1000] {
        engine::run(common, &Engine { seconds: scale.engine_seconds, queues, at_once: 128, backlog: 0 })?;
    }
    fanout::run(common, &Fanout { seconds: scale.engine_seconds.min(20), queues: vec![1, 10, 100, 1_000] })?;
    filters::run(common, &Filters { seconds: scale.seconds.min(5), subscriptions: 10_000 })?;
    for signed in [false, true] {
        let http = Http { seconds: scale.seconds, connections: 256, filled: 100_000, rounds: scale.rounds, signed };
        http::run(common, &http)?;
    }
    latency::run(common, &Latency { seconds: scale.seconds, rate: 200 })?;
    native::run(common, &Native { seconds: scale.seconds, batch: 1_000, connections: 4, rounds: scale.rounds })?;
    push::run(common, &Push { jobs: 100_000, concurrency: 64, batch: 100, dead: 1_000, probed_after: 10 })?;
    keys::run(common, &Keys { count: scale.keys, jobs: 2, throttled: scale.keys, rounds: scale.rounds })?;
    campaign::run(common, &Campaign { jobs: scale.campaign, rate: 1_000, seconds: scale.seconds, workers: 16 })?;
    look::run(common, &Look { jobs: scale.backlog, asked: 1_000, page: 256 })?;
    for resting in [Resting::Ready, Resting::Delayed, Resting::Fifo] {
        let backlog = Backlog {
            resting,
            messages: scale.backlog,
            groups: scale.groups,
            shallow: 10_000,
            seconds: scale.seconds,
            connections: 32,
        };
        backlog::run(common, &backlog)?;
    }
    idle::run(common, &Idle { queues: 10_000, settle: 10, seconds: scale.seconds })
}
