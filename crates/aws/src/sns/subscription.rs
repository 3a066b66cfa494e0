//! Subscriptions: where they go, and what is set of them.

use serde::Deserialize;
use weir_core::api::topic::{Endpoint, FilterScope, Subscription, SubscriptionConfig};
use weir_core::api::{Kind, Namespace};
use weir_filter_policy::{Limits as FilterLimits, Policy, Scope};

use super::arn::{SubscriptionArn, TopicArn};
use super::delivery_policy;
use super::fault::{invalid, missing};
use super::limits::POLICY_BYTES_MAX;
use super::replay_policy::ReplayPolicy;
use super::topic::boolean;
use crate::arn::{Arn, account_id};
use crate::fault::{Code, Fault};
use crate::lambda::function_arn;
use crate::request::{Pairs, Text};
use crate::text;

const DELIVERY_POLICY: &str = "DeliveryPolicy";
/// The attribute that has a topic's archive replayed.
pub const REPLAY_POLICY: &str = "ReplayPolicy";
const REDRIVE_POLICY: &str = "RedrivePolicy";
const ROLE: &str = "SubscriptionRoleArn";
const AUTHENTICATED: &str = "ConfirmationWasAuthenticated";

/// How a subscription is delivered to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "each is the protocol of its name")]
pub enum Protocol {
    Sqs,
    Http,
    Https,
    Lambda,
}

impl Protocol {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Protocol::Sqs => "sqs",
            Protocol::Http => "http",
            Protocol::Https => "https",
            Protocol::Lambda => "lambda",
        }
    }

    /// The protocol of an endpoint.
    pub fn of(endpoint: &Endpoint) -> Self {
        match endpoint {
            Endpoint::Queue(_) => Protocol::Sqs,
            Endpoint::Function(_) => Protocol::Lambda,
            Endpoint::Url(url) if url.get(..8).is_some_and(|start| start.eq_ignore_ascii_case("https://")) => {
                Protocol::Https
            }
            Endpoint::Url(_) => Protocol::Http,
        }
    }

    /// Whether somebody has to confirm that deliveries are wanted.
    pub const fn needs_confirmation(self) -> bool {
        matches!(self, Protocol::Http | Protocol::Https)
    }
}

/// Where a subscription is to go.
///
/// # Errors
/// `InvalidParameter`: protocols that are not here, endpoints of another kind than the protocol, in another namespace or
/// region.
pub fn endpoint(
    protocol: Option<&str>,
    endpoint: Option<&str>,
    topic: &TopicArn<'_>,
    kind: Kind,
) -> Result<Endpoint, Fault> {
    let protocol = protocol.filter(|protocol| !protocol.is_empty()).ok_or_else(|| missing("Protocol"))?;
    let given = endpoint.filter(|endpoint| !endpoint.is_empty());
    let given = || given.ok_or_else(|| missing("Endpoint"));
    let quoted = |text| text::quote(text, 256);
    match protocol {
        "sqs" => {
            let given = given()?;
            let not_arn = || invalid("SQS endpoint ARN", &format!("{} is no ARN of a queue", quoted(given)));
            let queue = Arn::parse(given).ok_or_else(not_arn)?;
            check_here("SQS endpoint ARN", given, (queue.region, queue.namespace), topic)?;
            if kind == Kind::Standard && is_fifo(queue.name) {
                let message = "Invalid parameter: Invalid parameter: Endpoint Reason: FIFO SQS Queues can not be subscribed to standard SNS topics";
                return Err(Fault::new(Code::InvalidParameter, message));
            }
            Ok(Endpoint::Queue(queue.name.to_owned()))
        }
        "http" | "https" => {
            let given = given()?;
            let scheme = given.split_once("://").map(|(scheme, rest)| (scheme.to_ascii_lowercase(), rest));
            match scheme {
                Some((scheme, rest)) if scheme == protocol && !rest.is_empty() && !has_blanks(rest) => {
                    only_standard(kind, protocol)?;
                    Ok(Endpoint::Url(given.to_owned()))
                }
                _ => Err(invalid(
                    "Endpoint",
                    &format!("Endpoint must match the specified protocol {protocol}: {}", quoted(given)),
                )),
            }
        }
        "lambda" => {
            let given = given()?;
            let parts: Vec<&str> = given.splitn(8, ':').collect();
            let function = match *parts.as_slice() {
                ["arn", partition, "lambda", region, account, "function", name]
                | ["arn", partition, "lambda", region, account, "function", name, _]
                    if partition.starts_with("aws") && !name.is_empty() =>
                {
                    account_id(account).map(|namespace| (region, namespace, name))
                }
                _ => None,
            };
            let not_arn = || invalid("Lambda endpoint ARN", &format!("{} is no ARN of a function", quoted(given)));
            let (region, namespace, name) = function.ok_or_else(not_arn)?;
            check_here("Lambda endpoint ARN", given, (region, namespace), topic)?;
            only_standard(kind, protocol)?;
            Ok(Endpoint::Function(name.to_owned()))
        }
        "email" | "email-json" | "sms" | "application" | "firehose" => Err(invalid(
            "Protocol",
            &format!("{protocol} is not supported: this server delivers to sqs, http, https and lambda"),
        )),
        other => {
            let other = text::quote(other, 64);
            Err(invalid("Protocol", &format!("Does not support this protocol string: {other}")))
        }
    }
}

