//! `weir job explain`.

use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;

use super::wait::state;
use crate::arguments::spoken;
use crate::client::{Queue, Request, ServerArguments, list, number, text};
use crate::output;

#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// Name, URL or ARN of the queue.
    queue: Queue,
    /// Its id, or the id that its sender chose.
    id: String,
    /// Prints an object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArguments,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let client = arguments.server.client()?;
    let request = Request::get(&["queues", arguments.queue.name(), "jobs", &arguments.id, "explain"]);
    let explanation = client.native(&request)?;
    output::say(&if arguments.json {
        format!("{explanation:#}\n")
    } else {
        let now_ms = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64);
        told(&arguments.id, &explanation, now_ms)
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Sentences: where the job stands, what holds it back, and when it runs.
fn told(id: &str, explanation: &Value, now_ms: u64) -> String {
    let state = state(explanation);
    let holds = list(explanation, "holds");
    let mut lines = vec![format!("Job {id} is {state}{}", if holds.is_empty() { "." } else { ":" })];
    for hold in holds {
        let until = number(hold, "until_ms").map(|ms| format!(", until {}", moment(ms, now_ms)));
        let key = text(hold, "key").map(|key| format!(" (key {})", output::clean(key)));
        let (key, until) = (key.unwrap_or_default(), until.unwrap_or_default());
        lines.push(format!("  - {}{key}{until}", text(hold, "text").unwrap_or_default()));
    }
    match (number(explanation, "not_before_ms"), text(explanation, "unknown")) {
        (Some(ms), _) if ms > now_ms => lines.push(format!("It does not run before {}.", moment(ms, now_ms))),
        (_, Some(reason)) => lines.push(format!("When it runs cannot be foretold: {reason}.")),
        _ if holds.is_empty() && state == "ready" => lines.push("Nothing holds it back.".to_owned()),
        _ => {}
    }
    let lines: Vec<String> = lines.iter().map(|line| output::clean(line)).collect();
    lines.join("\n") + "\n"
}

/// A moment, and how far away it is.
fn moment(ms: u64, now_ms: u64) -> String {
    let stamp = output::stamp(ms);
    match ms.saturating_sub(now_ms).div_ceil(1_000) {
        0 => stamp,
        seconds => format!("{stamp} (in {})", rounded(seconds)),
    }
}

/// Seconds in the two largest units that there are.
fn rounded(seconds: u64) -> String {
    let (unit, part) = match seconds {
        ..3_600 => (60, 1),
        3_600..86_400 => (3_600, 60),
        _ => (86_400, 3_600),
    };
    let (whole, rest) = (seconds / unit * unit, seconds % unit / part * part);
    match (whole, rest) {
        (0, rest) => spoken(rest),
        (whole, 0) => spoken(whole),
        (whole, rest) => format!("{}{}", spoken(whole), spoken(rest)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW_MS: u64 = 1_735_689_599_000;

    #[test]
    fn what_holds_a_job_is_told_in_sentences() {
        let until_ms = NOW_MS + 252_000;
        let explanation = json!({
            "state": "delayed", "not_before_ms": until_ms,
            "holds": [{ "by": "delay", "text": "its delay or backoff has not ended", "until_ms": until_ms }],
        });
        assert_eq!(
            told("17", &explanation, NOW_MS),
            "Job 17 is delayed:\n  \
             - its delay or backoff has not ended, until 2025-01-01T00:04:11Z (in 4m12s)\n\
             It does not run before 2025-01-01T00:04:11Z (in 4m12s).\n"
        );
        let unknown = json!({
            "state": "ready", "unknown": "no worker waits for jobs of the queue",
            "holds": [{ "by": "no_worker", "text": "no worker waits for jobs of the queue" }],
        });
        assert!(
            told("17", &unknown, NOW_MS)
                .ends_with("When it runs cannot be foretold: no worker waits for jobs of the queue.\n")
        );
    }

    #[test]
    fn a_job_that_nothing_holds_is_told_so() {
        let ready = json!({ "state": "ready", "holds": [], "not_before_ms": NOW_MS });
        assert_eq!(told("17", &ready, NOW_MS), "Job 17 is ready.\nNothing holds it back.\n");
        assert_eq!(told("17", &json!({ "state": "completed", "holds": [] }), NOW_MS), "Job 17 is completed.\n");
    }

    #[test]
    fn times_are_told_in_two_units() {
        let told = [1, 60, 252, 3_600, 7_261, 90_000, 90_061].map(rounded);
        assert_eq!(told, ["1s", "1m", "4m12s", "1h", "2h1m", "1d1h", "1d1h"]);
    }
}
