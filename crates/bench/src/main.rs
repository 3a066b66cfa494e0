//! The load tool of Weir. Each workload prints a table for people and one line of JSON for programs.
//!
//! Everything runs on loopback, over temporary directories that are removed at the end, and is bounded in time and count.
//! What is measured is the shipped code: the server is a process of the release binary, the engine is the shard that the
//! server runs. Deliberately absent: graphs, statistics over several runs, and any client library that would be measured
//! along with the server.

mod arguments;
mod backlog;
mod campaign;
mod child;
mod disk;
mod engine;
mod fanout;
mod filters;
mod http;
mod idle;
mod keys;
mod latency;
mod look;
mod native;
mod push;
mod report;
mod samples;
mod signing;
mod wire;
mod work_dir;
mod workload;

use clap::Parser as _;

use crate::arguments::{Arguments, Workload};

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    match &arguments.workload {
        Workload::Bare(bare) => http::bare::run(bare),
        workload => workload.run(&arguments.common),
    }
}
