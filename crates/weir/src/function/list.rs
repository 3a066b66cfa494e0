//! `weir function list`.

use serde_json::Value;

use crate::arguments::spoken_ms;
use crate::client::{number, text};
use crate::listing::{Listing, Place};
use crate::output::{self, Table};

const FUNCTIONS: Place = Place { path: "functions", member: "functions", name: "name" };

pub(super) fn run(listing: &Listing) -> anyhow::Result<()> {
    let table = Table::new(&["NAME", "BEHIND", "TIMEOUT", "CHANGED"]);
    listing.show(&FUNCTIONS, table, |function: &Value| {
        let target = function.get("push").and_then(|push| push.get("target")).cloned().unwrap_or_default();
        let behind = text(&target, "url").or_else(|| text(function, "behind")).unwrap_or_default();
        [
            text(function, FUNCTIONS.name).unwrap_or_default().to_owned(),
            output::clean(behind),
            number(function, "timeout_ms").map_or_else(|| "-".to_owned(), spoken_ms),
            number(function, "modified_at_ms").map_or_else(String::new, output::stamp),
        ]
    })
}
