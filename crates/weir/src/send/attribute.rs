//! Message attributes as arguments.

use std::str::FromStr;

use serde_json::{Value, json};

/// A message attribute.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Attribute {
    pub(super) name: String,
    /// As SQS has it.
    pub(super) value: Value,
}

impl FromStr for Attribute {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (left, value) = text.split_once('=').ok_or("must be of the form NAME=VALUE or NAME:TYPE=VALUE")?;
        let (name, kind) = left.split_once(':').unwrap_or((left, "String"));
        if name.is_empty() {
            return Err("has no name before =".to_owned());
        }
        // A type may have a label of its own: Number.price.
        let field = match kind.split('.').next() {
            Some("String" | "Number") => "StringValue",
            Some("Binary") => "BinaryValue",
            _ => return Err(format!("has the type {kind:?}, which is none of String, Number, Binary")),
        };
        Ok(Self { name: name.to_owned(), value: json!({ "DataType": kind, field: value }) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attribute_is_a_string_unless_it_says_otherwise() {
        let value = |text: &str| text.parse::<Attribute>().map(|attribute| (attribute.name, attribute.value));
        let string = json!({ "DataType": "String", "StringValue": "a=b" });
        assert_eq!(value("kind=a=b"), Ok(("kind".to_owned(), string)));
        let number = json!({ "DataType": "Number.price", "StringValue": "5" });
        assert_eq!(value("n:Number.price=5"), Ok(("n".to_owned(), number)));
        let binary = json!({ "DataType": "Binary", "BinaryValue": "AAE=" });
        assert_eq!(value("b:Binary=AAE="), Ok(("b".to_owned(), binary)));
        assert!(value("kind").is_err() && value("=x").is_err() && value("n:Integer=5").is_err());
    }
}
