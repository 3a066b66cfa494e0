//! The attributes of a queue: read into its configuration, and written out of it.

use std::borrow::Cow;
use std::sync::Arc;

use weir_core::api::{Config, Counters, DedupScope, Kind, Namespace, Queue, Redrive};

use super::limits::{Limits, MESSAGE_SIZE_MIN, NOTE_BYTES_MAX, RECEIVES_MAX, RETENTION_S_MIN};
use super::request::{Pairs, Text};
use super::{policy, redrive_allow, text};
use crate::arn::Arn;
use crate::fault::{Code, Fault};

/// What attributes are read against.
pub struct Context<'a> {
    /// Where the queue is.
    pub namespace: Namespace,
    /// Its kind.
    pub kind: Kind,
    /// Its limits.
    pub limits: &'a Limits,
    /// Another queue of the namespace, by name.
    pub find: &'a (dyn Fn(&str) -> Option<Arc<Queue>> + Sync),
    /// Whether the queue is being created: its kind can be named only then.
    pub creating: bool,
}

/// Attributes that are kept as they stand, without meaning to the engine: name, default, and whether only FIFO
/// queues have them. One at its default is not kept, so that naming the default changes nothing.
const KEPT: [(&str, &str, bool); 6] = [
    (THROUGHPUT, "perQueue", true),
    (KMS_REUSE, "300", false),
    (KMS_KEY, "", false),
    ("Policy", "", false),
    (redrive_allow::NAME, "", false),
    (MANAGED_SSE, "true", false),
];

const SCOPE: &str = "DeduplicationScope";
const THROUGHPUT: &str = "FifoThroughputLimit";
const KMS_REUSE: &str = "KmsDataKeyReusePeriodSeconds";
const KMS_KEY: &str = "KmsMasterKeyId";
const MANAGED_SSE: &str = "SqsManagedSseEnabled";

/// Applies `attributes` to `config`.
///
/// # Errors
/// `InvalidAttributeName`, `InvalidAttributeValue`, or `InvalidParameterValue` for a redrive policy that names no queue.
pub fn apply(config: &mut Config, attributes: &Pairs<'_, Text<'_>>, context: &Context<'_>) -> Result<(), Fault> {
    for (name, value) in &attributes.0 {
        apply_one(config, name, value, context)?;
    }
    let names = |name: &str| attributes.0.iter().find(|(asked, _)| asked == name).map(|(_, value)| value.as_ref());
    encryption(config, names(KMS_KEY), names(MANAGED_SSE))?;
    // Whichever of the two was named: a queue never has the one without the other.
    if throughput_per_group(config) && config.dedup_scope != DedupScope::Lane {
        let reason = format!("it is allowed only if the value of the parameter {SCOPE} is messageGroup");
        return Err(bad_value(THROUGHPUT, "perMessageGroupId", &reason));
    }
    Ok(())
}

fn scope(value: &str) -> Result<DedupScope, Fault> {
    match value {
        "queue" => Ok(DedupScope::Queue),
        "messageGroup" => Ok(DedupScope::Lane),
        _ => Err(bad_value(SCOPE, value, "must be one of queue, messageGroup")),
    }
}

/// Whether the throughput of a FIFO queue is bounded for each message group, and so not for the queue.
pub fn throughput_per_group(config: &Config) -> bool {
    note(config, THROUGHPUT) == Some("perMessageGroupId")
}

/// A queue has one kind of encryption: naming a key ends that with the service's own keys.
fn encryption(config: &mut Config, key: Option<&str>, managed: Option<&str>) -> Result<(), Fault> {
    let turned_on = managed.is_some_and(|value| value.eq_ignore_ascii_case("true"));
    if key.is_some_and(|key| !key.is_empty()) {
        if turned_on {
            let reason = format!("a queue is encrypted with a key of its own ({KMS_KEY}) or with the service's");
            return Err(bad_value(MANAGED_SSE, "true", &reason));
        }
        keep(config, MANAGED_SSE, "false", "true")?;
    } else if turned_on {
        keep(config, KMS_KEY, "", "")?;
    }
    Ok(())
}

fn note<'a>(config: &'a Config, name: &str) -> Option<&'a str> {
    config.notes.iter().find(|(kept, _)| kept == name).map(|(_, value)| value.as_str())
}

