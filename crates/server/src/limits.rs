//! What a message is to the limiters of its queue: keys and costs, taken from what it carries.
//!
//! A queue says for each of its limiters where the key and the cost stand: `attributes.NAME`, `data.PATH`, `group` or
//! `name`. `PATH` are members and places in arrays with dots between them. What is not there has no key, and costs 1.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use weir_aws::sqs::limit_key_hash;
use weir_aws::sqs::payload::{Attribute, Payload, Value};
use weir_core::api::limit::{LimitKey, Limits};
use weir_core::api::{Config, NewMessage};

/// What of a message is looked at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen<'a> {
    pub(crate) body: &'a str,
    pub(crate) attributes: &'a [Attribute<'a>],
    pub(crate) group: Option<&'a str>,
}

/// The attribute that holds a job's name.
const NAME: &str = "weir.name";

/// Whether an expression is one.
pub(crate) fn is_expression(text: &str) -> bool {
    match text.split_once('.') {
        Some(("attributes" | "data", rest)) => !rest.is_empty() && rest.split('.').all(|part| !part.is_empty()),
        None => matches!(text, "group" | "name"),
        Some(_) => false,
    }
}

/// What a message is to the limiters of a queue; nothing where that has none.
pub(crate) fn of(config: &Config, seen: &Seen<'_>) -> Option<Box<Limits>> {
    if config.limiters.is_empty() {
        return None;
    }
    let uses = config.limiters.iter().map(|limiter| {
        let key = limiter.key.as_deref().and_then(|expression| value(expression, seen));
        let cost = limiter.cost.as_deref().and_then(|expression| value(expression, seen));
        (key.map(|key| LimitKey(limit_key_hash(&key))), cost.and_then(|cost| units(&cost)).unwrap_or(1))
    });
    Some(Box::new(Limits { uses: uses.collect() }))
}

/// The text of a message's key for a limiter, where the queue's expression still finds the one that it was sent with: only
/// its hash is kept.
pub(crate) fn key_text(config: &Config, limiter: &str, key: LimitKey, seen: &Seen<'_>) -> Option<String> {
    let limiter = config.limiters.iter().find(|used| used.limiter == limiter)?;
    let text = value(limiter.key.as_deref()?, seen)?;
    (limit_key_hash(&text) == key.0).then(|| text.into_owned())
}

/// Says of a message, encoded by another door, what it is to the limiters of its queue.
pub(crate) fn attach(config: &Config, message: &mut NewMessage) {
    if config.limiters.is_empty() {
        return;
    }
    let Ok(payload) = Payload::decode(&message.payload) else { return };
    let seen = Seen { body: payload.body, attributes: &payload.attributes, group: payload.group_id };
    message.limits = of(config, &seen);
}

/// A cost as whole units: fractions are rounded up, for what is started may not cost less than was counted.
fn units(text: &str) -> Option<u32> {
    let cost: f64 = text.parse().ok()?;
    #[expect(clippy::cast_sign_loss, reason = "a cast of what is out of range gives the nearest number there is")]
    let units = cost.ceil() as u32;
    Some(units.max(1))
}

/// What stands where an expression says, as text.
fn value<'a>(expression: &str, seen: &Seen<'a>) -> Option<Cow<'a, str>> {
    let attribute = |name: &str| {
        let found = seen.attributes.iter().find(|attribute| attribute.name == name)?;
        match found.value {
            Value::Text(text) => Some(Cow::Borrowed(text)),
            Value::Binary(_) => None,
        }
    };
    match expression.split_once('.') {
        Some(("attributes", name)) => attribute(name),
        Some(("data", path)) => member(seen.body, path),
        None if expression == "group" => seen.group.map(Cow::Borrowed),
        None if expression == "name" => attribute(NAME),
        _ => None,
    }
}

/// The text, number or truth at `path` of a JSON document. Nothing else of the document is kept.
fn member<'a>(body: &'a str, path: &str) -> Option<Cow<'a, str>> {
    let mut found = body;
    for name in path.split('.') {
        let mut deserializer = serde_json::Deserializer::from_str(found);
        found = Member(name).deserialize(&mut deserializer).ok()??.get();
    }
    match found.as_bytes().first()? {
        b'"' => serde_json::from_str::<String>(found).ok().map(Cow::Owned),
        b'{' | b'[' | b'n' => None,
        _ => Some(Cow::Borrowed(found)),
    }
}

/// Finds one member of an object, or one place of an array.
struct Member<'n>(&'n str);

impl<'de> DeserializeSeed<'de> for Member<'_> {
    type Value = Option<&'de RawValue>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Member<'_> {
    type Value = Option<&'de RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object or an array")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(name) = map.next_key::<Cow<'de, str>>()? {
            if name == self.0 {
                found = Some(map.next_value()?);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let place: Option<usize> = self.0.parse().ok();
        let mut found = None;
        let mut at = 0;
        while let Some(value) = seq.next_element::<&'de RawValue>()? {
            if Some(at) == place {
                found = Some(value);
            }
            at += 1;
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use weir_core::api::limit::LimiterUse;

    use super::*;

    fn seen<'a>(body: &'a str, attributes: &'a [Attribute<'a>]) -> Seen<'a> {
        Seen { body, attributes, group: Some("g") }
    }

    #[test]
    fn values_are_found_where_expressions_say() {
        let attributes = [
            Attribute { name: "host", data_type: "String", value: Value::Text("a.b") },
            Attribute { name: "weir.name", data_type: "String", value: Value::Text("mail") },
        ];
        let seen = seen(r#"{"to": {"id": 17, "tags": ["x", "y\"z"], "deep": {}, "ok": true}}"#, &attributes);
        for (expression, expected) in [
            ("attributes.host", Some("a.b")),
            ("attributes.none", None),
            ("data.to.id", Some("17")),
            ("data.to.tags.1", Some("y\"z")),
            ("data.to.tags.9", None),
            ("data.to.ok", Some("true")),
            ("data.to.deep", None),
            ("data.to.id.x", None),
            ("group", Some("g")),
            ("name", Some("mail")),
        ] {
            assert!(is_expression(expression), "{expression}");
            assert_eq!(value(expression, &seen).as_deref(), expected, "{expression}");
        }
        for wrong in ["", "data", "data.", "data..x", "body.x", "attributes"] {
            assert!(!is_expression(wrong), "{wrong}");
        }
    }

    #[test]
    fn what_has_no_key_shares_one_and_costs_one() {
        let uses = |key: &str, cost: &str| LimiterUse {
            limiter: "l".to_owned(),
            key: Some(key.to_owned()),
            cost: Some(cost.to_owned()),
        };
        let config = Config { limiters: vec![uses("data.a", "data.b"), uses("data.x", "data.c")], ..Config::default() };
        let limits = of(&config, &seen(r#"{"a": "k", "b": 2.1, "c": -4}"#, &[])).unwrap();
        assert_eq!(limits.uses, [(Some(LimitKey(limit_key_hash("k"))), 3), (None, 1)]);
        assert_eq!(of(&Config::default(), &seen("{}", &[])), None);
        assert_eq!(of(&config, &seen("no json", &[])).unwrap().uses, [(None, 1), (None, 1)]);
    }
}
