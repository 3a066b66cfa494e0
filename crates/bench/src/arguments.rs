//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Measures Weir on this machine: a table and a line of JSON for each workload.
#[derive(Debug, Parser)]
#[command(name = "weir-bench")]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(subcommand)]
    pub(crate) workload: Workload,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Common {
    /// The server's binary.
    #[arg(long, global = true, env = "WEIR_BIN", default_value = "target/release/weir")]
    pub(crate) weir: PathBuf,
    /// Where data directories are made and removed: on the disk to be measured.
    #[arg(long, global = true, default_value = ".")]
    pub(crate) dir: PathBuf,
    /// Bytes of a message's body.
    #[arg(long, global = true, default_value_t = 256)]
    pub(crate) body: usize,
}

#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Workload {
    /// All workloads, each for a few seconds.
    Quick,
    /// All workloads as `docs/performance.md` records them: about an hour.
    Record,
    /// Life cycles (send, receive, delete) in process, against a bare log that writes the same bytes.
    Engine(Engine),
    /// One message to many queues, in process: published, and sent to each.
    Fanout(Fanout),
    /// Messages that match one subscription of a topic, among few and among many.
    Filters(Filters),
    /// Requests over HTTP, against a bare handler with the same requests and answers.
    Http(Http),
    /// From send to a waiting receiver, over SQS and over the native API.
    Latency(Latency),
    /// Jobs added and completed at once in batches over the native API, with and without a limiter.
    Native(Native),
    /// Jobs pushed to a fast receiver on loopback: singly, in batches, and among many targets that are away.
    Push(Push),
    /// A throttled key among many: the speed of the others.
    Keys(Keys),
    /// An urgent job each second in the middle of a campaign under a limiter.
    Campaign(Campaign),
    /// Looking at jobs among millions: explanations, listings, single jobs.
    Look(Look),
    /// Millions of messages at rest.
    Backlog(Backlog),
    /// Many queues that nobody uses.
    Idle(Idle),
    /// The bare handler that `http` compares with.
    #[command(hide = true)]
    Bare(Bare),
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Engine {
    /// How long.
    #[arg(long, default_value_t = 10)]
    pub(crate) seconds: u64,
    /// Queues, used in turn.
    #[arg(long, default_value_t = 1)]
    pub(crate) queues: usize,
    /// Life cycles at once.
    #[arg(long, default_value_t = 128)]
    pub(crate) at_once: usize,
    /// Messages that lie in the first queue before, and stay.
    #[arg(long, default_value_t = 0)]
    pub(crate) backlog: u64,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Fanout {
    /// How long each is driven.
    #[arg(long, default_value_t = 5)]
    pub(crate) seconds: u64,
    /// Queues that subscribe, for each run.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 10, 100, 1_000])]
    pub(crate) queues: Vec<usize>,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Filters {
    /// How long each is driven.
    #[arg(long, default_value_t = 5)]
    pub(crate) seconds: u64,
    /// Subscriptions with filters, in the larger run.
    #[arg(long, default_value_t = 10_000)]
    pub(crate) subscriptions: usize,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Http {
    /// How long each server is driven.
    #[arg(long, default_value_t = 10)]
    pub(crate) seconds: u64,
    /// Connections that ask at once.
    #[arg(long, default_value_t = 256)]
    pub(crate) connections: usize,
    /// Messages to receive and delete; when none is left, as many are sent again, which does not count.
    #[arg(long, default_value_t = 100_000)]
    pub(crate) filled: usize,
    /// How often each pair of servers is driven; the medians are reported.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) rounds: u32,
    /// Compares Weir with keys and every request signed with Weir without, instead of with a bare handler.
    #[arg(long)]
    pub(crate) signed: bool,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Latency {
    /// How long.
    #[arg(long, default_value_t = 10)]
    pub(crate) seconds: u64,
    /// Messages a second.
    #[arg(long, default_value_t = 200)]
    pub(crate) rate: u64,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Native {
    /// How long each server is driven.
    #[arg(long, default_value_t = 10)]
    pub(crate) seconds: u64,
    /// Jobs that a request adds, and that a worker leases at once.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    pub(crate) batch: u16,
    /// Connections that add, and as many that work.
    #[arg(long, default_value_t = 4)]
    pub(crate) connections: usize,
    /// How often each is driven, in turn; the medians are reported.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) rounds: u32,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Push {
    /// Jobs that are pushed one by one; in batches four times as many.
    #[arg(long, default_value_t = 100_000)]
    pub(crate) jobs: u64,
    /// Requests at once.
    #[arg(long, default_value_t = 64)]
    pub(crate) concurrency: u32,
    /// Jobs of a batch.
    #[arg(long, default_value_t = 100)]
    pub(crate) batch: u32,
    /// Targets that are away.
    #[arg(long, default_value_t = 1_000)]
    pub(crate) dead: u64,
    /// Seconds after which these are tried again.
    #[arg(long, default_value_t = 10)]
    pub(crate) probed_after: u64,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Keys {
    /// How many keys.
    #[arg(long = "keys", default_value_t = 100_000)]
    pub(crate) count: u64,
    /// Jobs of each key.
    #[arg(long, default_value_t = 2)]
    pub(crate) jobs: u64,
    /// Jobs of the throttled key, which stand before all others.
    #[arg(long, default_value_t = 100_000)]
    pub(crate) throttled: u64,
    /// How often each is driven, in turn; the medians are reported.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) rounds: u32,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Campaign {
    /// Jobs of the campaign, which are all there when its urgent jobs begin.
    #[arg(long, default_value_t = 1_000_000)]
    pub(crate) jobs: u64,
    /// Starts a second.
    #[arg(long, default_value_t = 1_000)]
    pub(crate) rate: u32,
    /// Urgent jobs, one each second.
    #[arg(long, default_value_t = 30)]
    pub(crate) seconds: u64,
    /// Workers.
    #[arg(long, default_value_t = 16)]
    pub(crate) workers: usize,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Look {
    /// How many jobs are there.
    #[arg(long, default_value_t = 1_000_000)]
    pub(crate) jobs: u64,
    /// How many jobs are asked for one by one.
    #[arg(long, default_value_t = 1_000)]
    pub(crate) asked: u64,
    /// Jobs of a page.
    #[arg(long, default_value_t = 256)]
    pub(crate) page: u64,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Backlog {
    /// How the messages lie.
    #[arg(long, value_enum, default_value_t = Resting::Ready)]
    pub(crate) resting: Resting,
    /// How many.
    #[arg(long, default_value_t = 1_000_000)]
    pub(crate) messages: u64,
    /// FIFO groups that they are spread over.
    #[arg(long, default_value_t = 1_000_000)]
    pub(crate) groups: u64,
    /// The backlog that speed is compared with.
    #[arg(long, default_value_t = 10_000)]
    pub(crate) shallow: u64,
    /// How long life cycles are measured, each time.
    #[arg(long, default_value_t = 10)]
    pub(crate) seconds: u64,
    /// Connections that send, receive and delete.
    #[arg(long, default_value_t = 32)]
    pub(crate) connections: usize,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Resting {
    /// Ready on a standard queue.
    Ready,
    /// Delayed on a standard queue.
    Delayed,
    /// Ready on a FIFO queue, in groups.
    Fifo,
}

impl Resting {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Resting::Ready => "ready",
            Resting::Delayed => "delayed",
            Resting::Fifo => "FIFO",
        }
    }
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Idle {
    /// How many queues.
    #[arg(long, default_value_t = 10_000)]
    pub(crate) queues: usize,
    /// Seconds before measuring.
    #[arg(long, default_value_t = 10)]
    pub(crate) settle: u64,
    /// How long.
    #[arg(long, default_value_t = 10)]
    pub(crate) seconds: u64,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Bare {
    /// Folder of recorded answers.
    pub(crate) answers: PathBuf,
}
