//! SQS through the AWS SDK for Rust, against the server at `WEIR_URL`. Ends with an error at the first thing that is
//! not as the SDK's user expects it.

use std::error::Error;

use aws_sdk_sqs::config::{BehaviorVersion, Credentials, Region, retry::RetryConfig};
use aws_sdk_sqs::types::{
    MessageAttributeValue, MessageSystemAttributeName, QueueAttributeName, SendMessageBatchRequestEntry,
};
use aws_sdk_sqs::{Client, Config};

type Outcome = Result<(), Box<dyn Error>>;

#[tokio::main]
async fn main() -> Outcome {
    let variable = |name: &str, or: &str| std::env::var(name).unwrap_or_else(|_| or.to_owned());
    let (id, secret) = (variable("WEIR_ACCESS_KEY_ID", "test"), variable("WEIR_SECRET_ACCESS_KEY", "test"));
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .endpoint_url(std::env::var("WEIR_URL")?)
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::from_keys(id, secret, None))
        .retry_config(RetryConfig::disabled())
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .build();
    let sqs = Client::from_conf(config);
    round(&sqs).await?;
    batches(&sqs).await?;
    fifo(&sqs).await?;
    errors(&sqs).await?;
    dead_letters(&sqs).await?;
    println!("5 passed, 0 failed");
    Ok(())
}

/// A message with attributes goes round; the SDK checks the checksums.
async fn round(sqs: &Client) -> Outcome {
    let queue = make(sqs, "rust-round", &[]).await?;
    let kind = MessageAttributeValue::builder().data_type("String").string_value("mail").build()?;
    sqs.send_message().queue_url(&queue).message_body("hello").message_attributes("kind", kind).send().await?;
    let received = sqs
        .receive_message()
        .queue_url(&queue)
        .message_attribute_names("All")
        .message_system_attribute_names(MessageSystemAttributeName::All)
        .send()
        .await?;
    let [message] = received.messages() else { return Err("not one message".into()) };
    same("the body", message.body(), Some("hello"))?;
    let attribute = message.message_attributes().and_then(|all| all.get("kind")).and_then(|kind| kind.string_value());
    same("the attribute", attribute, Some("mail"))?;
    let count = message.attributes().and_then(|all| all.get(&MessageSystemAttributeName::ApproximateReceiveCount));
    same("the receive count", count.map(String::as_str), Some("1"))?;
    let handle = message.receipt_handle().ok_or("no receipt handle")?;
    sqs.change_message_visibility().queue_url(&queue).receipt_handle(handle).visibility_timeout(90).send().await?;
    sqs.delete_message().queue_url(&queue).receipt_handle(handle).send().await?;
    same("what is left", left(sqs, &queue).await?, (0, 0))
}

/// Ten at once, sent, received and deleted.
async fn batches(sqs: &Client) -> Outcome {
    let queue = make(sqs, "rust-batches", &[]).await?;
    let entry = |n: usize| {
        let body = format!("body {n}");
        SendMessageBatchRequestEntry::builder().id(n.to_string()).message_body(body).build()
    };
    let entries = (0..10).map(entry).collect::<Result<Vec<_>, _>>()?;
    let sent = sqs.send_message_batch().queue_url(&queue).set_entries(Some(entries)).send().await?;
    same("how many were sent", sent.successful().len(), 10)?;
    same("what is there", left(sqs, &queue).await?, (10, 0))?;
    sqs.purge_queue().queue_url(&queue).send().await?;
    same("what is left", left(sqs, &queue).await?, (0, 0))
}

/// The order of a group, and a duplicate that is sent once.
async fn fifo(sqs: &Client) -> Outcome {
    let queue = make(sqs, "rust-order.fifo", &[(QueueAttributeName::FifoQueue, "true")]).await?;
    for body in ["1", "2", "2", "3"] {
        let send = sqs.send_message().queue_url(&queue).message_body(body).message_group_id("group");
        send.message_deduplication_id(body).send().await?;
    }
    let received = sqs.receive_message().queue_url(&queue).max_number_of_messages(10).send().await?;
    let bodies: Vec<_> = received.messages().iter().filter_map(|message| message.body()).collect();
    same("the order", bodies, vec!["1", "2", "3"])
}

/// Errors are those that the SDK models.
async fn errors(sqs: &Client) -> Outcome {
    let unknown = format!("{}/000000000000/rust-none", std::env::var("WEIR_URL")?);
    let error = sqs.send_message().queue_url(unknown).message_body("x").send().await.err().ok_or("it was sent")?;
    let error = error.into_service_error();
    same("the error is of an unknown queue", error.is_queue_does_not_exist(), true)
}

/// A dead letter is moved back by a task.
async fn dead_letters(sqs: &Client) -> Outcome {
    let dead = make(sqs, "rust-dead", &[]).await?;
    let arn = sqs.get_queue_attributes().queue_url(&dead).attribute_names(QueueAttributeName::QueueArn).send().await?;
    let arn = arn.attributes().and_then(|all| all.get(&QueueAttributeName::QueueArn)).ok_or("no ARN")?.clone();
    let policy = format!(r#"{{"deadLetterTargetArn":"{arn}","maxReceiveCount":1}}"#);
    let attributes = [(QueueAttributeName::RedrivePolicy, policy.as_str()), (QueueAttributeName::VisibilityTimeout, "0")];
    let source = make(sqs, "rust-source", &attributes).await?;
    sqs.send_message().queue_url(&source).message_body("poison").send().await?;
    same("first receive", sqs.receive_message().queue_url(&source).send().await?.messages().len(), 1)?;
    same("second receive", sqs.receive_message().queue_url(&source).send().await?.messages().len(), 0)?;
    sqs.start_message_move_task().source_arn(&arn).send().await?;
    let again = sqs.receive_message().queue_url(&source).wait_time_seconds(20).send().await?;
    same("the moved message", again.messages().first().and_then(|message| message.body()), Some("poison"))
}

async fn make(
    sqs: &Client,
    name: &str,
    attributes: &[(QueueAttributeName, &str)],
) -> Result<String, Box<dyn Error>> {
    let mut create = sqs.create_queue().queue_name(name);
    for (key, value) in attributes {
        create = create.attributes(key.clone(), *value);
    }
    Ok(create.send().await?.queue_url().ok_or("no URL")?.to_owned())
}

/// How many messages are ready, and how many in flight.
async fn left(sqs: &Client, queue: &str) -> Result<(u64, u64), Box<dyn Error>> {
    let answer = sqs.get_queue_attributes().queue_url(queue).attribute_names(QueueAttributeName::All).send().await?;
    let all = answer.attributes().ok_or("no attributes")?;
    let count = |name| -> Result<u64, Box<dyn Error>> { Ok(all.get(&name).ok_or("no such counter")?.parse()?) };
    let ready = count(QueueAttributeName::ApproximateNumberOfMessages)?;
    Ok((ready, count(QueueAttributeName::ApproximateNumberOfMessagesNotVisible)?))
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, found: T, expected: T) -> Outcome {
    if found == expected { Ok(()) } else { Err(format!("{what}: {found:?}, expected {expected:?}").into()) }
}
