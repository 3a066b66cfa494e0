//! `weir function`.

mod call;
mod list;
mod set;
mod show;
mod source;

use std::process::ExitCode;

use clap::Subcommand;

use crate::client::{Request, ServerArguments};
use crate::listing::Listing;
use crate::output;

/// Subcommands of `weir function`.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Creates a function, or replaces all that was set of it except secrets.
    Set(Box<set::Arguments>),
    /// Shows a function, and how what stands behind it stands.
    Get(show::Arguments),
    /// Lists functions.
    List(Listing),
    /// Deletes functions with their queues and their calls.
    Delete(Removal),
    /// Calls a function, and prints its result.
    Call(call::Arguments),
    /// Has a function called, waits for nothing, and prints the id of the job.
    Enqueue(call::EnqueueArguments),
    /// Hands messages of queues to functions.
    #[command(subcommand)]
    Source(source::Command),
}

/// Arguments of `weir function delete`.
#[derive(clap::Args, Debug)]
pub(crate) struct Removal {
    /// Names of functions.
    #[arg(required = true, value_name = "FUNCTION")]
    functions: Vec<String>,
    #[command(flatten)]
    server: ServerArguments,
}

/// Carries out a subcommand.
pub(crate) fn run(command: &Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Set(arguments) => set::run(arguments)?,
        Command::Get(arguments) => show::run(arguments)?,
        Command::List(arguments) => list::run(arguments)?,
        Command::Delete(removal) => delete(removal)?,
        Command::Call(arguments) => call::run(arguments)?,
        Command::Enqueue(arguments) => call::enqueue(arguments)?,
        Command::Source(command) => source::run(command)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn delete(removal: &Removal) -> anyhow::Result<()> {
    let client = removal.server.client()?;
    for name in &removal.functions {
        client.native(&Request::delete(&["functions", name]))?;
        output::say(&format!("deleted {}\n", output::clean(name)))?;
    }
    Ok(())
}
