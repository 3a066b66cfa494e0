//! What is set of a push target: the JSON of the native API, and what is stored.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::breaker::Breaker;

/// Most secrets that sign at once.
pub const SECRETS_MAX: usize = 5;
/// Most headers of each kind.
pub const HEADERS_MAX: usize = 50;
/// Longest template in bytes.
pub const TEMPLATE_BYTES_MAX: usize = 64 << 10;
/// Most messages of a batch.
pub const BATCH_MAX: u32 = 1_000;
/// Most bytes of a batch.
pub const BATCH_BYTES_MAX: u64 = 16 << 20;
/// Longest time that a batch fills.
pub const BATCH_WAIT_MS_MAX: u64 = 300_000;
/// Longest time that a request may take.
pub const REQUEST_MS_MAX: u64 = 3_600_000;
/// Longest time that a target may take to call back.
pub const CALLBACK_MS_MAX: u64 = 7 * 86_400_000;
/// Most requests at once.
pub const CONCURRENCY_MAX: u32 = 10_000;
/// Longest answer in bytes that may be asked for.
pub const RESPONSE_BYTES_MAX: u64 = 16 << 20;
/// Most networks.
pub const NETWORKS_MAX: usize = 64;
/// Longest certificates in bytes.
pub const CA_BYTES_MAX: usize = 256 << 10;

/// A URL behind a queue, and how it is called.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "PushTarget")]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Where jobs are sent with POST: `http://` or `https://`.
    pub url: String,
    /// The form in which they are sent. Default `native`.
    #[serde(default)]
    pub mode: Mode,
    /// Several jobs in one request. Default: one each, or up to 10 in the mode `lambda`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<Batch>,
    /// How long things may take.
    #[serde(default)]
    pub timeouts: Timeouts,
    /// How many requests may be under way.
    #[serde(default)]
    pub concurrency: Concurrency,
    /// For so long the concurrency grows from 1 to all of it, when sending begins and after the breaker closed. Default 0.
    #[serde(default)]
    pub slow_start_ms: u64,
    /// When the target is left alone; null for never.
    #[serde(default = "breaker")]
    pub breaker: Option<Breaker>,
    /// Secrets that sign every request, as in the Standard Webhooks specification: `whsec_` and base64 of 24 to 64 bytes.
    /// All sign at once, at most 5. Never shown; where they are left out, those that are set stay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secrets: Option<Vec<Hidden>>,
    /// Headers of every request, as templates. At most 50.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// Headers whose values are never shown, such as `authorization`. Where they are left out, those that are set stay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_headers: Option<BTreeMap<String, Hidden>>,
    /// A template for the body in place of the one of the mode. It sees `queue`, and `job` or, with `batch`, `jobs`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// How bodies are compressed. Default not at all.
    #[serde(default)]
    pub compression: Compression,
    /// The version of HTTP. Default: what the target offers over TLS, and otherwise 1.1.
    #[serde(default)]
    pub protocol: Protocol,
    /// Certificates in PEM that are trusted for this target, in place of those of the system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<String>,
    /// The only networks that may be called. Addresses that are not public have to be allowed by the server's
    /// configuration in any case.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub networks: Vec<String>,
    /// How much of an answer is read, up to 16 MiB. Default 1 MiB.
    #[serde(default = "response_bytes_max")]
    pub response_bytes_max: u64,
    /// The `source` of CloudEvents. Default `/v1/queues/` and the queue's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
}

#[expect(clippy::unnecessary_wraps, reason = "null is another value than none at all")]
fn breaker() -> Option<Breaker> {
    Some(Breaker::default())
}

fn response_bytes_max() -> u64 {
    1 << 20
}

