//! `weir function set`.

use std::path::PathBuf;

use serde_json::{Map, Value, json};

use crate::arguments::{milliseconds, pair};
use crate::client::{Request, ServerArguments, text};
use crate::job::retry_arguments::{Keep, RetryArguments};
use crate::output;
use crate::push::{Mode, settings};
use crate::queue::LimiterUse;

#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// Name of the function.
    function: String,
    /// The URL behind it. Without one, workers lease its calls from the queue of its name.
    #[arg(value_name = "URL", conflicts_with = "command")]
    to: Option<String>,
    /// What it is for.
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// How long one attempt may take. Default: a minute.
    #[arg(long, value_name = "DURATION", value_parser = milliseconds)]
    timeout: Option<u64>,
    /// How many calls are under way at the URL at most, or how many processes run at once. Without this, up to 100, as many as
    /// the URL can take, and one process.
    #[arg(long, short = 'c', value_name = "N")]
    concurrency: Option<u32>,
    #[command(flatten)]
    retry: RetryArguments,
    /// A limiter of which a call takes a slot before it starts: crm, or crm:key=data.customer,cost=attributes.pages. Can be
    /// given several times.
    #[arg(long = "limiter", value_name = "NAME[:key=PLACE][,cost=PLACE]")]
    limiters: Vec<LimiterUse>,
    /// The queue that calls go to which failed for good.
    #[arg(long, value_name = "QUEUE")]
    dead_letters: Option<String>,
    /// What remains of completed calls: an age, a number of calls, or both (1h,1000), `all` or `none`.
    #[arg(long, value_name = "KEEP")]
    keep_completed: Option<Keep>,
    /// What remains of failed calls.
    #[arg(long, value_name = "KEEP")]
    keep_failed: Option<Keep>,
    /// The form in which calls are sent to the URL.
    #[arg(long, value_enum, default_value_t = Mode::Payload, requires = "to")]
    mode: Mode,
    /// A secret that signs every request to the URL (`whsec_` and base64), or `@FILE`. Given several times, all sign. Without
    /// this, those that are set stay.
    #[arg(long, value_name = "SECRET", requires = "to")]
    secret: Vec<String>,
    /// A header of every request to the URL, as a template. Can be given several times.
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair, requires = "to")]
    header: Vec<(String, String)>,
    /// A header that is never shown, its value or `@FILE`. Can be given several times. Without this, those that are set stay.
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair, requires = "to")]
    secret_header: Vec<(String, String)>,
    /// A file in JSON with further settings, as the native API has them; arguments take their place.
    #[arg(long, value_name = "FILE")]
    settings: Option<PathBuf>,
    /// Prints an object.
    #[arg(long)]
    json: bool,
    /// The command behind it, and its arguments: the server runs a process for each call, where it may
    /// (`functions.allow_commands`).
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<String>,
    #[command(flatten)]
    server: ServerArguments,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let client = arguments.server.client()?;
    let request = Request::put(&["functions", &arguments.function]).json(&arguments.settings()?);
    let answer = client.native(&request)?;
    if arguments.json {
        return output::say(&format!("{answer:#}\n"));
    }
    let function = answer.get("function").cloned().unwrap_or_default();
    let target = function.get("push").and_then(|push| push.get("target")).cloned().unwrap_or_default();
    let name = output::clean(&arguments.function);
    let done = if answer.get("created").is_some_and(|created| created == true) { "created" } else { "changed" };
    output::say(&match text(&target, "url") {
        Some(url) => format!("{done} {name}: its calls go to {}\n", output::clean(url)),
        None if text(&function, "behind") == Some("command") => {
            format!("{done} {name}: the server runs a process for each of its calls\n")
        }
        None => format!("{done} {name}: workers lease its calls from the queue of its name\n"),
    })
}

impl Arguments {
    fn settings(&self) -> anyhow::Result<Value> {
        let mut settings = settings::read(self.settings.as_deref())?;
        if let Some(url) = &self.to {
            settings.remove("url");
            let push = settings.entry("push").or_insert_with(|| json!({}));
            if let Some(push) = push.as_object_mut() {
                push.extend(self.push(url)?);
            }
        }
        let limiters: Vec<Value> = self.limiters.iter().map(LimiterUse::settings).collect();
        let members = [
            ("description", self.description.as_deref().map(Value::from)),
            ("command", (!self.command.is_empty()).then(|| json!(self.command))),
            ("timeout_ms", self.timeout.map(Value::from)),
            ("concurrency", self.concurrency.map(Value::from)),
            ("retry", self.retry.settings()),
            ("limiters", (!limiters.is_empty()).then(|| limiters.into())),
            ("dead_letters", self.dead_letters.as_deref().map(Value::from)),
            ("keep_completed", self.keep_completed.as_ref().map(Keep::settings)),
            ("keep_failed", self.keep_failed.as_ref().map(Keep::settings)),
        ];
        settings.extend(members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
        Ok(Value::Object(settings))
    }

    /// What is said of the URL.
    fn push(&self, url: &str) -> anyhow::Result<Map<String, Value>> {
        let mut push = Map::new();
        push.insert("url".to_owned(), json!(url));
        if self.settings.is_none() || self.mode != Mode::Payload {
            push.insert("mode".to_owned(), json!(self.mode.name()));
        }
        push.extend(settings::sent(&self.secret, &self.header, &self.secret_header)?);
        Ok(push)
    }
}
