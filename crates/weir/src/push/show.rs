//! `weir push get`.

use serde_json::Value;

use crate::arguments::spoken_ms;
use crate::client::{Queue, Request, ServerArguments, list, number, text};
use crate::output;

#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// Name, URL or ARN of the queue.
    queue: Queue,
    /// Prints an object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArguments,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let answer = arguments.server.client()?.native(&Request::get(&["queues", arguments.queue.name(), "push"]))?;
    if arguments.json {
        return output::say(&format!("{answer:#}\n"));
    }
    output::say(&output::fields(rows(&answer)))
}

fn rows(answer: &Value) -> Vec<(&'static str, String)> {
    let mut rows = Vec::new();
    let mut row = |name, value: Option<String>| rows.extend(value.map(|value| (name, value)));
    let target = answer.get("target").cloned().unwrap_or_default();
    let status = answer.get("status").cloned().unwrap_or_default();
    let count = |name| number(&status, name).map(|count| count.to_string());
    row("queue", text(answer, "queue").map(output::clean));
    row("url", text(&target, "url").map(output::clean));
    row("mode", text(&target, "mode").map(str::to_owned));
    if let Some(batch) = target.get("batch") {
        let max = number(batch, "max").unwrap_or_default();
        let wait = number(batch, "wait_ms").filter(|&ms| ms > 0).map(spoken_ms);
        row("batch", Some(wait.map_or_else(|| max.to_string(), |wait| format!("{max}, or after {wait}"))));
    }
    row("secrets", number(answer, "secrets").map(|count| count.to_string()));
    row("state", text(&status, "state").map(str::to_owned));
    row("concurrency", count("concurrency"));
    row("under way", count("in_flight"));
    row("left alone until", number(&status, "held_until_ms").map(output::stamp));
    row("breaker", text(&status, "breaker").map(str::to_owned));
    row("open until", number(&status, "open_until_ms").map(output::stamp));
    row("delivered", count("delivered"));
    row("failed", count("failed"));
    row("throttled", count("throttled"));
    for error in list(&status, "last_errors") {
        let at = number(error, "at_ms").map(output::stamp).unwrap_or_default();
        let times = match number(error, "times").unwrap_or(1) {
            1 => String::new(),
            times => format!(" ({times} times)"),
        };
        row("error", text(error, "error").map(|text| format!("{at} {}{times}", output::clean(text))));
    }
    rows
}
