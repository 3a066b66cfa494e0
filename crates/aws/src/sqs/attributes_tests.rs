use weir_core::Time;
use weir_core::api::{Namespace, QueueId, RedriveAllow};

use super::*;

fn find(name: &str) -> Option<Arc<Queue>> {
    let kind = match name {
        "dead" => Kind::Standard,
        "dead.fifo" => Kind::Fifo,
        _ => return None,
    };
    Some(Arc::new(Queue { name: name.to_owned(), kind, ..orders() }))
}

fn orders() -> Queue {
    Queue {
        id: QueueId(1),
        namespace: Namespace(7),
        name: "orders".to_owned(),
        kind: Kind::Standard,
        config: Config::default(),
        version: 1,
        created_at: Time(1_700_000_000_999),
        modified_at: Time(1_700_000_001_000),
        tags: weir_core::api::Tags::new(),
        paused_until: None,
        subscription: None,
    }
}

fn applied(kind: Kind, limits: &Limits, pairs: &[(&'static str, &str)]) -> Result<Config, Fault> {
    let mut config = Config::default();
    applied_to(&mut config, kind, limits, pairs).map(|()| config)
}

fn applied_to(config: &mut Config, kind: Kind, limits: &Limits, pairs: &[(&'static str, &str)]) -> Result<(), Fault> {
    let pairs = pairs.iter().map(|&(name, value)| (name.into(), value.to_owned().into())).collect();
    let context = Context { namespace: Namespace(7), kind, limits, find: &find, creating: true };
    apply(config, &Pairs(pairs), &context)
}

fn standard(name: &'static str, value: &str) -> Result<Config, Code> {
    applied(Kind::Standard, &Limits::OURS, &[(name, value)]).map_err(|fault| fault.code)
}

fn shown(config: Config, kind: Kind, names: &[&'static str]) -> Vec<(&'static str, String)> {
    let queue = Queue { kind, config, ..orders() };
    let names: Vec<Text<'_>> = names.iter().map(|&name| name.into()).collect();
    let counters = Counters { ready: 1, delayed: 2, leased: 3, ..Counters::default() };
    list(&queue, counters, "eu-west-1", &Wanted::of(&names).unwrap())
}

#[test]
fn an_untouched_standard_queue_shows_the_defaults_of_aws() {
    let all = shown(Config::default(), Kind::Standard, &["All"]);
    let expected = [
        ("ApproximateNumberOfMessages", "1"),
        ("ApproximateNumberOfMessagesDelayed", "2"),
        ("ApproximateNumberOfMessagesNotVisible", "3"),
        ("CreatedTimestamp", "1700000000"),
        ("DelaySeconds", "0"),
        ("LastModifiedTimestamp", "1700000001"),
        ("MaximumMessageSize", "1048576"),
        ("MessageRetentionPeriod", "345600"),
        ("QueueArn", "arn:aws:sqs:eu-west-1:000000000007:orders"),
        ("ReceiveMessageWaitTimeSeconds", "0"),
        ("VisibilityTimeout", "30"),
        ("SqsManagedSseEnabled", "true"),
    ];
    assert_eq!(all, expected.map(|(name, value)| (name, value.to_owned())));
}

#[test]
fn a_fifo_queue_shows_what_only_fifo_queues_have() {
    let names = ["FifoQueue", "ContentBasedDeduplication", "DeduplicationScope", "FifoThroughputLimit"];
    let expected = [
        ("ContentBasedDeduplication", "false"),
        ("DeduplicationScope", "queue"),
        ("FifoQueue", "true"),
        ("FifoThroughputLimit", "perQueue"),
    ];
    let expected = expected.map(|(name, value)| (name, value.to_owned()));
    assert_eq!(shown(Config::default(), Kind::Fifo, &names), expected);
    assert_eq!(shown(Config::default(), Kind::Standard, &names), []);
}

#[test]
fn what_is_set_is_shown() {
    let policy = r#"{"deadLetterTargetArn":"arn:aws:sqs:eu-west-1:000000000007:dead","maxReceiveCount":5}"#;
    for (name, value) in [
        ("DelaySeconds", "900"),
        ("VisibilityTimeout", "0"),
        ("MessageRetentionPeriod", "60"),
        ("MaximumMessageSize", "1024"),
        ("ReceiveMessageWaitTimeSeconds", "20"),
        ("RedrivePolicy", policy),
        ("Policy", "{}"),
        ("RedriveAllowPolicy", r#"{"redrivePermission":"allowAll"}"#),
        ("RedriveAllowPolicy", r#"{"redrivePermission":"denyAll"}"#),
        ("SqsManagedSseEnabled", "false"),
        ("KmsMasterKeyId", "alias/key"),
        ("KmsDataKeyReusePeriodSeconds", "60"),
    ] {
        let config = applied(Kind::Standard, &Limits::AWS, &[(name, value)]).unwrap();
        assert_eq!(shown(config, Kind::Standard, &[name]), [(name, value.to_owned())]);
    }
}

#[test]
fn limits_are_aws_s_only_where_enforced() {
    for (name, aws, beyond) in [
        ("DelaySeconds", "900", "901"),
        ("VisibilityTimeout", "43200", "43201"),
        ("ReceiveMessageWaitTimeSeconds", "20", "21"),
        ("MessageRetentionPeriod", "1209600", "1209601"),
        ("MaximumMessageSize", "1048576", "1048577"),
    ] {
        assert!(applied(Kind::Standard, &Limits::AWS, &[(name, aws)]).is_ok(), "{name}");
        let fault = applied(Kind::Standard, &Limits::AWS, &[(name, beyond)]).unwrap_err();
        assert_eq!(fault.code, Code::InvalidAttributeValue);
        assert!(fault.message.contains(name) && fault.message.contains(aws) && fault.message.contains(beyond));
        assert!(applied(Kind::Standard, &Limits::OURS, &[(name, beyond)]).is_ok(), "{name}");
    }
}

#[test]
fn values_that_are_none_are_refused() {
    for (name, value) in [
        ("DelaySeconds", "-1"),
        ("DelaySeconds", ""),
        ("DelaySeconds", "soon"),
        ("DelaySeconds", "1.5"),
        ("DelaySeconds", "99999999999999999999"),
        ("MessageRetentionPeriod", "59"),
        ("MaximumMessageSize", "1023"),
        ("SqsManagedSseEnabled", "yes"),
        ("Policy", "{"),
        ("Policy", "[]"),
        ("RedriveAllowPolicy", "7"),
        ("KmsDataKeyReusePeriodSeconds", "59"),
    ] {
        assert_eq!(standard(name, value).unwrap_err(), Code::InvalidAttributeValue, "{name} {value}");
    }
    for name in ["Colour", "", "QueueArn", "All", "FifoQueue", "ContentBasedDeduplication", "DeduplicationScope"] {
        assert_eq!(standard(name, "true").unwrap_err(), Code::InvalidAttributeName, "{name}");
    }
    let fifo = |value| applied(Kind::Fifo, &Limits::OURS, &[("FifoQueue", value)]).map_err(|fault| fault.code);
    assert!(fifo("true").is_ok());
    assert_eq!(fifo("false").unwrap_err(), Code::InvalidAttributeValue);
}

#[test]
fn a_redrive_policy_names_a_queue_of_the_same_kind_and_a_count() {
    let policy = |target: &str, count: &str| {
        format!(r#"{{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000007:{target}","maxReceiveCount":{count}}}"#)
    };
    for count in ["3", "\"3\""] {
        let config = standard("RedrivePolicy", &policy("dead", count)).unwrap();
        assert_eq!(config.redrive, Some(Redrive { target: "dead".to_owned(), receives_max: 3 }));
    }
    for value in [
        policy("nowhere", "3"),
        policy("dead.fifo", "3"),
        policy("dead", "3").replace("000000000007", "000000000008"),
        policy("dead", "0"),
        policy("dead", "1001"),
        policy("dead", "-1"),
        policy("dead", "\"x\""),
        policy("dead", "null"),
        r#"{"maxReceiveCount":3}"#.to_owned(),
        r#"{"deadLetterTargetArn":"dead","maxReceiveCount":3}"#.to_owned(),
        "{".to_owned(),
        "[".repeat(100_000),
    ] {
        assert_eq!(standard("RedrivePolicy", &value).unwrap_err(), Code::InvalidParameterValue, "{value:.100}");
    }
    assert_eq!(standard("RedrivePolicy", "").unwrap().redrive, None);
}

#[test]
fn naming_a_default_changes_nothing() {
    let defaults = [
        ("DelaySeconds", "0"),
        ("VisibilityTimeout", "30"),
        ("MaximumMessageSize", "1048576"),
        ("SqsManagedSseEnabled", "true"),
        ("Policy", ""),
        ("KmsDataKeyReusePeriodSeconds", "300"),
    ];
    assert_eq!(applied(Kind::Standard, &Limits::AWS, &defaults), Ok(Config::default()));
}

#[test]
fn the_first_difference_is_named() {
    let base = || Config::default();
    assert_eq!(first_difference(&base(), &base()), None);
    let differs = |name, value| first_difference(&base(), &standard(name, value).unwrap());
    for (name, value) in [("DelaySeconds", "1"), ("Policy", "{}"), ("MaximumMessageSize", "1024")] {
        assert_eq!(differs(name, value).as_deref(), Some(name));
    }
    let kept = standard("Policy", "{}").unwrap();
    assert_eq!(first_difference(&kept, &base()).as_deref(), Some("Policy"));
}

#[test]
fn only_attributes_that_exist_can_be_asked_for() {
    let code = |name: &'static str| Wanted::of(&[name.into()]).map(|_| ()).map_err(|fault| fault.code);
    assert_eq!(code("All"), Ok(()));
    assert_eq!(code("Policy"), Ok(()));
    assert_eq!(code("Colour"), Err(Code::InvalidAttributeName));
}

#[test]
fn a_redrive_allow_policy_is_shown_in_its_own_words_while_they_are_true() {
    let words = r#"{ "sourceQueueArns": ["arn:aws:sqs:us-east-1:000000000007:a"], "redrivePermission": "byQueue" }"#;
    let mut config = standard("RedriveAllowPolicy", words).unwrap();
    let show = |config: &Config| shown(config.clone(), Kind::Standard, &["RedriveAllowPolicy"]).pop();
    assert_eq!(config.redrive_allow, RedriveAllow::Queues(vec!["a".to_owned()]));
    assert_eq!(show(&config), Some(("RedriveAllowPolicy", words.to_owned())));
    let other_words = words.replace(' ', "");
    assert_eq!(first_difference(&config, &standard("RedriveAllowPolicy", &other_words).unwrap()), None);
    config.redrive_allow = RedriveAllow::None;
    let denied = r#"{"redrivePermission":"denyAll"}"#.to_owned();
    assert_eq!(show(&config), Some(("RedriveAllowPolicy", denied)));
    let other = standard("RedriveAllowPolicy", words).unwrap();
    assert_eq!(first_difference(&config, &other).as_deref(), Some("RedriveAllowPolicy"));
    let fault = redrive_not_allowed("dead", "orders");
    assert!(fault.code == Code::InvalidParameterValue && fault.message.contains("RedrivePolicy"));
}

#[test]
fn a_queue_is_encrypted_in_one_way() {
    let both = [("KmsMasterKeyId", "alias/key"), ("SqsManagedSseEnabled", "TRUE")];
    assert_eq!(applied(Kind::Standard, &Limits::AWS, &both).unwrap_err().code, Code::InvalidAttributeValue);
    let names = ["SqsManagedSseEnabled", "KmsMasterKeyId", "KmsDataKeyReusePeriodSeconds"];
    let show = |config: &Config| shown(config.clone(), Kind::Standard, &names);
    let pairs = |pairs: &[(&'static str, &str)]| -> Vec<(&'static str, String)> {
        pairs.iter().map(|&(name, value)| (name, value.to_owned())).collect()
    };
    let mut config = standard("KmsMasterKeyId", "alias/key").unwrap();
    let with_key =
        [("KmsDataKeyReusePeriodSeconds", "300"), ("KmsMasterKeyId", "alias/key"), ("SqsManagedSseEnabled", "false")];
    assert_eq!(show(&config), pairs(&with_key));
    applied_to(&mut config, Kind::Standard, &Limits::AWS, &[("SqsManagedSseEnabled", "True")]).unwrap();
    assert_eq!(show(&config), pairs(&[("SqsManagedSseEnabled", "true")]));
}

#[test]
fn throughput_per_group_needs_deduplication_per_group() {
    let fifo = |pairs: &[(&'static str, &str)]| applied(Kind::Fifo, &Limits::AWS, pairs);
    let (group, limit) = (("DeduplicationScope", "messageGroup"), ("FifoThroughputLimit", "perMessageGroupId"));
    let fault = fifo(&[limit]).unwrap_err();
    assert_eq!(fault.code, Code::InvalidAttributeValue);
    assert!(fault.message.contains("DeduplicationScope"));
    let mut config = fifo(&[limit, group]).unwrap();
    assert_eq!(config.dedup_scope, DedupScope::Lane);
    assert!(applied_to(&mut config, Kind::Fifo, &Limits::AWS, &[("DeduplicationScope", "queue")]).is_err());
    assert_eq!(fifo(&[]).unwrap().dedup_scope, DedupScope::Queue);
    assert_eq!(first_difference(&Config::default(), &fifo(&[group]).unwrap()).as_deref(), Some("DeduplicationScope"));
}
