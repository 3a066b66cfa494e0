//! `weir store`: looking after a data directory that no server has open.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::Subcommand;
use weir_store::{Cut, FileDisk, Options, Report};

use crate::client::ServerArguments;
use crate::{backup, exit, output};

/// Subcommands of `weir store`.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Reads every byte and says what is damaged. Changes nothing. Exit code 3 if anything is.
    Check {
        /// The data directory.
        dir: PathBuf,
    },
    /// Says what a repair would cut out and what would be lost; with --yes, does it. Take a copy first.
    Repair {
        /// The data directory.
        dir: PathBuf,
        /// Repairs instead of only saying what would be lost.
        #[arg(long)]
        yes: bool,
    },
    /// Has a running server copy everything that it has acknowledged, while it goes on serving. The copy is a data
    /// directory of its own, on the server's machine.
    Backup {
        /// Where to: a directory that is empty or absent.
        dir: PathBuf,
        #[command(flatten)]
        server: ServerArguments,
    },
}

/// Carries out a subcommand.
pub(crate) fn run(command: Command) -> anyhow::Result<ExitCode> {
    let options = Options::default();
    match command {
        Command::Check { dir } => {
            let report = weir_store::check(&open(&dir)?, &options).with_context(|| about("check", &dir))?;
            output::say(&describe(&report))?;
            Ok(if report.damage.is_empty() { ExitCode::SUCCESS } else { exit::DAMAGED.into() })
        }
        Command::Backup { dir, server } => {
            let directory = std::path::absolute(&dir).with_context(|| about("back up to", &dir))?;
            let copied = backup::ask(&server.client()?, &directory).context("no copy was made")?;
            output::say(&format!("copied to {}: {copied}\n", directory.display()))?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Repair { dir, yes: false } => {
            let cuts = weir_store::plan_repair(&open(&dir)?, &options).with_context(|| about("check", &dir))?;
            if cuts.is_empty() {
                output::say("nothing is damaged\n")?;
                return Ok(ExitCode::SUCCESS);
            }
            output::say(&format!(
                "a repair would do this:\n{}run it again with --yes to do so; take a copy first\n",
                list(&cuts)
            ))?;
            Ok(exit::DAMAGED.into())
        }
        Command::Repair { dir, yes: true } => {
            let cuts = weir_store::repair(&open(&dir)?, &options).with_context(|| about("repair", &dir))?;
            let done = if cuts.is_empty() { "nothing is damaged\n" } else { "repaired:\n" };
            output::say(&format!("{done}{}", list(&cuts)))?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Opens a directory that must exist: a wrong name is not to make an empty one.
fn open(dir: &Path) -> anyhow::Result<FileDisk> {
    anyhow::ensure!(dir.is_dir(), "there is no directory {}", dir.display());
    FileDisk::new(dir).with_context(|| about("open", dir))
}

fn about(action: &str, dir: &Path) -> String {
    format!("cannot {action} {}", dir.display())
}

fn describe(report: &Report) -> String {
    let mut text = String::new();
    let end = if report.clean { "closed in good order" } else { "not closed in good order" };
    let _ =
        writeln!(text, "tables: {} rows, {} bytes, as of commit {}", report.rows, report.row_bytes, report.checkpoint);
    let _ = writeln!(
        text,
        "log: {} commits after that, {} writes, {} bytes in {} segments, up to commit {}",
        report.groups, report.writes, report.group_bytes, report.segments, report.sequence
    );
    let _ = writeln!(
        text,
        "blobs: {} bodies, {} bytes in {} segments",
        report.blobs, report.blob_bytes, report.blob_segments
    );
    let _ = writeln!(text, "the directory was {end}");
    if let Some(torn) = &report.torn {
        let _ = writeln!(
            text,
            "torn: the last write of {} was cut short at byte {} ({} bytes); {}, and opening removes it",
            torn.file,
            torn.offset,
            torn.bytes,
            if report.relaxed {
                format!(
                    "durability was relaxed, so it and {} commits behind it may have been acknowledged",
                    torn.groups
                )
            } else {
                "it was never acknowledged".to_owned()
            }
        );
    }
    for damage in &report.damage {
        let _ = writeln!(text, "damaged: {damage}");
    }
    if report.damage.is_empty() {
        text.push_str("nothing is damaged\n");
    }
    text
}

fn list(cuts: &[Cut]) -> String {
    let mut text = String::new();
    for cut in cuts {
        let _ = writeln!(text, "- {}", describe_cut(cut));
    }
    text
}

fn describe_cut(cut: &Cut) -> String {
    match cut {
        Cut::Format { damage } => format!("{damage}: the format file is written anew from its copy; nothing is lost"),
        Cut::Mark { damage } => {
            format!("{damage}: the mark of the clean shutdown is removed; nothing is lost")
        }
        Cut::Log { damage, last_kept, last_lost, readable } => format!(
            "{damage}: the log ends after commit {last_kept}; lost are the commits up to {last_lost}, of which {readable} could still be read but not without those before them"
        ),
        Cut::Tables { damage, kept, after, before } => format!(
            "{damage}: lost are the rows between {} and {}; {kept} rows stay",
            key(after.as_deref(), "the first"),
            key(before.as_deref(), "the last")
        ),
        Cut::Blob { damage, key: lost } => format!(
            "{damage}: lost is the body under {}, and the row that refers to it; its message cannot be received any more",
            key(Some(lost), "")
        ),
        Cut::Impossible { damage } => format!("{damage}: cannot be repaired; only a backup helps"),
    }
}

fn key(key: Option<&[u8]>, otherwise: &str) -> String {
    let hex = |key: &[u8]| key.iter().fold("key ".to_owned(), |text, byte| format!("{text}{byte:02x}"));
    key.map_or_else(|| otherwise.to_owned(), hex)
}
