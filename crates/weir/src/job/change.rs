//! `weir job retry`, `cancel`, `promote` and `remove`: jobs by their ids, or all that are picked.

use std::process::ExitCode;

use serde_json::json;

use super::bulk::{Bulk, Change};
use super::picked::Picked;
use crate::client::{Client, Failure, Queue, Request, ServerArguments};
use crate::exit::Usage;
use crate::output;

/// `weir job retry`
pub(super) const RETRY: Change = Change { verb: "retry", done: "retried", path: &["jobs", "retry"] };
/// `weir job cancel`
pub(super) const CANCEL: Change = Change { verb: "cancel", done: "cancelled", path: &["jobs", "cancel"] };
/// `weir job promote`
pub(super) const PROMOTE: Change = Change { verb: "promote", done: "promoted", path: &["jobs", "promote"] };
/// `weir job remove`
pub(super) const REMOVE: Change = Change { verb: "remove", done: "removed", path: &["jobs", "remove"] };

#[derive(clap::Args, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub(crate) struct Arguments {
    /// Name, URL or ARN of the queue.
    queue: Queue,
    /// Ids of jobs, the server's or those that their senders chose.
    #[arg(value_name = "ID")]
    ids: Vec<String>,
    /// All jobs that the other arguments pick, in the states that allow it.
    #[arg(long, conflicts_with = "ids")]
    all: bool,
    #[command(flatten)]
    picked: Picked,
    /// Changes nothing: counts what would be changed.
    #[arg(long, requires = "all")]
    dry_run: bool,
    /// Does not ask first.
    #[arg(long, short)]
    yes: bool,
    /// Prints an object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArguments,
}

#[derive(clap::Args, Debug)]
pub(crate) struct RetryArguments {
    /// Counts on: the job has only the attempts that it had left.
    #[arg(long, conflicts_with = "all")]
    no_reset: bool,
    #[command(flatten)]
    arguments: Arguments,
}

pub(super) fn retry(arguments: &RetryArguments) -> anyhow::Result<ExitCode> {
    run(&arguments.arguments, RETRY, !arguments.no_reset)
}

pub(super) fn run(arguments: &Arguments, change: Change, reset: bool) -> anyhow::Result<ExitCode> {
    let Arguments { queue, picked, dry_run, yes, json, .. } = arguments;
    if arguments.ids.is_empty() && !arguments.all {
        let verb = change.verb;
        return Err(Usage(format!("which jobs? `weir job {verb} QUEUE ID...` or `weir job {verb} QUEUE --all`")).into());
    }
    if !arguments.all && !picked.is_empty() {
        return Err(Usage("--state, --name, --filter, --older-than and --max go with --all".to_owned()).into());
    }
    let client = arguments.server.client()?;
    if arguments.all {
        return Bulk { change, queue, picked, dry_run: *dry_run, yes: *yes, json: *json }.run(&client);
    }
    let mut changed = Vec::new();
    let mut refused = Vec::new();
    for id in &arguments.ids {
        match one(&client, queue, id, change, reset) {
            Ok(()) => {
                if !json {
                    output::say(&format!("{} {}\n", change.done, output::clean(id)))?;
                }
                changed.push(id);
            }
            // Another job's answer may be another one, unless there is no such queue.
            Err(failure @ (Failure::NotFound { .. } | Failure::Refused { .. }))
                if failure.code() != Some("queue.not_found") =>
            {
                refused.push((id, failure));
            }
            Err(failure) => return Err(failure.into()),
        }
    }
    if *json {
        output::say(&format!("{:#}\n", json!({ "changed": changed })))?;
    }
    let (count, of) = (refused.len(), arguments.ids.len());
    let Some((id, last)) = refused.pop() else { return Ok(ExitCode::SUCCESS) };
    for (id, failure) in refused {
        output::note(&output::clean(&format!("{id}: {failure}")));
    }
    let about = if of == 1 { id.clone() } else { format!("{count} of {of} jobs were refused; {id}") };
    Err(anyhow::Error::new(last).context(about))
}

fn one(client: &Client, queue: &Queue, id: &str, change: Change, reset: bool) -> Result<(), Failure> {
    let job = ["queues", queue.name(), "jobs", id];
    let request = match change.verb {
        "remove" => Request::delete(&job),
        verb => Request::post(&[&job[..], &[verb]].concat()).json(&if reset {
            json!({})
        } else {
            json!({ "reset": false })
        }),
    };
    client.native(&request).map(drop)
}
