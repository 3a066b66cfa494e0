//! `weir topic`.

mod list;
mod publish;
mod put;
mod show;
mod subscription;

use std::process::ExitCode;

use clap::Subcommand;

use crate::client::{Request, ServerArguments};
use crate::listing::Listing;
use crate::output;

/// Subcommands of `weir topic`.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Lists topics.
    List(Listing),
    /// Shows a topic with its counters and its subscriptions.
    Get(show::Arguments),
    /// Creates a topic, or replaces its settings.
    Put(put::Arguments),
    /// Deletes topics with their subscriptions. What was delivered to queues stays there.
    Delete(Removal),
    /// Publishes a message to all who subscribed.
    Publish(publish::Arguments),
    /// Subscribes a queue, a URL or a function to a topic, and prints the id of the subscription.
    Subscribe(subscription::Arguments),
    /// Ends a subscription.
    Unsubscribe(subscription::Named),
    /// Holds the deliveries of a subscription.
    Pause(subscription::Named),
    /// Lets the deliveries of a subscription go on: what was held follows.
    Resume(subscription::Named),
    /// Replays what a topic's archive keeps to a subscription, in the background.
    Replay(subscription::ReplayArguments),
}

/// Arguments of `weir topic delete`.
#[derive(clap::Args, Debug)]
pub(crate) struct Removal {
    /// Names of topics.
    #[arg(required = true, value_name = "TOPIC")]
    topics: Vec<String>,
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
        Command::Publish(arguments) => publish::run(arguments)?,
        Command::Subscribe(arguments) => subscription::subscribe(arguments)?,
        Command::Unsubscribe(named) => subscription::unsubscribe(named)?,
        Command::Pause(named) => subscription::hold(named, true)?,
        Command::Resume(named) => subscription::hold(named, false)?,
        Command::Replay(arguments) => subscription::replay(arguments)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn delete(removal: &Removal) -> anyhow::Result<()> {
    let client = removal.server.client()?;
    for name in &removal.topics {
        client.native(&Request::delete(&["topics", name]))?;
        output::say(&format!("deleted {}\n", output::clean(name)))?;
    }
    Ok(())
}
