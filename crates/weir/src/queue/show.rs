//! `weir queue show`.

use serde_json::{Map, Value, json};

use super::list::counters;
use crate::arguments::spoken_ms;
use crate::client::{Queue, Request, ServerArguments, is_plain, list, number, text};
use crate::job::view::backoff;
use crate::output::{self, Table};

#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// Name, URL or ARN of the queue.
    queue: Queue,
    /// Prints an object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArguments,
}

/// Longer than anybody waits: what the server says for ever with, in milliseconds.
const EVER_MS: u64 = 1_000 * 365 * 86_400_000;

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let client = arguments.server.client()?;
    let queue = &arguments.queue;
    let shown = client.native(&Request::get(&["queues", queue.name()]))?;
    // What SQS calls it, where it can speak of it at all.
    let attributes = if is_plain(queue.name()) { client.attributes(queue, &["All"])? } else { json!({}) };
    if arguments.json {
        return output::say(&format!("{:#}\n", object(queue, &shown, &attributes)));
    }
    let mut table = Table::new(&["SETTING", "VALUE"]);
    for (name, value) in rows(queue, &shown, &attributes).into_iter().chain(job_rows(&shown)) {
        table.row([name, value]);
    }
    for (name, value) in shown.get("tags").and_then(Value::as_object).into_iter().flatten() {
        table.row([format!("tag {name}"), value.as_str().unwrap_or_default().to_owned()]);
    }
    output::say(&table.render())
}

/// For programs: the stable part by our names, and all attributes by those of SQS.
fn object(queue: &Queue, shown: &Value, attributes: &Value) -> Value {
    let seconds = |name: &str| number(shown, name).map(|ms| ms / 1_000);
    let (dead_letter, receives_max) = dead_letters(shown);
    let mut object = Map::new();
    let mut put = |name: &str, value: Value| object.extend([(name.to_owned(), value)]);
    put("name", queue.name().into());
    put("arn", text(attributes, "QueueArn").into());
    put("fifo", queue.is_fifo().into());
    counters(shown).for_each(|(name, count)| put(name, count.into()));
    put("visibility_s", seconds("lease_ms").into());
    put("delay_s", seconds("delay_ms").into());
    put("retention_s", seconds("retention_ms").into());
    put("wait_s", seconds("receive_wait_ms").into());
    put("message_bytes_max", number(shown, "message_bytes_max").into());
    put("dead_letter", dead_letter.into());
    put("receives_max", receives_max.into());
    // What only the native API knows has the names that it has there.
    for name in JOB_MEMBERS {
        shown.get(name).into_iter().for_each(|value| put(name, value.clone()));
    }
    put("attributes", attributes.clone());
    object.into()
}

/// What the native API says of a queue and SQS does not.
const JOB_MEMBERS: [&str; 9] = [
    "paused",
    "paused_until_ms",
    "retry",
    "stalls_max",
    "timeout_ms",
    "keep_completed",
    "keep_failed",
    "limiters",
    "tags",
];

/// What concerns jobs.
fn job_rows(native: &Value) -> Vec<(String, String)> {
    let mut rows = Vec::new();
    let mut row = |name: &str, value: Option<String>| rows.extend(value.map(|value| (name.to_owned(), value)));
    if native.get("paused").is_some_and(|paused| paused == true) {
        let until = number(native, "paused_until_ms").map(output::stamp);
        row("paused", Some(until.map_or_else(|| "until it is resumed".to_owned(), |at| format!("until {at}"))));
    }
    let retry = native.get("retry");
    let attempts = retry.and_then(|retry| number(retry, "attempts_max"));
    row("attempts", attempts.map(|attempts| attempts.to_string()));
    row("tried again", retry.and_then(backoff));
    row("lost workers max", number(native, "stalls_max").map(|count| count.to_string()));
    row("timeout", number(native, "timeout_ms").map(spoken_ms));
    row("completed kept", native.get("keep_completed").map(kept));
    row("failed kept", native.get("keep_failed").map(kept));
    for used in list(native, "limiters") {
        let place = |name: &str| text(used, name).map(|place| format!(", {name} {place}")).unwrap_or_default();
        let name = text(used, "limiter").unwrap_or_default();
        row("limiter", Some(format!("{name}{}{}", place("key"), place("cost"))));
    }
    rows
}

/// What remains of finished jobs.
fn kept(keep: &Value) -> String {
    match (number(keep, "age_ms"), number(keep, "count")) {
        (_, Some(0)) => "none".to_owned(),
        (None, None) => "all".to_owned(),
        (Some(ms), None) => format!("for {}", spoken_ms(ms)),
        (None, Some(count)) => format!("the last {count}"),
        (Some(ms), Some(count)) => format!("for {}, the last {count}", spoken_ms(ms)),
    }
}

fn rows(queue: &Queue, shown: &Value, attributes: &Value) -> Vec<(String, String)> {
    let mut rows = Vec::new();
    let mut row = |name: &str, value: Option<String>| rows.extend(value.map(|value| (name.to_owned(), value)));
    let time = |name: &str| number(shown, name).map(|ms| if ms < EVER_MS { spoken_ms(ms) } else { "for ever".into() });
    let moment = |name: &str| number(shown, name).map(output::stamp);
    row("name", Some(queue.name().to_owned()));
    row("arn", text(attributes, "QueueArn").map(str::to_owned));
    row("kind", Some(if queue.is_fifo() { "FIFO" } else { "standard" }.to_owned()));
    counters(shown).for_each(|(name, count)| row(name, Some(count.to_string())));
    row("visibility", time("lease_ms"));
    row("delay", time("delay_ms"));
    row("retention", time("retention_ms"));
    row("wait", time("receive_wait_ms"));
    row("message bytes max", number(shown, "message_bytes_max").map(|bytes| bytes.to_string()));
    let (dead_letter, receives_max) = dead_letters(shown);
    row("dead-letter queue", dead_letter.map(|name| format!("{name}, after {} receives", receives_max.unwrap_or(0))));
    let by_content = shown.get("deduplication").and_then(|found| found.get("by_content")).and_then(Value::as_bool);
    row("content deduplication", by_content.map(|on| on.to_string()));
    row("created", moment("created_at_ms"));
    row("changed", moment("modified_at_ms"));
    rows
}

/// The dead-letter queue's name, and after how many receives messages go there.
fn dead_letters(shown: &Value) -> (Option<&str>, Option<u64>) {
    let found = shown.get("dead_letters");
    (found.and_then(|found| text(found, "queue")), found.and_then(|found| number(found, "leases_max")))
}
