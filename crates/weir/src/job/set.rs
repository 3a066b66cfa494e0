//! `weir job set`.

use std::process::ExitCode;

use serde_json::Map;

use super::add::data;
use crate::arguments::{milliseconds, moment};
use crate::client::{Queue, Request, ServerArguments};
use crate::output;

#[derive(clap::Args, Debug)]
#[command(group = clap::ArgGroup::new("change").required(true).args(["priority", "delay", "at", "data", "queue"]))]
pub(crate) struct Arguments {
    /// Name, URL or ARN of the queue.
    #[arg(value_name = "QUEUE", id = "in_queue")]
    queue: Queue,
    /// Its id, or the id that its sender chose.
    id: String,
    /// Its priority: 0 is leased first, then 1, 2, …
    #[arg(long, value_name = "N")]
    priority: Option<u32>,
    /// Goes before all others of its new priority.
    #[arg(long, requires = "priority")]
    lifo: bool,
    /// It can be leased after so long.
    #[arg(long, value_name = "DURATION", value_parser = milliseconds)]
    delay: Option<u64>,
    /// When it can be leased: 2026-01-31T08:05:00+01:00.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    at: Option<u64>,
    /// What the worker gets, in JSON; `@FILE` reads it from a file, `-` from standard input.
    #[arg(long, value_name = "JSON")]
    data: Option<String>,
    /// Moves it to another queue of the same kind.
    #[arg(long = "queue", value_name = "QUEUE", id = "queue")]
    to: Option<Queue>,
    #[command(flatten)]
    server: ServerArguments,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let client = arguments.server.client()?;
    let data = arguments.data.as_deref().map(data::read).transpose()?;
    let mut change = Map::new();
    let mut put = |name: &str, value: Option<serde_json::Value>| change.extend(value.map(|it| (name.to_owned(), it)));
    put("priority", arguments.priority.map(Into::into));
    put("lifo", arguments.lifo.then_some(true.into()));
    put("delay_ms", arguments.delay.map(Into::into));
    put("run_at_ms", arguments.at.map(Into::into));
    put("queue", arguments.to.as_ref().map(|to| to.name().into()));
    let body = data::object(&change, data.as_deref()).into_bytes();
    let request = Request::patch(&["queues", arguments.queue.name(), "jobs", &arguments.id]).written(body);
    client.native(&request)?;
    output::say(&format!("changed {}\n", output::clean(&arguments.id)))?;
    Ok(ExitCode::SUCCESS)
}
