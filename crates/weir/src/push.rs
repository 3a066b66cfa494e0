//! `weir push`.

mod list;
mod set;
pub(crate) mod settings;
mod show;

use std::process::ExitCode;

use clap::Subcommand;

use crate::client::{Queue, Request, ServerArguments};
use crate::listing::Listing;
use crate::output;
pub(crate) use set::Mode;

/// Subcommands of `weir push`.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Puts a URL behind a queue, or replaces all that was set of it except secrets.
    Set(Box<set::Arguments>),
    /// Lists queues with a URL behind them, and how these stand.
    List(Listing),
    /// Shows what was set, and how the target stands.
    Get(show::Arguments),
    /// Takes the URL behind a queue away. Jobs stay.
    Delete(Target),
    /// Sends nothing more until it is resumed. Other workers of the queue go on.
    Pause(Target),
    /// Sends again.
    Resume(Target),
}

/// A queue with a push target.
#[derive(clap::Args, Debug)]
pub(crate) struct Target {
    /// Name, URL or ARN of the queue.
    queue: Queue,
    #[command(flatten)]
    server: ServerArguments,
}

/// Carries out a subcommand.
pub(crate) fn run(command: &Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Set(arguments) => set::run(arguments)?,
        Command::List(arguments) => list::run(arguments)?,
        Command::Get(arguments) => show::run(arguments)?,
        Command::Delete(target) => target.tell(Request::delete, &[], "nothing is pushed any more from")?,
        Command::Pause(target) => target.tell(Request::post, &["pause"], "paused pushing from")?,
        Command::Resume(target) => target.tell(Request::post, &["resume"], "resumed pushing from")?,
    }
    Ok(ExitCode::SUCCESS)
}

impl Target {
    fn tell(&self, how: fn(&[&str]) -> Request, what: &[&str], done: &str) -> anyhow::Result<()> {
        let name = self.queue.name();
        let path = [&["queues", name, "push"], what].concat();
        self.server.client()?.native(&how(&path))?;
        output::say(&format!("{done} {}\n", output::clean(name)))
    }
}
