//! `weir limiter get`.

use serde_json::{Value, json};

use super::terms::{reserves, window};
use crate::arguments::spoken_ms;
use crate::client::{Request, ServerArguments, list, number, text};
use crate::output;

#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// Its name.
    limiter: String,
    /// Shows how this key of it stands, in place of what all share who have no key.
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// Prints an object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArguments,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let client = arguments.server.client()?;
    let name = arguments.limiter.as_str();
    let mut answer = client.native(&Request::get(&["limiters", name]))?;
    if let Some(key) = &arguments.key {
        let state = client.native(&Request::get(&["limiters", name, "keys", key]))?;
        if let Some(answer) = answer.as_object_mut() {
            answer.insert("key".to_owned(), json!(key));
            answer.insert("state".to_owned(), state);
        }
    }
    if arguments.json {
        return output::say(&format!("{answer:#}\n"));
    }
    output::say(&output::fields(rows(&answer)))
}

fn rows(answer: &Value) -> Vec<(String, String)> {
    let mut rows = Vec::new();
    let mut row = |name: &str, value: Option<String>| rows.extend(value.map(|value| (name.to_owned(), value)));
    let limiter = answer.get("limiter").cloned().unwrap_or_default();
    let terms = limiter.get("terms").cloned().unwrap_or_default();
    let state = answer.get("state").cloned().unwrap_or_default();
    row("name", text(&limiter, "name").map(str::to_owned));
    row("key", text(answer, "key").map(str::to_owned));
    let mut used = list(&state, "windows").iter().map(|window| number(window, "used").unwrap_or_default());
    for term in list(&terms, "windows") {
        row("window", Some(format!("{}: {} now", window(term), used.next().unwrap_or_default())));
    }
    let running = number(&state, "running").unwrap_or_default();
    row("running", Some(running.to_string()));
    row("concurrency", number(&terms, "concurrency").map(|most| most.to_string()));
    row("reserved", Some(reserves(&terms)).filter(|reserves| reserves != "-"));
    row("pacing", terms.get("pacing").filter(|pacing| **pacing == true).map(|_| "even".to_owned()));
    row("guard", number(&terms, "guard_ms").filter(|ms| *ms > 0).map(spoken_ms));
    row("slow start", number(&terms, "slow_start_ms").filter(|ms| *ms > 0).map(spoken_ms));
    row("paused until", number(&state, "paused_until_ms").map(output::stamp));
    row("next start", Some(state.get("blocked").map_or_else(|| "now".to_owned(), blocked)));
    row("created", number(&limiter, "created_at_ms").map(output::stamp));
    row("changed", number(&limiter, "modified_at_ms").map(output::stamp));
    rows
}

/// What a start waits for: `window 0 is full, until 2026-01-31T08:05:09Z`.
pub(super) fn blocked(blocked: &Value) -> String {
    let reason = text(blocked, "reason").unwrap_or("the server does not say why");
    let until = number(blocked, "until_ms").map(|ms| format!(", until {}", output::stamp(ms))).unwrap_or_default();
    format!("{reason}{until}")
}
