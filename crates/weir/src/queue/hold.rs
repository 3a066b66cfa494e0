//! `weir queue pause`, `resume`, `drain` and `clean`.

use std::process::ExitCode;

use serde_json::{Map, Value};

use crate::arguments::{milliseconds, spoken_ms};
use crate::client::{Queue, Request, ServerArguments};
use crate::job::bulk::{Bulk, Change};
use crate::job::picked::Picked;
use crate::output;

const DRAIN: Change = Change { verb: "remove", done: "removed", path: &["drain"] };
const CLEAN: Change = Change { verb: "remove", done: "removed", path: &["clean"] };

#[derive(clap::Args, Debug)]
pub(crate) struct PauseArguments {
    /// Names, URLs or ARNs of queues.
    #[arg(required = true, value_name = "QUEUE")]
    queues: Vec<Queue>,
    /// They go on by themselves after so long: 10m. Without it they wait until they are resumed.
    #[arg(long = "for", value_name = "DURATION", value_parser = milliseconds)]
    for_ms: Option<u64>,
    #[command(flatten)]
    server: ServerArguments,
}

#[derive(clap::Args, Debug)]
pub(crate) struct ResumeArguments {
    /// Names, URLs or ARNs of queues.
    #[arg(required = true, value_name = "QUEUE")]
    queues: Vec<Queue>,
    #[command(flatten)]
    server: ServerArguments,
}

#[derive(clap::Args, Debug)]
pub(crate) struct BulkArguments {
    /// Name, URL or ARN of the queue.
    queue: Queue,
    #[command(flatten)]
    picked: Picked,
    /// Removes nothing: counts what would be removed.
    #[arg(long)]
    dry_run: bool,
    /// Does not ask first.
    #[arg(long, short)]
    yes: bool,
    /// Prints an object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArguments,
}

pub(super) fn pause(arguments: &PauseArguments) -> anyhow::Result<()> {
    let client = arguments.server.client()?;
    let body: Map<String, Value> = arguments.for_ms.map(|ms| ("for_ms".to_owned(), ms.into())).into_iter().collect();
    let until = arguments.for_ms.map(|ms| format!(" for {}", spoken_ms(ms))).unwrap_or_default();
    for queue in &arguments.queues {
        client.native(&Request::post(&["queues", queue.name(), "pause"]).json(&body.clone().into()))?;
        output::say(&format!("paused {}{until}\n", output::clean(queue.name())))?;
    }
    Ok(())
}

pub(super) fn resume(arguments: &ResumeArguments) -> anyhow::Result<()> {
    let client = arguments.server.client()?;
    for queue in &arguments.queues {
        client.native(&Request::post(&["queues", queue.name(), "resume"]).json(&Map::new().into()))?;
        output::say(&format!("resumed {}\n", output::clean(queue.name())))?;
    }
    Ok(())
}

pub(super) fn drain(arguments: &BulkArguments) -> anyhow::Result<ExitCode> {
    bulk(arguments, DRAIN)
}

pub(super) fn clean(arguments: &BulkArguments) -> anyhow::Result<ExitCode> {
    bulk(arguments, CLEAN)
}

fn bulk(arguments: &BulkArguments, change: Change) -> anyhow::Result<ExitCode> {
    let BulkArguments { queue, picked, dry_run, yes, json, server } = arguments;
    Bulk { change, queue, picked, dry_run: *dry_run, yes: *yes, json: *json }.run(&server.client()?)
}
