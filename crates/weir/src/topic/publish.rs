//! `weir topic publish`.

use anyhow::Context as _;
use serde_json::{Map, Value, json};

use crate::arguments::pair;
use crate::client::{Request, ServerArguments, list, number, text};
use crate::output;

#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// The topic.
    topic: String,
    /// Its data: JSON.
    #[arg(long, value_name = "JSON")]
    data: Option<String>,
    /// What kind of message it is.
    #[arg(long)]
    name: Option<String>,
    /// An attribute, which filters may look at; may be repeated.
    #[arg(long = "attribute", value_name = "NAME=VALUE", value_parser = pair)]
    attributes: Vec<(String, String)>,
    /// Its message group. Needed on a FIFO topic.
    #[arg(long)]
    group: Option<String>,
    /// Later messages of the same id are duplicates. FIFO topics only.
    #[arg(long, value_name = "ID")]
    deduplication_id: Option<String>,
    /// 0 is delivered first.
    #[arg(long)]
    priority: Option<u32>,
    /// Prints an object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArguments,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let Arguments { topic, data, name, attributes, group, deduplication_id, priority, json: as_json, server } =
        arguments;
    let mut message = Map::new();
    if let Some(data) = data {
        message.insert("data".to_owned(), serde_json::from_str::<Value>(data).context("--data is not JSON")?);
    }
    let attributes: Map<String, Value> = attributes.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
    if !attributes.is_empty() {
        message.insert("attributes".to_owned(), Value::Object(attributes));
    }
    for (field, value) in [("name", name), ("group", group), ("deduplication_id", deduplication_id)] {
        message.extend(value.as_ref().map(|value| (field.to_owned(), json!(value))));
    }
    message.extend(priority.map(|priority| ("priority".to_owned(), json!(priority))));
    let request = Request::post(&["topics", topic, "messages"]).json(&json!({ "messages": [message] }));
    let answer = server.client()?.native(&request)?;
    let published = list(&answer, "messages").first().cloned().unwrap_or_default();
    if *as_json {
        return output::say(&format!("{published:#}\n"));
    }
    let id = text(&published, "id").unwrap_or_default();
    if published.get("duplicate").is_some_and(|duplicate| *duplicate == true) {
        return output::say(&format!("{id}: published before\n"));
    }
    let count = |field| number(&published, field).unwrap_or_default();
    let failed = match count("failed") {
        0 => String::new(),
        failed => format!(", {failed} failed"),
    };
    output::say(&format!("{id}: delivered to {}{failed}\n", output::counted(count("delivered"), "subscription")))
}
