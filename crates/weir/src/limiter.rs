//! `weir limiter`.

mod acquire;
mod list;
mod pause;
mod put;
mod show;
mod terms;

use std::process::ExitCode;

use clap::Subcommand;

use crate::client::{Request, ServerArguments};
use crate::output;

/// Subcommands of `weir limiter`.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Lists limiters and what they allow.
    List(list::Arguments),
    /// Shows a limiter, and how it or one of its keys stands now.
    Get(show::Arguments),
    /// Creates a limiter, or changes all that it allows. What was started before keeps counting.
    Put(put::Arguments),
    /// Deletes limiters: what ran under them is limited no more.
    Delete(Removal),
    /// Leaves a key of a limiter, or what has none, alone for a while, as after a 429 with Retry-After.
    Pause(pause::Arguments),
    /// Lets a paused key go on, or what has none.
    Resume(pause::ResumeArguments),
    /// Takes a permit, waiting for it if need be, and prints it.
    Acquire(acquire::Arguments),
    /// Ends a permit, and says what it really cost.
    Settle(acquire::SettleArguments),
}

/// Arguments of `weir limiter delete`.
#[derive(clap::Args, Debug)]
pub(crate) struct Removal {
    /// Names of limiters.
    #[arg(required = true, value_name = "LIMITER")]
    limiters: Vec<String>,
    #[command(flatten)]
    server: ServerArguments,
}

/// Carries out a subcommand.
pub(crate) fn run(command: &Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::List(arguments) => list::run(arguments)?,
        Command::Get(arguments) => show::run(arguments)?,
        Command::Put(arguments) => put::run(arguments)?,
        Command::Delete(removal) => delete(removal)?,
        Command::Pause(arguments) => pause::run(arguments)?,
        Command::Resume(arguments) => pause::resume(arguments)?,
        Command::Acquire(arguments) => acquire::run(arguments)?,
        Command::Settle(arguments) => acquire::settle(arguments)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn delete(removal: &Removal) -> anyhow::Result<()> {
    let client = removal.server.client()?;
    for name in &removal.limiters {
        client.native(&Request::delete(&["limiters", name]))?;
        output::say(&format!("deleted {}\n", output::clean(name)))?;
    }
    Ok(())
}
