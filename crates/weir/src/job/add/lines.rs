//! `weir job add --lines`: every line of standard input is a job.

use std::collections::BTreeMap;
use std::io::{self, BufRead};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value, json};

use super::data;
use crate::client::{Client, Failure, Queue, Request, list};
use crate::output;

/// Jobs of a batch.
const BATCH: usize = 1_000;
/// Bytes of a batch.
const BATCH_BYTES: usize = 4 << 20;
/// How long a batch is sent again while the server is busy or away.
const PATIENCE: Duration = Duration::from_mins(1);
/// Between two tries, where the server names no time.
const PAUSE: Duration = Duration::from_secs(1);

/// What a line is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Form {
    /// The data of a job.
    Data,
    /// A whole job.
    Jobs,
}

/// Adds the lines of the input, batch by batch, until one is refused.
pub(super) fn add(
    client: &Client,
    queue: &Queue,
    form: Form,
    members: &Map<String, Value>,
    json: bool,
) -> anyhow::Result<ExitCode> {
    let mut sender = Sender { client, queue, batch: Vec::new(), bytes: 0, first: 1, added: 0, duplicates: 0 };
    let outcome = all(&mut sender, form, members);
    let Sender { added, duplicates, .. } = sender;
    // What was added before a failure is told in any case.
    if outcome.is_ok() || added + duplicates > 0 {
        output::say(&if json {
            format!("{:#}\n", json!({ "added": added, "duplicates": duplicates }))
        } else if duplicates > 0 {
            format!("added {}; {duplicates} were there already\n", output::counted(added, "job"))
        } else {
            format!("added {}\n", output::counted(added, "job"))
        })?;
    }
    outcome.map(|()| ExitCode::SUCCESS)
}

fn all(sender: &mut Sender<'_>, form: Form, members: &Map<String, Value>) -> anyhow::Result<()> {
    for (line, number) in io::stdin().lock().lines().zip(1..) {
        let line = line.with_context(|| format!("cannot read line {number}"))?;
        let job = match form {
            Form::Data => data::parse(&line).map(|data| data::object(members, Some(&data))),
            Form::Jobs => whole(&line, members),
        };
        let job = job.map_err(|error| anyhow::anyhow!("line {number}: {error}"))?;
        if sender.batch.len() >= BATCH || sender.bytes + job.len() > BATCH_BYTES {
            sender.flush(number)?;
        }
        sender.bytes += job.len();
        sender.batch.push(job);
    }
    sender.flush(0)
}

/// A line that is a job, with what the options say and the line does not.
fn whole(line: &str, members: &Map<String, Value>) -> Result<String, String> {
    let mut job: BTreeMap<String, Box<RawValue>> =
        serde_json::from_str(line).map_err(|error| format!("this is not an object of JSON ({error})"))?;
    for (name, value) in members {
        if !job.contains_key(name) {
            let value = to_raw_value(value).map_err(|error| error.to_string())?;
            job.insert(name.clone(), value);
        }
    }
    serde_json::to_string(&job).map_err(|error| error.to_string())
}

struct Sender<'a> {
    client: &'a Client,
    queue: &'a Queue,
    batch: Vec<String>,
    bytes: usize,
    /// Number of the line that the batch begins with.
    first: u64,
    added: u64,
    duplicates: u64,
}

impl Sender<'_> {
    /// Sends the batch; the next one begins with line `next`.
    fn flush(&mut self, next: u64) -> anyhow::Result<()> {
        let batch = std::mem::take(&mut self.batch);
        let first = std::mem::replace(&mut self.first, next);
        self.bytes = 0;
        if batch.is_empty() {
            return Ok(());
        }
        let body = format!("{{\"jobs\":[{}]}}", batch.join(","));
        let answer = self.send(body.into_bytes()).map_err(|failure| {
            let place = place(&failure).filter(|at| (*at as usize) < batch.len()).map(|at| first + at);
            let about = match place {
                Some(line) => format!("line {line} is refused, and with it the batch from line {first}"),
                None => format!("the batch from line {first} was not added"),
            };
            anyhow::Error::new(failure).context(about)
        })?;
        for job in list(&answer, "jobs") {
            let is_duplicate = job.get("duplicate").is_some_and(|duplicate| duplicate == true);
            *if is_duplicate { &mut self.duplicates } else { &mut self.added } += 1;
        }
        Ok(())
    }

    /// Sends a batch, again if need be: its key keeps the server from adding it twice.
    fn send(&self, body: Vec<u8>) -> Result<Value, Failure> {
        let key = format!("{:032x}", rand::random::<u128>());
        let request =
            Request::post(&["queues", self.queue.name(), "jobs"]).written(body).header("idempotency-key", Some(key));
        let begun = Instant::now();
        loop {
            let failure = match self.client.native(&request) {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            let pause = match &failure {
                Failure::Busy { retry_after_s, .. } => retry_after_s.map_or(PAUSE, Duration::from_secs),
                Failure::NoAnswer { .. } => PAUSE,
                // A server that is being started anew; one that never was there is no use waiting for.
                Failure::Unreachable { .. } if self.added + self.duplicates > 0 => PAUSE,
                _ => return Err(failure),
            };
            if begun.elapsed() + pause > PATIENCE {
                return Err(failure);
            }
            std::thread::sleep(pause);
        }
    }
}

/// Which job of the batch a refusal speaks of.
fn place(failure: &Failure) -> Option<u64> {
    let Failure::Refused { message, .. } = failure else { return None };
    let (digits, _) = message.strip_prefix("jobs[")?.split_once(']')?;
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_hold_for_what_a_line_does_not_say() {
        let members = json!({ "name": "mail", "priority": 3 });
        let job = whole("{\"name\":\"sms\",\"data\":{\"n\":1.50}}", members.as_object().unwrap()).unwrap();
        assert_eq!(job, "{\"data\":{\"n\":1.50},\"name\":\"sms\",\"priority\":3}");
        assert!(whole("[1]", members.as_object().unwrap()).is_err());
    }

    #[test]
    fn a_refusal_names_its_job() {
        let refused = |message: &str| Failure::Refused { code: String::new(), message: message.to_owned() };
        assert_eq!(place(&refused("jobs[12].name: must have")), Some(12));
        assert_eq!(place(&refused("queue: is missing")), None);
    }
}
