//! Settings of push targets, as they are given on a command line.

use std::fs;
use std::path::Path;

use anyhow::Context as _;
use serde_json::{Map, Value, json};

/// The settings in a file, if one is named.
pub(crate) fn read(path: Option<&Path>) -> anyhow::Result<Map<String, Value>> {
    let Some(path) = path else { return Ok(Map::new()) };
    let about = || format!("cannot use the settings in {}", path.display());
    serde_json::from_str(&fs::read_to_string(path).with_context(about)?).with_context(about)
}

/// What every request has: secrets that sign it, headers, and headers that are never shown. What is not given is not set.
pub(crate) fn sent(
    secrets: &[String],
    headers: &[(String, String)],
    secret_headers: &[(String, String)],
) -> anyhow::Result<Map<String, Value>> {
    let mut settings = Map::new();
    if !secrets.is_empty() {
        let secrets = secrets.iter().map(|secret| secret_of(secret)).collect::<anyhow::Result<Vec<_>>>()?;
        settings.insert("secrets".to_owned(), json!(secrets));
    }
    if !headers.is_empty() {
        let headers: Map<_, _> = headers.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
        settings.insert("headers".to_owned(), headers.into());
    }
    if !secret_headers.is_empty() {
        let mut hidden = Map::new();
        for (name, value) in secret_headers {
            hidden.insert(name.clone(), json!(secret_of(value)?));
        }
        settings.insert("secret_headers".to_owned(), hidden.into());
    }
    Ok(settings)
}

/// A secret as it is given, or the first line of a file: what stands on a command line is seen by others.
fn secret_of(text: &str) -> anyhow::Result<String> {
    let Some(path) = text.strip_prefix('@') else { return Ok(text.to_owned()) };
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {path}"))?;
    Ok(text.lines().next().unwrap_or_default().trim().to_owned())
}
