//! Exit codes, and what is said at the end of a command that failed.

use std::process::ExitCode;

use weir_shard::OpenShardError;
use weir_store::OpenError;

use crate::client::Failure;
use crate::config::Problems;
use crate::output::{self, ReaderGone};

/// What `--help` says of them.
pub(crate) const HELP: &str = "\
Exit codes:
  0  done; the server ended in good order
  1  failed: see the last line on standard error
  2  the command line or the configuration is wrong
  3  the data directory is damaged (`weir store check DIR` says where)
  4  the data directory is in use by another process
  5  the data directory was written by a newer version
  6  what was named does not exist: a queue, a job, a task
  7  the server refuses this caller: no access key, a wrong one, or one that may not do this
  8  the server cannot be reached, or its answer did not come
  9  the server cannot do it now; try again
  10 what was waited for did not come in time";

pub(crate) const DAMAGED: u8 = 3;
const USAGE: u8 = 2;
const LOCKED: u8 = 4;
const VERSION: u8 = 5;
const NOT_FOUND: u8 = 6;
const DENIED: u8 = 7;
const UNREACHABLE: u8 = 8;
const BUSY: u8 = 9;
const LATE: u8 = 10;

/// What is wrong with the arguments, where the parser of the command line could not tell.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Usage(pub(crate) String);

/// What was waited for did not come in time.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct NotInTime(pub(crate) String);

/// Says what went wrong, on standard error.
pub(crate) fn say(error: &anyhow::Error) {
    if error.is::<ReaderGone>() {
        return;
    }
    for line in format!("{error:#}").lines() {
        output::note(&format!("error: {}", output::clean(line)));
    }
}

/// The code for an error.
pub(crate) fn code(error: &anyhow::Error) -> ExitCode {
    if error.is::<ReaderGone>() {
        return ExitCode::SUCCESS;
    }
    error.chain().find_map(code_of).map_or(ExitCode::FAILURE, ExitCode::from)
}

fn code_of(cause: &(dyn std::error::Error + 'static)) -> Option<u8> {
    if cause.is::<Problems>() || cause.is::<Usage>() || cause.is::<weir_server::Unsafe>() {
        return Some(USAGE);
    }
    if cause.is::<NotInTime>() {
        return Some(LATE);
    }
    if let Some(failure) = cause.downcast_ref::<Failure>() {
        return match failure {
            Failure::BadUrl { .. } => Some(USAGE),
            Failure::NotFound { .. } => Some(NOT_FOUND),
            Failure::Denied { .. } => Some(DENIED),
            Failure::Unreachable { .. } | Failure::NoAnswer { .. } => Some(UNREACHABLE),
            Failure::Busy { .. } => Some(BUSY),
            Failure::Strange { .. } | Failure::Refused { .. } => None,
        };
    }
    if let Some(error) = cause.downcast_ref::<weir_client::Error>() {
        return code_of_client(error);
    }
    let shard = cause.downcast_ref::<OpenShardError>().and_then(|error| match error {
        OpenShardError::Store(error) => Some(error),
        _ => None,
    });
    match shard.or_else(|| cause.downcast_ref::<OpenError>())? {
        OpenError::Damaged(_) => Some(DAMAGED),
        OpenError::Locked => Some(LOCKED),
        OpenError::VersionUnknown { .. } => Some(VERSION),
        _ => None,
    }
}

fn code_of_client(error: &weir_client::Error) -> Option<u8> {
    match error {
        weir_client::Error::Address { .. } | weir_client::Error::HalfAKey { .. } => Some(USAGE),
        weir_client::Error::Unreachable { .. } | weir_client::Error::NoAnswer { .. } => Some(UNREACHABLE),
        weir_client::Error::Refused(problem) => match problem.status {
            401 | 403 => Some(DENIED),
            404 => Some(NOT_FOUND),
            429 | 503 => Some(BUSY),
            _ => None,
        },
        _ => None,
    }
}
