//! `weir job watch`.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::ValueEnum;
use serde_json::Value;

use super::view::plain;
use crate::client::{Client, Event, Exact, Failure, Queue, Request, ServerArguments, number, text};
use crate::output;

/// For how long a server that is away is looked for.
const PATIENCE: Duration = Duration::from_mins(1);
/// Between two connections.
const PAUSE: Duration = Duration::from_secs(1);

#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// Name, URL or ARN of the queue. Without it, all queues are watched.
    queue: Option<Queue>,
    /// Only what is of this type. Can be given several times.
    #[arg(long = "type", value_name = "TYPE", value_delimiter = ',')]
    kinds: Vec<Kind>,
    /// Ends after so many.
    #[arg(long, short = 'n', value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// Begins behind the event of this id, if it is among the last 10 000; --json tells ids.
    #[arg(long, value_name = "ID")]
    after: Option<String>,
    /// Prints an object for each, one a line.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArguments,
}

/// What can happen to a job.
#[derive(Clone, Copy, Debug, ValueEnum)]
#[value(rename_all = "snake_case")]
enum Kind {
    /// It was added.
    Added,
    /// Another one was not added, since this one has its id.
    Deduplicated,
    /// It is ready.
    Ready,
    /// It waits for a time.
    Delayed,
    /// A worker has it.
    Started,
    /// A worker reported progress.
    Progress,
    /// It waits for its children.
    WaitingForChildren,
    /// It is done.
    Completed,
    /// An attempt failed, and there will be another.
    AttemptFailed,
    /// It failed for good.
    Failed,
    /// Its worker was lost, and it is ready again.
    Stalled,
    /// It was removed.
    Removed,
}

/// What was seen so far.
struct Watch<'a> {
    arguments: &'a Arguments,
    /// The id of the last event.
    last: Option<String>,
    left: u64,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let client = arguments.server.client()?;
    let mut watch = Watch { arguments, last: arguments.after.clone(), left: arguments.count.unwrap_or(u64::MAX) };
    // When the server was last there; never, until it is reached first.
    let mut seen: Option<Instant> = None;
    while watch.left > 0 {
        match watch.connection(&client, &mut seen) {
            Ok(()) => {}
            Err(error) if is_away(&error) && seen.is_some_and(|seen| seen.elapsed() < PATIENCE) => {}
            Err(error) => return Err(error),
        }
        if watch.left > 0 {
            std::thread::sleep(PAUSE);
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Whether it may be better later.
fn is_away(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(Failure::Unreachable { .. } | Failure::NoAnswer { .. } | Failure::Busy { .. }))
}

impl Watch<'_> {
    /// Prints the events of one connection, until it ends.
    fn connection(&mut self, client: &Client, seen: &mut Option<Instant>) -> anyhow::Result<()> {
        let path = match &self.arguments.queue {
            Some(queue) => vec!["queues", queue.name(), "events"],
            None => vec!["events"],
        };
        let kinds: Vec<String> = self
            .arguments
            .kinds
            .iter()
            .filter_map(|kind| kind.to_possible_value().map(|value| value.get_name().to_owned()))
            .collect();
        let request = Request::get(&path)
            .with("types", (!kinds.is_empty()).then(|| kinds.join(",")))
            .header("last-event-id", self.last.clone());
        let events = client.events(&request)?;
        *seen = Some(Instant::now());
        for event in events {
            // A connection that breaks is one that ends: the next one goes on behind what was seen.
            let Ok(event) = event else { break };
            self.tell(event)?;
            *seen = Some(Instant::now());
            if self.left == 0 {
                break;
            }
        }
        *seen = Some(Instant::now());
        Ok(())
    }

    fn tell(&mut self, event: Event) -> anyhow::Result<()> {
        if event.kind == "gap" {
            output::note("events were missed: look at the jobs anew");
            return Ok(());
        }
        let strange = |error| anyhow::anyhow!("the server sent an event that is not JSON: {error}");
        output::say(&if self.arguments.json {
            let happening = Exact::read(event.data.as_bytes()).map_err(strange)?;
            format!("{}\n", happening.with("event_id", event.id.as_deref().unwrap_or_default()).line())
        } else {
            let happening = serde_json::from_str(&event.data).map_err(strange)?;
            line(&happening, self.arguments.queue.is_none())
        })?;
        self.left -= 1;
        self.last = event.id.or_else(|| self.last.take());
        Ok(())
    }
}

/// What happened, in one line.
fn line(happening: &Value, tells_queue: bool) -> String {
    let said = |name: &str| text(happening, name).unwrap_or_default();
    let at = number(happening, "at_ms").map_or_else(String::new, output::stamp);
    let mut line = format!("{at}  {:<20}  {}", said("type"), said("id"));
    if tells_queue {
        line = format!("{line}  {}", said("queue"));
    }
    let mut details = Vec::new();
    details.extend(text(happening, "state").map(str::to_owned));
    details.extend(number(happening, "until_ms").map(|ms| format!("until {}", output::stamp(ms))));
    details.extend(text(happening, "failure").map(|kind| kind.replace('_', " ")));
    details.extend(text(happening, "name").filter(|_| said("type") == "published").map(str::to_owned));
    details
        .extend(["progress", "result", "error", "data"].into_iter().filter_map(|name| happening.get(name)).map(plain));
    for detail in details {
        line = format!("{line}  {detail}");
    }
    format!("{}\n", output::clean(&line))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_happens_is_told_in_a_line() {
        let at_ms = 1_735_689_599_000_u64;
        let failed = json!({
            "type": "attempt_failed", "queue": "mail", "id": "17", "at_ms": at_ms, "failure": "timed_out", "error": "slow\n",
        });
        assert_eq!(line(&failed, false), "2024-12-31T23:59:59Z  attempt_failed        17  timed out  slow\\n\n");
        let delayed = json!({ "type": "delayed", "queue": "mail", "id": "17", "at_ms": at_ms, "until_ms": at_ms });
        assert_eq!(
            line(&delayed, true),
            "2024-12-31T23:59:59Z  delayed               17  mail  until 2024-12-31T23:59:59Z\n"
        );
        let said =
            json!({ "type": "published", "queue": "mail", "at_ms": at_ms, "name": "sale", "data": { "rows": 7 } });
        assert_eq!(line(&said, false), "2024-12-31T23:59:59Z  published               sale  {\"rows\":7}\n");
    }
}
