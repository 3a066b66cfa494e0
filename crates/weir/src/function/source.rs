//! `weir function source`.

mod list;
mod set;
mod show;

use clap::Subcommand;
use serde_json::{Value, json};

use crate::arguments::spoken_ms;
use crate::client::{Queue, Request, ServerArguments, number};
use crate::output;

/// Subcommands of `weir function source`.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Hands the messages of a queue to a function in batches, or replaces how.
    Set(set::Arguments),
    /// Lists the queues whose messages are handed to a function, or to any.
    List(list::Arguments),
    /// Shows how the messages of a queue are handed to a function, and what came of the last batch.
    Get(show::Arguments),
    /// Hands nothing more over until it is resumed. What is under way ends.
    Pause(Named),
    /// Hands messages over again.
    Resume(Named),
    /// Hands no more messages of a queue to a function. They stay in the queue.
    Delete(Named),
}

/// A source of a function.
#[derive(clap::Args, Debug)]
pub(crate) struct Named {
    /// Name of the function.
    function: String,
    /// Name, URL or ARN of the queue.
    queue: Queue,
    #[command(flatten)]
    server: ServerArguments,
}

/// Carries out a subcommand.
pub(super) fn run(command: &Command) -> anyhow::Result<()> {
    match command {
        Command::Set(arguments) => set::run(arguments),
        Command::List(arguments) => list::run(arguments),
        Command::Get(arguments) => show::run(arguments),
        Command::Pause(named) => named.tell(|path| Request::patch(path).json(&json!({ "enabled": false })), "paused"),
        Command::Resume(named) => named.tell(|path| Request::patch(path).json(&json!({ "enabled": true })), "resumed"),
        Command::Delete(named) => named.tell(Request::delete, "deleted"),
    }
}

impl Named {
    fn tell(&self, how: impl Fn(&[&str]) -> Request, done: &str) -> anyhow::Result<()> {
        let queue = self.queue.name();
        self.server.client()?.native(&how(&path(&self.function, queue)))?;
        output::say(&format!("{done} {} -> {}\n", output::clean(queue), output::clean(&self.function)))
    }
}

/// The address of a source below `/v1`.
fn path<'a>(function: &'a str, queue: &'a str) -> [&'a str; 4] {
    ["functions", function, "sources", queue]
}

/// How batches are filled, as people say it.
fn batch(source: &Value) -> String {
    let batch = source.get("batch").cloned().unwrap_or_default();
    let count = number(&batch, "count").unwrap_or_default();
    let wait = number(&batch, "wait_ms").filter(|&ms| ms > 0).map(spoken_ms);
    wait.map_or_else(|| count.to_string(), |wait| format!("{count}, or after {wait}"))
}
