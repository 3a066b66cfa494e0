//! `weir job`.

mod add;
pub(crate) mod bulk;
mod change;
mod explain;
mod get;
mod list;
mod logs;
pub(crate) mod picked;
pub(crate) mod retry_arguments;
mod set;
pub(crate) mod view;
mod wait;
mod watch;

use std::process::ExitCode;

use clap::Subcommand;

pub(crate) use add::data;

/// Subcommands of `weir job`.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Adds a job, or one for each line of standard input.
    Add(Box<add::Arguments>),
    /// Shows all that is known of a job, at once or when it has finished.
    Get(get::Arguments),
    /// Lists the jobs of a queue, by state: leased, ready, delayed, waiting, failed, completed.
    List(list::Arguments),
    /// Changes the priority, time, data or queue of a job that waits.
    Set(set::Arguments),
    /// Runs failed or completed jobs again.
    Retry(change::RetryArguments),
    /// Cancels jobs: those that wait fail, workers of the others are told.
    Cancel(change::Arguments),
    /// Makes delayed jobs ready now.
    Promote(change::Arguments),
    /// Removes jobs that nobody works on, with their children that have not begun.
    Remove(change::Arguments),
    /// Says why a job does not run yet, and when it will.
    Explain(explain::Arguments),
    /// Prints the log of a job.
    Logs(logs::Arguments),
    /// Prints what happens to the jobs of a queue, or of all, until it is interrupted.
    Watch(watch::Arguments),
}

/// Carries out a subcommand.
pub(crate) fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Add(arguments) => add::run(&arguments),
        Command::Get(arguments) => get::run(&arguments),
        Command::List(arguments) => list::run(&arguments),
        Command::Set(arguments) => set::run(&arguments),
        Command::Retry(arguments) => change::retry(&arguments),
        Command::Cancel(arguments) => change::run(&arguments, change::CANCEL, true),
        Command::Promote(arguments) => change::run(&arguments, change::PROMOTE, true),
        Command::Remove(arguments) => change::run(&arguments, change::REMOVE, true),
        Command::Explain(arguments) => explain::run(&arguments),
        Command::Logs(arguments) => logs::run(&arguments),
        Command::Watch(arguments) => watch::run(&arguments),
    }
}
