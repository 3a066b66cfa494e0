//! `weir queue show`.

use serde_json::{Value, json};

use super::list::Counts;
use crate::arguments::{spoken, spoken_ms};
use crate::client::{Failure, Queue, Request, ServerArguments, list, number, text};
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

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let client = arguments.server.client()?;
    let queue = &arguments.queue;
    let attributes = client.attributes(queue, &["All"])?;
    let tags = match client.sqs("ListQueueTags", &json!({ "QueueUrl": queue.url() })) {
        Ok(answer) => answer.get("Tags").cloned().unwrap_or_else(|| json!({})),
        // An older server keeps tags but does not tell them; all else about the queue is worth showing.
        Err(failure) if failure.code() == Some("UnsupportedOperation") => json!({}),
        Err(failure) => return Err(failure.into()),
    };
    let native = match client.native(&Request::get(&["queues", queue.name()])) {
        Ok(native) => native,
        // An older server has no such operation.
        Err(Failure::Refused { .. }) => json!({}),
        Err(failure) => return Err(failure.into()),
    };
    if arguments.json {
        return output::say(&format!("{:#}\n", object(queue, &attributes, &tags, &native)));
    }
    let mut table = Table::new(&["SETTING", "VALUE"]);
    for (name, value) in rows(queue, &attributes, &tags).into_iter().chain(job_rows(&native)) {
        table.row([name, value]);
    }
    output::say(&table.render())
}

/// For programs: the stable part by our names, and all attributes by those of SQS.
fn object(queue: &Queue, attributes: &Value, tags: &Value, native: &Value) -> Value {
    let Counts { ready, leased, delayed } = Counts::of(attributes);
    let (dead_letter, receives_max) = redrive(attributes);
    let mut object = json!({
        "name": queue.name(),
        "arn": text(attributes, "QueueArn"),
        "fifo": queue.is_fifo(),
        "ready": ready,
        "leased": leased,
        "delayed": delayed,
        "visibility_s": number(attributes, "VisibilityTimeout"),
        "delay_s": number(attributes, "DelaySeconds"),
        "retention_s": number(attributes, "MessageRetentionPeriod"),
        "wait_s": number(attributes, "ReceiveMessageWaitTimeSeconds"),
        "message_bytes_max": number(attributes, "MaximumMessageSize"),
        "dead_letter": dead_letter,
        "receives_max": receives_max,
        "tags": tags,
        "attributes": attributes,
    });
    // What only the native API knows has the names that it has there.
    for name in JOB_MEMBERS {
        if let (Some(object), Some(value)) = (object.as_object_mut(), native.get(name)) {
            object.insert(name.to_owned(), value.clone());
        }
    }
    for name in JOB_COUNTERS {
        let count = native.get("counters").and_then(|counters| counters.get(name));
        if let (Some(object), Some(count)) = (object.as_object_mut(), count) {
            object.insert(name.to_owned(), count.clone());
        }
    }
    object
}

/// What the native API says of a queue and SQS does not.
const JOB_MEMBERS: [&str; 8] =
    ["paused", "paused_until_ms", "retry", "stalls_max", "timeout_ms", "keep_completed", "keep_failed", "limiters"];
/// The same of its counters.
const JOB_COUNTERS: [&str; 3] = ["waiting", "completed", "failed"];

/// What concerns jobs.
fn job_rows(native: &Value) -> Vec<(String, String)> {
    let mut rows = Vec::new();
    let mut row = |name: &str, value: Option<String>| rows.extend(value.map(|value| (name.to_owned(), value)));
    let counters = native.get("counters");
    for name in JOB_COUNTERS {
        row(name, counters.and_then(|counters| number(counters, name)).map(|count| count.to_string()));
    }
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

fn rows(queue: &Queue, attributes: &Value, tags: &Value) -> Vec<(String, String)> {
    let mut rows = Vec::new();
    let mut row = |name: &str, value: Option<String>| rows.extend(value.map(|value| (name.to_owned(), value)));
    let seconds = |name: &str| number(attributes, name).map(spoken);
    let moment = |name: &str| number(attributes, name).map(|s| output::stamp(s * 1_000));
    let Counts { ready, leased, delayed } = Counts::of(attributes);
    row("name", Some(queue.name().to_owned()));
    row("arn", text(attributes, "QueueArn").map(str::to_owned));
    row("kind", Some(if queue.is_fifo() { "FIFO" } else { "standard" }.to_owned()));
    row("ready", Some(ready.to_string()));
    row("leased", Some(leased.to_string()));
    row("delayed", Some(delayed.to_string()));
    row("visibility", seconds("VisibilityTimeout"));
    row("delay", seconds("DelaySeconds"));
    row("retention", seconds("MessageRetentionPeriod"));
    row("wait", seconds("ReceiveMessageWaitTimeSeconds"));
    row("message bytes max", number(attributes, "MaximumMessageSize").map(|bytes| bytes.to_string()));
    let (dead_letter, receives_max) = redrive(attributes);
    row("dead-letter queue", dead_letter.map(|name| format!("{name}, after {} receives", receives_max.unwrap_or(0))));
    row("content deduplication", text(attributes, "ContentBasedDeduplication").map(str::to_owned));
    row("created", moment("CreatedTimestamp"));
    row("changed", moment("LastModifiedTimestamp"));
    for (name, value) in tags.as_object().into_iter().flatten() {
        row(&format!("tag {name}"), value.as_str().map(str::to_owned));
    }
    rows
}

/// The dead-letter queue's name, and after how many receives messages go there.
fn redrive(attributes: &Value) -> (Option<String>, Option<u64>) {
    let policy: Option<Value> = text(attributes, "RedrivePolicy").and_then(|policy| serde_json::from_str(policy).ok());
    let Some(policy) = policy else { return (None, None) };
    let arn = text(&policy, "deadLetterTargetArn");
    let name = arn.and_then(|arn| arn.parse::<Queue>().ok()).map(|queue| queue.name().to_owned());
    (name, number(&policy, "maxReceiveCount"))
}
