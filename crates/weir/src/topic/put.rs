//! `weir topic put`.

use serde_json::{Map, Value, json};

use crate::arguments::milliseconds;
use crate::client::{Request, ServerArguments};
use crate::output;

#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// Its name. One that ends in .fifo makes a FIFO topic.
    topic: String,
    /// Keeps what is published for so long, to be replayed: 7d.
    #[arg(long, value_name = "DURATION", value_parser = milliseconds)]
    archive: Option<u64>,
    /// Tells duplicates by their data. FIFO topics only.
    #[arg(long)]
    content_deduplication: bool,
    /// Prints an object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArguments,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let mut settings = Map::new();
    settings.extend(arguments.archive.map(|ms| ("archive_ms".to_owned(), json!(ms))));
    if arguments.content_deduplication {
        settings.insert("content_deduplication".to_owned(), json!(true));
    }
    let request = Request::put(&["topics", &arguments.topic]).json(&Value::Object(settings));
    let answer = arguments.server.client()?.native(&request)?;
    if arguments.json {
        return output::say(&format!("{answer:#}\n"));
    }
    let created = answer.get("created").is_some_and(|created| *created == true);
    let done = if created { "created" } else { "changed" };
    output::say(&format!("{done} {}\n", output::clean(&arguments.topic)))
}
