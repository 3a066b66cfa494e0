//! Settings of a queue as arguments.

use serde_json::{Map, Value, json};

use crate::arguments::{pair, seconds};
use crate::client::{Client, Queue};
use crate::exit::Usage;

#[derive(clap::Args, Debug)]
#[command(next_help_heading = "Settings")]
pub(crate) struct Settings {
    /// How long a message that is received stays hidden: 30s, 5m.
    #[arg(long, value_name = "DURATION", value_parser = seconds)]
    visibility: Option<u64>,
    /// How long a new message waits before it is delivered.
    #[arg(long, value_name = "DURATION", value_parser = seconds)]
    delay: Option<u64>,
    /// How long a message is kept that nobody finishes: 4d. A new queue keeps them for ever unless it is told.
    #[arg(long, value_name = "DURATION", value_parser = seconds)]
    retention: Option<u64>,
    /// How long a receive waits for a message if it does not say so itself.
    #[arg(long, value_name = "DURATION", value_parser = seconds)]
    wait: Option<u64>,
    /// Longest message in bytes.
    #[arg(long, value_name = "BYTES")]
    message_bytes_max: Option<u64>,
    /// Where messages go that were received --receives-max times: a queue of the same kind.
    #[arg(long, value_name = "QUEUE", requires = "receives_max")]
    dead_letter: Option<Queue>,
    /// After how many receives a message goes to --dead-letter.
    #[arg(long, value_name = "N", requires = "dead_letter")]
    receives_max: Option<u32>,
    /// FIFO: takes the digest of the body as deduplication id where a message has none.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    content_deduplication: Option<bool>,
    /// Any attribute by its name in SQS. Can be given several times.
    #[arg(long = "attribute", value_name = "NAME=VALUE", value_parser = pair)]
    attributes: Vec<(String, String)>,
}

impl Settings {
    /// Whether there are attributes that are named as in SQS, which only it knows.
    pub(super) fn has_attributes(&self) -> bool {
        !self.attributes.is_empty()
    }

    /// The same as members of the native API's settings.
    pub(super) fn members(&self) -> anyhow::Result<Map<String, Value>> {
        if let Some((name, _)) = self.attributes.first() {
            let text = format!("--attribute {name}: it cannot stand beside settings for jobs, which SQS does not have");
            return Err(Usage(text).into());
        }
        let ms = |seconds: Option<u64>| seconds.map(|seconds| Value::from(seconds.saturating_mul(1_000)));
        let dead_letters = self.dead_letter.as_ref().zip(self.receives_max);
        let members = [
            ("lease_ms", ms(self.visibility)),
            ("delay_ms", ms(self.delay)),
            ("retention_ms", ms(self.retention)),
            ("receive_wait_ms", ms(self.wait)),
            ("message_bytes_max", self.message_bytes_max.map(Value::from)),
            ("dead_letters", dead_letters.map(|(to, most)| json!({ "queue": to.name(), "leases_max": most }))),
            ("deduplication", self.content_deduplication.map(|on| json!({ "by_content": on }))),
        ];
        Ok(members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect())
    }

    /// The attributes of SQS that are set.
    pub(super) fn attributes(&self, client: &Client) -> anyhow::Result<Map<String, Value>> {
        let mut attributes = Map::new();
        let numbers = [
            ("VisibilityTimeout", self.visibility),
            ("DelaySeconds", self.delay),
            ("MessageRetentionPeriod", self.retention),
            ("ReceiveMessageWaitTimeSeconds", self.wait),
            ("MaximumMessageSize", self.message_bytes_max),
        ];
        for (name, value) in numbers {
            attributes.extend(value.map(|value| (name.to_owned(), value.to_string().into())));
        }
        let deduplication = self.content_deduplication.map(|on| on.to_string().into());
        attributes.extend(deduplication.map(|on| ("ContentBasedDeduplication".to_owned(), on)));
        if let (Some(queue), Some(receives_max)) = (&self.dead_letter, self.receives_max) {
            let policy = json!({ "deadLetterTargetArn": client.arn(queue)?, "maxReceiveCount": receives_max });
            attributes.insert("RedrivePolicy".to_owned(), policy.to_string().into());
        }
        for (name, value) in &self.attributes {
            if attributes.insert(name.clone(), value.clone().into()).is_some() {
                return Err(Usage(format!("--attribute {name}: it is set twice")).into());
            }
        }
        Ok(attributes)
    }
}
