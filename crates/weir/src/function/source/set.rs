//! `weir function source set`.

use anyhow::Context as _;
use serde_json::{Map, Value, json};

use crate::arguments::milliseconds;
use crate::client::{Queue, Request, ServerArguments};
use crate::output;

#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// Name of the function.
    function: String,
    /// Name, URL or ARN of the queue.
    queue: Queue,
    /// How many messages a batch has at most. Default: 10.
    #[arg(long, value_name = "N")]
    batch: Option<u32>,
    /// How long to wait, from the first message on, until a batch has so many. Default: not at all.
    #[arg(long, value_name = "DURATION", value_parser = milliseconds)]
    wait: Option<u64>,
    /// How many batches are under way at once at most. Default: 100.
    #[arg(long, short = 'c', value_name = "N")]
    concurrency: Option<u32>,
    /// Which messages are handed over, the others being deleted: a pattern in JSON about body and attributes. Can be given
    /// several times; a message has to match one.
    #[arg(long, value_name = "JSON")]
    filter: Vec<String>,
    /// The result of the function names the messages of a batch that come again.
    #[arg(long)]
    partial_failures: bool,
    /// Hands nothing over until it is resumed.
    #[arg(long)]
    paused: bool,
    /// Prints an object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArguments,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let (function, queue) = (&arguments.function, arguments.queue.name());
    let request = Request::put(&super::path(function, queue)).json(&arguments.settings()?);
    let answer = arguments.server.client()?.native(&request)?;
    if arguments.json {
        return output::say(&format!("{answer:#}\n"));
    }
    let done = if answer.get("created").is_some_and(|created| created == true) { "created" } else { "changed" };
    let is_on = answer.get("source").and_then(|source| source.get("enabled")).is_none_or(|enabled| enabled == true);
    let paused = if is_on { "" } else { " (paused)" };
    output::say(&format!("{done} {} -> {}{paused}\n", output::clean(queue), output::clean(function)))
}

impl Arguments {
    fn settings(&self) -> anyhow::Result<Value> {
        let read = |pattern: &String| serde_json::from_str::<Value>(pattern).context("--filter is not JSON");
        let filters: Vec<Value> = self.filter.iter().map(read).collect::<Result<_, _>>()?;
        let mut batch = Map::new();
        batch.extend(self.batch.map(|count| ("count".to_owned(), json!(count))));
        batch.extend(self.wait.map(|ms| ("wait_ms".to_owned(), json!(ms))));
        let members = [
            ("batch", Some(Value::Object(batch))),
            ("concurrency", self.concurrency.map(Value::from)),
            ("filters", (!filters.is_empty()).then(|| filters.into())),
            ("partial_failures", self.partial_failures.then(|| true.into())),
            ("enabled", self.paused.then(|| false.into())),
        ];
        Ok(Value::Object(members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()))
    }
}
