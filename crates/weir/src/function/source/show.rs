//! `weir function source get`.

use serde_json::Value;

use crate::client::{Queue, Request, ServerArguments, list, number, text};
use crate::output;

#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// Name of the function.
    function: String,
    /// Name, URL or ARN of the queue.
    queue: Queue,
    /// Prints an object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArguments,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let request = Request::get(&super::path(&arguments.function, arguments.queue.name()));
    let answer = arguments.server.client()?.native(&request)?;
    if arguments.json {
        return output::say(&format!("{answer:#}\n"));
    }
    output::say(&output::fields(rows(&answer)))
}

fn rows(answer: &Value) -> Vec<(&'static str, String)> {
    let mut rows = Vec::new();
    let mut row = |name, value: Option<String>| rows.extend(value.map(|value| (name, value)));
    let status = answer.get("status").cloned().unwrap_or_default();
    row("queue", text(answer, "queue").map(output::clean));
    row("function", text(answer, "function").map(output::clean));
    row("id", text(answer, "id").map(output::clean));
    row("batch", Some(super::batch(answer)));
    row("concurrency", number(answer, "concurrency").map(|most| most.to_string()));
    for filter in list(answer, "filters") {
        row("filter", Some(output::clean(&filter.to_string())));
    }
    let reports = answer.get("partial_failures").and_then(Value::as_bool);
    row("partial failures", reports.map(|reports| if reports { "yes" } else { "no" }.to_owned()));
    row("state", text(&status, "state").map(output::clean));
    row("last batch", text(&status, "last_result").map(output::clean));
    row("error", text(&status, "last_error").map(output::clean));
    row("changed", number(answer, "modified_at_ms").map(output::stamp));
    rows
}
