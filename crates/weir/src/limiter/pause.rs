//! `weir limiter pause` and `resume`.

use serde_json::json;

use crate::arguments::{milliseconds, spoken_ms};
use crate::client::{Request, ServerArguments};
use crate::output;

#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// Name of the limiter.
    limiter: String,
    /// The key: a customer, a host, …; left out, those without a key, which share one.
    key: Option<String>,
    /// For how long: 30s.
    #[arg(long = "for", value_name = "DURATION", value_parser = milliseconds)]
    for_ms: u64,
    #[command(flatten)]
    server: ServerArguments,
}

#[derive(clap::Args, Debug)]
pub(crate) struct ResumeArguments {
    /// Name of the limiter.
    limiter: String,
    /// The key; left out, those without a key.
    key: Option<String>,
    #[command(flatten)]
    server: ServerArguments,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let Arguments { limiter, key, for_ms, server } = arguments;
    let request = Request::post(&path(limiter, key.as_deref(), "pause")).json(&json!({ "for_ms": for_ms }));
    server.client()?.native(&request)?;
    output::say(&format!("paused {} for {}\n", spoken(limiter, key.as_deref()), spoken_ms(*for_ms)))
}

pub(super) fn resume(arguments: &ResumeArguments) -> anyhow::Result<()> {
    let ResumeArguments { limiter, key, server } = arguments;
    let request = Request::post(&path(limiter, key.as_deref(), "resume")).json(&json!({}));
    server.client()?.native(&request)?;
    output::say(&format!("resumed {}\n", spoken(limiter, key.as_deref())))
}

fn path<'a>(limiter: &'a str, key: Option<&'a str>, what: &'a str) -> Vec<&'a str> {
    match key {
        Some(key) => vec!["limiters", limiter, "keys", key, what],
        None => vec!["limiters", limiter, what],
    }
}

fn spoken(limiter: &str, key: Option<&str>) -> String {
    match key {
        Some(key) => format!("{} of {}", output::clean(key), output::clean(limiter)),
        None => output::clean(limiter),
    }
}
