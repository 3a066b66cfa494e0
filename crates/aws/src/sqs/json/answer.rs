//! Answers in JSON.

use weir_core::api::Tags;

use super::encode::{
    Object, change_visibility_batch, list, list_queues, push_text, queue_attributes, queue_url, received, send,
    send_batch,
};
use crate::sqs::answer::Answer;
use crate::sqs::move_task::{MoveTask, Status};

/// The body of an answer.
pub fn answer(answer: &Answer<'_>) -> Vec<u8> {
    match *answer {
        Answer::Done => b"{}".to_vec(),
        Answer::Sent { sent, digests, fifo } => send(sent, digests, fifo),
        Answer::SentBatch { entries, fifo } => send_batch(entries, fifo),
        Answer::SettledBatch(entries) => change_visibility_batch(entries),
        Answer::Received(messages) => received(messages),
        Answer::QueueUrl(url) => queue_url(url.as_bytes()),
        Answer::Queues { urls, next_token, sources: false } => list_queues(urls, next_token),
        Answer::Queues { urls, next_token, sources: true } => source_queues(urls, next_token),
        Answer::Attributes(attributes) => queue_attributes(attributes),
        Answer::Tags(tags) => queue_tags(tags),
        Answer::MoveTaskStarted(handle) => object(|object| object.text("TaskHandle", handle)),
        Answer::MoveTaskCancelled(moved) => object(|object| number(object, "ApproximateNumberOfMessagesMoved", moved)),
        Answer::MoveTasks(tasks) => object(|object| list(object.key("Results"), tasks, move_task)),
    }
}

fn source_queues(urls: &[String], next_token: Option<&str>) -> Vec<u8> {
    object(|object| {
        // The model requires the list, and writes it with a small letter.
        list(object.key("queueUrls"), urls, |out, url| push_text(out, url));
        if let Some(token) = next_token {
            object.text("NextToken", token);
        }
    })
}

/// A queue without tags has no map of them, as on AWS.
fn queue_tags(tags: &Tags) -> Vec<u8> {
    object(|object| {
        if tags.is_empty() {
            return;
        }
        let out = object.key("Tags");
        out.push(b'{');
        for (at, (key, value)) in tags.iter().enumerate() {
            if at > 0 {
                out.push(b',');
            }
            push_text(out, key);
            out.push(b':');
            push_text(out, value);
        }
        out.push(b'}');
    })
}

fn move_task(out: &mut Vec<u8>, task: &MoveTask) {
    let mut object = Object::open(out);
    if task.status == Status::Running {
        object.text("TaskHandle", &task.handle.encode());
    }
    object.text("Status", task.status.name());
    object.text("SourceArn", &task.handle.source_arn);
    if let Some(arn) = &task.destination_arn {
        object.text("DestinationArn", arn);
    }
    if let Some(rate) = task.per_second_max {
        number(&mut object, "MaxNumberOfMessagesPerSecond", u64::from(rate));
    }
    number(&mut object, "ApproximateNumberOfMessagesMoved", task.moved);
    if let Some(messages) = task.to_move {
        number(&mut object, "ApproximateNumberOfMessagesToMove", messages);
    }
    if let Some(reason) = &task.failure {
        object.text("FailureReason", reason);
    }
    number(&mut object, "StartedTimestamp", task.started_at_ms);
    object.close();
}

fn object(write: impl FnOnce(&mut Object<'_>)) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    let mut object = Object::open(&mut out);
    write(&mut object);
    object.close();
    out
}

fn number(object: &mut Object<'_>, key: &str, value: u64) {
    object.key(key).extend_from_slice(value.to_string().as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqs::move_task::TaskHandle;

    fn text(of: &Answer<'_>) -> String {
        String::from_utf8(answer(of)).unwrap()
    }

    #[test]
    fn tags_and_source_queues_are_told_as_aws_tells_them() {
        assert_eq!(text(&Answer::Done), "{}");
        assert_eq!(text(&Answer::Tags(&Tags::new())), "{}");
        let tags = Tags::from([("a\"", "b"), ("c", "")].map(|(key, value)| (key.to_owned(), value.to_owned())));
        assert_eq!(text(&Answer::Tags(&tags)), r#"{"Tags":{"a\"":"b","c":""}}"#);
        let urls = ["u".to_owned()];
        let sources = |urls, next_token| text(&Answer::Queues { urls, next_token, sources: true });
        assert_eq!(sources(&[], None), r#"{"queueUrls":[]}"#);
        assert_eq!(sources(&urls, Some("t")), r#"{"queueUrls":["u"],"NextToken":"t"}"#);
        let queues = Answer::Queues { urls: &urls, next_token: None, sources: false };
        assert_eq!(text(&queues), r#"{"QueueUrls":["u"]}"#);
    }

    #[test]
    fn a_move_task_is_told_with_its_handle_while_it_runs() {
        let handle = TaskHandle { id: 1, source_arn: "arn:aws:sqs:r:000000000000:d".to_owned() };
        assert_eq!(text(&Answer::MoveTaskStarted("h")), r#"{"TaskHandle":"h"}"#);
        assert_eq!(text(&Answer::MoveTaskCancelled(3)), r#"{"ApproximateNumberOfMessagesMoved":3}"#);
        let running = MoveTask {
            handle: handle.clone(),
            status: Status::Running,
            destination_arn: Some("arn:aws:sqs:r:000000000000:q".to_owned()),
            per_second_max: Some(5),
            moved: 1,
            to_move: Some(2),
            failure: None,
            started_at_ms: 4,
        };
        let failed = MoveTask {
            status: Status::Failed,
            destination_arn: None,
            per_second_max: None,
            to_move: None,
            failure: Some("f".to_owned()),
            ..running.clone()
        };
        let expected = format!(
            r#"{{"Results":[{{"TaskHandle":"{}","Status":"RUNNING","SourceArn":"arn:aws:sqs:r:000000000000:d","DestinationArn":"arn:aws:sqs:r:000000000000:q","MaxNumberOfMessagesPerSecond":5,"ApproximateNumberOfMessagesMoved":1,"ApproximateNumberOfMessagesToMove":2,"StartedTimestamp":4}},{{"Status":"FAILED","SourceArn":"arn:aws:sqs:r:000000000000:d","ApproximateNumberOfMessagesMoved":1,"FailureReason":"f","StartedTimestamp":4}}]}}"#,
            handle.encode()
        );
        assert_eq!(text(&Answer::MoveTasks(&[running, failed])), expected);
        assert_eq!(text(&Answer::MoveTasks(&[])), r#"{"Results":[]}"#);
    }
}
