//! Listings that come page by page.

use serde_json::Value;

use super::{Client, Request, list, text};

/// Entries of one page.
const PAGE: u64 = 1_000;

impl Client {
    /// All entries of a listing. `request` makes the request for a page, without its length and its cursor; `member` is
    /// where the entries stand in the answer.
    pub(crate) fn all(&self, request: impl Fn() -> Request, member: &str) -> anyhow::Result<Vec<Value>> {
        let mut entries: Vec<Value> = Vec::new();
        let mut cursor: Option<String> = None;
        loop {
            let answer = self.native(&request().with("limit", Some(PAGE)).with("cursor", cursor.as_ref()))?;
            entries.extend(list(&answer, member).iter().cloned());
            let next = text(&answer, "cursor").map(str::to_owned);
            anyhow::ensure!(
                next.is_none() || next != cursor,
                "the server does not go on: its answer has no new cursor"
            );
            if next.is_none() {
                return Ok(entries);
            }
            cursor = next;
        }
    }
}
