//! The names of topics and subscriptions on the wire.

use std::fmt;

use weir_core::api::{Kind, Namespace};

use super::fault::invalid;
use crate::arn::account_id;
use crate::fault::Fault;
use crate::{text, uuid};

/// Longest name of a topic, in bytes.
const NAME_MAX: usize = 256;

/// `arn:aws:sns:REGION:ACCOUNT:NAME`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TopicArn<'a> {
    /// The region: a name without meaning to us, but topics of others are not here.
    pub region: &'a str,
    /// The account: our namespace.
    pub namespace: Namespace,
    /// The topic's name.
    pub name: &'a str,
}

/// `arn:aws:sns:REGION:ACCOUNT:NAME:UUID`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SubscriptionArn<'a> {
    /// The topic.
    pub topic: TopicArn<'a>,
    /// The subscription's public id.
    pub uuid: [u8; 16],
}

impl<'a> TopicArn<'a> {
    /// Reads the ARN of a topic that a request names in `parameter`.
    ///
    /// # Errors
    /// `InvalidParameter`, also for one of another region than `region`.
    pub fn parse(parameter: &str, arn: &'a str, region: &str) -> Result<Self, Fault> {
        let found = Self::split(arn).filter(|(_, rest)| rest.is_none()).map(|(topic, _)| topic);
        let quoted = text::quote(arn, 512);
        let found =
            found.ok_or_else(|| invalid(parameter, &format!("An ARN must have at least 6 elements, not {quoted}")))?;
        if found.region != region {
            let reason = format!("the topic of {quoted} is in another region than this server, which is in {region}");
            return Err(invalid(parameter, &reason));
        }
        Ok(found)
    }

    fn split(arn: &'a str) -> Option<(Self, Option<&'a str>)> {
        let mut parts = arn.splitn(7, ':');
        let (scheme, partition, service) = (parts.next()?, parts.next()?, parts.next()?);
        let (region, account, name) = (parts.next()?, parts.next()?, parts.next()?);
        let known = scheme == "arn" && partition.starts_with("aws") && service == "sns" && !name.is_empty();
        known.then_some(())?;
        Some((Self { region, namespace: account_id(account)?, name }, parts.next()))
    }
}

impl<'a> SubscriptionArn<'a> {
    /// Reads the ARN of a subscription; `None` where it is none.
    pub fn parse(arn: &'a str) -> Option<Self> {
        let (topic, uuid) = TopicArn::split(arn)?;
        Some(Self { topic, uuid: uuid::parse(uuid?)? })
    }
}

impl fmt::Display for TopicArn<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "arn:aws:sns:{}:{:012}:{}", self.region, self.namespace.0, self.name)
    }
}

impl fmt::Display for SubscriptionArn<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.topic, uuid::text(&self.uuid))
    }
}

/// Checks the name of a topic to be created, and says what kind of topic it names.
///
/// # Errors
/// `InvalidParameter`.
pub fn check_name(name: &str) -> Result<Kind, Fault> {
    let (stem, kind) = match name.strip_suffix(".fifo") {
        Some(stem) => (stem, Kind::Fifo),
        None => (name, Kind::Standard),
    };
    if stem.is_empty() || name.len() > NAME_MAX || !text::is_word(stem) {
        let quoted = text::quote(name, NAME_MAX);
        let reason = format!(
            "{quoted} is none of 1 to {NAME_MAX} letters, digits, hyphens and underscores, with .fifo at the end of a FIFO topic"
        );
        return Err(invalid("Topic Name", &reason));
    }
    Ok(kind)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::Code;

    #[test]
    fn arns_read_back_as_they_were_written() {
        let topic = TopicArn { region: "eu-west-1", namespace: Namespace(42), name: "orders.fifo" };
        assert_eq!(topic.to_string(), "arn:aws:sns:eu-west-1:000000000042:orders.fifo");
        assert_eq!(TopicArn::parse("TopicArn", &topic.to_string(), "eu-west-1"), Ok(topic));
        let subscription = SubscriptionArn { topic, uuid: [7; 16] };
        assert_eq!(SubscriptionArn::parse(&subscription.to_string()), Some(subscription));
        assert_eq!(SubscriptionArn::parse(&topic.to_string()), None);
        assert_eq!(SubscriptionArn::parse("PendingConfirmation"), None);
    }

    #[test]
    fn what_is_no_arn_of_a_topic_here_is_refused() {
        for arn in [
            "",
            "orders",
            "arn:aws:sqs:us-east-1:000000000042:orders",
            "arn:aws:sns:us-east-1:42:orders",
            "arn:aws:sns:us-east-1:000000000042:",
            "arn:aws:sns:us-east-1:000000000042:orders:more",
            "arn:aws:sns:eu-west-1:000000000042:orders",
        ] {
            let fault = TopicArn::parse("TopicArn", arn, "us-east-1").unwrap_err();
            assert_eq!(fault.code, Code::InvalidParameter, "{arn}");
            assert!(fault.message.starts_with("Invalid parameter: TopicArn Reason: "), "{}", fault.message);
        }
    }

    #[test]
    fn names_have_256_characters_of_a_small_set() {
        assert_eq!(check_name("A-z_09"), Ok(Kind::Standard));
        assert_eq!(check_name("a.fifo"), Ok(Kind::Fifo));
        assert_eq!(check_name(&"n".repeat(256)), Ok(Kind::Standard));
        let long = "n".repeat(257);
        for name in ["", ".fifo", "a.b", "a b", "é", "a:b", long.as_str()] {
            assert_eq!(check_name(name).unwrap_err().code, Code::InvalidParameter, "{name}");
        }
    }
}
