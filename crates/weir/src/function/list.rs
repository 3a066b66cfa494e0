//! `weir function list`.

use serde_json::Value;

use crate::arguments::spoken_ms;
use crate::client::{Request, ServerArguments, list, number, text};
use crate::output::{self, Table};

/// Functions of one page.
const PAGE: u64 = 1_000;

#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// Only functions whose names start so.
    #[arg(long)]
    prefix: Option<String>,
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
    let mut functions: Vec<Value> = Vec::new();
    let mut cursor: Option<String> = None;
    loop {
        let request = Request::get(&["functions"])
            .with("limit", Some(PAGE))
            .with("prefix", arguments.prefix.as_ref())
            .with("cursor", cursor.as_ref());
        let answer = client.native(&request)?;
        functions.extend(list(&answer, "functions").iter().cloned());
        let next = text(&answer, "cursor").map(str::to_owned);
        anyhow::ensure!(next.is_none() || next != cursor, "the server does not go on: its answer has no new cursor");
        cursor = next;
        if cursor.is_none() {
            break;
        }
    }
    if arguments.json {
        return output::say(&format!("{:#}\n", Value::Array(functions)));
    }
    let name = |function: &Value| text(function, "name").unwrap_or_default().to_owned();
    if arguments.names {
        let names: Vec<String> =
            functions.iter().map(|function| format!("{}\n", output::clean(&name(function)))).collect();
        return output::say(&names.concat());
    }
    let mut table = Table::new(&["NAME", "BEHIND", "TIMEOUT", "CHANGED"]);
    for function in &functions {
        let target = function.get("push").and_then(|push| push.get("target")).cloned().unwrap_or_default();
        let behind = text(&target, "url").or_else(|| text(function, "behind")).unwrap_or_default();
        table.row([
            name(function),
            output::clean(behind),
            number(function, "timeout_ms").map_or_else(|| "-".to_owned(), spoken_ms),
            number(function, "modified_at_ms").map_or_else(String::new, output::stamp),
        ]);
    }
    output::say(&table.render())
}
