//! `weir store`.

use std::process::ExitCode;

use clap::Subcommand;

/// Subcommands of `weir store`.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {}

/// Carries out a subcommand.
pub(crate) fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {}
}
