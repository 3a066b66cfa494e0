//! A job, as it is shown to people.

use serde_json::Value;

use crate::arguments::spoken_ms;
use crate::client::{list, number, text};
use crate::output::{self, Table};

/// A job as the native API answers it.
pub(super) struct View<'a>(pub(super) &'a Value);

impl View<'_> {
    /// Two tables: what is known of it, and the attempts that failed.
    pub(super) fn told(&self) -> String {
        let mut told = output::fields(self.rows());
        let history = list(self.0, "history");
        if !history.is_empty() {
            let mut table = Table::new(&["FAILED", "LEASE", "HOW", "ERROR"]).right(&[1]);
            for attempt in history {
                table.row([
                    number(attempt, "at_ms").map_or_else(String::new, output::stamp),
                    number(attempt, "lease").map_or_else(String::new, |lease| lease.to_string()),
                    text(attempt, "kind").unwrap_or_default().replace('_', " "),
                    attempt.get("error").map_or_else(String::new, plain),
                ]);
            }
            told.push('\n');
            told.push_str(&table.render());
        }
        told
    }

    fn rows(&self) -> Vec<(String, String)> {
        let job = self.0;
        let mut rows = Vec::new();
        let mut row = |name: &str, value: Option<String>| rows.extend(value.map(|value| (name.to_owned(), value)));
        let said = |name: &str| text(job, name).map(str::to_owned);
        let count = |name: &str| number(job, name).filter(|count| *count > 0).map(|count| count.to_string());
        let moment = |name: &str| number(job, name).map(output::stamp);
        let flag = |name: &str| job.get(name).is_some_and(|flag| flag == true);
        row("id", said("id"));
        row("queue", said("queue"));
        row("state", Some(state(job)));
        row("name", said("name"));
        row("custom id", said("custom_id"));
        row("group", said("group"));
        let lifo = if flag("lifo") { ", before others of it" } else { "" };
        row("priority", number(job, "priority").map(|priority| format!("{priority}{lifo}")));
        row("added", moment("added_at_ms"));
        row("started", moment("started_at_ms"));
        row("finished", moment("finished_at_ms"));
        row(due(job), moment("due_at_ms"));
        row("leases", count("leases"));
        let retry = job.get("retry");
        let attempts = retry.and_then(|retry| number(retry, "attempts_max"));
        row("failures", number(job, "failures").zip(attempts).map(|(count, most)| format!("{count} of {most}")));
        row("lost workers", count("stalls"));
        row("tried again", retry.and_then(backoff));
        row("parent", job.get("parent").map(place));
        let children = job.get("children");
        let children = children.and_then(|all| Some((number(all, "total")?, number(all, "unfinished")?)));
        row("children", children.map(|(total, unfinished)| format!("{total}, {unfinished} of them not finished")));
        row("dead letter of", said("dead_letter_of"));
        for (name, value) in job.get("attributes").and_then(Value::as_object).into_iter().flatten() {
            row(&format!("attribute {name}"), Some(plain(value)));
        }
        row("data", job.get("data").map(Value::to_string));
        row("progress", job.get("progress").map(Value::to_string));
        row("result", job.get("result").map(Value::to_string));
        row("log lines", count("log_lines"));
        rows
    }
}

/// A text without its quotes, anything else as JSON.
pub(super) fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// The state, and what it does not tell by itself.
fn state(job: &Value) -> String {
    let mut told = text(job, "state").unwrap_or_default().to_owned();
    if let Some(kind) = text(job, "failed") {
        told = format!("{told}: {}", kind.replace('_', " "));
    }
    if told == "leased" && job.get("cancel_requested").is_some_and(|asked| asked == true) {
        told.push_str(", to be cancelled");
    }
    told
}

/// What ends at `due_at_ms`.
fn due(job: &Value) -> &'static str {
    match text(job, "state") {
        Some("leased") => "leased until",
        Some("delayed") => "delayed until",
        _ => "due",
    }
}

/// When a job is tried again: `after 5s`, `after 1s, 2s, 4s, … up to 1h`.
pub(crate) fn backoff(retry: &Value) -> Option<String> {
    let backoff = retry.get("backoff")?;
    let most = number(retry, "backoff_ms_max").map(|ms| format!(", at most {}", spoken_ms(ms))).unwrap_or_default();
    let jitter = retry.get("jitter_percent").and_then(Value::as_f64).filter(|percent| *percent > 0.0);
    let jitter = jitter.map(|percent| format!(", less up to {percent}%")).unwrap_or_default();
    if let Some(ms) = number(backoff, "fixed_ms") {
        return Some(format!("after {}{jitter}", spoken_ms(ms)));
    }
    if let Some(ms) = number(backoff, "exponential_ms") {
        return Some(format!("after {}, twice as long each time{most}{jitter}", spoken_ms(ms)));
    }
    let delays: Vec<String> = list(backoff, "list_ms").iter().filter_map(Value::as_u64).map(spoken_ms).collect();
    (!delays.is_empty()).then(|| format!("after {}{jitter}", delays.join(", ")))
}

fn place(place: &Value) -> String {
    let id = text(place, "id").unwrap_or_default();
    text(place, "queue").map_or_else(|| id.to_owned(), |queue| format!("{id} in {queue}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_job_is_told_with_what_there_is_of_it() {
        let job = json!({
            "id": "17", "queue": "mail", "state": "failed", "failed": "timed_out", "name": "welcome", "data": {"to": "ada"},
            "priority": 2, "lifo": false, "leases": 3, "failures": 3, "stalls": 0, "added_at_ms": 1_735_689_599_000_u64,
            "retry": { "attempts_max": 3, "backoff": { "exponential_ms": 1_000 }, "jitter_percent": 20.0,
                       "backoff_ms_max": 3_600_000 },
            "history": [{ "lease": 3, "kind": "timed_out", "at_ms": 1_735_689_599_000_u64, "error": "slow\u{1b}" }],
        });
        assert_eq!(
            View(&job).told(),
            "FIELD        VALUE\n\
             id           17\n\
             queue        mail\n\
             state        failed: timed out\n\
             name         welcome\n\
             priority     2\n\
             added        2024-12-31T23:59:59Z\n\
             leases       3\n\
             failures     3 of 3\n\
             tried again  after 1s, twice as long each time, at most 1h, less up to 20%\n\
             data         {\"to\":\"ada\"}\n\
             \n\
             FAILED                LEASE  HOW        ERROR\n\
             2024-12-31T23:59:59Z      3  timed out  slow\\u{1b}\n"
        );
    }
}
