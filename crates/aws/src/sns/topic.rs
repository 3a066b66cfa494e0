//! Attributes of topics: read into a configuration, and told.

use serde::Deserialize;
use weir_core::api::topic::{Topic, TopicConfig};
use weir_core::api::{DedupScope, Kind};

use super::arn::TopicArn;
use super::delivery_policy;
use super::fault::{invalid, missing};
use super::limits::{DISPLAY_NAME_MAX, MESSAGE_SIZE_MIN, POLICY_BYTES_MAX};
use super::request::{AddPermission, RemovePermission};
use crate::fault::{Code, Fault};
use crate::request::{Pairs, Text};
use crate::sqs::{Limits, policy};
use crate::text;

const POLICY: &str = "Policy";
const DELIVERY_POLICY: &str = "DeliveryPolicy";
const DATA_PROTECTION_POLICY: &str = "DataProtectionPolicy";
const SIGNATURE_VERSION: &str = "SignatureVersion";

/// Attributes that are kept and told as they were given: what they are about is not here.
const KEPT: [&str; 17] = [
    "ApplicationFailureFeedbackRoleArn",
    "ApplicationSuccessFeedbackRoleArn",
    "ApplicationSuccessFeedbackSampleRate",
    "FirehoseFailureFeedbackRoleArn",
    "FirehoseSuccessFeedbackRoleArn",
    "FirehoseSuccessFeedbackSampleRate",
    "HTTPFailureFeedbackRoleArn",
    "HTTPSuccessFeedbackRoleArn",
    "HTTPSuccessFeedbackSampleRate",
    "KmsMasterKeyId",
    "LambdaFailureFeedbackRoleArn",
    "LambdaSuccessFeedbackRoleArn",
    "LambdaSuccessFeedbackSampleRate",
    "SQSFailureFeedbackRoleArn",
    "SQSSuccessFeedbackRoleArn",
    "SQSSuccessFeedbackSampleRate",
    "TracingConfig",
];

const DAY_MS: u64 = 86_400_000;
/// Longest time in an archive, in days.
const ARCHIVE_DAYS_MAX: u64 = 365;

/// Reads the attributes of a topic to be created.
///
/// # Errors
/// `InvalidParameter`.
pub fn create(
    kind: Kind,
    attributes: &Pairs<'_, Text<'_>>,
    data_protection: Option<&str>,
    limits: &Limits,
) -> Result<TopicConfig, Fault> {
    let mut config = TopicConfig::default();
    let is_fifo = attributes.0.iter().any(|(name, value)| name == "FifoTopic" && value == "true");
    if is_fifo != (kind == Kind::Fifo) {
        let reason = if is_fifo {
            "the name of a FIFO topic must end with .fifo"
        } else {
            "only the name of a FIFO topic, with the attribute FifoTopic set to true, ends with .fifo"
        };
        return Err(invalid("Topic Name", reason));
    }
    for (name, value) in &attributes.0 {
        match name.as_ref() {
            "FifoTopic" => drop(boolean("Attributes", name, value)?),
            name => set(&mut config, kind, name, value, limits).map_err(|fault| of_create(&fault))?,
        }
    }
    if let Some(policy) = data_protection {
        set_data_protection(&mut config, policy)?;
    }
    Ok(config)
}

