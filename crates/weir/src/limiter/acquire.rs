//! `weir limiter acquire` and `settle`: permits for programs that Weir does not start.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::show::blocked;
use crate::arguments::milliseconds;
use crate::client::{Request, ServerArguments, text};
use crate::exit::NotInTime;
use crate::output;

#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// Name of the limiter.
    limiter: String,
    /// The key: a customer, a host, … Without it, the one that all share who name none.
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// What is expected to be used up.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    cost: Option<u64>,
    /// 0, the default, is served first, then 1, 2, …
    #[arg(long, value_name = "N")]
    priority: Option<u32>,
    /// The permit ends by itself after so long: a minute unless it is said.
    #[arg(long, value_name = "DURATION", value_parser = milliseconds)]
    lease: Option<u64>,
    /// How long to wait for it: 30s.
    #[arg(long, value_name = "DURATION", value_parser = milliseconds)]
    wait: Option<u64>,
    /// Prints an object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArguments,
}

#[derive(clap::Args, Debug)]
pub(crate) struct SettleArguments {
    /// Name of the limiter.
    limiter: String,
    /// The permit, as `weir limiter acquire` printed it.
    permit: String,
    /// What it really cost, where that is not what was expected; may be 0.
    #[arg(long, value_name = "N")]
    cost: Option<u64>,
    /// The work goes on: only its cost is told, and it counts among those that run.
    #[arg(long, requires = "cost")]
    running: bool,
    #[command(flatten)]
    server: ServerArguments,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let client = arguments.server.client()?;
    let members = [
        ("key", arguments.key.clone().map(Value::from)),
        ("cost", arguments.cost.map(Value::from)),
        ("priority", arguments.priority.map(Value::from)),
        ("lease_ms", arguments.lease.map(Value::from)),
        ("wait_ms", arguments.wait.map(Value::from)),
    ];
    let asked: Map<String, Value> =
        members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect();
    let wait = Duration::from_millis(arguments.wait.unwrap_or(0));
    let request = Request::post(&["limiters", &arguments.limiter, "acquire"]).json(&asked.into()).waiting(wait);
    let answer = client.native(&request)?;
    if arguments.json {
        output::say(&format!("{answer:#}\n"))?;
    } else if let Some(permit) = text(&answer, "permit") {
        output::say(&format!("{}\n", output::clean(permit)))?;
    }
    if answer.get("granted").is_some_and(|granted| granted == true) {
        return Ok(());
    }
    let reason = answer.get("blocked").map(|reason| format!(": {}", blocked(reason))).unwrap_or_default();
    Err(NotInTime(format!("no permit of {}{reason}", arguments.limiter)).into())
}

pub(super) fn settle(arguments: &SettleArguments) -> anyhow::Result<()> {
    let SettleArguments { limiter, permit, cost, running, server } = arguments;
    let mut settlement = json!({ "permit": permit, "done": !running });
    if let (Some(cost), Some(settlement)) = (cost, settlement.as_object_mut()) {
        settlement.insert("cost".to_owned(), (*cost).into());
    }
    server.client()?.native(&Request::post(&["limiters", limiter, "settle"]).json(&settlement))?;
    output::say(&format!("settled {}\n", output::clean(permit)))
}
