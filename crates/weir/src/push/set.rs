//! `weir push set`.

use std::fs;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::ValueEnum;
use serde_json::{Map, Value, json};

use super::settings::{read, sent};
use crate::arguments::{milliseconds, pair};
use crate::client::{Queue, Request, ServerArguments};
use crate::output;

#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// Name, URL or ARN of the queue.
    queue: Queue,
    /// Where its jobs are sent with POST.
    #[arg(value_name = "URL")]
    to: String,
    /// The form in which they are sent.
    #[arg(long, value_enum, default_value_t = Mode::Native)]
    mode: Mode,
    /// How many requests are under way at most. Without this, up to 100, as many as the target can take.
    #[arg(long, short = 'c', value_name = "N")]
    concurrency: Option<u32>,
    /// Sends fewer at once than --concurrency where the target cannot take so many.
    #[arg(long, requires = "concurrency")]
    adaptive: bool,
    /// Sends up to so many jobs in one request.
    #[arg(long, value_name = "N")]
    batch: Option<u32>,
    /// With --batch: how long to wait for a full one, from its first job.
    #[arg(long, value_name = "TIME", value_parser = milliseconds, requires = "batch")]
    batch_wait: Option<u64>,
    /// How long a request may take altogether.
    #[arg(long, value_name = "TIME", value_parser = milliseconds)]
    timeout: Option<u64>,
    /// How long a target that answered 202 may take to call back.
    #[arg(long, value_name = "TIME", value_parser = milliseconds)]
    callback_timeout: Option<u64>,
    /// A secret that signs every request (`whsec_` and base64), or `@FILE`. Given several times, all sign. Without this,
    /// those that are set stay.
    #[arg(long, value_name = "SECRET")]
    secret: Vec<String>,
    /// A header of every request, as a template: `x-tenant={{ job.attributes.tenant }}`. Can be given several times.
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair)]
    header: Vec<(String, String)>,
    /// A header that is never shown, its value or `@FILE`. Can be given several times. Without this, those that are set stay.
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair)]
    secret_header: Vec<(String, String)>,
    /// A file with a template for the body.
    #[arg(long, value_name = "FILE")]
    body: Option<PathBuf>,
    /// Compresses bodies.
    #[arg(long)]
    gzip: bool,
    /// A file in JSON with further settings, as the native API has them; arguments take their place.
    #[arg(long, value_name = "FILE")]
    settings: Option<PathBuf>,
    /// Prints an object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArguments,
}

/// The form in which jobs are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Mode {
    /// A job as the native API has it.
    Native,
    /// An event in the structured mode of CloudEvents.
    #[value(name = "cloudevents")]
    CloudEvents,
    /// An event in the binary mode of CloudEvents.
    #[value(name = "cloudevents-binary")]
    CloudEventsBinary,
    /// The event of a Lambda function that SQS triggers.
    Lambda,
    /// The data alone; the answer is the result.
    Payload,
}

impl Mode {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Mode::Native => "native",
            Mode::CloudEvents => "cloudevents",
            Mode::CloudEventsBinary => "cloudevents_binary",
            Mode::Lambda => "lambda",
            Mode::Payload => "payload",
        }
    }
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let client = arguments.server.client()?;
    let settings = arguments.settings()?;
    let name = arguments.queue.name();
    let answer = client.native(&Request::put(&["queues", name, "push"]).json(&settings))?;
    if arguments.json {
        return output::say(&format!("{answer:#}\n"));
    }
    let (name, url) = (output::clean(name), output::clean(&arguments.to));
    output::say(&format!("jobs of {name} are pushed to {url}\n"))
}

impl Arguments {
    fn settings(&self) -> anyhow::Result<Value> {
        let mut settings = read(self.settings.as_deref())?;
        settings.insert("url".to_owned(), json!(self.to));
        if self.settings.is_none() || self.mode != Mode::Native {
            settings.insert("mode".to_owned(), json!(self.mode.name()));
        }
        let mut put = |name: &str, value: Option<Value>| settings.extend(value.map(|value| (name.to_owned(), value)));
        put("concurrency", self.concurrency.map(|max| json!({ "max": max, "adaptive": self.adaptive })));
        put("batch", self.batch.map(|max| json!({ "max": max, "wait_ms": self.batch_wait.unwrap_or_default() })));
        let timeouts = [("total_ms", self.timeout), ("callback_ms", self.callback_timeout)];
        let timeouts: Map<_, _> =
            timeouts.into_iter().filter_map(|(name, ms)| Some((name.to_owned(), json!(ms?)))).collect();
        put("timeouts", (!timeouts.is_empty()).then_some(Value::Object(timeouts)));
        if let Some(path) = &self.body {
            let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
            put("body", Some(json!(text)));
        }
        put("compression", self.gzip.then(|| json!("gzip")));
        settings.extend(sent(&self.secret, &self.header, &self.secret_header)?);
        Ok(Value::Object(settings))
    }
}
