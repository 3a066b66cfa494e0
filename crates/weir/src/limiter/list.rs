//! `weir limiter list`.

use serde_json::Value;

use super::terms::{reserves, windows};
use crate::client::{Request, ServerArguments, number, text};
use crate::listing::names;
use crate::output::{self, Table};

#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// Only the names, one a line.
    #[arg(long, conflicts_with = "json")]
    names: bool,
    /// Prints an array of objects.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArguments,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let client = arguments.server.client()?;
    let limiters = client.all(|| Request::get(&["limiters"]), "limiters")?;
    if arguments.json {
        return output::say(&format!("{:#}\n", Value::Array(limiters)));
    }
    let name = |limiter: &Value| text(limiter, "name").unwrap_or_default().to_owned();
    if arguments.names {
        return output::say(&names(&limiters, "name"));
    }
    let mut table = Table::new(&["NAME", "WINDOWS", "CONCURRENCY", "RESERVED", "CHANGED"]).right(&[2]);
    for limiter in &limiters {
        let terms = limiter.get("terms").cloned().unwrap_or_default();
        table.row([
            name(limiter),
            windows(&terms),
            number(&terms, "concurrency").map_or_else(|| "-".to_owned(), |most| most.to_string()),
            reserves(&terms),
            number(limiter, "modified_at_ms").map_or_else(String::new, output::stamp),
        ]);
    }
    output::say(&table.render())
}
