//! Publishing to a topic of which each message matches one subscription, among few and among many.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::arguments::{Common, Filters};
use crate::child::Server;
use crate::native::setup::create_queue;
use crate::report::{Report, rate};
use crate::wire::{Connection, call};
use crate::work_dir;

/// Messages of a request.
const BATCH: usize = 100;
/// Connections that publish.
const PUBLISHERS: usize = 8;
/// Subscriptions that messages match, and all that there are in the smaller run.
const MATCHED: usize = 10;

/// What the filters ask of a message.
#[derive(Clone, Copy, Debug)]
enum Operator {
    Exact,
    Prefix,
    Range,
}

impl Operator {
    const ALL: [Operator; 3] = [Operator::Exact, Operator::Prefix, Operator::Range];

    fn name(self) -> &'static str {
        match self {
            Operator::Exact => "exact values",
            Operator::Prefix => "prefixes",
            Operator::Range => "ranges of numbers",
        }
    }

    /// The filter of one subscription.
    fn filter(self, number: usize) -> Value {
        match self {
            Operator::Exact => json!({ "user": [format!("u-{number}")] }),
            Operator::Prefix => json!({ "path": [{ "prefix": format!("/u-{number}/") }] }),
            Operator::Range => json!({ "score": [{ "numeric": [">=", number, "<", number + 1] }] }),
        }
    }
}

/// The attributes of a message that the filter of this number lets through, whatever its operator.
fn attributes(number: usize) -> Value {
    json!({ "user": format!("u-{number}"), "path": format!("/u-{number}/orders"), "score": number })
}

pub(crate) fn run(common: &Common, filters: &Filters) -> anyhow::Result<()> {
    let dir = work_dir::fresh(&common.dir)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    for operator in Operator::ALL {
        let mut measured = [MATCHED, filters.subscriptions].into_iter().map(|subscriptions| {
            let data = dir.path().join(format!("{operator:?}-{subscriptions}"));
            let server = Server::weir(&common.weir, &data)?;
            let published =
                runtime.block_on(measure(server.address, operator, subscriptions, common.body, filters.seconds))?;
            server.kill()?;
            std::fs::remove_dir_all(&data)?;
            anyhow::Ok(published)
        });
        let (Some(few), Some(many)) = (measured.next(), measured.next()) else { continue };
        let (few, many) = (few?, many?);
        let mut report = Report::new(format!("filters: {}", operator.name()));
        report.value("bytes of each body", common.body, "B").value("messages of a request", BATCH, "");
        report.value(&format!("{MATCHED} subscriptions, messages"), few.round(), "/s");
        report.value(&format!("{} subscriptions, messages", filters.subscriptions), many.round(), "/s");
        report.ratio("many to few", many / few);
        report.print()?;
    }
    Ok(())
}

/// Messages a second, each of which came to one queue.
async fn measure(
    address: SocketAddr,
    operator: Operator,
    subscriptions: usize,
    body: usize,
    seconds: u64,
) -> anyhow::Result<f64> {
    let mut connection = Connection::open(address).await?;
    connection.ask(&call("PUT", "/v1/topics/filtered", "{}")).await?;
    for number in 0..subscriptions {
        let queue = format!("queue-{number}");
        create_queue(&mut connection, &queue, None).await?;
        let new = json!({ "queue": queue, "settings": { "filter": operator.filter(number) } });
        connection.ask(&call("POST", "/v1/topics/filtered/subscriptions", &new.to_string())).await?;
    }
    let data = "x".repeat(body);
    let messages: Vec<Value> =
        (0..BATCH).map(|nth| json!({ "data": data, "attributes": attributes(nth % MATCHED) })).collect();
    let publish = call("POST", "/v1/topics/filtered/messages", &json!({ "messages": messages }).to_string());
    let (mut publishers, began) = (JoinSet::new(), Instant::now());
    for _ in 0..PUBLISHERS {
        let publish = publish.clone();
        publishers.spawn(async move {
            let (mut connection, mut published) = (Connection::open(address).await?, 0_u64);
            while began.elapsed() < Duration::from_secs(seconds) {
                connection.ask(&publish).await?;
                published += BATCH as u64;
            }
            anyhow::Ok(published)
        });
    }
    let mut published = 0;
    while let Some(one) = publishers.join_next().await {
        published += one??;
    }
    let took = began.elapsed();
    // Each came to the one queue that it is for.
    let mut delivered = 0;
    for number in 0..MATCHED {
        let queue = connection.ask(&call("GET", &format!("/v1/queues/queue-{number}"), "")).await?;
        let queue: Value = serde_json::from_slice(queue.body)?;
        delivered += queue.pointer("/counters/ready").and_then(Value::as_u64).unwrap_or_default();
    }
    anyhow::ensure!(delivered == published, "{published} messages were published, and {delivered} delivered");
    Ok(rate(published, took))
}
