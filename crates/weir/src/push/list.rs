//! `weir push list`.

use serde_json::Value;

use crate::client::{number, text};
use crate::listing::{Listing, Place};
use crate::output::Table;

const TARGETS: Place = Place { path: "push", member: "targets", name: "queue" };

pub(super) fn run(listing: &Listing) -> anyhow::Result<()> {
    let titles = ["QUEUE", "URL", "STATE", "CONCURRENCY", "UNDER WAY", "DELIVERED", "FAILED", "THROTTLED"];
    let table = Table::new(&titles).right(&[3, 4, 5, 6, 7]);
    listing.show(&TARGETS, table, |target: &Value| {
        let (settings, status) =
            (target.get("target").unwrap_or(&Value::Null), target.get("status").unwrap_or(&Value::Null));
        let said = |of, field| text(of, field).unwrap_or_default().to_owned();
        let count = |field| number(status, field).map_or_else(String::new, |count| count.to_string());
        [
            said(target, TARGETS.name),
            said(settings, "url"),
            said(status, "state"),
            count("concurrency"),
            count("in_flight"),
            count("delivered"),
            count("failed"),
            count("throttled"),
        ]
    })
}