fn apply_one(config: &mut Config, name: &str, value: &str, context: &Context<'_>) -> Result<(), Fault> {
    let limits = context.limits;
    let seconds = |min, max| number(name, value, min, max).map(|s| s * 1_000);
    match name {
        "DelaySeconds" => config.delay_ms = seconds(0, limits.delay_s_max)?,
        "VisibilityTimeout" => config.visibility_ms = seconds(0, limits.visibility_s_max)?,
        "ReceiveMessageWaitTimeSeconds" => config.receive_wait_ms = seconds(0, limits.wait_s_max)?,
        "MessageRetentionPeriod" => config.retention_ms = seconds(RETENTION_S_MIN, limits.retention_s_max)?,
        "MaximumMessageSize" => {
            let max = i64::try_from(limits.message_bytes_max).unwrap_or(i64::MAX);
            config.message_bytes_max = number(name, value, MESSAGE_SIZE_MIN, max)?;
        }
        "RedrivePolicy" => config.redrive = redrive(value, context)?,
        redrive_allow::NAME => {
            let allow = redrive_allow::parse(value, context.namespace);
            config.redrive_allow = allow.map_err(|reason| bad_value(name, value, &reason))?;
            keep(config, name, value, "")?;
        }
        "ContentBasedDeduplication" if context.kind == Kind::Fifo => {
            config.content_deduplication = boolean(name, value)?;
        }
        SCOPE if context.kind == Kind::Fifo => config.dedup_scope = scope(value)?,
        "FifoQueue" if context.kind == Kind::Fifo => {
            if !context.creating || !boolean(name, value)? {
                return Err(bad_value(name, value, "a queue's kind is fixed by its name"));
            }
        }
        _ => {
            let exists = |fifo: bool| !fifo || context.kind == Kind::Fifo;
            let kept = KEPT.into_iter().find(|&(known, _, fifo)| known == name && exists(fifo));
            let (_, default, _) = kept.ok_or_else(|| unknown(name))?;
            keep(config, name, value, default)?;
        }
    }
    Ok(())
}

fn unknown(name: &str) -> Fault {
    Fault::new(Code::InvalidAttributeName, format!("Unknown Attribute {}.", text::quote(name, 256)))
}

fn number(name: &str, value: &str, min: i64, max: i64) -> Result<u64, Fault> {
    let parsed = value.parse::<i64>().ok().filter(|n| (min..=max).contains(n));
    parsed
        .and_then(|n| u64::try_from(n).ok())
        .ok_or_else(|| bad_value(name, value, &format!("must be a whole number between {min} and {max}")))
}

fn boolean(name: &str, value: &str) -> Result<bool, Fault> {
    match value {
        _ if value.eq_ignore_ascii_case("true") => Ok(true),
        _ if value.eq_ignore_ascii_case("false") => Ok(false),
        _ => Err(bad_value(name, value, "must be true or false")),
    }
}

fn bad_value(name: &str, value: &str, reason: &str) -> Fault {
    let value = text::quote(value, 256);
    let message = format!("Invalid value for the parameter {name}. Reason: {reason}, found \"{value}\".");
    Fault::new(Code::InvalidAttributeValue, message)
}

fn keep(config: &mut Config, name: &str, value: &str, default: &str) -> Result<(), Fault> {
    // Said in one way, so that the same value never counts as another one.
    let value = match name {
        MANAGED_SSE if boolean(name, value)? => "true",
        MANAGED_SSE => "false",
        _ => value,
    };
    let of = |allowed: &[&str]| {
        let known = allowed.contains(&value);
        known.then_some(()).ok_or_else(|| bad_value(name, value, &format!("must be one of {}", allowed.join(", "))))
    };
    match name {
        THROUGHPUT => of(&["perQueue", "perMessageGroupId"])?,
        KMS_REUSE => drop(number(name, value, 60, 86_400)?),
        _ if value.len() > NOTE_BYTES_MAX => {
            return Err(bad_value(name, value, &format!("must be at most {NOTE_BYTES_MAX} bytes long")));
        }
        "Policy" if !value.is_empty() => policy::check(value).map_err(|reason| bad_value(name, value, &reason))?,
        _ => {}
    }
    config.notes.retain(|(kept, _)| kept != name);
    if value != default {
        config.notes.push((name.to_owned(), value.to_owned()));
        config.notes.sort_unstable();
    }
    Ok(())
}

#[derive(serde::Deserialize)]
struct RedrivePolicy<'a> {
    #[serde(borrow, rename = "deadLetterTargetArn")]
    target: Option<Cow<'a, str>>,
    #[serde(borrow, rename = "maxReceiveCount")]
    receives_max: Option<Count<'a>>,
}

