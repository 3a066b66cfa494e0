//! `weir redrive`: messages of a dead-letter queue go back to work.

mod by_filter;
mod task;

use std::process::ExitCode;

use crate::arguments::rate;
use crate::client::{Queue, ServerArguments};
use crate::exit::Usage;

/// Arguments of `weir redrive`.
#[derive(clap::Args, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub(crate) struct Arguments {
    /// Name, URL or ARN of the dead-letter queue.
    queue: Queue,
    /// Where the messages go. Without it each goes back to the queue that it came from.
    #[arg(long, value_name = "QUEUE")]
    to: Option<Queue>,
    /// Moves only messages for which this holds: `attributes.kind = "mail" and receives > 3`. See
    /// docs/command-line.md.
    #[arg(long, value_name = "EXPRESSION")]
    filter: Option<String>,
    /// Moves nothing: counts what would be moved and shows some of it.
    #[arg(long)]
    dry_run: bool,
    /// Most messages a second: 50/s.
    #[arg(long, value_name = "N/s", value_parser = rate)]
    rate: Option<u32>,
    /// Most messages to move.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    max: Option<u64>,
    /// Returns once the server has begun, instead of waiting until all are moved.
    #[arg(long, conflicts_with_all = ["filter", "dry_run", "max"])]
    detach: bool,
    /// Lists the moves of this queue, and moves nothing.
    #[arg(long, conflicts_with_all = ["to", "filter", "dry_run", "rate", "max", "detach", "cancel"])]
    list: bool,
    /// Ends the running move that has this handle; what was moved stays moved.
    #[arg(long, value_name = "HANDLE", conflicts_with_all = ["to", "filter", "dry_run", "rate", "max", "detach"])]
    cancel: Option<String>,
    /// Prints objects.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArguments,
}

/// Moves messages back.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    if let Some(filter) = &arguments.filter {
        // Said before anything is asked of the server.
        weir_server::filter::parse(filter).map_err(|error| Usage(format!("--filter: {error}")))?;
    }
    let client = arguments.server.client()?;
    if let Some(handle) = &arguments.cancel {
        task::cancel(&client, arguments, handle)?;
    } else if arguments.list {
        task::list(&client, arguments)?;
    } else if arguments.filter.is_some() || arguments.dry_run || arguments.max.is_some() {
        by_filter::run(&client, arguments)?;
    } else {
        task::run(&client, arguments)?;
    }
    Ok(ExitCode::SUCCESS)
}
