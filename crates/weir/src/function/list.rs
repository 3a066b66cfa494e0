//! `weir function list`.

use serde_json::Value;

use crate::arguments::spoken_ms;
use crate::client::{Request, ServerArguments, number, text};
use crate::output::{self, Table};

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
    let request = || Request::get(&["functions"]).with("prefix", arguments.prefix.as_ref());
    let functions = client.all(request, "functions")?;
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
