//! What commands write: results on standard output, everything else on standard error.

mod table;
mod text;

pub(crate) use table::{Table, fields};
pub(crate) use text::{clean, counted, stamp};

use std::fmt;
use std::io::{self, IsTerminal, Write};

/// Whoever read our output has gone: the command ends quietly.
#[derive(Debug)]
pub(crate) struct ReaderGone;

impl fmt::Display for ReaderGone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("nobody reads the output any more")
    }
}

impl std::error::Error for ReaderGone {}

/// Writes to standard output.
pub(crate) fn say(text: &str) -> anyhow::Result<()> {
    say_bytes(text.as_bytes())
}

/// Writes bytes to standard output.
pub(crate) fn say_bytes(bytes: &[u8]) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(bytes).and_then(|()| out.flush()).map_err(|error| match error.kind() {
        io::ErrorKind::BrokenPipe => anyhow::Error::new(ReaderGone),
        _ => anyhow::Error::new(error).context("cannot write the result"),
    })
}

/// Says something beside the result.
pub(crate) fn note(text: &str) {
    // Where standard error is gone there is nobody to tell.
    let _ = writeln!(io::stderr(), "{text}");
}

/// Warns.
pub(crate) fn warn(text: &str) {
    note(&format!("warning: {text}"));
}

/// Whether standard output is a terminal that may be written to in color.
pub(crate) fn colored() -> bool {
    io::stdout().is_terminal()
        && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
        && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}
