//! `weir send`.

mod attribute;
mod lines;

use std::io::{IsTerminal as _, Read as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use serde_json::{Map, Value, json};

use self::attribute::Attribute;
use crate::arguments::seconds;
use crate::client::{Queue, ServerArguments, text};
use crate::exit::Usage;
use crate::output;

/// Arguments of `weir send`.
#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// Name, URL or ARN of the queue.
    queue: Queue,
    /// The body; `-` reads it from standard input, as does leaving it out when that is no terminal.
    body: Option<String>,
    /// Reads the body from a file.
    #[arg(long, value_name = "FILE", conflicts_with = "body")]
    file: Option<PathBuf>,
    /// Sends every line of the input as a message of its own, in batches.
    #[arg(long)]
    lines: bool,
    /// A message attribute: NAME=VALUE, NAME:Number=5, or NAME:Binary=BASE64. Can be given several times.
    #[arg(long = "attribute", short, value_name = "NAME[:TYPE]=VALUE")]
    attributes: Vec<Attribute>,
    /// How long the message waits before it is delivered: 30s, 5m.
    #[arg(long, value_name = "DURATION", value_parser = seconds)]
    delay: Option<u64>,
    /// 0, the default, is delivered first, then 1, 2, …
    #[arg(long, value_name = "N")]
    priority: Option<u32>,
    /// The message group: order holds within it, and a FIFO queue needs it.
    #[arg(long, value_name = "ID")]
    group: Option<String>,
    /// FIFO: a second message with this id within five minutes is not sent again.
    #[arg(long, value_name = "ID", conflicts_with = "lines")]
    dedup_id: Option<String>,
    /// Prints an object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArguments,
}

/// Sends.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let client = arguments.server.client()?;
    if arguments.lines {
        return lines::send(&client, arguments);
    }
    let body = read_body(arguments)?;
    if body.is_empty() {
        return Err(Usage("the body is empty: a message must have at least one character".to_owned()).into());
    }
    let mut message = arguments.message(body)?;
    message.insert("QueueUrl".to_owned(), arguments.queue.url().into());
    let answer = client.sqs("SendMessage", &Value::Object(message))?;
    let id = text(&answer, "MessageId").unwrap_or_default();
    output::say(&if arguments.json {
        let sent = json!({
            "message_id": id,
            "sequence_number": text(&answer, "SequenceNumber"),
            "md5_of_body": text(&answer, "MD5OfMessageBody"),
        });
        format!("{sent:#}\n")
    } else {
        format!("{}\n", output::clean(id))
    })?;
    Ok(ExitCode::SUCCESS)
}

impl Arguments {
    /// A message as SQS has it, without the queue.
    fn message(&self, body: String) -> anyhow::Result<Map<String, Value>> {
        let mut message = Map::new();
        message.insert("MessageBody".to_owned(), body.into());
        let mut attributes = Map::new();
        for attribute in &self.attributes {
            if attributes.insert(attribute.name.clone(), attribute.value.clone()).is_some() {
                return Err(Usage(format!("--attribute {}: it is there twice", attribute.name)).into());
            }
        }
        if let Some(priority) = self.priority {
            let value = json!({ "DataType": "Number", "StringValue": priority.to_string() });
            attributes.insert("weir.priority".to_owned(), value);
        }
        if !attributes.is_empty() {
            message.insert("MessageAttributes".to_owned(), attributes.into());
        }
        let optional = [
            ("DelaySeconds", self.delay.map(Value::from)),
            ("MessageGroupId", self.group.clone().map(Value::from)),
            ("MessageDeduplicationId", self.dedup_id.clone().map(Value::from)),
        ];
        message.extend(optional.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
        Ok(message)
    }
}

fn read_body(arguments: &Arguments) -> anyhow::Result<String> {
    match (&arguments.body, &arguments.file) {
        (_, Some(path)) => read_file(path),
        (Some(body), None) if body != "-" => Ok(body.clone()),
        (None, None) if std::io::stdin().is_terminal() => {
            Err(Usage("no body: give it as an argument, with --file, or on standard input".to_owned()).into())
        }
        _ => {
            let mut body = String::new();
            std::io::stdin().lock().read_to_string(&mut body).context("cannot read the body from standard input")?;
            Ok(body)
        }
    }
}

fn read_file(path: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("cannot read the body from {}", path.display()))
}