/// The form in which jobs are sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "PushMode")]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// A job as the native API has it; `{"queue", "jobs": [...]}` for a batch.
    #[default]
    Native,
    /// An event of CloudEvents in structured mode; a batch in its batch format.
    #[serde(rename = "cloudevents")]
    CloudEvents,
    /// An event of CloudEvents in binary mode: the data as the body, all else in headers.
    #[serde(rename = "cloudevents_binary")]
    CloudEventsBinary,
    /// The event of a Lambda function that SQS triggers, answered with `batchItemFailures`.
    Lambda,
    /// The data alone as the body, as a function of AWS Lambda gets its event; the answer is the result, and a text where it
    /// is no JSON. An answer with the header `x-amz-function-error` tells of a failure. No batches.
    Payload,
}

/// Several jobs in one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "PushBatch")]
#[serde(deny_unknown_fields)]
pub struct Batch {
    /// How many at most, from 1 to 1 000.
    #[schemars(range(min = 1, max = 1_000))]
    pub max: u32,
    /// How many bytes of them at most; one goes whatever its length. Default, and most, 16 MiB.
    #[serde(default = "batch_bytes_max")]
    pub bytes_max: u64,
    /// How long to wait for a batch to become full, from when there is a first job. Default 0: what there is.
    #[serde(default)]
    pub wait_ms: u64,
}

fn batch_bytes_max() -> u64 {
    BATCH_BYTES_MAX
}

/// How long things may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "PushTimeouts")]
#[serde(deny_unknown_fields, default)]
pub struct Timeouts {
    /// Looking the name up, connecting, and TLS. Default 5 000.
    pub connect_ms: u64,
    /// From then to the first byte of the answer. Default 30 000.
    pub first_byte_ms: u64,
    /// All of it. Default 60 000; at most an hour.
    pub total_ms: u64,
    /// How long a target that answered 202 with the token may take to call back. Default 900 000; at most a week.
    pub callback_ms: u64,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { connect_ms: 5_000, first_byte_ms: 30_000, total_ms: 60_000, callback_ms: 900_000 }
    }
}

/// How many requests may be under way at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "PushConcurrency")]
#[serde(deny_unknown_fields, default)]
pub struct Concurrency {
    /// The most. 1 to 10 000. Default 100.
    #[schemars(range(min = 1, max = 10_000))]
    pub max: u32,
    /// The least, where it is adaptive. Default 1.
    #[schemars(range(min = 1, max = 10_000))]
    pub min: u32,
    /// Whether it is found out what the target can take: it goes up while latency allows, and is halved by 429, 503 and
    /// timeouts. Otherwise it is always `max`. Default true.
    pub adaptive: bool,
}

impl Default for Concurrency {
    fn default() -> Self {
        Self { max: 100, min: 1, adaptive: true }
    }
}

/// How bodies are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "PushCompression")]
#[serde(rename_all = "snake_case")]
pub enum Compression {
    /// Not at all.
    #[default]
    None,
    /// With gzip, and `content-encoding` says so.
    Gzip,
}

/// The version of HTTP that is spoken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "PushProtocol")]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// What the target offers over TLS; 1.1 otherwise.
    #[default]
    Auto,
    /// 1.1.
    Http1,
    /// 2, without TLS too.
    Http2,
}

/// Text that is never shown.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline)]
pub struct Hidden(pub String);

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// A setting that makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {text}")]
pub struct Invalid {
    /// The path of the field.
    pub field: String,
    /// What it allows, and what was found.
    pub text: String,
}

impl Invalid {
    pub(crate) fn new(field: impl Into<String>, text: impl Into<String>) -> Self {
        Self { field: field.into(), text: text.into() }
    }
}

impl Settings {
    /// Takes secrets from the settings before, where these do not name any.
    pub fn keep_secrets_of(&mut self, before: &Settings) {
        if self.secrets.is_none() {
            self.secrets.clone_from(&before.secrets);
        }
        if self.secret_headers.is_none() {
            self.secret_headers.clone_from(&before.secret_headers);
        }
    }

