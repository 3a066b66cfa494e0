//! `weir topic subscribe` and what is done to subscriptions.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::ArgGroup;
use serde_json::{Map, Value, json};

use crate::arguments::moment;
use crate::client::{Request, ServerArguments, text};
use crate::output;
use crate::push::settings;

#[derive(clap::Args, Debug)]
#[command(group(ArgGroup::new("to").required(true).args(["queue", "endpoint", "function"])))]
pub(crate) struct Arguments {
    /// The topic.
    topic: String,
    /// The queue that is to be fed.
    #[arg(long)]
    queue: Option<String>,
    /// The URL that is to be called.
    #[arg(long, value_name = "URL")]
    endpoint: Option<String>,
    /// The function that is to be called.
    #[arg(long, value_name = "NAME")]
    function: Option<String>,
    /// Which messages come: a filter policy in JSON.
    #[arg(long, value_name = "JSON")]
    filter: Option<String>,
    /// The filter looks at the data and not at the attributes.
    #[arg(long, requires = "filter")]
    by_data: bool,
    /// The queue that takes what cannot be delivered.
    #[arg(long, value_name = "QUEUE")]
    dead_letters: Option<String>,
    /// A file in JSON with how the URL is called: as a push target, without its `url`.
    #[arg(long, value_name = "FILE", requires = "endpoint")]
    push: Option<PathBuf>,
    /// How often a delivery to the URL is tried.
    #[arg(long, value_name = "N", requires = "endpoint")]
    attempts: Option<u32>,
    /// Prints an object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArguments,
}

#[derive(clap::Args, Debug)]
pub(crate) struct Named {
    /// The topic.
    topic: String,
    /// Id of the subscription.
    subscription: String,
    #[command(flatten)]
    server: ServerArguments,
}

#[derive(clap::Args, Debug)]
pub(crate) struct ReplayArguments {
    /// The topic.
    topic: String,
    /// Id of the subscription.
    subscription: String,
    /// What was published from then on: 2026-01-31T08:00:00Z. Default: all that the archive has.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    from: Option<u64>,
    /// And before then. Default: now.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    until: Option<u64>,
    #[command(flatten)]
    server: ServerArguments,
}

pub(super) fn subscribe(arguments: &Arguments) -> anyhow::Result<()> {
    let Arguments { topic, queue, endpoint, function, filter, by_data, .. } = arguments;
    let Arguments { dead_letters, push, attempts, json: as_json, server, .. } = arguments;
    let mut wanted = Map::new();
    if let Some(filter) = filter {
        wanted.insert("filter".to_owned(), serde_json::from_str::<Value>(filter).context("--filter is not JSON")?);
    }
    if *by_data {
        wanted.insert("filter_scope".to_owned(), json!("data"));
    }
    wanted.extend(dead_letters.as_ref().map(|queue| ("dead_letter_queue".to_owned(), json!(queue))));
    if push.is_some() {
        wanted.insert("push".to_owned(), Value::Object(settings::read(push.as_deref())?));
    }
    wanted.extend(attempts.map(|most| ("retry".to_owned(), json!({ "attempts_max": most }))));
    let mut new = Map::from_iter([("settings".to_owned(), Value::Object(wanted))]);
    for (field, value) in [("queue", queue), ("url", endpoint), ("function", function)] {
        new.extend(value.as_ref().map(|value| (field.to_owned(), json!(value))));
    }
    let request = Request::post(&["topics", topic, "subscriptions"]).json(&Value::Object(new));
    let answer = server.client()?.native(&request)?;
    if *as_json {
        return output::say(&format!("{answer:#}\n"));
    }
    let id = answer.get("subscription").and_then(|subscription| text(subscription, "id")).unwrap_or_default();
    output::say(&format!("{id}\n"))
}

pub(super) fn unsubscribe(named: &Named) -> anyhow::Result<()> {
    let Named { topic, subscription, server } = named;
    server.client()?.native(&Request::delete(&["topics", topic, "subscriptions", subscription]))?;
    output::say(&format!("ended {}\n", output::clean(subscription)))
}

pub(super) fn hold(named: &Named, paused: bool) -> anyhow::Result<()> {
    let Named { topic, subscription, server } = named;
    let what = if paused { "pause" } else { "resume" };
    let request = Request::post(&["topics", topic, "subscriptions", subscription, what]).json(&json!({}));
    server.client()?.native(&request)?;
    output::say(&format!("{what}d {}\n", output::clean(subscription)))
}

pub(super) fn replay(arguments: &ReplayArguments) -> anyhow::Result<()> {
    let ReplayArguments { topic, subscription, from, until, server } = arguments;
    let mut stretch = Map::new();
    for (field, value) in [("from_ms", from), ("until_ms", until)] {
        stretch.extend(value.map(|value| (field.to_owned(), json!(value))));
    }
    let path = ["topics", topic, "subscriptions", subscription, "replays"];
    let answer = server.client()?.native(&Request::post(&path).json(&Value::Object(stretch)))?;
    let id = text(&answer, "id").unwrap_or_default();
    output::say(&format!("started replay {id}\n"))
}