fn has_blanks(text: &str) -> bool {
    text.bytes().any(|byte| byte <= b' ' || byte == 0x7F)
}

fn is_fifo(name: &str) -> bool {
    name.len() > 5 && name.strip_suffix(".fifo").is_some()
}

fn only_standard(kind: Kind, protocol: &str) -> Result<(), Fault> {
    match kind {
        Kind::Standard => Ok(()),
        Kind::Fifo => Err(invalid("Endpoint", &format!("FIFO topics deliver to sqs only, and not to {protocol}"))),
    }
}

fn check_here(
    parameter: &str,
    given: &str,
    (region, namespace): (&str, Namespace),
    topic: &TopicArn<'_>,
) -> Result<(), Fault> {
    if region == topic.region && namespace == topic.namespace {
        return Ok(());
    }
    let given = text::quote(given, 256);
    let (region, account) = (topic.region, topic.namespace.0);
    Err(invalid(
        parameter,
        &format!("{given} is not in the region {region} and the account {account:012} of the topic"),
    ))
}

/// What attributes are set for.
#[derive(Clone, Copy, Debug)]
pub struct Context {
    /// How the subscription is delivered to.
    pub protocol: Protocol,
    /// The namespace of the topic.
    pub namespace: Namespace,
    /// Bounds on filter policies.
    pub filter_limits: FilterLimits,
}

/// Reads the attributes of a new subscription.
///
/// # Errors
/// `InvalidParameter`.
pub fn create(attributes: &Pairs<'_, Text<'_>>, context: &Context) -> Result<SubscriptionConfig, Fault> {
    let mut config = SubscriptionConfig::default();
    // What the policy is about is known before it is read.
    let (scopes, others): (Vec<_>, Vec<_>) = attributes.0.iter().partition(|(name, _)| name == "FilterPolicyScope");
    for (name, value) in scopes.into_iter().chain(others) {
        set(&mut config, name, value, context).map_err(|fault| Fault {
            message: fault.message.replacen("Invalid parameter: ", "Invalid parameter: Attributes Reason: ", 1).into(),
            ..fault
        })?;
    }
    Ok(config)
}

