//! Asking a running server for a copy of its data.

use std::path::Path;
use std::time::Duration;

use serde_json::json;

use crate::client::{Client, Request, number};

/// How long a copy may take.
const PATIENCE: Duration = Duration::from_hours(24);

/// Asks the server to copy its data into `directory` on its machine, and returns what it says of it.
pub(crate) fn ask(client: &Client, directory: &Path) -> anyhow::Result<String> {
    let request = Request::post(&["admin", "backup"]).json(&json!({ "directory": directory })).waiting(PATIENCE);
    let answer = client.native(&request)?;
    let figure = |name: &str| number(&answer, name).unwrap_or_default();
    Ok(format!("{} rows, {} bytes, as of commit {}", figure("rows"), figure("bytes"), figure("sequence")))
}