/// A number, or a string of one: clients send both.
#[derive(serde::Deserialize)]
#[serde(untagged)]
enum Count<'a> {
    Number(u64),
    Text(#[serde(borrow)] Cow<'a, str>),
}

fn redrive(value: &str, context: &Context<'_>) -> Result<Option<Redrive>, Fault> {
    if value.is_empty() {
        return Ok(None);
    }
    let invalid = |reason: &str| Fault::invalid("RedrivePolicy", &text::quote(value, 1_024), reason);
    let policy: RedrivePolicy<'_> =
        serde_json::from_str(value).map_err(|error| invalid(&format!("Redrive policy is not valid JSON: {error}.")))?;
    let target = policy
        .target
        .ok_or_else(|| invalid("Redrive policy does not contain mandatory attribute: deadLetterTargetArn."))?;
    let count = policy
        .receives_max
        .ok_or_else(|| invalid("Redrive policy does not contain mandatory attribute: maxReceiveCount."))?;
    let count = match count {
        Count::Number(n) => Some(n),
        Count::Text(text) => text.parse().ok(),
    };
    let receives_max = count.filter(|n| (1..=RECEIVES_MAX).contains(n)).and_then(|n| u32::try_from(n).ok());
    let receives_max = receives_max.ok_or_else(|| {
        invalid(&format!(
            "Invalid value for maxReceiveCount, valid values are from 1 to {RECEIVES_MAX} both inclusive."
        ))
    })?;
    let arn = Arn::parse(&target).ok_or_else(|| invalid("Invalid value for deadLetterTargetArn."))?;
    let target = (context.find)(arn.name).filter(|target| target.namespace == arn.namespace);
    let Some(target) = target else { return Err(invalid("Dead letter target does not exist.")) };
    if target.kind != context.kind {
        return Err(invalid("Dead-letter queue must be same type of queue as the source."));
    }
    Ok(Some(Redrive { target: target.name.clone(), receives_max }))
}

/// The refusal of a dead-letter queue that takes no dead letters of the queue called `source`.
pub fn redrive_not_allowed(target: &str, source: &str) -> Fault {
    let reason = format!("Queue {source} does not have permission to redrive to the dead letter target {target}.");
    Fault::new(Code::InvalidParameterValue, format!("Value for parameter RedrivePolicy is invalid. Reason: {reason}"))
}

/// The first attribute in which `ours` differs from `theirs`, by its name.
pub fn first_difference(ours: &Config, theirs: &Config) -> Option<String> {
    let fields = [
        ("DelaySeconds", ours.delay_ms != theirs.delay_ms),
        ("VisibilityTimeout", ours.visibility_ms != theirs.visibility_ms),
        ("ReceiveMessageWaitTimeSeconds", ours.receive_wait_ms != theirs.receive_wait_ms),
        ("MessageRetentionPeriod", ours.retention_ms != theirs.retention_ms),
        ("MaximumMessageSize", ours.message_bytes_max != theirs.message_bytes_max),
        ("RedrivePolicy", ours.redrive != theirs.redrive),
        (redrive_allow::NAME, ours.redrive_allow != theirs.redrive_allow),
        ("ContentBasedDeduplication", ours.content_deduplication != theirs.content_deduplication),
        (SCOPE, ours.dedup_scope != theirs.dedup_scope),
    ];
    let differs = fields.into_iter().find(|&(_, differs)| differs).map(|(name, _)| name.to_owned());
    differs.or_else(|| {
        // The words of this one do not matter, but what they say, which was compared before.
        let missing =
            |from: &Config, note: &&(String, String)| note.0 != redrive_allow::NAME && !from.notes.contains(note);
        let note = ours.notes.iter().find(|note| missing(theirs, note));
        note.or_else(|| theirs.notes.iter().find(|note| missing(ours, note))).map(|(name, _)| name.clone())
    })
}

/// The refusal to create a queue that exists with another value of `attribute`.
pub fn exists(attribute: &str) -> Fault {
    let message = format!("A queue already exists with the same name and a different value for attribute {attribute}");
    Fault::new(Code::QueueNameExists, message)
}

/// Which attributes of a queue are asked for.
#[derive(Clone, Debug)]
pub struct Wanted<'a> {
    names: &'a [Text<'a>],
    all: bool,
}

