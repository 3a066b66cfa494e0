//! `weir function source list`.

use serde_json::Value;

use crate::client::{Queue, Request, ServerArguments, text};
use crate::output::{self, Table};

#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// Name of the function. Default: all.
    function: Option<String>,
    /// Name, URL or ARN of a queue: only where its messages go.
    #[arg(long, conflicts_with = "function")]
    queue: Option<Queue>,
    /// Prints an array of objects.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArguments,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let request = || match &arguments.function {
        Some(function) => Request::get(&["functions", function, "sources"]),
        None => Request::get(&["sources"]).with("queue", arguments.queue.as_ref().map(Queue::name)),
    };
    let sources = arguments.server.client()?.all(request, "sources")?;
    if arguments.json {
        return output::say(&format!("{:#}\n", Value::Array(sources)));
    }
    let mut table = Table::new(&["QUEUE", "FUNCTION", "BATCH", "STATE", "LAST BATCH"]);
    for source in &sources {
        let status = source.get("status").cloned().unwrap_or_default();
        let word = |from, name| output::clean(text(from, name).unwrap_or_default());
        table.row([
            word(source, "queue"),
            word(source, "function"),
            super::batch(source),
            word(&status, "state"),
            word(&status, "last_result"),
        ]);
    }
    output::say(&table.render())
}
