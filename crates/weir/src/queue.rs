//! `weir queue`.

mod create;
mod hold;
mod job_settings;
mod list;
mod settings;
mod show;

use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::process::ExitCode;

use clap::Subcommand;
use serde_json::json;

use crate::client::{Client, Queue, Request, ServerArguments};
use crate::exit::Usage;
use crate::output;
pub(crate) use job_settings::LimiterUse;

/// Subcommands of `weir queue`.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Lists queues and how many messages they hold.
    List(list::Arguments),
    /// Creates a queue. One whose name ends in .fifo keeps the order of its messages.
    Create(Box<create::Arguments>),
    /// Shows everything about a queue.
    Show(show::Arguments),
    /// Changes settings of a queue.
    Set(Box<create::SetArguments>),
    /// Lets nothing of queues be leased; what is leased already goes on.
    Pause(hold::PauseArguments),
    /// Lets paused queues go on.
    Resume(hold::ResumeArguments),
    /// Removes jobs that wait to run: the ready ones, or those of --state. What is being worked on goes on.
    Drain(hold::BulkArguments),
    /// Removes finished jobs: completed and failed ones, or those of --state.
    Clean(hold::BulkArguments),
    /// Removes all messages of queues.
    Purge(Removal),
    /// Deletes queues with everything in them.
    Delete(Removal),
}

/// Arguments of the commands that take something away for good.
#[derive(clap::Args, Debug)]
pub(crate) struct Removal {
    /// Names, URLs or ARNs of queues.
    #[arg(required = true, value_name = "QUEUE")]
    queues: Vec<Queue>,
    /// Does not ask first.
    #[arg(long, short)]
    yes: bool,
    #[command(flatten)]
    server: ServerArguments,
}

/// Carries out a subcommand.
pub(crate) fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::List(arguments) => list::run(&arguments)?,
        Command::Create(arguments) => create::run(&arguments)?,
        Command::Show(arguments) => show::run(&arguments)?,
        Command::Set(arguments) => create::set(&arguments)?,
        Command::Pause(arguments) => hold::pause(&arguments)?,
        Command::Resume(arguments) => hold::resume(&arguments)?,
        Command::Drain(arguments) => return hold::drain(&arguments),
        Command::Clean(arguments) => return hold::clean(&arguments),
        Command::Purge(removal) => {
            remove(&removal, "purge", "purged", |name| Request::post(&["queues", name, "purge"]).json(&json!({})))?;
        }
        Command::Delete(removal) => remove(&removal, "delete", "deleted", |name| Request::delete(&["queues", name]))?,
    }
    Ok(ExitCode::SUCCESS)
}

fn remove(removal: &Removal, verb: &str, done: &str, request: impl Fn(&str) -> Request) -> anyhow::Result<()> {
    let client = removal.server.client()?;
    if !removal.yes {
        confirm(&client, &removal.queues, verb)?;
    }
    for queue in &removal.queues {
        client.native(&request(queue.name()))?;
        output::say(&format!("{done} {}\n", output::clean(queue.name())))?;
    }
    Ok(())
}

/// Asks, with what would be lost.
fn confirm(client: &Client, queues: &[Queue], verb: &str) -> anyhow::Result<()> {
    if !std::io::stdin().is_terminal() {
        return Err(
            Usage(format!("`weir queue {verb}` takes messages away for good: say --yes if that is wanted")).into()
        );
    }
    for queue in queues {
        let shown = client.native(&Request::get(&["queues", queue.name()]))?;
        let total = list::counters(&shown).map(|(_, count)| count).sum();
        output::note(&format!("{}: {}", output::clean(queue.name()), output::counted(total, "message")));
    }
    let mut answer = String::new();
    write!(std::io::stderr(), "{verb} for good? [y/N] ")?;
    std::io::stdin().lock().read_line(&mut answer)?;
    if matches!(answer.trim(), "y" | "Y" | "yes") { Ok(()) } else { Err(anyhow::anyhow!("nothing was done")) }
}
