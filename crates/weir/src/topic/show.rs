//! `weir topic get`.

use serde_json::{Value, json};

use crate::client::{Request, ServerArguments, number, text};
use crate::output::{self, Table};

#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// Its name.
    topic: String,
    /// Prints an object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArguments,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let client = arguments.server.client()?;
    let name = arguments.topic.as_str();
    let mut answer = client.native(&Request::get(&["topics", name]))?;
    let subscriptions = client.all(|| Request::get(&["topics", name, "subscriptions"]), "subscriptions")?;
    if arguments.json {
        if let Some(answer) = answer.as_object_mut() {
            answer.insert("subscriptions".to_owned(), json!(subscriptions));
        }
        return output::say(&format!("{answer:#}\n"));
    }
    let counters = answer.get("counters").cloned().unwrap_or_default();
    let count = |field| (field, number(&counters, field).unwrap_or_default().to_string());
    let counts = ["published", "duplicates", "delivered", "failed", "archived"].map(count);
    output::say(&output::fields([("name", name.to_owned())].into_iter().chain(counts)))?;
    let mut table = Table::new(&["SUBSCRIPTION", "TO", "FILTER", "STATE"]);
    for subscription in &subscriptions {
        let filter = subscription.get("filter").map_or_else(|| "-".to_owned(), Value::to_string);
        let id = text(subscription, "id").unwrap_or_default().to_owned();
        table.row([id, target(subscription), filter, state(subscription).to_owned()]);
    }
    output::say(&table.render())
}

/// Where the deliveries of a subscription go.
fn target(subscription: &Value) -> String {
    let target = |kind: &str| text(subscription, kind).map(|name| format!("{kind} {name}"));
    target("queue").or_else(|| target("url")).or_else(|| target("function")).unwrap_or_default()
}

fn state(subscription: &Value) -> &'static str {
    let is = |field: &str| subscription.get(field).is_some_and(|value| *value == true);
    match (is("confirmed"), is("paused"), is("holding")) {
        (false, ..) => "not confirmed",
        (true, true, _) => "paused",
        (true, false, true) => "following",
        (true, false, false) => "delivers",
    }
}
