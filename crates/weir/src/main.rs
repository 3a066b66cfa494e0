//! The program: a server and its tools.

mod backup;
mod exit;
mod log;
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
    Serve(serve::Arguments),
    /// Looks after a data directory.
    #[command(subcommand)]
    Store(store::Command),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    log::start();
    let outcome = match arguments.command {
        Command::Serve(arguments) => serve::run(&arguments),
        Command::Store(command) => store::run(command),
    };
    match outcome {
        Ok(code) => code,
        Err(error) => {
            tracing::error!("{error:#}");
            exit::code(&error)
        }
    }
}
