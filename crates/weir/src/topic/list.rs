//! `weir topic list`.

use serde_json::Value;

use crate::client::{Request, ServerArguments, number, text};
use crate::output::{self, Table};

#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// Only those whose names start with this.
    #[arg(long, value_name = "PREFIX")]
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
    let request = || Request::get(&["topics"]).with("prefix", arguments.prefix.as_ref());
    let topics = client.all(request, "topics")?;
    if arguments.json {
        return output::say(&format!("{:#}\n", Value::Array(topics)));
    }
    let name = |topic: &Value| text(topic, "name").unwrap_or_default().to_owned();
    if arguments.names {
        let names: Vec<String> = topics.iter().map(|topic| format!("{}\n", output::clean(&name(topic)))).collect();
        return output::say(&names.concat());
    }
    let mut table = Table::new(&["NAME", "CREATED", "CHANGED"]);
    for topic in &topics {
        let stamp = |field| number(topic, field).map_or_else(String::new, output::stamp);
        table.row([name(topic), stamp("created_at_ms"), stamp("modified_at_ms")]);
    }
    output::say(&table.render())
}
