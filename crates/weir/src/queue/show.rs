//! `weir queue show`.

use serde_json::{Value, json};

use super::list::Counts;
use crate::arguments::spoken;
use crate::client::{Queue, ServerArguments, number, text};
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
    if arguments.json {
        return output::say(&format!("{:#}\n", object(queue, &attributes, &tags)));
    }
    let mut table = Table::new(&["SETTING", "VALUE"]);
    for (name, value) in rows(queue, &attributes, &tags) {
        table.row([name, value]);
    }
    output::say(&table.render())
}

/// For programs: the stable part by our names, and all attributes by those of SQS.
fn object(queue: &Queue, attributes: &Value, tags: &Value) -> Value {
    let Counts { ready, leased, delayed } = Counts::of(attributes);
    let (dead_letter, receives_max) = redrive(attributes);
    json!({
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
    })
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
