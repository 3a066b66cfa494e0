//! What policies let through, operator by operator.

use weir_filter_policy::{Event, Limits, Policy, PolicyError, Scope};

fn policy(json: &str, scope: Scope) -> Policy {
    Policy::parse(json, scope).unwrap_or_else(|error| panic!("{json}: {error}"))
}

/// Whether attributes (name, type, value) fulfil a policy.
fn attributes(json: &str, attributes: &[(&str, &str, &str)]) -> bool {
    let mut event = Event::new();
    for &(name, data_type, value) in attributes {
        event.set_attribute(name, data_type, value);
    }
    policy(json, Scope::Attributes).matches(&event)
}

fn body(json: &str, body: &str) -> bool {
    policy(json, Scope::Body).matches(&Event::from_json(body).expect("the body is an object"))
}

#[test]
fn exact_values_have_their_types() {
    for (policy, data_type, value, expected) in [
        (r#"{"a":["x"]}"#, "String", "x", true),
        (r#"{"a":["x"]}"#, "String", "X", false),
        (r#"{"a":["x"]}"#, "String.custom", "x", true),
        (r#"{"a":["100"]}"#, "Number", "100", false),
        (r#"{"a":[100]}"#, "Number", "1e2", true),
        (r#"{"a":[100]}"#, "String", "100", false),
        (r#"{"a":[9007199254740993]}"#, "Number", "9007199254740992", false),
        (r#"{"a":["x"]}"#, "String.Array", r#"["y","x"]"#, true),
        (r#"{"a":[5]}"#, "String.Array", r#"["y",5.0]"#, true),
        (r#"{"a":[true]}"#, "String.Array", "[true]", true),
        (r#"{"a":[null]}"#, "String.Array", "[null]", true),
        (r#"{"a":[false]}"#, "String.Array", "[true,null]", false),
        (r#"{"a":["[]"]}"#, "String", "[]", true),
        (r#"{"a":["[oops"]}"#, "String.Array", "[oops", true),
    ] {
        assert_eq!(attributes(policy, &[("a", data_type, value)]), expected, "{policy} {data_type} {value}");
    }
}

#[test]
fn all_fields_have_to_fit_and_of_each_one_condition() {
    let policy = r#"{"store":["one","two"],"price":[{"numeric":[">=",100]}]}"#;
    assert!(attributes(policy, &[("store", "String", "two"), ("price", "Number", "100"), ("more", "String", "x")]));
    assert!(!attributes(policy, &[("store", "String", "two"), ("price", "Number", "99.99999")]));
    assert!(!attributes(policy, &[("store", "String", "two")]));
    assert!(attributes("{}", &[]));
}

#[test]
fn texts_are_compared_by_their_ends_and_without_case() {
    for (operator, value, expected) in [
        (r#"{"prefix":"base"}"#, "baseball", true),
        (r#"{"prefix":"base"}"#, "Baseball", false),
        (r#"{"prefix":{"equals-ignore-case":"BASE"}}"#, "Baseball", true),
        (r#"{"suffix":"ball"}"#, "baseball", true),
        (r#"{"suffix":"ball"}"#, "baseballs", false),
        (r#"{"suffix":{"equals-ignore-case":"BALL"}}"#, "baseBall", true),
        (r#"{"equals-ignore-case":"Tennis"}"#, "tENNIS", true),
        (r#"{"equals-ignore-case":"Tennis"}"#, "tennis ", false),
        (r#"{"wildcard":"*.png"}"#, "a.png", true),
        (r#"{"wildcard":"a*c*"}"#, "a-d", false),
        (r#"{"cidr":"10.0.0.0/24"}"#, "10.0.0.255", true),
        (r#"{"cidr":"10.0.0.0/24"}"#, "10.0.1.0", false),
        (r#"{"cidr":"10.0.0.0/24"}"#, "nonsense", false),
        (r#"{"cidr":"2001:db8::/32"}"#, "2001:db8:1::1", true),
        (r#"{"cidr":"0.0.0.0/0"}"#, "255.1.2.3", true),
        (r#"{"cidr":"0.0.0.0/0"}"#, "::1", false),
    ] {
        let policy = format!(r#"{{"a":[{operator}]}}"#);
        assert_eq!(attributes(&policy, &[("a", "String", value)]), expected, "{operator} {value}");
    }
}

#[test]
fn anything_but_wants_a_value_that_is_none_of_them() {
    for (operand, value, expected) in [
        (r#""x""#, "x", false),
        (r#""x""#, "y", true),
        (r#"["x","y"]"#, "y", false),
        ("[100,500]", "x", true),
        (r#"{"prefix":"order-"}"#, "order-1", false),
        (r#"{"prefix":"order-"}"#, "x-1", true),
        (r#"{"prefix":["a","b"]}"#, "bx", false),
        (r#"{"suffix":".png"}"#, "a.png", false),
        (r#"{"suffix":[".png",".gif"]}"#, "a.jpg", true),
        (r#"{"equals-ignore-case":["ONE","two"]}"#, "One", false),
        (r#"{"wildcard":"*/bin/*"}"#, "a/bin/b", false),
        (r#"{"wildcard":["*/bin/*","x*"]}"#, "a/lib/b", true),
    ] {
        let policy = format!(r#"{{"a":[{{"anything-but":{operand}}}]}}"#);
        assert_eq!(attributes(&policy, &[("a", "String", value)]), expected, "{operand} {value}");
        assert!(!attributes(&policy, &[]), "the field has to be there: {operand}");
    }
    let policy = r#"{"a":[{"anything-but":["rugby","tennis"]}]}"#;
    assert!(attributes(policy, &[("a", "String.Array", r#"["rugby","baseball"]"#)]));
    assert!(!attributes(policy, &[("a", "String.Array", r#"["rugby"]"#)]));
    assert!(!attributes(r#"{"a":[{"anything-but":[100,500]}]}"#, &[("a", "Number", "500.0")]));
}

#[test]
fn numbers_are_compared_within_ranges() {
    for (numeric, value, expected) in [
        (r#"["=",301.5]"#, "301.50", true),
        (r#"["=",301.5]"#, "301.51", false),
        (r#"["<",0]"#, "-0.00001", true),
        (r#"["<",0]"#, "0", false),
        (r#"["<=",0]"#, "0", true),
        (r#"[">",0,"<=",150]"#, "150", true),
        (r#"[">",0,"<=",150]"#, "0", false),
        (r#"[">",0,"<",150]"#, "150", false),
        (r#"[">=",-1e9,"<=",1e9]"#, "-1000000000", true),
    ] {
        let policy = format!(r#"{{"a":[{{"numeric":{numeric}}}]}}"#);
        assert_eq!(attributes(&policy, &[("a", "Number", value)]), expected, "{numeric} {value}");
        assert!(!attributes(&policy, &[("a", "String", value)]), "{numeric} of a text");
    }
}

#[test]
fn fields_can_be_wanted_there_or_absent() {
    let there = r#"{"a":[{"exists":true}]}"#;
    let absent = r#"{"a":[{"exists":false}]}"#;
    assert!(attributes(there, &[("a", "String", "x")]) && !attributes(there, &[("b", "String", "x")]));
    assert!(!attributes(absent, &[("a", "String", "x")]) && attributes(absent, &[]));
    assert!(attributes(r#"{"a":[{"exists":false},"x"]}"#, &[("a", "String", "x")]));
    assert!(body(r#"{"a":{"b":[{"exists":false}]}}"#, "{}"));
    assert!(!body(there, r#"{"a":{"b":1}}"#), "what has fields is no leaf");
    assert!(!body(absent, r#"{"a":{"b":1}}"#));
}

#[test]
fn one_of_several_groups_is_enough() {
    let policy = r#"{"source":["s"],"$or":[{"metric":["cpu"]},{"a":[1],"b":[2]}]}"#;
    assert!(body(policy, r#"{"source":"s","metric":"cpu"}"#));
    assert!(body(policy, r#"{"source":"s","a":1,"b":2}"#));
    assert!(!body(policy, r#"{"source":"s","a":1}"#));
    assert!(!body(policy, r#"{"metric":"cpu"}"#));
    // What does not have the form of the operator is a field of this name.
    assert!(body(r#"{"$or":["x"]}"#, r#"{"$or":"x"}"#));
    assert!(body(r#"{"$or":[{"prefix":"x"},{"prefix":"y"}]}"#, r#"{"$or":"yz"}"#));
    assert!(body(r#"{"a":{"$or":[{"b":[1]},{"c":[2]}]}}"#, r#"{"a":{"c":2}}"#));
}

#[test]
fn bodies_are_nested() {
    let policy = r#"{"person":{"name":["Ann"],"address":{"city":[{"prefix":"B"}]}}}"#;
    assert!(body(policy, r#"{"person":{"name":"Ann","address":{"city":"Bern"}}}"#));
    assert!(!body(policy, r#"{"person":{"name":"Ann","address":{"city":"Genf"}}}"#));
    assert!(body(r#"{"a":[1]}"#, r#"{"a":[[2],[1]]}"#), "lists are looked into");
    let same = r#"{"items":{"name":["x"],"price":[1]}}"#;
    assert!(body(same, r#"{"items":[{"name":"y","price":2},{"name":"x","price":1}]}"#));
    assert!(!body(same, r#"{"items":[{"name":"x","price":2},{"name":"y","price":1}]}"#), "one object fits all of it");
    for no_object in ["", "[]", "[{}]", "1", "null", "{", "{}x", "\"{}\""] {
        assert!(Event::from_json(no_object).is_err(), "{no_object}");
    }
}

#[test]
fn event_source_mappings_filter_the_whole_message() {
    let pattern = r#"{"body":{"kind":["order"]},"attributes":{"MessageGroupId":["g"]},
        "messageAttributes":{"tier":{"stringValue":["gold"]}}}"#;
    let pattern = policy(pattern, Scope::Body);
    let mut attributes = Event::new();
    attributes.set_text("MessageGroupId", "g");
    let mut event = Event::new();
    event.set_json("body", r#"{"kind":"order"}"#).unwrap();
    event.set_event("attributes", attributes);
    event.set_json("messageAttributes", r#"{"tier":{"stringValue":"gold","dataType":"String"}}"#).unwrap();
    assert!(pattern.matches(&event));
    event.set_text("body", "plain text");
    assert!(!pattern.matches(&event));
}

#[test]
fn errors_name_what_is_wrong_and_where() {
    for (json, said) in [
        ("", "failed to parse JSON. EOF"),
        ("{", "failed to parse JSON. EOF"),
        ("[]", "Filter is not an object"),
        (r#"{"a":"x"}"#, "\"a\" must be an object or an array"),
        (r#"{"a":[]}"#, "Empty arrays are not allowed: \"a\""),
        (r#"{"a":{}}"#, "Empty objects are not allowed: \"a\""),
        (r#"{"a":{"b":[[1]]}}"#, "Match value must be String, number, true, false, or null: \"a.b\""),
        (r#"{"a":[{"prefix":"x","suffix":"y"}]}"#, "Only one key allowed in match expression: \"a\" has 2"),
        (r#"{"a":[{}]}"#, "Only one key allowed in match expression: \"a\" has 0"),
        (r#"{"a":[{"ending":"y"}]}"#, "Unrecognized match type ending: \"a\""),
        (r#"{"a":[{"suffix":7}]}"#, "suffix match pattern must be a string: \"a\" has 7"),
        (r#"{"a":[{"prefix":""}]}"#, "prefix match pattern must be a string that is not empty: \"a\" has \"\""),
        (r#"{"a":[{"prefix":{"numeric":"x"}}]}"#, "Unrecognized match type prefix numeric: \"a\""),
        (r#"{"a":[{"exists":"yes"}]}"#, "exists match pattern must be either true or false: \"a\" has \"yes\""),
        (r#"{"a":[{"cidr":"10.0.0.0/33"}]}"#, "cidr match pattern must be an address and a length"),
        (r#"{"a":[{"wildcard":"a**"}]}"#, "wildcard match pattern must be without consecutive"),
        (r#"{"a":[{"anything-but":["x",1]}]}"#, "anything-but match pattern must be all strings or all numbers"),
        (r#"{"a":[{"anything-but":{"numeric":["=",1]}}]}"#, "Unrecognized match type anything-but numeric"),
        (r#"{"a":[{"numeric":7}]}"#, "Value of numeric must be an array"),
        (r#"{"a":[{"numeric":[]}]}"#, "Invalid member in numeric match: ]"),
        (r#"{"a":[{"numeric":["<","x"]}]}"#, "Value of < must be numeric"),
        (r#"{"a":[{"numeric":["<"]}]}"#, "Value of < must be numeric"),
        (r#"{"a":[{"numeric":["!",1]}]}"#, "Unrecognized numeric range operator: !"),
        (r#"{"a":[{"numeric":["<",1,">",0]}]}"#, "Too many elements in numeric expression"),
        (r#"{"a":[{"numeric":["=",1,"=",0]}]}"#, "Too many elements in numeric expression"),
        (r#"{"a":[{"numeric":[">",1,"<",2,"<",3]}]}"#, "Too many elements in numeric expression"),
        (r#"{"a":[{"numeric":[">",2,"<",1]}]}"#, "Bottom must be less than top: numeric of \"a\""),
    ] {
        let error = Policy::parse(json, Scope::Body).unwrap_err().to_string();
        assert!(error.starts_with(said), "{json}: {error}");
    }
    let nested = Policy::parse(r#"{"a":{"b":[1]}}"#, Scope::Attributes).unwrap_err();
    assert_eq!(nested, PolicyError::Nested("a".to_owned()));
}

#[test]
fn policies_are_bounded() {
    let deep = format!("{}[1]{}", "{\"a\":".repeat(100), "}".repeat(100));
    assert!(matches!(Policy::parse(&deep, Scope::Body), Err(PolicyError::TooDeep { .. })));
    let choices = format!("{}[1]{}", "{\"$or\":[{\"a\":[1]},{\"a\":".repeat(40), "}]}".repeat(40));
    assert!(matches!(Policy::parse(&choices, Scope::Body), Err(PolicyError::TooDeep { .. })));
    let wide = format!("{{\"a\":[{}1]}}", "1,".repeat(20_000));
    assert!(matches!(Policy::parse(&wide, Scope::Body), Err(PolicyError::TooManyConditions { .. })));
    let long = format!("{{\"a\":[\"{}\"]}}", "x".repeat(1 << 20));
    assert!(matches!(Policy::parse(&long, Scope::Body), Err(PolicyError::TooLong { .. })));
}

#[test]
fn the_limits_of_aws_can_be_asked_for() {
    let check = |json: &str| Limits::AWS.check(&policy(json, Scope::Body)).map_err(|error| error.to_string());
    let list = |count: usize| format!("[{}0]", "1,".repeat(count - 1));
    assert_eq!(check(&format!(r#"{{"a":{},"b":{}}}"#, list(15), list(10))), Ok(()));
    let error = check(&format!(r#"{{"a":{},"b":{}}}"#, list(15), list(11))).unwrap_err();
    assert_eq!(error, "Filter policy is too complex: it has 165 combinations of at most 150");
    // Each nested level counts: 4 x 3 x 2 x 2.
    assert_eq!(
        policy(&format!(r#"{{"a":{{"b":{{"c":{}}}}},"d":{{"e":{}}}}}"#, list(4), list(2)), Scope::Body).combinations(),
        48
    );
    let six = r#"{"a":[1],"b":[1],"c":[1],"$or":[{"d":[1]},{"e":[1]},{"f":[1]}]}"#;
    assert_eq!(check(six).unwrap_err(), "Filter policy can not have more than 5 keys: it has 6");
    let long = format!(r#"{{"a":["{}"]}}"#, "x".repeat(256 << 10));
    assert!(check(&long).unwrap_err().starts_with("Filter policy is too long"));
}
