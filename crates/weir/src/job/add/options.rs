//! What may be said of a new job, as arguments.

use clap::Args;
use serde_json::{Map, Value, json};

use super::super::retry_arguments::{Keep, RetryArguments};
use crate::arguments::{milliseconds, moment, pair};
use crate::client::Queue;
use crate::exit::Usage;

/// Options of a job.
#[derive(Args, Debug)]
#[command(next_help_heading = "Job")]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub(super) struct Options {
    /// What kind of job it is.
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// An attribute; one that reads as a number is one. Can be given several times.
    #[arg(long = "attribute", short, value_name = "NAME=VALUE", value_parser = pair)]
    attributes: Vec<(String, String)>,
    /// 0, the default, is leased first, then 1, 2, …
    #[arg(long, value_name = "N")]
    priority: Option<u32>,
    /// Goes before all others of its priority, the last one added first.
    #[arg(long)]
    lifo: bool,
    /// How long it waits before it can be leased: 30s, 5m.
    #[arg(long, value_name = "DURATION", value_parser = milliseconds)]
    delay: Option<u64>,
    /// When it can be leased: 2026-01-31T08:05:00+01:00.
    #[arg(long, value_name = "TIME", value_parser = moment, conflicts_with = "delay")]
    at: Option<u64>,
    /// An id of your own choice, not only digits: while a job of this id is in the queue, no other one is added.
    #[arg(long, value_name = "ID", conflicts_with_all = ["lines", "json_lines"])]
    pub(super) id: Option<String>,
    /// The message group: order holds within it, and a FIFO queue needs it.
    #[arg(long, value_name = "ID")]
    group: Option<String>,
    #[command(flatten)]
    retry: RetryArguments,
    /// How long one attempt may take, however often its lease is extended.
    #[arg(long, value_name = "DURATION", value_parser = milliseconds)]
    timeout: Option<u64>,
    /// It fails as expired if it was not started within this time.
    #[arg(long, value_name = "DURATION", value_parser = milliseconds)]
    ttl: Option<u64>,
    /// It fails as expired if it was not started by then.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    expires: Option<u64>,
    /// What remains of it once it is completed: an age, a number of jobs, or both (1h,1000), `all` or `none`.
    #[arg(long, value_name = "KEEP")]
    keep_completed: Option<Keep>,
    /// What remains of it once it has failed for good.
    #[arg(long, value_name = "KEEP")]
    keep_failed: Option<Keep>,
    /// While a job of this id is there, others of the same id are not added.
    #[arg(long, value_name = "ID", conflicts_with_all = ["lines", "json_lines"])]
    dedup_id: Option<String>,
    /// For how long --dedup-id counts, finished or not.
    #[arg(long, value_name = "DURATION", value_parser = milliseconds, requires = "dedup_id")]
    dedup_for: Option<u64>,
    /// Each duplicate starts the time of --dedup-for anew.
    #[arg(long, requires = "dedup_for")]
    dedup_extend: bool,
    /// A duplicate takes the place of a job that is still delayed.
    #[arg(long, requires = "dedup_id")]
    dedup_replace: bool,
    /// A duplicate gives a job that is still delayed its own delay, and changes nothing else of it.
    #[arg(long, requires = "dedup_id", conflicts_with = "dedup_replace")]
    dedup_reschedule: bool,
    /// The last duplicate that came while the job was being worked on is added once that is finished.
    #[arg(long, requires = "dedup_id")]
    dedup_keep_last: bool,
    /// A job that waits for this one: its queue and its id.
    #[arg(long, num_args = 2, value_names = ["QUEUE", "ID"])]
    parent: Option<Vec<String>>,
    /// What becomes of the parent if this one fails for good.
    #[arg(long, value_name = "WHAT", value_parser = ["wait", "fail", "ignore", "remove", "continue"], requires = "parent")]
    on_failure: Option<String>,
}

impl Options {
    /// The members of a job of the native API, without its data.
    pub(super) fn members(&self) -> anyhow::Result<Map<String, Value>> {
        let mut job = Map::new();
        let mut put = |name: &str, value: Option<Value>| job.extend(value.map(|value| (name.to_owned(), value)));
        put("name", self.name.clone().map(Value::from));
        put("attributes", attributes(&self.attributes)?);
        put("priority", self.priority.map(Value::from));
        put("lifo", self.lifo.then_some(true.into()));
        put("delay_ms", self.delay.map(Value::from));
        put("run_at_ms", self.at.map(Value::from));
        put("custom_id", self.id.clone().map(Value::from));
        put("group", self.group.clone().map(Value::from));
        put("retry", self.retry.settings());
        put("timeout_ms", self.timeout.map(Value::from));
        put("ttl_ms", self.ttl.map(Value::from));
        put("expires_at_ms", self.expires.map(Value::from));
        put("keep_completed", self.keep_completed.as_ref().map(Keep::settings));
        put("keep_failed", self.keep_failed.as_ref().map(Keep::settings));
        put("deduplication", self.deduplication());
        if let Some([queue, id]) = self.parent.as_deref() {
            let queue: Queue = queue.parse()?;
            put("parent", Some(json!({ "queue": queue.name(), "id": id })));
        }
        put("on_failure", self.on_failure.clone().map(Value::from));
        Ok(job)
    }

    fn deduplication(&self) -> Option<Value> {
        let mut deduplication = Map::new();
        deduplication.insert("id".to_owned(), self.dedup_id.clone()?.into());
        deduplication.extend(self.dedup_for.map(|ms| ("ttl_ms".to_owned(), ms.into())));
        let flags = [
            ("extend", self.dedup_extend),
            ("replace", self.dedup_replace),
            ("reschedule", self.dedup_reschedule),
            ("keep_last_if_active", self.dedup_keep_last),
        ];
        deduplication.extend(flags.into_iter().filter(|(_, on)| *on).map(|(name, on)| (name.to_owned(), on.into())));
        Some(deduplication.into())
    }
}

fn attributes(given: &[(String, String)]) -> anyhow::Result<Option<Value>> {
    let mut attributes = Map::new();
    for (name, text) in given {
        let number = serde_json::from_str::<serde_json::Number>(text).ok().map(Value::from);
        if attributes.insert(name.clone(), number.unwrap_or_else(|| text.clone().into())).is_some() {
            return Err(Usage(format!("--attribute {name}: it is there twice")).into());
        }
    }
    Ok((!attributes.is_empty()).then(|| attributes.into()))
}