    /// The same without what is never shown.
    #[must_use]
    pub fn shown(&self) -> Settings {
        Settings { secrets: None, secret_headers: None, ..self.clone() }
    }

    /// How many messages a request carries, how many bytes of them, and how long it waits to become full; nothing for one
    /// message in each.
    pub fn batches(&self) -> Option<Batch> {
        let lambda = Batch { max: 10, bytes_max: 6 << 20, wait_ms: 0 };
        self.batch.or((self.mode == Mode::Lambda).then_some(lambda))
    }

    /// Checks what is a matter of numbers.
    pub(crate) fn check_numbers(&self) -> Result<(), Invalid> {
        let within = |field: &str, value: u64, least: u64, most: u64| {
            if (least..=most).contains(&value) {
                return Ok(());
            }
            Err(Invalid::new(field, format!("must be from {least} to {most}, found {value}")))
        };
        if let Some(batch) = self.batch {
            within("batch.max", batch.max.into(), 1, BATCH_MAX.into())?;
            within("batch.bytes_max", batch.bytes_max, 1, BATCH_BYTES_MAX)?;
            within("batch.wait_ms", batch.wait_ms, 0, BATCH_WAIT_MS_MAX)?;
            if self.mode == Mode::Payload {
                return Err(Invalid::new("batch", "means nothing with the mode payload, which has no batches"));
            }
            if self.mode == Mode::CloudEventsBinary && batch.max > 1 {
                return Err(Invalid::new(
                    "batch.max",
                    "must be 1 with the mode cloudevents_binary, which has no batches",
                ));
            }
        }
        let Timeouts { connect_ms, first_byte_ms, total_ms, callback_ms } = self.timeouts;
        within("timeouts.connect_ms", connect_ms, 1, REQUEST_MS_MAX)?;
        within("timeouts.first_byte_ms", first_byte_ms, 1, REQUEST_MS_MAX)?;
        within("timeouts.total_ms", total_ms, 1, REQUEST_MS_MAX)?;
        within("timeouts.callback_ms", callback_ms, 1, CALLBACK_MS_MAX)?;
        within("concurrency.max", self.concurrency.max.into(), 1, CONCURRENCY_MAX.into())?;
        within("concurrency.min", self.concurrency.min.into(), 1, self.concurrency.max.into())?;
        within("slow_start_ms", self.slow_start_ms, 0, REQUEST_MS_MAX)?;
        if let Some(breaker) = self.breaker {
            within("breaker.failures", breaker.failures.into(), 1, 1_000)?;
            within("breaker.open_ms", breaker.open_ms, 1, 86_400_000)?;
            within("breaker.open_ms_max", breaker.open_ms_max, 1, 86_400_000)?;
            within("breaker.probes", breaker.probes.into(), 1, 100)?;
        }
        within("response_bytes_max", self.response_bytes_max, 0, RESPONSE_BYTES_MAX)?;
        let entries = |field: &str, found: usize, most: usize| {
            if found <= most {
                return Ok(());
            }
            Err(Invalid::new(field, format!("may have {most} entries, found {found}")))
        };
        entries("secrets", self.secrets.as_ref().map_or(0, Vec::len), SECRETS_MAX)?;
        entries("headers", self.headers.len(), HEADERS_MAX)?;
        entries("secret_headers", self.secret_headers.as_ref().map_or(0, BTreeMap::len), HEADERS_MAX)?;
        entries("networks", self.networks.len(), NETWORKS_MAX)?;
        let bytes = |field: &str, text: Option<&String>, most: usize| match text.map_or(0, String::len) {
            found if found > most => Err(Invalid::new(field, format!("must have at most {most} bytes, found {found}"))),
            _ => Ok(()),
        };
        bytes("body", self.body.as_ref(), TEMPLATE_BYTES_MAX)?;
        bytes("ca", self.ca.as_ref(), CA_BYTES_MAX)?;
        bytes("source", self.source.as_ref(), 1_024)
    }
}
