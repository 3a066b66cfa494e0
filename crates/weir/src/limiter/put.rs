//! `weir limiter put`.

use super::terms::{TermsArguments, reserves, windows};
use crate::client::{Request, ServerArguments, number};
use crate::output;

#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// Its name.
    limiter: String,
    #[command(flatten)]
    terms: TermsArguments,
    /// Where intervals become longer than what is known of the past, takes it for empty: nobody waits, and intervals that
    /// began before the change may hold too many.
    #[arg(long)]
    forget: bool,
    /// Prints an object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArguments,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let client = arguments.server.client()?;
    let request = Request::put(&["limiters", &arguments.limiter])
        .with("unknown", arguments.forget.then_some("empty"))
        .json(&arguments.terms.terms()?);
    let answer = client.native(&request)?;
    if arguments.json {
        return output::say(&format!("{answer:#}\n"));
    }
    let created = answer.get("created").is_some_and(|created| created == true);
    let terms = answer.get("limiter").and_then(|limiter| limiter.get("terms")).cloned().unwrap_or_default();
    let concurrency = number(&terms, "concurrency").map(|most| format!("; {most} at once")).unwrap_or_default();
    let reserves = match reserves(&terms).as_str() {
        "-" => String::new(),
        reserves => format!("; {reserves}"),
    };
    let done = if created { "created" } else { "changed" };
    let name = output::clean(&arguments.limiter);
    let windows = match windows(&terms).as_str() {
        "-" => "any number".to_owned(),
        windows => windows.to_owned(),
    };
    output::say(&format!("{done} {name}: {windows}{concurrency}{reserves}\n"))
}
