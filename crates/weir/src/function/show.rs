//! `weir function get`.

use serde_json::Value;

use crate::arguments::spoken_ms;
use crate::client::{Request, ServerArguments, list, number, text};
use crate::output;

#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// Name of the function.
    function: String,
    /// Prints an object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArguments,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let answer = arguments.server.client()?.native(&Request::get(&["functions", &arguments.function]))?;
    if arguments.json {
        return output::say(&format!("{answer:#}\n"));
    }
    output::say(&output::fields(rows(&answer)))
}

fn rows(answer: &Value) -> Vec<(&'static str, String)> {
    let mut rows = Vec::new();
    let mut row = |name, value: Option<String>| rows.extend(value.map(|value| (name, value)));
    let push = answer.get("push").cloned().unwrap_or_default();
    let target = push.get("target").cloned().unwrap_or_default();
    let status = push.get("status").cloned().unwrap_or_default();
    let retry = answer.get("retry").cloned().unwrap_or_default();
    row("name", text(answer, "name").map(output::clean));
    row("arn", text(answer, "arn").map(output::clean));
    row("description", text(answer, "description").filter(|text| !text.is_empty()).map(output::clean));
    row("behind", text(answer, "behind").map(str::to_owned));
    let words: Vec<String> =
        list(answer, "command").iter().filter_map(|word| word.as_str().map(output::clean)).collect();
    row("command", (!words.is_empty()).then(|| words.join(" ")));
    row("processes", number(answer, "concurrency").map(|count| count.to_string()));
    row("url", text(&target, "url").map(output::clean));
    row("mode", text(&target, "mode").map(str::to_owned));
    row("state", text(&status, "state").map(str::to_owned));
    row("concurrency", number(&status, "concurrency").map(|count| count.to_string()));
    row("under way", number(&status, "in_flight").map(|count| count.to_string()));
    row("timeout", number(answer, "timeout_ms").map(spoken_ms));
    row("attempts", number(&retry, "attempts_max").map(|count| count.to_string()));
    let limiters: Vec<String> =
        list(answer, "limiters").iter().filter_map(|used| text(used, "limiter").map(output::clean)).collect();
    row("limiters", (!limiters.is_empty()).then(|| limiters.join(", ")));
    row("dead letters", text(answer, "dead_letters").map(output::clean));
    for error in list(&status, "last_errors") {
        let at = number(error, "at_ms").map(output::stamp).unwrap_or_default();
        row("error", text(error, "error").map(|text| format!("{at} {}", output::clean(text))));
    }
    row("changed", number(answer, "modified_at_ms").map(output::stamp));
    rows
}
