//! The program: a server and its tools.

mod backup;
mod config;
mod exit;
#[cfg(test)]
mod generated;
mod log;
mod output;
mod serve;
mod store;

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
    /// Looks after a data directory.
    #[command(subcommand)]
    Store(store::Command),
    /// Checks, shows and explains the configuration of a server.
    #[command(subcommand)]
    Config(config::command::Command),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let outcome = match arguments.command {
        Command::Serve(arguments) => serve::run(&arguments),
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
