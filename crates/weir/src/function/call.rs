//! `weir function call` and `weir function enqueue`.

use std::time::Duration;

use serde_json::{Map, json};

use crate::arguments::milliseconds;
use crate::client::{Failure, Request, ServerArguments, list, text};
use crate::exit::NotInTime;
use crate::job::data;
use crate::output;

#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// Name of the function.
    function: String,
    /// The payload in JSON; `@FILE` reads it from a file, `-` from standard input. Default: null.
    #[arg(long, short, value_name = "JSON")]
    data: Option<String>,
    /// How long to wait for the result.
    #[arg(long, value_name = "DURATION", value_parser = milliseconds, default_value = "1m")]
    wait: u64,
    /// Prints an object: the id of the job, and the result.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArguments,
}

#[derive(clap::Args, Debug)]
pub(crate) struct EnqueueArguments {
    /// Name of the function.
    function: String,
    /// The payload in JSON; `@FILE` reads it from a file, `-` from standard input. Default: null.
    #[arg(long, short, value_name = "JSON")]
    data: Option<String>,
    /// Prints an object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArguments,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let client = arguments.server.client()?;
    let request = Request::post(&["functions", &arguments.function, "call"])
        .with("wait_ms", Some(arguments.wait))
        .written(job(arguments.data.as_deref())?)
        .waiting(Duration::from_millis(arguments.wait));
    let (_, answer) = match client.native_exactly(&request) {
        Err(Failure::Refused { code, message }) if code == "function.timeout" => return Err(NotInTime(message).into()),
        answered => answered?,
    };
    if arguments.json {
        return output::say(&format!("{}\n", answer.pretty()));
    }
    output::say(&format!("{}\n", answer.get("result").unwrap_or("null")))
}

pub(super) fn enqueue(arguments: &EnqueueArguments) -> anyhow::Result<()> {
    let request = Request::post(&["functions", &arguments.function, "enqueue"]);
    let answer = arguments.server.client()?.native(&request.written(job(arguments.data.as_deref())?))?;
    let added = list(&answer, "jobs").first().cloned().unwrap_or_else(|| json!({}));
    if arguments.json {
        return output::say(&format!("{added:#}\n"));
    }
    output::say(&format!("{}\n", output::clean(text(&added, "id").unwrap_or_default())))
}

/// The job that a call is.
fn job(payload: Option<&str>) -> anyhow::Result<Vec<u8>> {
    let payload = payload.map(data::read).transpose()?;
    Ok(data::object(&Map::new(), payload.as_deref()).into_bytes())
}
