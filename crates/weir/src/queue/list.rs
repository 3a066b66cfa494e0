//! `weir queue list`.

use serde_json::{Map, Value};

use crate::client::{Request, ServerArguments, number, text};
use crate::listing::names;
use crate::output::{self, Table};

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

/// What is counted of a queue: where its jobs stand.
const COUNTERS: [&str; 6] = ["ready", "leased", "delayed", "waiting", "completed", "failed"];

/// The counters of a queue, by their names.
pub(super) fn counters(queue: &Value) -> impl Iterator<Item = (&'static str, u64)> {
    let counters = queue.get("counters");
    COUNTERS.into_iter().map(move |name| (name, counters.and_then(|found| number(found, name)).unwrap_or_default()))
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let client = arguments.server.client()?;
    let request = || Request::get(&["queues"]).with("prefix", arguments.prefix.as_ref());
    let queues = client.all(request, "queues")?;
    let name = |queue: &Value| text(queue, "name").unwrap_or_default().to_owned();
    output::say(&if arguments.names {
        names(&queues, "name")
    } else if arguments.json {
        let objects = queues.iter().map(|queue| {
            let mut object = Map::from_iter([("name".to_owned(), name(queue).into())]);
            object.extend(counters(queue).map(|(counter, count)| (counter.to_owned(), count.into())));
            Value::Object(object)
        });
        format!("{:#}\n", Value::Array(objects.collect()))
    } else {
        let titles = ["NAME", "READY", "LEASED", "DELAYED", "WAITING", "COMPLETED", "FAILED"];
        let mut table = Table::new(&titles).right(&[1, 2, 3, 4, 5, 6]);
        for queue in &queues {
            table.row(std::iter::once(name(queue)).chain(counters(queue).map(|(_, count)| count.to_string())));
        }
        table.render()
    })
}
