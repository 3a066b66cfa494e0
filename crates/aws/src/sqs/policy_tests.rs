use super::*;
use crate::sqs::request::Text;

const ARN: &str = "arn:aws:sqs:us-east-1:000000000000:q";

fn texts(list: &[&str]) -> Vec<Text<'static>> {
    list.iter().map(|&text| text.to_owned().into()).collect()
}

fn permission(label: &str, accounts: &[&str], actions: &[&str]) -> AddPermission<'static> {
    AddPermission {
        queue_url: None,
        label: Some(label.to_owned().into()),
        account_ids: Some(texts(accounts)),
        actions: Some(texts(actions)),
    }
}

fn added(config: &mut Config, label: &str) -> Result<(), Code> {
    add(config, ARN, &permission(label, &["111111111111"], &["SendMessage"])).map_err(|fault| fault.code)
}

fn removed(config: &mut Config, label: &str) -> Result<(), Code> {
    let request = RemovePermission { queue_url: None, label: Some(label.to_owned().into()) };
    remove(config, &request).map_err(|fault| fault.code)
}

#[test]
fn a_permission_is_a_statement_of_the_policy() {
    let mut config = Config::default();
    added(&mut config, "one").unwrap();
    let one = r#"{"Sid":"one","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111111111111:root"},"Action":"SQS:SendMessage","Resource":"arn:aws:sqs:us-east-1:000000000000:q"}"#;
    let head = r#"{"Version":"2008-10-17","Id":"arn:aws:sqs:us-east-1:000000000000:q/SQSDefaultPolicy","Statement":["#;
    assert_eq!(kept(&config).unwrap(), format!("{head}{one}]}}"));
    let two = permission("two", &["111111111111", "222222222222"], &["*", "ReceiveMessage"]);
    add(&mut config, ARN, &two).unwrap();
    let two = r#"{"Sid":"two","Effect":"Allow","Principal":{"AWS":["arn:aws:iam::111111111111:root","arn:aws:iam::222222222222:root"]},"Action":["SQS:*","SQS:ReceiveMessage"],"Resource":"arn:aws:sqs:us-east-1:000000000000:q"}"#;
    assert_eq!(kept(&config).unwrap(), format!("{head}{one},{two}]}}"));
    assert_eq!(added(&mut config, "two"), Err(Code::InvalidParameterValue));
    removed(&mut config, "one").unwrap();
    assert_eq!(kept(&config).unwrap(), format!("{head}{two}]}}"));
    assert_eq!(removed(&mut config, "one"), Err(Code::InvalidParameterValue));
    removed(&mut config, "two").unwrap();
    assert_eq!(config, Config::default());
}

#[test]
fn what_a_policy_says_otherwise_stays_as_it_is() {
    let mut config = Config::default();
    let written = r#"{"Version":"2012-10-17","Statement":{"Sid":"mine", "Effect":"Deny","Principal":"*"}}"#;
    config.notes.push(("Policy".to_owned(), written.to_owned()));
    added(&mut config, "one").unwrap();
    removed(&mut config, "one").unwrap();
    let id = r#""Id":"arn:aws:sqs:us-east-1:000000000000:q/SQSDefaultPolicy","#;
    let expected =
        format!(r#"{{"Version":"2012-10-17",{id}"Statement":[{{"Sid":"mine", "Effect":"Deny","Principal":"*"}}]}}"#);
    assert_eq!(kept(&config).unwrap(), expected);
}

#[test]
fn what_is_no_permission_is_refused() {
    let eight = ["SendMessage"; 8];
    for (request, code, word) in [
        (AddPermission::default(), Code::MissingParameter, "Label"),
        (permission("a", &[], &["SendMessage"]), Code::MissingParameter, "AWSAccountIds"),
        (permission("a", &["111111111111"], &[]), Code::MissingParameter, "Actions"),
        (permission("a b", &["111111111111"], &["*"]), Code::InvalidParameterValue, "Label"),
        (permission("a", &["1"], &["*"]), Code::InvalidParameterValue, "PrincipalId"),
        (permission("a", &["111111111111"], &["Fly"]), Code::InvalidParameterValue, "valid actions"),
        (permission("a", &["111111111111"], &["DeleteQueue"]), Code::InvalidParameterValue, "owner"),
        (permission("a", &["111111111111"], &eight), Code::OverLimit, "8"),
    ] {
        let fault = add(&mut Config::default(), ARN, &request).unwrap_err();
        assert_eq!(fault.code, code);
        assert!(fault.message.contains(word), "{}", fault.message);
    }
}

#[test]
fn a_policy_is_bounded() {
    let mut config = Config::default();
    for n in 0..20 {
        added(&mut config, &n.to_string()).unwrap();
    }
    assert_eq!(added(&mut config, "20"), Err(Code::OverLimit));
    let many = |what: &str, n: usize| {
        let list: Vec<String> = (0..n).map(|n| format!("\"k{n}\":\"v\"")).collect();
        format!(r#"{{"Statement":[{{"{what}":{{"A":{{{}}}}}}}]}}"#, list.join(","))
    };
    for (what, max) in [("Principal", 50), ("Condition", 10)] {
        assert_eq!(check(&many(what, max)), Ok(()));
        assert!(check(&many(what, max + 1)).unwrap_err().contains(&max.to_string()));
    }
    for policy in ["", "[]", "{", r#"{"Statement":7}"#, &"[".repeat(8_000), &format!("{{\"a\":{}", "[".repeat(8_000))] {
        assert!(check(policy).is_err(), "{policy:.40}");
    }
    assert!(check(&format!("{{\"Id\":\"{}\"}}", "i".repeat(8_192))).unwrap_err().contains("8192"));
}