/// Sets one attribute.
///
/// # Errors
/// `InvalidParameter`.
pub fn set(config: &mut TopicConfig, kind: Kind, name: &str, value: &str, limits: &Limits) -> Result<(), Fault> {
    let only_fifo = || match kind {
        Kind::Fifo => Ok(()),
        Kind::Standard => Err(invalid("AttributeName", &format!("{name} is for FIFO topics only"))),
    };
    match name {
        "ContentBasedDeduplication" => {
            only_fifo()?;
            config.content_deduplication = boolean("AttributeValue", name, value)?;
        }
        "FifoThroughputScope" => {
            only_fifo()?;
            config.dedup_scope = match value {
                "Topic" => DedupScope::Queue,
                "MessageGroup" => DedupScope::Lane,
                other => return Err(refuse(name, other, "it is neither Topic nor MessageGroup")),
            };
        }
        "MaximumMessageSize" => {
            let max = limits.message_bytes_max;
            let bytes = value.parse().ok().filter(|bytes| (MESSAGE_SIZE_MIN..=max).contains(bytes));
            let reason = format!("it is no number from {MESSAGE_SIZE_MIN} to {max}");
            config.message_bytes_max = bytes.ok_or_else(|| refuse(name, value, &reason))?;
        }
        "DisplayName" => {
            let characters = value.chars().count();
            if characters > DISPLAY_NAME_MAX || value.chars().any(char::is_control) {
                let reason = format!(
                    "it has {characters} characters of at most {DISPLAY_NAME_MAX}, none of them a control character"
                );
                return Err(refuse(name, value, &reason));
            }
            keep(config, name, value);
        }
        POLICY => {
            if !value.is_empty() {
                policy::check_within(value, POLICY_BYTES_MAX).map_err(|reason| refuse(name, value, &reason))?;
            }
            keep(config, name, value);
        }
        DELIVERY_POLICY => {
            if !value.is_empty() {
                delivery_policy::of_topic(value).map_err(|reason| refuse(name, value, &reason))?;
            }
            keep(config, name, value);
        }
        SIGNATURE_VERSION => {
            if !matches!(value, "1" | "2") {
                return Err(refuse(name, value, "it is neither 1 nor 2"));
            }
            keep(config, name, value);
        }
        "ArchivePolicy" if value.is_empty() || value == "{}" => config.archive_ms = None,
        "ArchivePolicy" => config.archive_ms = Some(archive(value).map_err(|reason| refuse(name, value, &reason))?),
        "FifoTopic" => return Err(invalid("AttributeName", "FifoTopic can only be set when the topic is created")),
        name if KEPT.contains(&name) => {
            if value.len() > POLICY_BYTES_MAX {
                return Err(refuse(name, value, &format!("it is longer than {POLICY_BYTES_MAX} bytes")));
            }
            keep(config, name, value);
        }
        other => {
            return Err(invalid("AttributeName", &format!("there is no attribute {}", text::quote(other, 128))));
        }
    }
    Ok(())
}

