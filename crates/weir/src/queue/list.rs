//! `weir queue list`.

use serde_json::{Value, json};

use crate::client::{Client, Failure, Queue, ServerArguments, list, number, text};
use crate::output::{self, Table};

/// Queues of one page.
const PAGE: u32 = 1_000;

#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// Only queues whose names start so.
    prefix: Option<String>,
    /// Only the names, one a line.
    #[arg(long, conflicts_with = "json")]
    names: bool,
    /// Prints an array of objects.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArguments,
}

/// How many messages a queue holds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Counts {
    pub(super) ready: u64,
    pub(super) leased: u64,
    pub(super) delayed: u64,
}

impl Counts {
    pub(super) const NAMES: [&'static str; 3] =
        ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible", "ApproximateNumberOfMessagesDelayed"];

    pub(super) fn of(attributes: &Value) -> Self {
        let [ready, leased, delayed] = Self::NAMES.map(|name| number(attributes, name).unwrap_or_default());
        Self { ready, leased, delayed }
    }
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let client = arguments.server.client()?;
    let urls = urls(&client, arguments.prefix.as_deref())?;
    if arguments.names {
        let names: Vec<String> = urls.iter().map(|queue| format!("{}\n", output::clean(queue.name()))).collect();
        return output::say(&names.concat());
    }
    let mut table = Table::new(&["NAME", "READY", "LEASED", "DELAYED"]).right(&[1, 2, 3]);
    let mut objects = Vec::new();
    for queue in &urls {
        let counts = match client.attributes(queue, &Counts::NAMES) {
            Ok(attributes) => Counts::of(&attributes),
            // Deleted since it was listed.
            Err(Failure::NotFound { .. }) => continue,
            Err(failure) => return Err(failure.into()),
        };
        let Counts { ready, leased, delayed } = counts;
        table.row([queue.name().to_owned(), ready.to_string(), leased.to_string(), delayed.to_string()]);
        objects.push(json!({
            "name": queue.name(), "url": queue.url(), "ready": ready, "leased": leased, "delayed": delayed,
        }));
    }
    output::say(&if arguments.json { format!("{:#}\n", Value::Array(objects)) } else { table.render() })
}

fn urls(client: &Client, prefix: Option<&str>) -> Result<Vec<Queue>, Failure> {
    let mut queues = Vec::new();
    let mut request = json!({ "MaxResults": PAGE });
    loop {
        if let (Some(prefix), Some(request)) = (prefix, request.as_object_mut()) {
            request.insert("QueueNamePrefix".to_owned(), prefix.into());
        }
        let answer = client.sqs("ListQueues", &request)?;
        let page = list(&answer, "QueueUrls").iter().filter_map(Value::as_str);
        queues.extend(page.filter_map(|url| url.parse::<Queue>().ok()));
        match text(&answer, "NextToken") {
            Some(token) if !token.is_empty() => request = json!({ "MaxResults": PAGE, "NextToken": token }),
            _ => return Ok(queues),
        }
    }
}
