use super::*;

const TOPIC: TopicArn<'static> = TopicArn { region: "us-east-1", namespace: Namespace(7), name: "t" };
const CONTEXT: Context =
    Context { protocol: Protocol::Sqs, namespace: Namespace(7), filter_limits: FilterLimits::OURS };

fn pairs<'a>(attributes: &[(&'a str, &'a str)]) -> Pairs<'a, Text<'a>> {
    Pairs(attributes.iter().map(|&(name, value)| (name.into(), value.into())).collect())
}

#[test]
fn endpoints_are_queues_urls_and_functions() {
    let of = |protocol, given| endpoint(Some(protocol), Some(given), &TOPIC, Kind::Standard);
    assert_eq!(of("sqs", "arn:aws:sqs:us-east-1:000000000007:q"), Ok(Endpoint::Queue("q".to_owned())));
    assert_eq!(of("https", "https://host/path"), Ok(Endpoint::Url("https://host/path".to_owned())));
    assert_eq!(
        of("lambda", "arn:aws:lambda:us-east-1:000000000007:function:f:live"),
        Ok(Endpoint::Function("f".to_owned()))
    );
    for (protocol, given) in [
        ("sqs", "http://host/000000000007/q"),
        ("sqs", "arn:aws:sqs:us-east-1:000000000008:q"),
        ("sqs", "arn:aws:sqs:eu-west-1:000000000007:q"),
        ("sqs", "arn:aws:sqs:us-east-1:000000000007:q.fifo"),
        ("http", "https://host"),
        ("http", "http://"),
        ("http", "http://a b"),
        ("lambda", "arn:aws:lambda:us-east-1:000000000007:layer:f"),
        ("sms", "+1"),
        ("fax", "+1"),
    ] {
        assert_eq!(of(protocol, given).unwrap_err().code, Code::InvalidParameter, "{protocol} {given}");
    }
    let fifo = |protocol, given| endpoint(Some(protocol), Some(given), &TOPIC, Kind::Fifo);
    assert!(fifo("sqs", "arn:aws:sqs:us-east-1:000000000007:q.fifo").is_ok());
    assert!(fifo("sqs", "arn:aws:sqs:us-east-1:000000000007:q").is_ok());
    assert!(fifo("http", "http://host/").is_err());
    assert!(endpoint(None, Some("x"), &TOPIC, Kind::Standard).is_err());
    assert!(endpoint(Some("sqs"), None, &TOPIC, Kind::Standard).is_err());
}

#[test]
fn attributes_are_read_whatever_their_order() {
    let config = create(
        &pairs(&[
            ("FilterPolicy", r#"{"a":{"b":["x"]}}"#),
            ("RawMessageDelivery", "true"),
            ("FilterPolicyScope", "MessageBody"),
            ("RedrivePolicy", r#"{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000007:dead"}"#),
        ]),
        &CONTEXT,
    )
    .unwrap();
    assert!(config.raw && config.filter_scope == FilterScope::Body);
    assert_eq!(config.dead_letter.as_deref(), Some("dead"));
    assert!(filter(&config).unwrap().is_some());
}

#[test]
fn attributes_are_taken_away_by_empty_ones() {
    let mut config = SubscriptionConfig::default();
    for (name, value) in [
        ("FilterPolicy", r#"{"a":["x"]}"#),
        ("RedrivePolicy", r#"{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000007:dead"}"#),
        ("DeliveryPolicy", r#"{"throttlePolicy":{"maxReceivesPerSecond":1}}"#),
    ] {
        set(&mut config, name, value, &CONTEXT).unwrap();
        assert_ne!(config, SubscriptionConfig::default());
        set(&mut config, name, "", &CONTEXT).unwrap();
        assert_eq!(config, SubscriptionConfig::default(), "{name}");
    }
}

#[test]
fn what_a_subscription_cannot_have_is_refused_in_the_words_of_aws() {
    let said = |name, value| set(&mut SubscriptionConfig::default(), name, value, &CONTEXT).unwrap_err().message;
    assert_eq!(
        said("FilterPolicy", r#"{"a":"x"}"#),
        "Invalid parameter: FilterPolicy: \"a\" must be an object or an array"
    );
    let created = create(&pairs(&[("FilterPolicy", r#"{"a":"x"}"#)]), &CONTEXT).unwrap_err().message;
    assert_eq!(created, "Invalid parameter: Attributes Reason: FilterPolicy: \"a\" must be an object or an array");
    assert!(said("FilterPolicy", r#"{"a":{"b":[1]}}"#).contains("does not support nested filter policy"));
    assert!(said("FilterPolicyScope", "Body").contains("Please use either MessageBody or MessageAttributes"));
    assert!(said("RawMessageDelivery", "yes").contains("Must be true or false"));
    assert!(said("RedrivePolicy", r#"{"deadLetterTargetArn":"arn"}"#).contains("deadLetterTargetArn"));
    assert!(said("RedrivePolicy", "[]").contains("no JSON object"));
    assert!(said("DeliveryPolicy", r#"{"healthyRetryPolicy":{"numRetries":1000}}"#).contains("1000"));
    assert!(said("Colour", "red").contains("Colour"));
    let strict = Context { filter_limits: FilterLimits::AWS, ..CONTEXT };
    let many = r#"{"a":[1],"b":[1],"c":[1],"d":[1],"e":[1],"f":[1]}"#;
    let fault = set(&mut SubscriptionConfig::default(), "FilterPolicy", many, &strict).unwrap_err();
    assert!(fault.message.contains("can not have more than 5 keys"));
    // A nested policy keeps its scope.
    let mut nested =
        create(&pairs(&[("FilterPolicyScope", "MessageBody"), ("FilterPolicy", r#"{"a":{"b":[1]}}"#)]), &CONTEXT)
            .unwrap();
    assert!(set(&mut nested, "FilterPolicyScope", "MessageAttributes", &CONTEXT).is_err());
}
