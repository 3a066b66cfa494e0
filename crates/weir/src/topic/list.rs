//! `weir topic list`.

use serde_json::Value;

use crate::client::{number, text};
use crate::listing::{Listing, Place};
use crate::output::{self, Table};

const TOPICS: Place = Place { path: "topics", member: "topics", name: "name" };

pub(super) fn run(listing: &Listing) -> anyhow::Result<()> {
    let table = Table::new(&["NAME", "CREATED", "CHANGED"]);
    listing.show(&TOPICS, table, |topic: &Value| {
        let stamp = |field| number(topic, field).map_or_else(String::new, output::stamp);
        let name = text(topic, TOPICS.name).unwrap_or_default().to_owned();
        [name, stamp("created_at_ms"), stamp("modified_at_ms")]
    })
}