const NAMES: [&str; 15] = [
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesDelayed",
    "ApproximateNumberOfMessagesNotVisible",
    "ContentBasedDeduplication",
    "CreatedTimestamp",
    SCOPE,
    "DelaySeconds",
    "FifoQueue",
    "LastModifiedTimestamp",
    "MaximumMessageSize",
    "MessageRetentionPeriod",
    "QueueArn",
    "ReceiveMessageWaitTimeSeconds",
    "RedrivePolicy",
    "VisibilityTimeout",
];

impl<'a> Wanted<'a> {
    /// Reads the names that a request lists.
    ///
    /// # Errors
    /// `InvalidAttributeName` for one that does not exist.
    pub fn of(names: &'a [Text<'a>]) -> Result<Self, Fault> {
        let known =
            |name: &str| name == "All" || NAMES.contains(&name) || KEPT.iter().any(|(kept, _, _)| *kept == name);
        match names.iter().find(|name| !known(name)) {
            None => Ok(Self { names, all: names.iter().any(|name| name == "All") }),
            Some(name) => Err(unknown(name)),
        }
    }

    /// Whether the queue's counters are among them.
    pub fn counts(&self) -> bool {
        self.all || self.names.iter().any(|name| name.starts_with("Approximate"))
    }

    fn takes(&self, name: &str) -> bool {
        self.all || self.names.iter().any(|wanted| wanted == name)
    }
}

/// The attributes of `queue` that are `wanted` and that it has.
pub fn list(queue: &Queue, counters: Counters, region: &str, wanted: &Wanted<'_>) -> Vec<(&'static str, String)> {
    let config = &queue.config;
    let seconds = |ms: u64| Some((ms / 1_000).to_string());
    let fifo = queue.kind == Kind::Fifo;
    let arn = |name| Arn { region, namespace: queue.namespace, name };
    let redrive = config.redrive.as_ref().map(|redrive| {
        let target = arn(&redrive.target);
        format!(r#"{{"deadLetterTargetArn":"{target}","maxReceiveCount":{}}}"#, redrive.receives_max)
    });
    let mut attributes = Vec::new();
    for name in NAMES.into_iter().filter(|name| wanted.takes(name)) {
        let value = match name {
            "ApproximateNumberOfMessages" => Some(counters.ready.to_string()),
            "ApproximateNumberOfMessagesDelayed" => Some(counters.delayed.to_string()),
            "ApproximateNumberOfMessagesNotVisible" => Some(counters.leased.to_string()),
            "ContentBasedDeduplication" => fifo.then(|| config.content_deduplication.to_string()),
            "CreatedTimestamp" => seconds(queue.created_at.0),
            SCOPE => fifo.then(|| match config.dedup_scope {
                DedupScope::Queue => "queue".to_owned(),
                DedupScope::Lane => "messageGroup".to_owned(),
            }),
            "DelaySeconds" => seconds(config.delay_ms),
            "FifoQueue" => fifo.then(|| "true".to_owned()),
            "LastModifiedTimestamp" => seconds(queue.modified_at.0),
            "MaximumMessageSize" => Some(config.message_bytes_max.to_string()),
            "MessageRetentionPeriod" => seconds(config.retention_ms),
            "QueueArn" => Some(arn(&queue.name).to_string()),
            "ReceiveMessageWaitTimeSeconds" => seconds(config.receive_wait_ms),
            "RedrivePolicy" => redrive.clone(),
            "VisibilityTimeout" => seconds(config.visibility_ms),
            _ => None,
        };
        attributes.extend(value.map(|value| (name, value)));
    }
    for (name, default, only_fifo) in KEPT.into_iter().filter(|(name, _, _)| wanted.takes(name)) {
        let mut kept = note(config, name).map(str::to_owned);
        if name == redrive_allow::NAME {
            // The words that it was told in, as long as they are still true.
            let says =
                |words: &String| redrive_allow::parse(words, queue.namespace).as_ref() == Ok(&config.redrive_allow);
            kept = kept.filter(says).or_else(|| redrive_allow::written(&config.redrive_allow, queue.namespace, region));
        }
        // What has no meaning without a key is not shown at its default, as on AWS.
        let has_key = note(config, KMS_KEY).is_some();
        let shown = !default.is_empty() && (name != KMS_REUSE || has_key) && (fifo || !only_fifo);
        let value = kept.or_else(|| shown.then(|| default.to_owned()));
        attributes.extend(value.map(|value| (name, value)));
    }
    attributes
}

#[cfg(test)]
#[path = "attributes_tests.rs"]
mod tests;
