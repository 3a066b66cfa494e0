//! `weir receive`.

mod message;

use std::process::ExitCode;

use serde_json::{Value, json};

use self::message::Message;
use crate::arguments::{duration, seconds};
use crate::client::{Client, Queue, ServerArguments, list, text};
use crate::output;

/// Most messages of one receive that AWS gives.
const BATCH: u64 = 10;
/// How long one receive waits while following.
const FOLLOW_WAIT_S: u64 = 20;

/// Arguments of `weir receive`.
#[derive(clap::Args, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub(crate) struct Arguments {
    /// Name, URL or ARN of the queue.
    queue: Queue,
    /// Most messages to receive. Without end when following.
    #[arg(long, short = 'n', value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// How long to wait for the first message, up to 20s on AWS and an hour here: 20s.
    #[arg(long, value_name = "DURATION", value_parser = seconds)]
    wait: Option<u64>,
    /// How long what is received stays hidden from others.
    #[arg(long, value_name = "DURATION", value_parser = seconds)]
    visibility: Option<u64>,
    /// Deletes each message once it is written out.
    #[arg(long)]
    delete: bool,
    /// Goes on receiving, until it is interrupted.
    #[arg(long, short, conflicts_with = "wait")]
    follow: bool,
    /// Prints an object for each message, one a line.
    #[arg(long, conflicts_with = "body")]
    json: bool,
    /// Prints the bodies alone, each followed by a line's end.
    #[arg(long)]
    body: bool,
    #[command(flatten)]
    server: ServerArguments,
}

/// Receives.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let client = arguments.server.client()?;
    let mut left = match (arguments.count, arguments.follow) {
        (Some(count), _) => count,
        (None, true) => u64::MAX,
        (None, false) => 1,
    };
    let mut any = false;
    while left > 0 {
        // Only the first receive waits for more than what is there.
        let wait_s = match (arguments.follow, any) {
            (true, _) => FOLLOW_WAIT_S,
            (false, true) => 0,
            (false, false) => arguments.wait.unwrap_or(0),
        };
        let answer = receive(&client, arguments, left.min(BATCH), wait_s)?;
        let messages = list(&answer, "Messages");
        if messages.is_empty() && !arguments.follow {
            break;
        }
        any = any || !messages.is_empty();
        left = left.saturating_sub(messages.len() as u64);
        for message in messages {
            output::say_bytes(&Message(message).written(arguments.json, arguments.body))?;
        }
        if arguments.delete {
            delete(&client, arguments, messages)?;
        }
    }
    if !any && !arguments.json && !arguments.body {
        output::note("no message came");
    }
    Ok(ExitCode::SUCCESS)
}

fn receive(client: &Client, arguments: &Arguments, max: u64, wait_s: u64) -> anyhow::Result<Value> {
    let mut request = json!({
        "QueueUrl": arguments.queue.url(),
        "MaxNumberOfMessages": max,
        "WaitTimeSeconds": wait_s,
        "MessageAttributeNames": ["All"],
        "MessageSystemAttributeNames": ["All"],
    });
    if let (Some(visibility), Some(request)) = (arguments.visibility, request.as_object_mut()) {
        request.insert("VisibilityTimeout".to_owned(), visibility.into());
    }
    Ok(client.sqs_waiting("ReceiveMessage", &request, duration(wait_s))?)
}

/// Deletes what was written out.
fn delete(client: &Client, arguments: &Arguments, messages: &[Value]) -> anyhow::Result<()> {
    if messages.is_empty() {
        return Ok(());
    }
    let entries: Vec<Value> = messages
        .iter()
        .zip(0..)
        .map(|(message, at)| json!({ "Id": at.to_string(), "ReceiptHandle": text(message, "ReceiptHandle") }))
        .collect();
    let answer = client.sqs("DeleteMessageBatch", &json!({ "QueueUrl": arguments.queue.url(), "Entries": entries }))?;
    if let Some(failed) = list(&answer, "Failed").first() {
        let reason = text(failed, "Message").unwrap_or_default();
        anyhow::bail!("a message that was written out could not be deleted: {reason}");
    }
    Ok(())
}
