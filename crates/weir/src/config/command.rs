//! `weir config`.

use std::process::ExitCode;

use clap::Subcommand;

use super::flags::Flags;
use super::{reference, resolve, sample, schema, show};
use crate::output;

/// Subcommands of `weir config`.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Says everything that is wrong with the configuration. Exit code 2 if anything is.
    Check {
        /// The file to check.
        #[arg(value_name = "FILE", conflicts_with = "config")]
        path: Option<std::path::PathBuf>,
        #[command(flatten)]
        flags: Flags,
    },
    /// Shows every setting as `weir serve` with the same flags would use it, and where it comes from. Secrets are masked.
    Show {
        /// Prints an array of objects.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        flags: Flags,
    },
    /// Prints a configuration file with every setting at its default.
    Sample,
    /// Prints a JSON schema of the configuration file, for editors.
    Schema,
    /// Prints the reference of all settings as Markdown.
    Reference,
}

/// Carries out a subcommand.
pub(crate) fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Check { path, mut flags } => {
            flags.file = path.or(flags.file);
            let resolved = resolve(&flags)?;
            resolved.warnings.iter().for_each(|warning| output::warn(warning));
            crate::serve::check(&resolved.settings)?;
            let file = resolved.file.as_ref();
            let file = file.map_or_else(|| "no file is read".to_owned(), |path| format!("{} is", path.display()));
            output::say(&match resolved.file {
                Some(_) => format!("{file} in order\n"),
                None => format!("{file}; flags, environment and defaults are in order\n"),
            })?;
        }
        Command::Show { json, flags } => {
            let resolved = resolve(&flags)?;
            resolved.warnings.iter().for_each(|warning| output::warn(warning));
            output::say(&if json { show::json(&resolved) } else { show::table(&resolved) })?;
        }
        Command::Sample => output::say(&sample::sample())?,
        Command::Schema => output::say(&schema::schema())?,
        Command::Reference => output::say(&reference::reference())?,
    }
    Ok(ExitCode::SUCCESS)
}
