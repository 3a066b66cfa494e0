//! The program: a server and its tools.

mod arguments;
mod backup;
mod client;
#[cfg(test)]
mod command_line;
mod completions;
mod config;
mod exit;
mod function;
#[cfg(test)]
mod generated;
mod job;
mod limiter;
mod listen;
mod listing;
mod log;
mod output;
mod push;
mod queue;
mod receive;
mod redrive;
mod send;
mod serve;
mod store;
mod topic;
mod work;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Queues, fan-out and flow control in one program.
#[derive(Debug, Parser)]
#[command(name = "weir", version, about, after_help = exit::HELP)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serves queues over HTTP until it is told to end (SIGTERM or SIGINT).
    Serve(config::Flags),
    /// Lists, creates, shows, changes, purges and deletes queues of a running server.
    #[command(subcommand)]
    Queue(queue::Command),
    /// Sends messages.
    Send(Box<send::Arguments>),
    /// Receives messages.
    Receive(receive::Arguments),
    /// Runs a command for each job of a queue.
    Work(Box<work::Arguments>),
    /// Ends the processes of a worker once that has ended.
    #[command(hide = true)]
    WorkGuardian(work::GuardianArguments),
    /// Adds jobs, looks at them, waits for them and changes them.
    #[command(subcommand)]
    Job(job::Command),
    /// Looks after limiters, which bound how much starts and runs, and takes permits of them.
    #[command(subcommand)]
    Limiter(limiter::Command),
    /// Puts URLs behind queues, to which the server sends their jobs, and looks after them.
    #[command(subcommand)]
    Push(push::Command),
    /// Makes functions, names that answer calls, and calls them.
    #[command(subcommand)]
    Function(function::Command),
    /// Looks after topics and their subscriptions, and publishes.
    #[command(subcommand)]
    Topic(Box<topic::Command>),
    /// Forwards the jobs of a queue to a URL that only this machine reaches, for development.
    Listen(listen::Arguments),
    /// Moves messages of a dead-letter queue back to where they came from, or elsewhere.
    Redrive(redrive::Arguments),
    /// Looks after a data directory.
    #[command(subcommand)]
    Store(store::Command),
    /// Checks, shows and explains the configuration of a server.
    #[command(subcommand)]
    Config(config::command::Command),
    /// Prints a script that completes our commands in a shell.
    Completions(completions::Arguments),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let outcome = match arguments.command {
        Command::Serve(arguments) => serve::run(&arguments),
        Command::Queue(command) => queue::run(command),
        Command::Send(arguments) => send::run(&arguments),
        Command::Work(arguments) => work::run(&arguments),
        Command::WorkGuardian(arguments) => Ok(work::guard(&arguments)),
        Command::Job(command) => job::run(command),
        Command::Limiter(command) => limiter::run(&command),
        Command::Push(command) => push::run(&command),
        Command::Function(command) => function::run(&command),
        Command::Topic(command) => topic::run(&command),
        Command::Listen(arguments) => listen::run(&arguments),
        Command::Receive(arguments) => receive::run(&arguments),
        Command::Redrive(arguments) => redrive::run(&arguments),
        Command::Completions(arguments) => completions::run(&arguments),
        Command::Store(command) => store::run(command),
        Command::Config(command) => config::command::run(command),
    };
    match outcome {
        Ok(code) => code,
        Err(error) => {
            exit::say(&error);
            exit::code(&error)
        }
    }
}