/// Sets one attribute.
///
/// # Errors
/// `InvalidParameter`; `FilterPolicyLimitExceeded`.
pub fn set(config: &mut SubscriptionConfig, name: &str, value: &str, context: &Context) -> Result<(), Fault> {
    let refuse = |reason: &str| Fault::new(Code::InvalidParameter, format!("Invalid parameter: {name}: {reason}"));
    match name {
        "RawMessageDelivery" => {
            let raw = boolean(name, name, value)?;
            if raw && context.protocol == Protocol::Lambda {
                return Err(refuse("Raw message delivery is not supported for the protocol lambda"));
            }
            config.raw = raw;
        }
        "FilterPolicy" => {
            config.filter = if value.is_empty() || value.trim() == "{}" {
                None
            } else {
                check_filter(value, config.filter_scope, context)?;
                Some(value.to_owned())
            };
        }
        "FilterPolicyScope" => {
            let scope = match value {
                "MessageAttributes" => FilterScope::Attributes,
                "MessageBody" => FilterScope::Body,
                other => {
                    let other = text::quote(other, 64);
                    return Err(refuse(&format!(
                        "Invalid value [{other}]. Please use either MessageBody or MessageAttributes"
                    )));
                }
            };
            if let Some(filter) = &config.filter {
                check_filter(filter, scope, context)?;
            }
            config.filter_scope = scope;
        }
        REDRIVE_POLICY => {
            config.dead_letter = redrive(value, context).map_err(|reason| refuse(&reason))?;
            keep(config, name, value);
        }
        DELIVERY_POLICY => {
            if !value.is_empty() {
                delivery_policy::of_subscription(value).map_err(|reason| refuse(&reason))?;
            }
            keep(config, name, value);
        }
        ROLE => {
            if value.len() > POLICY_BYTES_MAX {
                return Err(refuse(&format!("it is longer than {POLICY_BYTES_MAX} bytes")));
            }
            keep(config, name, value);
        }
        REPLAY_POLICY => {
            let policy = ReplayPolicy::parse(value).map_err(|reason| refused_replay(&reason))?;
            keep(config, name, if policy.is_some() { value } else { "" });
        }
        other => {
            return Err(Fault::new(
                Code::InvalidParameter,
                format!("Invalid parameter: AttributeName Reason: there is no attribute {}", text::quote(other, 128)),
            ));
        }
    }
    Ok(())
}

/// Refuses a replay policy.
pub fn refused_replay(reason: &str) -> Fault {
    Fault::new(Code::InvalidParameter, format!("Invalid parameter: {REPLAY_POLICY}: {reason}"))
}

/// What the subscription wants replayed.
pub fn replay_policy(config: &SubscriptionConfig) -> Option<ReplayPolicy> {
    ReplayPolicy::parse(config.attributes.get(REPLAY_POLICY)?).ok()?
}

/// The policy that a subscription's filter is; `None` where it wants everything.
///
/// # Errors
/// What is wrong with it: never, for one that was set.
pub fn filter(config: &SubscriptionConfig) -> Result<Option<Policy>, weir_filter_policy::PolicyError> {
    config.filter.as_deref().map(|json| Policy::parse(json, scope(config.filter_scope))).transpose()
}

fn scope(scope: FilterScope) -> Scope {
    match scope {
        FilterScope::Attributes => Scope::Attributes,
        FilterScope::Body => Scope::Body,
    }
}

fn check_filter(json: &str, of: FilterScope, context: &Context) -> Result<(), Fault> {
    let policy = Policy::parse(json, scope(of));
    let checked = policy.and_then(|policy| context.filter_limits.check(&policy));
    checked.map_err(|error| Fault::new(Code::InvalidParameter, format!("Invalid parameter: FilterPolicy: {error}")))
}

/// The queue that a redrive policy names.
fn redrive(json: &str, context: &Context) -> Result<Option<String>, String> {
    #[derive(Deserialize)]
    struct Redrive<'a> {
        #[serde(rename = "deadLetterTargetArn", borrow)]
        target: Text<'a>,
    }
    if json.is_empty() || json.trim() == "{}" {
        return Ok(None);
    }
    if !json.trim_start().starts_with('{') {
        return Err("it is no JSON object".to_owned());
    }
    let redrive: Redrive<'_> = serde_json::from_str(json).map_err(|error| error.to_string())?;
    let target = Arn::parse(&redrive.target).filter(|arn| arn.namespace == context.namespace);
    let target = target.ok_or_else(|| {
        let found = text::quote(&redrive.target, 256);
        format!("deadLetterTargetArn {found} is no ARN of a queue of the account {:012}", context.namespace.0)
    })?;
    Ok(Some(target.name.to_owned()))
}

