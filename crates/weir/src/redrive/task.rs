//! Moves by SQS's own message move tasks: they go on in the server without us.

use std::time::Duration;

use serde_json::{Value, json};

use super::Arguments;
use crate::client::{Client, list as items, number, text};
use crate::output::{self, Table};

/// Between two looks at a running task.
const LOOK: Duration = Duration::from_millis(500);

/// Starts a task and, unless told otherwise, waits until it has ended.
pub(super) fn run(client: &Client, arguments: &Arguments) -> anyhow::Result<()> {
    let source = client.arn(&arguments.queue)?;
    let mut request = json!({ "SourceArn": source });
    if let Some(request) = request.as_object_mut() {
        if let Some(to) = &arguments.to {
            request.insert("DestinationArn".to_owned(), client.arn(to)?.into());
        }
        request.extend(arguments.rate.map(|rate| ("MaxNumberOfMessagesPerSecond".to_owned(), rate.into())));
    }
    let answer = client.sqs("StartMessageMoveTask", &request)?;
    let handle = text(&answer, "TaskHandle").unwrap_or_default();
    if arguments.detach {
        return output::say(&if arguments.json {
            format!("{:#}\n", json!({ "task": handle }))
        } else {
            format!("{}\n", output::clean(handle))
        });
    }
    let task = loop {
        // The newest comes first: ours, since a queue has one at a time.
        let tasks = client.sqs("ListMessageMoveTasks", &json!({ "SourceArn": source, "MaxResults": 1 }))?;
        let Some(task) = items(&tasks, "Results").first() else {
            anyhow::bail!("the server has forgotten the task {handle}");
        };
        if !matches!(text(task, "Status"), Some("RUNNING" | "CANCELLING")) {
            break task.clone();
        }
        std::thread::sleep(LOOK);
    };
    let moved = number(&task, "ApproximateNumberOfMessagesMoved").unwrap_or_default();
    let status = text(&task, "Status").unwrap_or("UNKNOWN");
    output::say(&if arguments.json {
        format!("{:#}\n", object(&task))
    } else {
        format!("moved {}\n", output::counted(moved, "message"))
    })?;
    if status != "COMPLETED" {
        let reason = text(&task, "FailureReason").unwrap_or("no reason is given");
        anyhow::bail!("the move ended as {status}: {reason}");
    }
    Ok(())
}

/// Lists the tasks of a queue.
pub(super) fn list(client: &Client, arguments: &Arguments) -> anyhow::Result<()> {
    let source = client.arn(&arguments.queue)?;
    let answer = client.sqs("ListMessageMoveTasks", &json!({ "SourceArn": source, "MaxResults": 10 }))?;
    let tasks = items(&answer, "Results");
    if arguments.json {
        let tasks: Vec<Value> = tasks.iter().map(object).collect();
        return output::say(&format!("{:#}\n", Value::Array(tasks)));
    }
    let mut table = Table::new(&["STARTED", "STATUS", "MOVED", "OF", "TO", "HANDLE"]).right(&[2, 3]);
    for task in tasks {
        let count = |name: &str| number(task, name).map_or_else(|| "-".to_owned(), |count| count.to_string());
        let to = text(task, "DestinationArn").and_then(|arn| arn.rsplit(':').next());
        table.row([
            number(task, "StartedTimestamp").map_or_else(String::new, output::stamp),
            text(task, "Status").unwrap_or_default().to_lowercase(),
            count("ApproximateNumberOfMessagesMoved"),
            count("ApproximateNumberOfMessagesToMove"),
            to.unwrap_or("where each came from").to_owned(),
            text(task, "TaskHandle").unwrap_or("-").to_owned(),
        ]);
    }
    output::say(&table.render())
}

/// Ends a task.
pub(super) fn cancel(client: &Client, arguments: &Arguments, handle: &str) -> anyhow::Result<()> {
    let answer = client.sqs("CancelMessageMoveTask", &json!({ "TaskHandle": handle }))?;
    let moved = number(&answer, "ApproximateNumberOfMessagesMoved").unwrap_or_default();
    output::say(&if arguments.json {
        format!("{:#}\n", json!({ "moved": moved }))
    } else {
        format!("cancelled after {}\n", output::counted(moved, "message"))
    })
}

/// A task for programs.
fn object(task: &Value) -> Value {
    json!({
        "task": text(task, "TaskHandle"),
        "status": text(task, "Status").map(str::to_lowercase),
        "source": text(task, "SourceArn"),
        "destination": text(task, "DestinationArn"),
        "moved": number(task, "ApproximateNumberOfMessagesMoved"),
        "to_move": number(task, "ApproximateNumberOfMessagesToMove"),
        "rate_per_second": number(task, "MaxNumberOfMessagesPerSecond"),
        "started_at": number(task, "StartedTimestamp").map(output::stamp),
        "failure": text(task, "FailureReason"),
    })
}
