//! `weir job add`.

pub(crate) mod data;
mod lines;
mod options;

use std::process::ExitCode;

use serde_json::json;

use self::options::Options;
use super::wait;
use crate::arguments::milliseconds;
use crate::client::{Queue, Request, ServerArguments, list, text};
use crate::output;

#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// Name, URL or ARN of the queue.
    queue: Queue,
    /// What the worker gets, in JSON; `@FILE` reads it from a file, `-` from standard input. Default: null.
    #[arg(long, short, value_name = "JSON", conflicts_with_all = ["lines", "json_lines"])]
    data: Option<String>,
    /// Adds a job for each line of standard input, which is its data in JSON. Lines go in batches, each added once
    /// whatever happens to server and connection.
    #[arg(long)]
    lines: bool,
    /// Adds a job for each line of standard input, which is the whole job as the native API takes it: {"name": "mail",
    /// "data": {"to": "ada"}}. Options hold for what a line does not say.
    #[arg(long, conflicts_with = "lines")]
    json_lines: bool,
    /// Waits until the job has finished, and prints its result: 30s. Fails if the job does.
    #[arg(long, value_name = "DURATION", value_parser = milliseconds, conflicts_with_all = ["lines", "json_lines"])]
    wait: Option<u64>,
    /// Prints an object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    options: Options,
    #[command(flatten)]
    server: ServerArguments,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let client = arguments.server.client()?;
    let members = arguments.options.members()?;
    if arguments.lines || arguments.json_lines {
        let form = if arguments.lines { lines::Form::Data } else { lines::Form::Jobs };
        return lines::add(&client, &arguments.queue, form, &members, arguments.json);
    }
    let data = arguments.data.as_deref().map(data::read).transpose()?;
    let job = data::object(&members, data.as_deref());
    let request = Request::post(&["queues", arguments.queue.name(), "jobs"]).written(job.into_bytes());
    let answer = client.native(&request)?;
    let added = list(&answer, "jobs").first().cloned().unwrap_or_else(|| json!({}));
    let id = text(&added, "id").unwrap_or_default();
    if let Some(ms) = arguments.wait {
        let waited = wait::until_finished(&client, &arguments.queue, id, ms)?;
        return waited.tell_result(arguments.json);
    }
    let is_duplicate = added.get("duplicate").is_some_and(|duplicate| duplicate == true);
    if is_duplicate && !arguments.json {
        output::note(&format!("nothing was added: job {id} is there already"));
    }
    output::say(&if arguments.json { format!("{added:#}\n") } else { format!("{}\n", output::clean(id)) })?;
    Ok(ExitCode::SUCCESS)
}