fn keep(config: &mut SubscriptionConfig, name: &str, value: &str) {
    if value.is_empty() {
        config.attributes.remove(name);
    } else {
        config.attributes.insert(name.to_owned(), value.to_owned());
    }
}

/// Notes that the confirmation was signed, and so must its end be.
pub fn set_authenticated(config: &mut SubscriptionConfig) {
    keep(config, AUTHENTICATED, "true");
}

/// Whether only a signed request ends the subscription.
pub fn is_authenticated(config: &SubscriptionConfig) -> bool {
    config.attributes.contains_key(AUTHENTICATED)
}

/// What holds for deliveries of the subscription over HTTP.
pub fn effective_delivery_policy(
    topic: &weir_core::api::topic::TopicConfig,
    config: &SubscriptionConfig,
) -> delivery_policy::SubscriptionPolicy {
    let own = config.attributes.get(DELIVERY_POLICY).map(String::as_str);
    delivery_policy::effective(super::topic::delivery_policy_of(topic), own)
}

/// The attributes of a subscription.
pub fn list(
    subscription: &Subscription,
    topic: &weir_core::api::topic::Topic,
    region: &str,
) -> Vec<(&'static str, String)> {
    let config = &subscription.config;
    let own = |name: &str| config.attributes.get(name).cloned();
    let protocol = Protocol::of(&subscription.endpoint);
    let topic_arn = TopicArn { region, namespace: topic.namespace, name: &topic.name };
    let arn = SubscriptionArn { topic: topic_arn, uuid: subscription.uuid };
    let owner = &subscription.owner;
    let mut all = vec![
        ("SubscriptionArn", arn.to_string()),
        ("TopicArn", topic_arn.to_string()),
        ("Owner", owner.clone()),
        ("Protocol", protocol.name().to_owned()),
        ("Endpoint", endpoint_text(subscription, region)),
        ("PendingConfirmation", subscription.pending_until.is_some().to_string()),
        (AUTHENTICATED, (!protocol.needs_confirmation() || is_authenticated(config)).to_string()),
        ("RawMessageDelivery", config.raw.to_string()),
        ("SubscriptionPrincipal", format!("arn:aws:iam::{owner}:root")),
    ];
    if let Some(filter) = &config.filter {
        let scope = match config.filter_scope {
            FilterScope::Attributes => "MessageAttributes",
            FilterScope::Body => "MessageBody",
        };
        all.push(("FilterPolicy", filter.clone()));
        all.push(("FilterPolicyScope", scope.to_owned()));
    } else if config.filter_scope == FilterScope::Body {
        all.push(("FilterPolicyScope", "MessageBody".to_owned()));
    }
    if protocol.needs_confirmation() {
        let effective = effective_delivery_policy(&topic.config, config);
        all.push(("EffectiveDeliveryPolicy", serde_json::to_string(&effective).unwrap_or_default()));
    }
    all.extend(
        [DELIVERY_POLICY, REDRIVE_POLICY, REPLAY_POLICY, ROLE].into_iter().filter_map(|name| Some((name, own(name)?))),
    );
    all
}

/// The endpoint of a subscription as it was given.
pub fn endpoint_text(subscription: &Subscription, region: &str) -> String {
    let namespace = subscription.namespace;
    match &subscription.endpoint {
        Endpoint::Queue(name) => Arn { region, namespace, name }.to_string(),
        Endpoint::Url(url) => url.clone(),
        Endpoint::Function(name) => function_arn(region, namespace, name),
    }
}

#[cfg(test)]
#[path = "subscription_tests.rs"]
mod tests;
