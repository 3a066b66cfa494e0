//! Filters of a mapping: which messages of its queue the function wants.
//!
//! A pattern is about the whole message, in the language of filter policies. One whose `body` is an object looks into the
//! JSON of the body, one whose `body` is a list at its text; each fits only a body that is of its kind, as on AWS.

use serde_json::Value;
use weir_filter_policy::{Event, Policy, PolicyError, Scope};

/// The filters of a mapping, read. Without any each message is wanted.
#[derive(Clone, Debug, Default)]
pub struct Filters(Vec<Filter>);

#[derive(Clone, Debug)]
struct Filter {
    policy: Policy,
    body: Body,
}

/// How a filter sees the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Body {
    /// Not at all.
    Any,
    Text,
    Json,
}

/// A pattern that cannot be used.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Unfit {
    /// It is not of the language.
    #[error("a pattern cannot be used: {0}")]
    Policy(#[from] PolicyError),
    /// It looks at the body as text in one place, and as JSON in another.
    #[error("a pattern asks for the body as text and as JSON, and it can be only one")]
    Ambiguous,
}

/// A message, as filters see it.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// Its body.
    pub body: &'a str,
    /// Its record in the event of a function, in JSON.
    pub record: &'a str,
}

impl Filters {
    /// Reads patterns.
    ///
    /// # Errors
    /// [`Unfit`].
    pub fn new(patterns: &[String]) -> Result<Self, Unfit> {
        let filter = |pattern: &String| {
            let policy = Policy::parse(pattern, Scope::Body)?;
            let json = serde_json::from_str::<Value>(pattern).unwrap_or_default();
            let mut kinds = Vec::new();
            kinds_of_body(&json, &mut kinds);
            let body = match kinds.as_slice() {
                [] => Body::Any,
                [first, rest @ ..] if rest.iter().all(|kind| kind == first) => *first,
                _ => return Err(Unfit::Ambiguous),
            };
            Ok(Filter { policy, body })
        };
        patterns.iter().map(filter).collect::<Result<_, _>>().map(Self)
    }

    /// Whether every message is wanted, unseen.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a message is wanted, of which this is the record in the event of a function.
    pub fn want(&self, seen: Seen<'_>) -> bool {
        self.0.is_empty() || self.0.iter().any(|filter| filter.wants(seen))
    }
}

impl Filter {
    fn wants(&self, Seen { body, record }: Seen<'_>) -> bool {
        let Ok(mut event) = Event::from_json(record) else { return false };
        let is_structured = || {
            body.trim_start().starts_with(['{', '['])
                && serde_json::from_str::<&serde_json::value::RawValue>(body).is_ok()
        };
        match self.body {
            Body::Any => {}
            Body::Text if is_structured() => return false,
            Body::Text => event.set_text("body", body),
            Body::Json => {
                if !is_structured() || event.set_json("body", body).is_err() {
                    return false;
                }
            }
        }
        self.policy.matches(&event)
    }
}

/// How the alternatives of a pattern see the body.
fn kinds_of_body(pattern: &Value, kinds: &mut Vec<Body>) {
    if let Some(body) = pattern.get("body") {
        kinds.push(if body.is_object() { Body::Json } else { Body::Text });
    }
    for alternative in pattern.get("$or").and_then(Value::as_array).into_iter().flatten() {
        kinds_of_body(alternative, kinds);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ATTRIBUTES: &str = r#"{"attributes": {"SenderId": "1"}, "messageAttributes": {"kind": {"stringValue": "big", "dataType": "String"}}}"#;

    fn want(patterns: &[&str], body: &str) -> bool {
        let patterns: Vec<String> = patterns.iter().map(|pattern| (*pattern).to_owned()).collect();
        Filters::new(&patterns).unwrap().want(Seen { body, record: ATTRIBUTES })
    }

    #[test]
    fn one_filter_of_several_has_to_match() {
        assert!(want(&[], "anything"));
        let patterns = [r#"{"body": {"n": [{"numeric": [">", 5]}]}}"#, r#"{"body": {"kind": [{"prefix": "a"}]}}"#];
        assert!(want(&patterns, r#"{"n": 6}"#) && want(&patterns, r#"{"kind": "abc"}"#));
        assert!(!want(&patterns, r#"{"n": 5}"#));
    }

    #[test]
    fn attributes_are_looked_at_as_they_stand_in_the_event() {
        assert!(want(&[r#"{"messageAttributes": {"kind": {"stringValue": ["big"]}}}"#], "x"));
        assert!(!want(&[r#"{"messageAttributes": {"kind": {"stringValue": ["small"]}}}"#], "x"));
        assert!(want(&[r#"{"attributes": {"SenderId": [{"exists": true}]}}"#], "x"));
    }

    #[test]
    fn a_body_fits_only_a_pattern_of_its_kind() {
        assert!(want(&[r#"{"body": ["go"]}"#], "go") && !want(&[r#"{"body": ["go"]}"#], "stop"));
        assert!(!want(&[r#"{"body": [{"exists": true}]}"#], r#"{"a": 1}"#));
        assert!(!want(&[r#"{"body": {"a": [{"exists": false}]}}"#], "go"));
        assert!(want(&[r#"{"body": {"a": [{"exists": false}]}}"#], "{}"));
    }

    #[test]
    fn patterns_that_cannot_be_used_are_refused() {
        for pattern in ["", "[]", r#"{"body": {"a": "b"}}"#, r#"{"body": {"a": [{"regex": "b"}]}}"#] {
            assert!(Filters::new(&[pattern.to_owned()]).is_err(), "{pattern}");
        }
        let both = r#"{"$or": [{"body": ["a"]}, {"body": {"a": [1]}}]}"#;
        assert_eq!(Filters::new(&[both.to_owned()]).unwrap_err(), Unfit::Ambiguous);
    }
}
