//! Attributes of a job: `{"name": "text"}`, numbers, and bytes as `{"binary": "base64"}`.

use std::borrow::Cow;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Error, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use weir_aws::sqs::payload::{Attribute, Value, check_name};

use super::super::Problem;
use super::super::text::Text;

/// The attributes of a request, in its order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Attributes<'a>(Vec<(Text<'a>, Given<'a>)>);

#[derive(Clone, Debug)]
enum Given<'a> {
    Text(Text<'a>),
    Number(String),
    Binary(Vec<u8>),
}

/// What starts the names of our own attributes.
const OWN: &str = "weir.";

impl Attributes<'_> {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Checks them and appends them as a payload holds them.
    pub(in crate::native) fn push_to<'s>(
        &'s self,
        attributes: &mut Vec<Attribute<'s>>,
        most: usize,
    ) -> Result<(), Problem> {
        if self.0.len() > most {
            let text = format!("may have {most} entries, found {}", self.0.len());
            return Err(Problem::field("attributes", &text));
        }
        for (at, (name, given)) in self.0.iter().enumerate() {
            check_name(name).map_err(|fault| Problem::field("attributes", &fault.message))?;
            let field = || format!("attributes.{}", &**name);
            if name.starts_with(OWN) {
                return Err(Problem::field(&field(), "names that start with `weir.` are the server's own"));
            }
            if self.0.iter().take(at).any(|(other, _)| other == name) {
                return Err(Problem::field(&field(), "stands twice"));
            }
            let (data_type, value) = match given {
                Given::Text(text) if text.is_empty() => return Err(Problem::field(&field(), "must not be empty")),
                Given::Text(text) => ("String", Value::Text(text)),
                Given::Number(number) => ("Number", Value::Text(number)),
                Given::Binary(bytes) => ("Binary", Value::Binary(Cow::Borrowed(bytes))),
            };
            attributes.push(Attribute { name, data_type, value });
        }
        Ok(())
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Attributes<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reading;

        impl<'de> Visitor<'de> for Reading {
            type Value = Vec<(Text<'de>, Given<'de>)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut all = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    all.push(entry);
                }
                Ok(all)
            }
        }

        deserializer.deserialize_map(Reading).map(Attributes)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Given<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reading;

        impl<'de> Visitor<'de> for Reading {
            type Value = Given<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string, a number or {\"binary\": base64}")
            }

            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Given::Text(Text(Cow::Borrowed(text))))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Given::Text(Text(Cow::Owned(text.to_owned()))))
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Self::Value, E> {
                Ok(Given::Number(number.to_string()))
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<Self::Value, E> {
                Ok(Given::Number(number.to_string()))
            }

            fn visit_f64<E: Error>(self, number: f64) -> Result<Self::Value, E> {
                Ok(Given::Number(number.to_string()))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let key = map.next_key::<Text<'de>>()?;
                if key.as_deref() != Some("binary") {
                    return Err(A::Error::custom("expected {\"binary\": base64}"));
                }
                let text = map.next_value::<Text<'de>>()?;
                let bytes = STANDARD.decode(text.as_bytes()).map_err(|_| A::Error::custom("binary: is not base64"))?;
                Ok(Given::Binary(bytes))
            }
        }

        deserializer.deserialize_any(Reading)
    }
}

/// Attributes as they are shown: without our own.
#[derive(Debug)]
pub(super) struct Shown<'a>(pub(super) &'a [Attribute<'a>]);

impl<'a> Shown<'a> {
    /// The attributes of a payload, if there are any to be shown.
    pub(super) fn of(attributes: &'a [Attribute<'a>]) -> Option<Self> {
        attributes.iter().any(|attribute| !attribute.name.starts_with(OWN)).then_some(Shown(attributes))
    }
}

impl Serialize for Shown<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for attribute in self.0.iter().filter(|attribute| !attribute.name.starts_with(OWN)) {
            match &attribute.value {
                Value::Text(text) => match serde_json::from_str::<serde_json::Number>(text) {
                    Ok(number) if attribute.data_type.starts_with("Number") => {
                        map.serialize_entry(attribute.name, &number)?;
                    }
                    _ => map.serialize_entry(attribute.name, text)?,
                },
                Value::Binary(bytes) => {
                    map.serialize_entry(attribute.name, &serde_json::json!({ "binary": STANDARD.encode(bytes) }))?;
                }
            }
        }
        map.end()
    }
}

/// The type of attributes, read and shown.
fn schema() -> Schema {
    json_schema!({
        "type": "object",
        "additionalProperties": {
            "anyOf": [
                { "type": "string" },
                { "type": "number" },
                { "type": "object", "properties": { "binary": { "type": "string", "contentEncoding": "base64" } } },
            ],
        },
    })
}

macro_rules! described {
    ($type:ty) => {
        impl JsonSchema for $type {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                "Attributes".into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                schema()
            }
        }
    };
}

described!(Attributes<'_>);
described!(Shown<'_>);
