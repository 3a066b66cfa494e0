//! Changes of many jobs: the server works in slices, each of which hands on a cursor.

use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::process::ExitCode;

use serde_json::{Map, Value, json};

use super::picked::Picked;
use crate::client::{Client, Queue, number};
use crate::exit::Usage;
use crate::output;

/// What is done to jobs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Change {
    /// `retry`
    pub(crate) verb: &'static str,
    /// `retried`
    pub(crate) done: &'static str,
    /// Where it is asked for, after the queue.
    pub(crate) path: &'static [&'static str],
}

/// A change that was asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bulk<'a> {
    pub(crate) change: Change,
    pub(crate) queue: &'a Queue,
    pub(crate) picked: &'a Picked,
    pub(crate) dry_run: bool,
    pub(crate) yes: bool,
    pub(crate) json: bool,
}

/// What the slices added up to.
#[derive(Debug, Default)]
struct Total {
    examined: u64,
    matched: u64,
    changed: u64,
}

impl Bulk<'_> {
    /// Counts, asks, and changes.
    pub(crate) fn run(&self, client: &Client) -> anyhow::Result<ExitCode> {
        let members = self.picked.members()?;
        if !self.dry_run && !self.yes {
            self.confirm(client, &members)?;
        }
        let mut total = Total::default();
        let outcome = self.slices(client, &members, self.dry_run, &mut total);
        // What was changed before a failure is told in any case.
        if outcome.is_ok() || total.changed > 0 {
            self.tell(&total)?;
        }
        outcome.map(|()| ExitCode::SUCCESS)
    }

    /// Asks, with how many it would be.
    fn confirm(&self, client: &Client, members: &Map<String, Value>) -> anyhow::Result<()> {
        let verb = self.change.verb;
        if !std::io::stdin().is_terminal() {
            let text = format!("this could {verb} many jobs: --dry-run counts them, and --yes goes ahead");
            return Err(Usage(text).into());
        }
        let mut total = Total::default();
        self.slices(client, members, true, &mut total)?;
        let mut answer = String::new();
        write!(std::io::stderr(), "{verb} {}? [y/N] ", output::counted(total.matched, "job"))?;
        std::io::stdin().lock().read_line(&mut answer)?;
        if matches!(answer.trim(), "y" | "Y" | "yes") { Ok(()) } else { Err(anyhow::anyhow!("nothing was done")) }
    }

    fn slices(
        &self,
        client: &Client,
        members: &Map<String, Value>,
        dry_run: bool,
        total: &mut Total,
    ) -> anyhow::Result<()> {
        let segments = [&["queues", self.queue.name()], self.change.path].concat();
        client.in_slices(&segments, |answer| {
            if let Some(answer) = answer {
                total.add(answer);
            }
            let counted = if dry_run { total.matched } else { total.changed };
            let left = self.picked.max.map(|max| max.saturating_sub(counted));
            let mut request = members.clone();
            request.extend(dry_run.then(|| ("dry_run".to_owned(), true.into())));
            request.extend(left.map(|left| ("max".to_owned(), left.into())));
            (left != Some(0)).then_some(request)
        })
    }

    fn tell(&self, total: &Total) -> anyhow::Result<()> {
        let Total { examined, matched, changed } = total;
        output::say(&if self.json {
            let object =
                json!({ "dry_run": self.dry_run, "examined": examined, "matched": matched, "changed": changed });
            format!("{object:#}\n")
        } else if self.dry_run {
            let verb = self.change.verb;
            format!("would {verb} {} of {examined}\n", output::counted(*matched, "job"))
        } else {
            let done = self.change.done;
            format!("{done} {} of {examined} that were looked at\n", output::counted(*changed, "job"))
        })
    }
}

impl Total {
    fn add(&mut self, answer: &Value) {
        let count = |name: &str| number(answer, name).unwrap_or_default();
        self.examined += count("examined");
        self.matched += count("matched");
        self.changed += count("changed");
    }
}
