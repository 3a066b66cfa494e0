//! Moves by the native API, which knows filters and dry runs: `POST /v1/queues/{name}/redrive`.
//!
//! The request is `{destination?, filter?, dry_run?, rate_per_second?, max?, cursor?}`. The server works in slices and
//! answers each with `{matched, moved, examined, cursor, done, sample}`, counts being those of the slice; the cursor, which
//! is the server's own affair, is handed back with the next request. `sample` holds some of what matched, each with
//! `message_id`, `sent_at`, `receives` and the start of its `body`.

use serde_json::{Map, Value, json};

use super::Arguments;
use crate::client::{Client, list, number, text};
use crate::output::{self, Table};

/// How many messages are shown.
const SHOWN: usize = 10;

/// What the slices added up to.
#[derive(Debug, Default)]
struct Total {
    examined: u64,
    matched: u64,
    moved: u64,
    sample: Vec<Value>,
}

/// Moves, slice by slice, until the server is done.
pub(super) fn run(client: &Client, arguments: &Arguments) -> anyhow::Result<()> {
    let mut total = Total::default();
    let outcome = slices(client, arguments, &mut total);
    // What was moved before a failure is told in any case.
    if outcome.is_ok() || total.examined > 0 {
        tell(arguments, &total)?;
    }
    outcome
}

fn slices(client: &Client, arguments: &Arguments, total: &mut Total) -> anyhow::Result<()> {
    client.in_slices(&["queues", arguments.queue.name(), "redrive"], |answer| {
        if let Some(answer) = answer {
            total.add(answer);
        }
        let left = arguments.max.map(|max| max.saturating_sub(total.done(arguments)));
        (left != Some(0)).then(|| request(arguments, left))
    })
}

fn request(arguments: &Arguments, left: Option<u64>) -> Map<String, Value> {
    let mut request = Map::new();
    let mut put = |name: &str, value: Option<Value>| request.extend(value.map(|value| (name.to_owned(), value)));
    put("destination", arguments.to.as_ref().map(|to| to.name().into()));
    put("filter", arguments.filter.clone().map(Value::from));
    put("dry_run", arguments.dry_run.then_some(true.into()));
    put("rate_per_second", arguments.rate.map(Value::from));
    put("max", left.map(Value::from));
    request
}

impl Total {
    fn add(&mut self, answer: &Value) {
        let count = |name: &str| number(answer, name).unwrap_or_default();
        self.examined += count("examined");
        self.matched += count("matched");
        self.moved += count("moved");
        let room = SHOWN.saturating_sub(self.sample.len());
        self.sample.extend(list(answer, "sample").iter().take(room).cloned());
    }

    /// What counts against `--max`.
    fn done(&self, arguments: &Arguments) -> u64 {
        if arguments.dry_run { self.matched } else { self.moved }
    }
}

fn tell(arguments: &Arguments, total: &Total) -> anyhow::Result<()> {
    let Total { examined, matched, moved, sample } = total;
    if arguments.json {
        let object = json!({
            "dry_run": arguments.dry_run, "examined": examined, "matched": matched, "moved": moved, "sample": sample,
        });
        return output::say(&format!("{object:#}\n"));
    }
    if !arguments.dry_run {
        return output::say(&format!(
            "moved {} of {examined} that were looked at\n",
            output::counted(*moved, "message")
        ));
    }
    let mut text = format!("would move {} of {examined}\n", output::counted(*matched, "message"));
    if !sample.is_empty() {
        text.push('\n');
        text.push_str(&table(sample).render());
    }
    output::say(&text)
}

fn table(sample: &[Value]) -> Table {
    let mut table = Table::new(&["ID", "SENT", "RECEIVES", "BODY"]).right(&[2]);
    for message in sample {
        table.row([
            text(message, "message_id").unwrap_or_default().to_owned(),
            text(message, "sent_at").unwrap_or_default().to_owned(),
            number(message, "receives").map_or_else(String::new, |count| count.to_string()),
            text(message, "body").unwrap_or_default().to_owned(),
        ]);
    }
    table
}
