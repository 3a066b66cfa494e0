use weir_core::Time;
use weir_core::api::topic::TopicId;
use weir_core::api::{Namespace, Tags};

use super::*;

fn pairs<'a>(attributes: &[(&'a str, &'a str)]) -> Pairs<'a, Text<'a>> {
    Pairs(attributes.iter().map(|&(name, value)| (name.into(), value.into())).collect())
}

fn created(kind: Kind, attributes: &[(&str, &str)]) -> Result<TopicConfig, String> {
    create(kind, &pairs(attributes), None, &Limits::OURS).map_err(|fault| fault.message.into_owned())
}

fn told(kind: Kind, config: TopicConfig) -> Vec<(&'static str, String)> {
    let topic = Topic {
        id: TopicId(1),
        namespace: Namespace(7),
        name: "t".to_owned(),
        kind,
        config,
        version: 1,
        revision: 1,
        created_at: Time(0),
        modified_at: Time(0),
        tags: Tags::new(),
    };
    list(&topic, "us-east-1", (2, 1))
}

#[test]
fn attributes_are_told_as_they_were_set() {
    for (kind, name, value) in [
        (Kind::Standard, "DisplayName", "Orders"),
        (Kind::Standard, "Policy", r#"{"Statement":[]}"#),
        (Kind::Standard, "DeliveryPolicy", r#"{"http":{"disableSubscriptionOverrides":true}}"#),
        (Kind::Standard, "SignatureVersion", "2"),
        (Kind::Standard, "KmsMasterKeyId", "alias/aws/sns"),
        (Kind::Standard, "TracingConfig", "Active"),
        (Kind::Standard, "SQSFailureFeedbackRoleArn", "arn:aws:iam::000000000000:role/r"),
        (Kind::Standard, "MaximumMessageSize", "2048"),
        (Kind::Fifo, "ArchivePolicy", r#"{"MessageRetentionPeriod":"30"}"#),
        (Kind::Fifo, "ContentBasedDeduplication", "true"),
        (Kind::Fifo, "FifoThroughputScope", "MessageGroup"),
    ] {
        let fifo = ("FifoTopic", "true");
        let given: &[_] = if kind == Kind::Fifo { &[fifo, (name, value)] } else { &[(name, value)] };
        let told = told(kind, created(kind, given).unwrap());
        assert!(told.contains(&(name, value.to_owned())), "{name}: {told:?}");
    }
}

#[test]
fn a_topic_tells_what_it_has_by_default() {
    let told = told(Kind::Standard, TopicConfig::default());
    let value = |name: &str| told.iter().find(|(told, _)| *told == name).map(|(_, value)| value.as_str());
    assert_eq!(value("TopicArn"), Some("arn:aws:sns:us-east-1:000000000007:t"));
    assert_eq!((value("Owner"), value("DisplayName")), (Some("000000000007"), Some("")));
    assert_eq!((value("SubscriptionsConfirmed"), value("SubscriptionsPending")), (Some("2"), Some("1")));
    assert!(value("Policy").unwrap().contains("__default_policy_ID"));
    assert!(value("EffectiveDeliveryPolicy").unwrap().contains("\"numRetries\":3"));
    assert_eq!((value("FifoTopic"), value("SignatureVersion")), (None, None));
}

#[test]
fn what_a_topic_cannot_have_is_refused() {
    for (kind, attributes) in [
        (Kind::Standard, &[("FifoTopic", "true")][..]),
        (Kind::Fifo, &[]),
        (Kind::Fifo, &[("FifoTopic", "false")]),
        (Kind::Standard, &[("FifoTopic", "maybe")]),
        (Kind::Standard, &[("ContentBasedDeduplication", "true")]),
        (Kind::Standard, &[("FifoThroughputScope", "Topic")]),
        (Kind::Fifo, &[("FifoTopic", "true"), ("FifoThroughputScope", "Queue")]),
        (Kind::Standard, &[("MaximumMessageSize", "1023")]),
        (Kind::Standard, &[("SignatureVersion", "3")]),
        (Kind::Standard, &[("Policy", "[]")]),
        (Kind::Standard, &[("DeliveryPolicy", "{")]),
        (Kind::Standard, &[("Colour", "red")]),
    ] {
        let said = created(kind, attributes).unwrap_err();
        let known = ["Invalid parameter: Attributes Reason: ", "Invalid parameter: Topic Name Reason: "];
        assert!(known.iter().any(|start| said.starts_with(start)), "{attributes:?}: {said}");
    }
    assert!(created(Kind::Standard, &[("ArchivePolicy", r#"{"MessageRetentionPeriod":"366"}"#)]).is_err());
}

#[test]
fn permissions_are_statements_of_the_policy() {
    let mut config = TopicConfig::default();
    let request = AddPermission {
        label: Some("l".into()),
        account_ids: Some(vec!["000000000001".into()]),
        actions: Some(vec!["Publish".into()]),
        topic_arn: None,
    };
    add_permission(&mut config, "arn", &request).unwrap();
    assert!(config.attributes["Policy"].contains(r#""Sid":"l","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::000000000001:root"},"Action":"SNS:Publish","Resource":"arn""#));
    let again = add_permission(&mut config, "arn", &request).unwrap_err();
    assert_eq!(again.code, Code::InvalidParameter);
    let unknown = AddPermission { actions: Some(vec!["Fly".into()]), label: Some("m".into()), ..request };
    assert!(add_permission(&mut config, "arn", &unknown).is_err());
    let remove = RemovePermission { label: Some("l".into()), topic_arn: None };
    remove_permission(&mut config, &remove).unwrap();
    assert_eq!(config, TopicConfig::default());
    assert_eq!(remove_permission(&mut config, &remove).unwrap_err().code, Code::InvalidParameter);
}

#[test]
fn a_data_protection_policy_is_kept() {
    let mut config = TopicConfig::default();
    set_data_protection(&mut config, r#"{"Name":"p"}"#).unwrap();
    assert_eq!(data_protection(&config), r#"{"Name":"p"}"#);
    assert!(set_data_protection(&mut config, "[]").is_err());
    set_data_protection(&mut config, "").unwrap();
    assert_eq!(data_protection(&config), "");
}
