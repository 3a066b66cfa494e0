//! `weir push list`.

use serde_json::Value;

use crate::client::{Request, ServerArguments, number, text};
use crate::output::{self, Table};

#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// Only those of queues whose names start with this.
    #[arg(long, value_name = "PREFIX")]
    prefix: Option<String>,
    /// Prints an array of objects.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArguments,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let client = arguments.server.client()?;
    let request = || Request::get(&["push"]).with("prefix", arguments.prefix.as_ref());
    let targets = client.all(request, "targets")?;
    if arguments.json {
        return output::say(&format!("{:#}\n", Value::Array(targets)));
    }
    let titles = ["QUEUE", "URL", "STATE", "CONCURRENCY", "UNDER WAY", "DELIVERED", "FAILED", "THROTTLED"];
    let mut table = Table::new(&titles).right(&[3, 4, 5, 6, 7]);
    for target in &targets {
        let (settings, status) =
            (target.get("target").unwrap_or(&Value::Null), target.get("status").unwrap_or(&Value::Null));
        let said = |of, field| text(of, field).unwrap_or_default().to_owned();
        let count = |field| number(status, field).map_or_else(String::new, |count| count.to_string());
        let names = [said(target, "queue"), said(settings, "url"), said(status, "state")];
        table.row(names.into_iter().chain(["concurrency", "in_flight", "delivered", "failed", "throttled"].map(count)));
    }
    output::say(&table.render())
}
