//! `weir send --lines`: every line of the input is a message.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::process::ExitCode;

use anyhow::Context;
use serde_json::{Value, json};

use super::Arguments;
use crate::client::{Client, Failure, list, text};
use crate::exit::Usage;
use crate::output;

/// Entries of a batch, where the server takes more than AWS does.
const BATCH: usize = 100;
/// Entries of a batch that AWS takes.
const BATCH_AWS: usize = 10;
/// Bytes of a batch: what AWS takes, less room for attributes.
const BATCH_BYTES: usize = 768 << 10;
/// How many failures are told line by line.
const FAILURES_TOLD: usize = 20;

/// What became of the lines.
#[derive(Debug, Default)]
struct Outcome {
    sent: u64,
    failed: u64,
    failures: Vec<Value>,
}

/// Sends the lines of the input. One that is refused does not hold up the others.
pub(super) fn send(client: &Client, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let mut sender = Sender { client, arguments, batch: Vec::new(), bytes: 0, max: BATCH, outcome: Outcome::default() };
    let input = input(arguments)?;
    let sent = sender.all(input);
    let Outcome { sent: count, failed, failures } = &sender.outcome;
    // What was sent before a failure is told in any case.
    if sent.is_ok() || count + failed > 0 {
        output::say(&if arguments.json {
            format!("{:#}\n", json!({ "sent": count, "failed": failed, "failures": failures }))
        } else {
            format!("sent {}\n", output::counted(*count, "message"))
        })?;
    }
    sent?;
    if *failed == 0 {
        return Ok(ExitCode::SUCCESS);
    }
    if !arguments.json {
        for failure in failures {
            let line = failure.get("line").and_then(Value::as_u64).unwrap_or_default();
            let reason = text(failure, "message").unwrap_or_default();
            output::note(&format!("line {line}: {}", output::clean(reason)));
        }
    }
    anyhow::bail!("refused: {}", output::counted(*failed, "line"))
}

fn input(arguments: &Arguments) -> anyhow::Result<Box<dyn BufRead>> {
    match (&arguments.file, arguments.body.as_deref()) {
        (Some(path), _) => {
            let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
            Ok(Box::new(BufReader::new(file)))
        }
        (None, None | Some("-")) => Ok(Box::new(io::stdin().lock())),
        (None, Some(_)) => {
            Err(Usage("--lines takes its messages from standard input or --file, not from an argument".to_owned())
                .into())
        }
    }
}

struct Sender<'a> {
    client: &'a Client,
    arguments: &'a Arguments,
    /// Numbers of lines, and messages.
    batch: Vec<(u64, Value)>,
    bytes: usize,
    /// Most entries of a batch.
    max: usize,
    outcome: Outcome,
}

impl Sender<'_> {
    fn all(&mut self, input: Box<dyn BufRead>) -> anyhow::Result<()> {
        for (line, number) in input.lines().zip(1..) {
            let line = line.with_context(|| format!("cannot read line {number}"))?;
            let bytes = line.len();
            if self.batch.len() >= self.max || self.bytes + bytes > BATCH_BYTES {
                self.flush()?;
            }
            let mut message = self.arguments.message(line)?;
            message.insert("Id".to_owned(), number.to_string().into());
            self.batch.push((number, Value::Object(message)));
            self.bytes += bytes;
        }
        self.flush()
    }

    fn flush(&mut self) -> anyhow::Result<()> {
        let batch = std::mem::take(&mut self.batch);
        self.bytes = 0;
        let mut rest = batch.as_slice();
        while !rest.is_empty() {
            let (now, later) = rest.split_at(rest.len().min(self.max));
            let entries: Vec<&Value> = now.iter().map(|(_, message)| message).collect();
            let request = json!({ "QueueUrl": self.arguments.queue.url(), "Entries": entries });
            let answer = match self.client.sqs("SendMessageBatch", &request) {
                // A server with the limits of AWS: nothing was sent, and smaller batches will do.
                Err(failure) if self.max > BATCH_AWS && is_too_many(&failure) => {
                    self.max = BATCH_AWS;
                    continue;
                }
                answer => answer?,
            };
            self.outcome.sent += list(&answer, "Successful").len() as u64;
            for failed in list(&answer, "Failed") {
                self.outcome.failed += 1;
                if self.outcome.failures.len() < FAILURES_TOLD {
                    let line: u64 = text(failed, "Id").and_then(|id| id.parse().ok()).unwrap_or_default();
                    let (code, message) = (text(failed, "Code"), text(failed, "Message"));
                    self.outcome.failures.push(json!({ "line": line, "code": code, "message": message }));
                }
            }
            rest = later;
        }
        Ok(())
    }
}

fn is_too_many(failure: &Failure) -> bool {
    failure.code().is_some_and(|code| code.ends_with("TooManyEntriesInBatchRequest"))
}
