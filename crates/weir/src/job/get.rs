//! `weir job get`.

use std::process::ExitCode;

use super::view::View;
use super::wait::{self, until_finished};
use crate::arguments::milliseconds;
use crate::client::{Queue, ServerArguments};
use crate::output;

#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// Name, URL or ARN of the queue.
    queue: Queue,
    /// Its id, or the id that its sender chose.
    id: String,
    /// Waits until it has finished: 30s. Fails if the job does.
    #[arg(long, value_name = "DURATION", value_parser = milliseconds)]
    wait: Option<u64>,
    /// Prints its result alone, in JSON. Fails if there is none.
    #[arg(long, conflicts_with = "json")]
    result: bool,
    /// Prints an object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArguments,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let client = arguments.server.client()?;
    let waited = until_finished(&client, &arguments.queue, &arguments.id, arguments.wait.unwrap_or(0))?;
    if arguments.result {
        if let Some(result) = waited.exact.get("result") {
            output::say(&format!("{result}\n"))?;
        } else if arguments.wait.is_none() || wait::state(&waited.job) == "completed" {
            anyhow::bail!("the job has no result: it is {}", wait::state(&waited.job));
        }
    } else if arguments.json {
        output::say(&format!("{}\n", waited.exact.pretty()))?;
    } else {
        output::say(&View(&waited.job).told())?;
    }
    if arguments.wait.is_some() { waited.outcome() } else { Ok(ExitCode::SUCCESS) }
}
