//! `weir job logs`.

use std::process::ExitCode;
use std::time::Duration;

use serde_json::{Value, json};

use super::wait::has_finished;
use crate::client::{Client, Failure, Queue, Request, ServerArguments, list, number};
use crate::output;

/// Lines of one page.
const PAGE: u64 = 256;
/// Between two looks at a job that is followed. The server answers earlier when the job finishes.
const LOOK: Duration = Duration::from_millis(500);

#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// Name, URL or ARN of the queue.
    queue: Queue,
    /// Its id, or the id that its sender chose.
    id: String,
    /// Goes on until the job has finished.
    #[arg(long, short)]
    follow: bool,
    /// Prints an object for each line, with its number.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArguments,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let client = arguments.server.client()?;
    let mut next = print_from(&client, arguments, 0)?;
    if !arguments.follow {
        return Ok(ExitCode::SUCCESS);
    }
    loop {
        // Its last lines may have come just before its end.
        let ended = match look(&client, arguments) {
            Ok(job) => has_finished(&job),
            Err(failure) if is_gone(&failure) => return Ok(ExitCode::SUCCESS),
            Err(failure) => return Err(failure.into()),
        };
        next = match print_from(&client, arguments, next) {
            Err(error) if error.downcast_ref::<Failure>().is_some_and(is_gone) => return Ok(ExitCode::SUCCESS),
            printed => printed?,
        };
        if ended {
            return Ok(ExitCode::SUCCESS);
        }
    }
}

/// Whether a job that was there is not any more: it was removed, or is not kept.
fn is_gone(failure: &Failure) -> bool {
    matches!(failure, Failure::NotFound { .. })
}

fn look(client: &Client, arguments: &Arguments) -> Result<Value, Failure> {
    let request = Request::get(&["queues", arguments.queue.name(), "jobs", &arguments.id]);
    client.native(&request.with("wait_ms", Some(LOOK.as_millis())).waiting(LOOK))
}

/// Prints the lines from this number on; the number of the one that comes next.
fn print_from(client: &Client, arguments: &Arguments, from: u64) -> anyhow::Result<u64> {
    let mut next = from;
    loop {
        let request = Request::get(&["queues", arguments.queue.name(), "jobs", &arguments.id, "logs"])
            .with("from", Some(next))
            .with("limit", Some(PAGE));
        let answer = client.native(&request)?;
        let lines = list(&answer, "lines");
        let first = number(&answer, "from").unwrap_or(next);
        if first > next && !arguments.json {
            output::note(&match first - next {
                1 => "the first line is not kept any more".to_owned(),
                gone => format!("the first {gone} lines are not kept any more"),
            });
        }
        for (line, number) in lines.iter().zip(first..) {
            let line = line.as_str().unwrap_or_default();
            output::say(&if arguments.json {
                format!("{}\n", json!({ "number": number, "line": line }))
            } else {
                format!("{}\n", output::clean(line))
            })?;
        }
        next = first.max(next) + lines.len() as u64;
        if lines.is_empty() || next >= number(&answer, "total").unwrap_or(0) {
            return Ok(next);
        }
    }
}
