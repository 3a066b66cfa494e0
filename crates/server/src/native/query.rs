//! The query of an address as a typed value.
//!
//! Values are text; a field says what it takes: a number, `true` or `false`, a word of a set, or several of these with
//! commas between them. A name may stand once.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;
use serde::de::value::{MapDeserializer, SeqDeserializer};
use serde::de::{self, DeserializeOwned, IntoDeserializer, Visitor};
use serde::forward_to_deserialize_any;

use super::Problem;

/// Reads a query. What the type does not have is refused.
pub(crate) fn read<T: DeserializeOwned>(query: &str) -> Result<T, Problem> {
    let mut pairs = Vec::new();
    for part in query.split('&').filter(|part| !part.is_empty()) {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        let decoded = decode(name).zip(decode(value));
        let Some((name, value)) = decoded else { return Err(Problem::bad("the query is not UTF-8, percent-encoded")) };
        pairs.push((name, Text(value)));
    }
    let mut at = String::new();
    let named = pairs.into_iter().map(|(name, value)| {
        at = name.to_string();
        (name, value)
    });
    let read = T::deserialize(MapDeserializer::<_, de::value::Error>::new(named));
    read.map_err(|error| {
        let text = super::decode::plain(&error.to_string());
        let about_name = ["unknown field", "duplicate field", "missing field"];
        if at.is_empty() || about_name.into_iter().any(|start| text.starts_with(start)) {
            Problem::bad(&format!("query: {text}"))
        } else {
            Problem::field(&at, &text)
        }
    })
}

fn decode(text: &str) -> Option<Cow<'_, str>> {
    if text.contains('+') {
        let spaced = text.replace('+', " ");
        return percent_decode_str(&spaced).decode_utf8().ok().map(|text| Cow::Owned(text.into_owned()));
    }
    percent_decode_str(text).decode_utf8().ok()
}

/// A value, which becomes what the field asks for.
#[derive(Clone, Debug)]
struct Text<'a>(Cow<'a, str>);

impl<'de, 'a: 'de> IntoDeserializer<'de> for Text<'a> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

macro_rules! numbers {
    ($($method:ident => $visit:ident: $type:ty, $expected:literal;)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
            match self.0.parse::<$type>() {
                Ok(number) => visitor.$visit(number),
                Err(_) => Err(de::Error::invalid_value(de::Unexpected::Str(&self.0), &$expected)),
            }
        })*
    };
}

impl<'de> de::Deserializer<'de> for Text<'_> {
    type Error = de::value::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        visitor.visit_string(self.0.into_owned())
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Self::Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        de::value::StringDeserializer::new(self.0.into_owned()).deserialize_enum(name, variants, visitor)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        let parts = self.0.split(',').filter(|part| !part.is_empty()).map(|part| Text(Cow::Owned(part.to_owned())));
        visitor.visit_seq(SeqDeserializer::new(parts.collect::<Vec<_>>().into_iter()))
    }

    numbers! {
        deserialize_bool => visit_bool: bool, "true or false";
        deserialize_u8 => visit_u8: u8, "u8";
        deserialize_u16 => visit_u16: u16, "u16";
        deserialize_u32 => visit_u32: u32, "u32";
        deserialize_u64 => visit_u64: u64, "u64";
        deserialize_i64 => visit_i64: i64, "i64";
        deserialize_f64 => visit_f64: f64, "a number";
    }

    forward_to_deserialize_any! {
        i8 i16 i32 i128 u128 f32 char str string bytes byte_buf unit unit_struct tuple tuple_struct map struct
        identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(rename_all = "snake_case")]
    enum State {
        Ready,
        Failed,
    }

    #[derive(Debug, Default, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Query {
        limit: Option<u32>,
        #[serde(default)]
        all: bool,
        states: Option<Vec<State>>,
        name: Option<String>,
    }

    fn refusal(query: &str) -> String {
        read::<Query>(query).unwrap_err().detail().to_owned()
    }

    #[test]
    fn values_become_what_the_fields_ask_for() {
        let query: Query = read("limit=7&all=true&states=ready,failed&name=a+b%26%C3%9F").unwrap();
        let expected = Query {
            limit: Some(7),
            all: true,
            states: Some(vec![State::Ready, State::Failed]),
            name: Some("a b&ß".to_owned()),
        };
        assert_eq!(query, expected);
        assert_eq!(read::<Query>("").unwrap(), Query::default());
    }

    #[test]
    fn refusals_name_field_limit_and_value() {
        assert_eq!(
            refusal("limit=-1"),
            "limit: invalid value: string \"-1\", expected a whole number from 0 to 4294967295"
        );
        assert_eq!(refusal("states=lost"), "states: unknown variant `lost`, expected `ready` or `failed`");
        let unknown = refusal("nick=x");
        assert!(unknown.starts_with("query: unknown field `nick`, expected one of `limit`"), "{unknown}");
        assert_eq!(refusal("limit=1&limit=2"), "query: duplicate field `limit`");
        assert!(refusal("name=%FF").contains("UTF-8"));
    }
}
