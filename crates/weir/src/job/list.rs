//! `weir job list`.

use std::process::ExitCode;

use serde_json::Value;

use super::picked::State;
use crate::client::{Client, Exact, Queue, Request, ServerArguments, list, number, text};
use crate::exit::Usage;
use crate::output::{self, Table};

/// Jobs of one page.
const PAGE: u64 = 256;

#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// Name, URL or ARN of the queue.
    queue: Queue,
    /// Only jobs in this state. Can be given several times; lists them in this order.
    #[arg(long = "state", value_name = "STATE", value_delimiter = ',')]
    states: Vec<State>,
    /// Only jobs of this name.
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Only jobs for which this holds: `attributes.kind = "mail" and receives > 3`. See docs/command-line.md.
    #[arg(long, value_name = "EXPRESSION")]
    filter: Option<String>,
    /// How many at most.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..))]
    limit: u64,
    /// Lists all of them.
    #[arg(long, conflicts_with = "limit")]
    all: bool,
    /// Only the ids, one a line.
    #[arg(long, conflicts_with = "json")]
    ids: bool,
    /// Prints an object for each job, one a line.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArguments,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    if let Some(filter) = &arguments.filter {
        // Said before anything is asked of the server.
        weir_server::filter::parse(filter).map_err(|error| Usage(format!("--filter: {error}")))?;
    }
    let client = arguments.server.client()?;
    let mut left = if arguments.all { u64::MAX } else { arguments.limit };
    let mut table = Table::new(&["ID", "STATE", "NAME", "PRIORITY", "LEASES", "ADDED", "DUE", "DATA"]).right(&[3, 4]);
    let mut cursor: Option<String> = None;
    loop {
        let (answer, exact) = page(&client, arguments, left.min(PAGE), cursor.as_deref())?;
        let jobs = list(&answer, "jobs");
        left = left.saturating_sub(jobs.len() as u64);
        if arguments.json {
            let lines: Vec<String> = exact.items("jobs").iter().map(|job| format!("{job}\n")).collect();
            output::say(&lines.concat())?;
        }
        for job in jobs.iter().filter(|_| !arguments.json) {
            if arguments.ids {
                output::say(&format!("{}\n", output::clean(text(job, "id").unwrap_or_default())))?;
            } else {
                table.row(row(job));
            }
        }
        let next = text(&answer, "cursor").map(str::to_owned);
        anyhow::ensure!(next.is_none() || next != cursor, "the server does not go on: its answer has no new cursor");
        cursor = next;
        if cursor.is_none() || left == 0 {
            break;
        }
    }
    if !arguments.json && !arguments.ids {
        output::say(&table.render())?;
    }
    if cursor.is_some() {
        output::note(&format!("these are the first {}; --limit or --all shows more", arguments.limit));
    }
    Ok(ExitCode::SUCCESS)
}

fn page(client: &Client, arguments: &Arguments, limit: u64, cursor: Option<&str>) -> anyhow::Result<(Value, Exact)> {
    let states: Vec<&str> = arguments.states.iter().map(|state| state.name()).collect();
    let request = Request::get(&["queues", arguments.queue.name(), "jobs"])
        .with("states", (!states.is_empty()).then(|| states.join(",")))
        .with("name", arguments.name.as_ref())
        .with("filter", arguments.filter.as_ref())
        .with("limit", Some(limit))
        .with("cursor", cursor);
    Ok(client.native_exactly(&request)?)
}

fn row(job: &Value) -> [String; 8] {
    let said = |name: &str| text(job, name).unwrap_or_default().to_owned();
    let count = |name: &str| number(job, name).map_or_else(String::new, |count| count.to_string());
    let moment = |name: &str| number(job, name).map_or_else(|| "-".to_owned(), output::stamp);
    let name = if job.get("name").is_some() { said("name") } else { "-".to_owned() };
    let data = job.get("data").map_or_else(String::new, Value::to_string);
    [
        said("id"),
        said("state"),
        name,
        count("priority"),
        count("leases"),
        moment("added_at_ms"),
        moment("due_at_ms"),
        data,
    ]
}
