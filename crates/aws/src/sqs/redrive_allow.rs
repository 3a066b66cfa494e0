//! `RedriveAllowPolicy`: which queues may name this one as their dead-letter queue.

use std::borrow::Cow;

use serde::Serialize;
use weir_core::api::{Namespace, RedriveAllow};

use super::limits::ALLOWED_SOURCES_MAX;
use crate::arn::Arn;

/// Name of the attribute, and of the note that keeps its exact words.
pub(super) const NAME: &str = "RedriveAllowPolicy";

#[derive(Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire<'a> {
    #[serde(borrow, rename = "redrivePermission")]
    permission: Option<Cow<'a, str>>,
    #[serde(borrow, default, rename = "sourceQueueArns", skip_serializing_if = "Option::is_none")]
    sources: Option<Vec<Cow<'a, str>>>,
}

/// Reads the policy of a queue in `namespace`; the error says what is wrong with it.
pub(super) fn parse(policy: &str, namespace: Namespace) -> Result<RedriveAllow, String> {
    if policy.is_empty() {
        return Ok(RedriveAllow::All);
    }
    if !policy.trim_start().starts_with('{') {
        return Err("it must be a JSON object".to_owned());
    }
    let wire: Wire<'_> = serde_json::from_str(policy).map_err(|error| error.to_string())?;
    let sources = wire.sources.filter(|sources| !sources.is_empty());
    match (wire.permission.as_deref(), sources) {
        (Some("allowAll"), None) => Ok(RedriveAllow::All),
        (Some("denyAll"), None) => Ok(RedriveAllow::None),
        (Some("allowAll" | "denyAll"), Some(_)) => {
            Err("sourceQueueArns can only be given where redrivePermission is byQueue".to_owned())
        }
        (Some("byQueue"), None) => {
            Err("sourceQueueArns must name at least one queue where redrivePermission is byQueue".to_owned())
        }
        (Some("byQueue"), Some(sources)) if sources.len() > ALLOWED_SOURCES_MAX => {
            Err(format!("sourceQueueArns names {} queues of at most {ALLOWED_SOURCES_MAX}", sources.len()))
        }
        (Some("byQueue"), Some(sources)) => {
            let name = |arn: &Cow<'_, str>| match Arn::parse(arn) {
                Some(parsed) if parsed.namespace == namespace => Ok(parsed.name.to_owned()),
                _ => Err(format!("sourceQueueArns names {arn:?}, which is no ARN of a queue of this account")),
            };
            sources.iter().map(name).collect::<Result<_, _>>().map(RedriveAllow::Queues)
        }
        _ => Err("redrivePermission must be one of allowAll, denyAll, byQueue".to_owned()),
    }
}

/// The policy in words, for a queue that was told it otherwise than by this attribute.
pub(super) fn written(allow: &RedriveAllow, namespace: Namespace, region: &str) -> Option<String> {
    let (permission, sources) = match allow {
        RedriveAllow::All => return None,
        RedriveAllow::None => ("denyAll", None),
        RedriveAllow::Queues(names) => {
            let arn = |name: &String| Cow::Owned(Arn { region, namespace, name }.to_string());
            ("byQueue", Some(names.iter().map(arn).collect()))
        }
    };
    serde_json::to_string(&Wire { permission: Some(permission.into()), sources }).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: Namespace = Namespace(7);

    #[test]
    fn a_queue_says_who_may_send_it_dead_letters() {
        let by_queue =
            r#"{"redrivePermission":"byQueue","sourceQueueArns":["arn:aws:sqs:eu-west-1:000000000007:orders"]}"#;
        for (policy, allow) in [
            ("", RedriveAllow::All),
            (r#"{"redrivePermission":"allowAll"}"#, RedriveAllow::All),
            (r#"{"redrivePermission":"denyAll","sourceQueueArns":[]}"#, RedriveAllow::None),
            (by_queue, RedriveAllow::Queues(vec!["orders".to_owned()])),
        ] {
            assert_eq!(parse(policy, HERE), Ok(allow), "{policy}");
        }
        let orders = RedriveAllow::Queues(vec!["orders".to_owned()]);
        assert_eq!(written(&orders, HERE, "eu-west-1").as_deref(), Some(by_queue));
        let nobody = r#"{"redrivePermission":"denyAll"}"#;
        assert_eq!(written(&RedriveAllow::None, HERE, "eu-west-1").as_deref(), Some(nobody));
        assert_eq!(written(&RedriveAllow::All, HERE, "eu-west-1"), None);
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
            (
                r#"{"redrivePermission":"byQueue","sourceQueueArns":["arn:aws:sqs:r:000000000008:q"]}"#.to_owned(),
                "this account",
            ),
            (format!(r#"{{"redrivePermission":"byQueue","sourceQueueArns":[{eleven}]}}"#), "11"),
            (r#"{"redrivePermission":"allowAll","more":1}"#.to_owned(), "more"),
        ] {
            let reason = parse(&policy, HERE).unwrap_err();
            assert!(reason.contains(word), "{policy}: {reason}");
        }
    }
}
