//! Exit codes.

use std::process::ExitCode;

use weir_shard::OpenShardError;
use weir_store::OpenError;

use crate::config::Problems;
use crate::output::{self, ReaderGone};

/// What `--help` says of them.
pub(crate) const HELP: &str = "\
Exit codes:
  0  done; the server ended in good order
  1  failed: see the last line of the log
  2  the command line or the configuration is wrong
  3  the data directory is damaged (`weir store check DIR` says where)
  4  the data directory is in use by another process
  5  the data directory was written by a newer version";

pub(crate) const DAMAGED: u8 = 3;
const USAGE: u8 = 2;
const LOCKED: u8 = 4;
const VERSION: u8 = 5;

/// Says what went wrong, on standard error.
pub(crate) fn say(error: &anyhow::Error) {
    if error.is::<ReaderGone>() {
        return;
    }
    for line in format!("{error:#}").lines() {
        output::note(&format!("error: {line}"));
    }
}

/// The code for an error.
pub(crate) fn code(error: &anyhow::Error) -> ExitCode {
    if error.is::<ReaderGone>() {
        return ExitCode::SUCCESS;
    }
    if error.is::<Problems>() {
        return USAGE.into();
    }
    let opening = error.chain().find_map(|cause| {
        let shard = cause.downcast_ref::<OpenShardError>().and_then(|error| match error {
            OpenShardError::Store(error) => Some(error),
            _ => None,
        });
        shard.or_else(|| cause.downcast_ref::<OpenError>())
    });
    match opening {
        Some(OpenError::Damaged(_)) => DAMAGED.into(),
        Some(OpenError::Locked) => LOCKED.into(),
        Some(OpenError::VersionUnknown { .. }) => VERSION.into(),
        _ => ExitCode::FAILURE,
    }
}
