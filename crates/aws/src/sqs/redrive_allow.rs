//! `RedriveAllowPolicy`: which queues may name this one as their dead-letter queue.

use std::borrow::Cow;

use weir_core::api::{Config, Namespace};

use super::limits::ALLOWED_SOURCES_MAX;
use crate::arn::Arn;

/// Name of the attribute, and of the note that keeps it.
pub(super) const NAME: &str = "RedriveAllowPolicy";

/// Which queues may use a queue as their dead-letter queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RedriveAllow<'a> {
    /// Any; the default.
    All,
    /// None.
    Nobody,
    /// Those with these ARNs.
    Queues(Vec<Cow<'a, str>>),
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire<'a> {
    #[serde(borrow, rename = "redrivePermission")]
    permission: Option<Cow<'a, str>>,
    #[serde(borrow, default, rename = "sourceQueueArns")]
    sources: Option<Vec<Cow<'a, str>>>,
}

impl<'a> RedriveAllow<'a> {
    /// What the configuration of a queue says.
    pub fn of(config: &'a Config) -> Self {
        let kept = config.notes.iter().find(|(name, _)| name == NAME);
        // What is kept was checked; should it not be readable it allows what the default allows.
        kept.and_then(|(_, policy)| Self::parse(policy).ok()).unwrap_or(RedriveAllow::All)
    }

    /// Reads a policy; the error says what is wrong with it.
    pub(super) fn parse(policy: &'a str) -> Result<Self, String> {
        if !policy.trim_start().starts_with('{') {
            return Err("it must be a JSON object".to_owned());
        }
        let wire: Wire<'_> = serde_json::from_str(policy).map_err(|error| error.to_string())?;
        let sources = wire.sources.filter(|sources| !sources.is_empty());
        match (wire.permission.as_deref(), sources) {
            (Some("allowAll"), None) => Ok(RedriveAllow::All),
            (Some("denyAll"), None) => Ok(RedriveAllow::Nobody),
            (Some("allowAll" | "denyAll"), Some(_)) => {
                Err("sourceQueueArns can only be given where redrivePermission is byQueue".to_owned())
            }
            (Some("byQueue"), None) => {
                Err("sourceQueueArns must name at least one queue where redrivePermission is byQueue".to_owned())
            }
            (Some("byQueue"), Some(sources)) if sources.len() > ALLOWED_SOURCES_MAX => {
                let found = sources.len();
                Err(format!("sourceQueueArns names {found} queues of at most {ALLOWED_SOURCES_MAX}"))
            }
            (Some("byQueue"), Some(sources)) => match sources.iter().find(|arn| Arn::parse(arn).is_none()) {
                Some(bad) => Err(format!("sourceQueueArns names {bad:?}, which is no ARN of a queue")),
                None => Ok(RedriveAllow::Queues(sources)),
            },
            _ => Err("redrivePermission must be one of allowAll, denyAll, byQueue".to_owned()),
        }
    }

    /// Whether the queue `name` in `namespace` may use this one.
    pub fn permits(&self, namespace: Namespace, name: &str) -> bool {
        match self {
            RedriveAllow::All => true,
            RedriveAllow::Nobody => false,
            RedriveAllow::Queues(arns) => {
                let mut arns = arns.iter().filter_map(|arn| Arn::parse(arn));
                arns.any(|arn| arn.namespace == namespace && arn.name == name)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_says_who_may_send_it_dead_letters() {
        let arn = "arn:aws:sqs:eu-west-1:000000000007:orders";
        let by_queue = format!(r#"{{"redrivePermission":"byQueue","sourceQueueArns":["{arn}"]}}"#);
        for (policy, orders, others) in [
            (r#"{"redrivePermission":"allowAll"}"#, true, true),
            (r#"{"redrivePermission":"denyAll","sourceQueueArns":[]}"#, false, false),
            (by_queue.as_str(), true, false),
        ] {
            let allow = RedriveAllow::parse(policy).unwrap();
            assert_eq!(allow.permits(Namespace(7), "orders"), orders, "{policy}");
            assert_eq!(allow.permits(Namespace(7), "others"), others, "{policy}");
            assert_eq!(allow.permits(Namespace(8), "orders"), others, "{policy}");
        }
        assert_eq!(RedriveAllow::of(&Config::default()), RedriveAllow::All);
    }

    #[test]
    fn what_is_no_such_policy_is_refused() {
        let eleven = ["\"arn:aws:sqs:eu-west-1:000000000007:orders\""; 11].join(",");
        for (policy, word) in [
            ("[]".to_owned(), "object"),
            ("{}".to_owned(), "allowAll"),
            (r#"{"redrivePermission":"some"}"#.to_owned(), "byQueue"),
            (r#"{"redrivePermission":"byQueue"}"#.to_owned(), "at least one"),
            (r#"{"redrivePermission":"allowAll","sourceQueueArns":["a"]}"#.to_owned(), "byQueue"),
            (r#"{"redrivePermission":"byQueue","sourceQueueArns":["orders"]}"#.to_owned(), "orders"),
            (format!(r#"{{"redrivePermission":"byQueue","sourceQueueArns":[{eleven}]}}"#), "11"),
            (r#"{"redrivePermission":"allowAll","more":1}"#.to_owned(), "more"),
        ] {
            let reason = RedriveAllow::parse(&policy).unwrap_err();
            assert!(reason.contains(word), "{policy}: {reason}");
        }
    }
}
