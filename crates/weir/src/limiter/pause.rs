//! `weir limiter pause` and `resume`.

use serde_json::json;

use crate::arguments::{milliseconds, spoken_ms};
use crate::client::{Request, ServerArguments};
use crate::output;

#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// Name of the limiter.
    limiter: String,
    /// The key: a customer, a host, …
    key: String,
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
    /// The key.
    key: String,
    #[command(flatten)]
    server: ServerArguments,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let Arguments { limiter, key, for_ms, server } = arguments;
    let request = Request::post(&["limiters", limiter, "keys", key, "pause"]).json(&json!({ "for_ms": for_ms }));
    server.client()?.native(&request)?;
    output::say(&format!("paused {} of {} for {}\n", output::clean(key), output::clean(limiter), spoken_ms(*for_ms)))
}

pub(super) fn resume(arguments: &ResumeArguments) -> anyhow::Result<()> {
    let ResumeArguments { limiter, key, server } = arguments;
    let request = Request::post(&["limiters", limiter, "keys", key, "resume"]).json(&json!({}));
    server.client()?.native(&request)?;
    output::say(&format!("resumed {} of {}\n", output::clean(key), output::clean(limiter)))
}
