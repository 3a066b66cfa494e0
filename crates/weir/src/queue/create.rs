//! `weir queue create` and `weir queue set`.

use serde_json::{Map, Value, json};

use super::job_settings::JobSettings;
use super::settings::Settings;
use crate::arguments::pair;
use crate::client::{Client, Queue, Request, ServerArguments, is_fifo, is_plain, text};
use crate::exit::Usage;
use crate::output;

#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// Its name, of up to 256 bytes. Only one of at most 80 letters, digits, hyphens and underscores can be used over SQS.
    name: String,
    /// A tag. Can be given several times.
    #[arg(long = "tag", value_name = "NAME=VALUE", value_parser = pair)]
    tags: Vec<(String, String)>,
    /// Prints an object with the URL.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    settings: Settings,
    #[command(flatten)]
    jobs: JobSettings,
    #[command(flatten)]
    server: ServerArguments,
}

#[derive(clap::Args, Debug)]
pub(crate) struct SetArguments {
    /// Name, URL or ARN of the queue.
    queue: Queue,
    /// Lets messages be received without end, and none go to a dead-letter queue.
    #[arg(long, conflicts_with = "dead_letter")]
    no_dead_letter: bool,
    #[command(flatten)]
    settings: Settings,
    #[command(flatten)]
    jobs: JobSettings,
    #[command(flatten)]
    server: ServerArguments,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let client = arguments.server.client()?;
    let jobs = arguments.jobs.members();
    let url = if jobs.is_empty() && arguments.settings.has_attributes() {
        create_by_sqs(&client, arguments)?
    } else {
        create(&client, arguments, jobs)?
    };
    output::say(&if arguments.json {
        format!("{:#}\n", json!({ "name": arguments.name, "url": url }))
    } else {
        format!("{}\n", output::clean(&url))
    })
}

/// Creates a queue. Its URL, or its name where SQS does not allow that.
fn create(client: &Client, arguments: &Arguments, jobs: Map<String, Value>) -> anyhow::Result<String> {
    let mut settings = arguments.settings.members()?;
    settings.extend(jobs);
    if !arguments.tags.is_empty() {
        let tags = arguments.tags.iter().map(|(name, value)| (name.clone(), Value::from(value.clone())));
        settings.insert("tags".to_owned(), tags.collect::<Map<_, _>>().into());
    }
    client.native(&Request::post(&["queues"]).json(&json!({ "name": arguments.name, "settings": settings })))?;
    if !is_plain(&arguments.name) {
        return Ok(arguments.name.clone());
    }
    let answer = client.sqs("GetQueueUrl", &json!({ "QueueName": arguments.name }))?;
    Ok(text(&answer, "QueueUrl").unwrap_or(&arguments.name).to_owned())
}

/// Creates a queue with attributes that are named as in SQS.
fn create_by_sqs(client: &Client, arguments: &Arguments) -> anyhow::Result<String> {
    let mut attributes = arguments.settings.attributes(client)?;
    if is_fifo(&arguments.name) {
        attributes.insert("FifoQueue".to_owned(), "true".into());
    }
    let mut request = json!({ "QueueName": arguments.name, "Attributes": attributes });
    if let (false, Some(request)) = (arguments.tags.is_empty(), request.as_object_mut()) {
        let tags: Map<String, Value> =
            arguments.tags.iter().map(|(name, value)| (name.clone(), value.clone().into())).collect();
        request.insert("tags".to_owned(), tags.into());
    }
    let answer = client.sqs("CreateQueue", &request)?;
    Ok(text(&answer, "QueueUrl").unwrap_or_default().to_owned())
}

pub(super) fn set(arguments: &SetArguments) -> anyhow::Result<()> {
    let client = arguments.server.client()?;
    let jobs = arguments.jobs.members();
    if jobs.is_empty() && arguments.settings.has_attributes() {
        set_by_sqs(&client, arguments)?;
    } else {
        let mut settings = arguments.settings.members()?;
        settings.extend(arguments.no_dead_letter.then(|| ("dead_letters".to_owned(), Value::Null)));
        settings.extend(jobs);
        if settings.is_empty() {
            return Err(Usage("nothing to set: `weir queue set --help` lists the settings".to_owned()).into());
        }
        client.native(&Request::patch(&["queues", arguments.queue.name()]).json(&settings.into()))?;
    }
    output::say(&format!("changed {}\n", output::clean(arguments.queue.name())))
}

fn set_by_sqs(client: &Client, arguments: &SetArguments) -> anyhow::Result<()> {
    let mut attributes = arguments.settings.attributes(client)?;
    if arguments.no_dead_letter {
        attributes.insert("RedrivePolicy".to_owned(), "".into());
    }
    client.sqs("SetQueueAttributes", &json!({ "QueueUrl": arguments.queue.url(), "Attributes": attributes }))?;
    Ok(())
}
