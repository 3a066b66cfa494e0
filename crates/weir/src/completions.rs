//! `weir completions`.

use std::process::ExitCode;

use clap::CommandFactory;
use clap_complete::Shell;

use crate::output;

/// Arguments of `weir completions`.
#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// Which shell.
    shell: Shell,
}

/// Prints a script that teaches a shell our commands.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut crate::Arguments::command(), "weir", &mut script);
    output::say_bytes(&script)?;
    Ok(ExitCode::SUCCESS)
}