/// The attributes of a topic, with how many of its subscriptions are confirmed and how many are not.
pub fn list(topic: &Topic, region: &str, (confirmed, pending): (u64, u64)) -> Vec<(&'static str, String)> {
    let (config, owner) = (&topic.config, format!("{:012}", topic.namespace.0));
    let arn = TopicArn { region, namespace: topic.namespace, name: &topic.name }.to_string();
    let own = |name: &str| config.attributes.get(name).cloned();
    let policy = own(POLICY).unwrap_or_else(|| default_policy(&arn, &owner));
    let effective = own(DELIVERY_POLICY).and_then(|json| delivery_policy::of_topic(&json).ok()).unwrap_or_default();
    let mut all = vec![
        ("TopicArn", arn),
        ("Owner", owner),
        ("DisplayName", own("DisplayName").unwrap_or_default()),
        (POLICY, policy),
        ("SubscriptionsConfirmed", confirmed.to_string()),
        ("SubscriptionsPending", pending.to_string()),
        ("SubscriptionsDeleted", "0".to_owned()),
        ("EffectiveDeliveryPolicy", serde_json::to_string(&effective).unwrap_or_default()),
    ];
    if topic.kind == Kind::Fifo {
        let scope = match config.dedup_scope {
            DedupScope::Queue => "Topic",
            DedupScope::Lane => "MessageGroup",
        };
        all.push(("FifoTopic", "true".to_owned()));
        all.push(("ContentBasedDeduplication", config.content_deduplication.to_string()));
        all.push(("FifoThroughputScope", scope.to_owned()));
    }
    if let Some(ms) = config.archive_ms {
        all.push(("ArchivePolicy", format!(r#"{{"MessageRetentionPeriod":"{}"}}"#, ms / DAY_MS)));
    }
    if config.message_bytes_max != super::MESSAGE_SIZE_DEFAULT {
        all.push(("MaximumMessageSize", config.message_bytes_max.to_string()));
    }
    let told = [DELIVERY_POLICY, SIGNATURE_VERSION].into_iter().chain(KEPT);
    all.extend(told.filter_map(|name| own(name).map(|value| (name, value))));
    all
}

/// How long an archive policy keeps messages, in milliseconds.
fn archive(json: &str) -> Result<u64, String> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Policy {
        #[serde(rename = "MessageRetentionPeriod")]
        days: Days,
    }
    /// AWS's form is a text; numbers are taken, too.
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Days {
        Text(String),
        Number(u64),
    }
    if !json.trim_start().starts_with('{') {
        return Err("it is no JSON object".to_owned());
    }
    let policy: Policy = serde_json::from_str(json).map_err(|error| error.to_string())?;
    let days = match policy.days {
        Days::Text(text) => text.parse().ok(),
        Days::Number(days) => Some(days),
    };
    let days = days.filter(|days| (1..=ARCHIVE_DAYS_MAX).contains(days));
    days.map(|days| days * DAY_MS).ok_or_else(|| format!("MessageRetentionPeriod must be 1 to {ARCHIVE_DAYS_MAX} days"))
}

/// How what the topic sends is signed: 1, 2, or 0 for not at all. FIFO topics sign nothing, as on AWS, where only queues are
/// behind them.
pub fn signature_version(topic: &Topic) -> u8 {
    match (topic.kind, topic.config.attributes.get(SIGNATURE_VERSION).map(String::as_str)) {
        (Kind::Fifo, _) => 0,
        (Kind::Standard, Some("2")) => 2,
        (Kind::Standard, _) => 1,
    }
}

/// The topic's delivery policy.
pub fn delivery_policy_of(config: &TopicConfig) -> Option<&str> {
    config.attributes.get(DELIVERY_POLICY).map(String::as_str)
}

/// The topic's data protection policy; empty where it has none.
pub fn data_protection(config: &TopicConfig) -> &str {
    config.attributes.get(DATA_PROTECTION_POLICY).map_or("", String::as_str)
}

/// Sets the data protection policy, which is kept and told; an empty one takes it away.
///
/// # Errors
/// `InvalidParameter`.
pub fn set_data_protection(config: &mut TopicConfig, policy: &str) -> Result<(), Fault> {
    if policy.len() > POLICY_BYTES_MAX {
        let reason = format!("it has {} bytes of at most {POLICY_BYTES_MAX}", policy.len());
        return Err(invalid(DATA_PROTECTION_POLICY, &reason));
    }
    let is_object =
        policy.is_empty() || serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(policy).is_ok();
    if !is_object {
        return Err(invalid(DATA_PROTECTION_POLICY, "it is no JSON object"));
    }
    keep(config, DATA_PROTECTION_POLICY, policy);
    Ok(())
}

/// Adds a permission to the topic's policy, which is kept and told, and decides nothing here.
///
/// # Errors
/// `InvalidParameter`.
pub fn add_permission(config: &mut TopicConfig, arn: &str, request: &AddPermission<'_>) -> Result<(), Fault> {
    /// What can be allowed to others.
    const ACTIONS: [&str; 9] = [
        "AddPermission",
        "DeleteTopic",
        "GetTopicAttributes",
        "ListSubscriptionsByTopic",
        "Publish",
        "Receive",
        "RemovePermission",
        "SetTopicAttributes",
        "Subscribe",
    ];
    let label = policy::label(request.label.as_deref()).map_err(|fault| of_sns(&fault))?;
    let parties = policy::parties(request.account_ids.as_deref(), request.actions.as_deref());
    let (accounts, actions) = parties.map_err(|fault| of_sns(&fault))?;
    if let Some(unknown) = actions.iter().find(|action| !ACTIONS.contains(&action.as_ref()) && *action != "*") {
        let reason = format!("{} is no action of a topic", text::quote(unknown, 128));
        return Err(invalid("ActionName", &reason));
    }
    let actions = actions.iter().map(|action| format!("SNS:{action}")).collect();
    let permission = policy::Permission { label, accounts, actions, resource: arn };
    let kept = config.attributes.get(POLICY).map(String::as_str);
    let policy = policy::with(kept, &permission, &format!("{arn}/SNSDefaultPolicy")).map_err(|fault| of_sns(&fault))?;
    policy::check_within(&policy, POLICY_BYTES_MAX).map_err(|reason| invalid(POLICY, &reason))?;
    keep(config, POLICY, &policy);
    Ok(())
}

/// Takes the permission of a label out of the topic's policy.
///
/// # Errors
/// `InvalidParameter`, also for a label that is not there.
pub fn remove_permission(config: &mut TopicConfig, request: &RemovePermission<'_>) -> Result<(), Fault> {
    let label = policy::label(request.label.as_deref()).map_err(|fault| of_sns(&fault))?;
    let kept = config.attributes.get(POLICY).map(String::as_str);
    let policy = policy::without(kept, label).map_err(|fault| of_sns(&fault))?;
    keep(config, POLICY, &policy);
    Ok(())
}

/// The first attribute in which configurations differ, by its name on the wire.
pub fn first_difference(one: &TopicConfig, other: &TopicConfig) -> Option<String> {
    let fields = [
        ("ContentBasedDeduplication", one.content_deduplication != other.content_deduplication),
        ("FifoThroughputScope", one.dedup_scope != other.dedup_scope),
        ("MaximumMessageSize", one.message_bytes_max != other.message_bytes_max),
        ("ArchivePolicy", one.archive_ms != other.archive_ms),
    ];
    let field = fields.into_iter().find_map(|(name, differs)| differs.then(|| name.to_owned()));
    let names = one.attributes.keys().chain(other.attributes.keys());
    field.or_else(|| names.into_iter().find(|name| one.attributes.get(*name) != other.attributes.get(*name)).cloned())
}

/// The refusal to create a topic that exists with another attribute.
pub fn exists(field: &str) -> Fault {
    invalid("Attributes", &format!("Topic already exists with different attributes: {field}"))
}

/// The name and the value of a request to set an attribute.
///
/// # Errors
/// `InvalidParameter` where there is no name.
pub fn asked<'a>(name: Option<&'a str>, value: Option<&'a str>) -> Result<(&'a str, &'a str), Fault> {
    Ok((name.filter(|name| !name.is_empty()).ok_or_else(|| missing("AttributeName"))?, value.unwrap_or_default()))
}

fn keep(config: &mut TopicConfig, name: &str, value: &str) {
    if value.is_empty() {
        config.attributes.remove(name);
    } else {
        config.attributes.insert(name.to_owned(), value.to_owned());
    }
}

pub(super) fn boolean(parameter: &str, name: &str, value: &str) -> Result<bool, Fault> {
    match value {
        _ if value.eq_ignore_ascii_case("true") => Ok(true),
        _ if value.eq_ignore_ascii_case("false") => Ok(false),
        other => {
            let reason = format!("{name}: Invalid value [{}]. Must be true or false.", text::quote(other, 64));
            Err(invalid(parameter, &reason))
        }
    }
}

fn refuse(name: &str, value: &str, reason: &str) -> Fault {
    invalid("AttributeValue", &format!("{name}: {reason}; it is {}", text::quote(value, 128)))
}

/// A refusal of an attribute as the creation of a topic makes it.
fn of_create(fault: &Fault) -> Fault {
    let message = fault.message.replacen("Invalid parameter: AttributeName", "Invalid parameter: Attributes", 1);
    Fault::new(fault.code, message.replacen("Invalid parameter: AttributeValue", "Invalid parameter: Attributes", 1))
}

/// A refusal of the shared code for policies in the words of this service.
fn of_sns(fault: &Fault) -> Fault {
    match fault.code {
        Code::InternalFailure => fault.clone(),
        _ => Fault::new(Code::InvalidParameter, format!("Invalid parameter: {}", fault.message)),
    }
}

/// What AWS tells of a topic whose policy nobody set: its owner may do everything.
fn default_policy(arn: &str, owner: &str) -> String {
    format!(
        r#"{{"Version":"2008-10-17","Id":"__default_policy_ID","Statement":[{{"Sid":"__default_statement_ID","Effect":"Allow","Principal":{{"AWS":"*"}},"Action":["SNS:GetTopicAttributes","SNS:SetTopicAttributes","SNS:AddPermission","SNS:RemovePermission","SNS:DeleteTopic","SNS:Subscribe","SNS:ListSubscriptionsByTopic","SNS:Publish"],"Resource":"{arn}","Condition":{{"StringEquals":{{"AWS:SourceOwner":"{owner}"}}}}}}]}}"#
    )
}

#[cfg(test)]
#[path = "topic_tests.rs"]
mod tests;
