//! Message attributes: checked, and as payloads hold them.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::limits::{ATTRIBUTE_NAME_MAX, Limits, TRACE_HEADER_MAX};
use super::request::{AttributeValue, Pairs};
use super::text;
use crate::fault::{Code, Fault};

/// A checked attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribute<'a> {
    /// Its name.
    pub name: &'a str,
    /// `String`, `Number` or `Binary`, with a suffix after a dot.
    pub data_type: &'a str,
    /// Its value.
    pub value: Value<'a>,
}

/// Value of an attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// Of a `String` or `Number`.
    Text(&'a str),
    /// Of a `Binary`.
    Binary(Cow<'a, [u8]>),
}

impl Attribute<'_> {
    /// What it counts against the length of a message.
    pub fn bytes(&self) -> u64 {
        let value = match &self.value {
            Value::Text(text) => text.len(),
            Value::Binary(bytes) => bytes.len(),
        };
        (self.name.len() + self.data_type.len() + value) as u64
    }
}

/// The attribute by which a message takes its priority (our extension): a `Number` from 0, which is delivered first, to
/// 4294967295.
pub(super) const PRIORITY: &str = "weir.priority";

/// Checks the message attributes of a request.
pub(crate) fn check<'a>(
    pairs: &'a Pairs<'a, AttributeValue<'a>>,
    limits: &Limits,
) -> Result<Vec<Attribute<'a>>, Fault> {
    let Pairs(pairs) = pairs;
    if pairs.len() > limits.attributes_max {
        let (found, allowed) = (pairs.len(), limits.attributes_max);
        let message = format!("Number of message attributes [{found}] exceeds the allowed maximum [{allowed}].");
        return Err(Fault::new(Code::InvalidParameterValue, message));
    }
    pairs.iter().map(|(name, value)| check_name(name).and_then(|()| check_value(name, value, limits))).collect()
}

/// Checks the message system attributes of a request; its only one is the trace header.
pub(super) fn check_system<'a>(pairs: &'a Pairs<'a, AttributeValue<'a>>) -> Result<Option<Attribute<'a>>, Fault> {
    let Pairs(pairs) = pairs;
    let mut trace = None;
    for (name, value) in pairs {
        if name != TRACE_HEADER {
            let quoted = text::quote(name, 256);
            return Err(invalid(format!(
                "Message system attribute name '{quoted}' is invalid: only {TRACE_HEADER} can be sent."
            )));
        }
        let attribute = check_value(name, value, &Limits::OURS)?;
        match attribute.value {
            Value::Text(header) if attribute.data_type == "String" && header.len() <= TRACE_HEADER_MAX => {}
            _ => {
                return Err(invalid(format!(
                    "Message system attribute '{TRACE_HEADER}' must be of type String and at most {TRACE_HEADER_MAX} bytes long."
                )));
            }
        }
        trace = Some(attribute);
    }
    Ok(trace)
}

/// The system attribute that holds an AWS X-Ray trace header.
pub(super) const TRACE_HEADER: &str = "AWSTraceHeader";

/// The priority that the attributes ask for; 0 where they do not.
pub(crate) fn priority(attributes: &[Attribute<'_>]) -> Result<u32, Fault> {
    let Some(attribute) = attributes.iter().find(|attribute| attribute.name == PRIORITY) else {
        return Ok(0);
    };
    let parsed = match attribute.value {
        Value::Text(text) if attribute.data_type == "Number" => text.parse().ok(),
        _ => None,
    };
    parsed.ok_or_else(|| {
        let value = match &attribute.value {
            Value::Text(value) => text::quote(value, 64),
            Value::Binary(_) => "(binary)",
        };
        let data_type = text::quote(attribute.data_type, 64);
        invalid(format!(
            "Value {value} of type {data_type} for message attribute {PRIORITY} is invalid. Reason: must be a Number between 0 and {}, an integer.",
            u32::MAX
        ))
    })
}

/// Checks the name of a message attribute.
pub fn check_name(name: &str) -> Result<(), Fault> {
    let lower = name.get(..7).unwrap_or(name).to_ascii_lowercase();
    let reason = if name.is_empty() {
        "it is empty"
    } else if name.len() > ATTRIBUTE_NAME_MAX {
        "it is longer than 256 bytes"
    } else if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.')) {
        "it can contain A-Z, a-z, 0-9, underscore (_), hyphen (-), and period (.) characters"
    } else if name.starts_with('.') || name.ends_with('.') || name.contains("..") {
        "it can not start or end with a period, nor have periods in succession"
    } else if lower.starts_with("aws.") || lower == "amazon." {
        "it can not start with AWS. or Amazon."
    } else {
        return Ok(());
    };
    Err(invalid(format!("The message attribute name '{}' is invalid: {reason}.", text::quote(name, 256))))
}

fn check_value<'a>(name: &'a str, value: &'a AttributeValue<'a>, limits: &Limits) -> Result<Attribute<'a>, Fault> {
    let Some(data_type) = value.data_type.as_deref().filter(|data_type| !data_type.is_empty()) else {
        return Err(invalid(format!("The message attribute '{name}' must contain a non-empty attribute type.")));
    };
    let base = data_type.split('.').next().unwrap_or_default();
    if !matches!(base, "String" | "Number" | "Binary") || data_type.len() > ATTRIBUTE_NAME_MAX {
        return Err(invalid(format!(
            "The message attribute '{name}' has an invalid message attribute type, the set of supported type prefixes is Binary, Number, and String."
        )));
    }
    let lists = [&value.string_list_values, &value.binary_list_values];
    if lists.into_iter().flatten().any(|list| !list.is_empty()) {
        return Err(Fault::unsupported(format!(
            "Message attribute list values are not supported: attribute '{name}'."
        )));
    }
    let empty = || {
        invalid(format!(
            "The message attribute '{name}' must contain non-empty message attribute value for message attribute type '{data_type}'."
        ))
    };
    let value = if base == "Binary" {
        let base64 = value.binary_value.as_deref().filter(|base64| !base64.is_empty()).ok_or_else(empty)?;
        let bytes = STANDARD
            .decode(base64)
            .map_err(|error| invalid(format!("The value of the message attribute '{name}' is no base64: {error}.")))?;
        Value::Binary(Cow::Owned(bytes))
    } else {
        let text = value.string_value.as_deref().filter(|text| !text.is_empty()).ok_or_else(empty)?;
        if base == "Number" && !is_number(text) {
            return Err(invalid(format!("Can't cast the value of message (user) attribute '{name}' to a number.")));
        }
        if !limits.any_utf8 && !text::is_xml(text) {
            let message = format!("Invalid characters found in the value of the message attribute '{name}'.");
            return Err(invalid(message));
        }
        Value::Text(text)
    };
    Ok(Attribute { name, data_type, value })
}

/// Whether `text` is a decimal number: sign, digits with or without a point, exponent.
fn is_number(text: &str) -> bool {
    let finite = text.parse::<f64>().is_ok_and(f64::is_finite);
    // What else Rust reads as a number (`inf`, `nan`) is none here.
    finite && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E'))
}

fn invalid(message: String) -> Fault {
    Fault::new(Code::InvalidParameterValue, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value<'a>(data_type: &'a str, text: &'a str) -> AttributeValue<'a> {
        AttributeValue {
            data_type: Some(data_type.into()),
            string_value: Some(text.into()),
            binary_value: Some("AAE=".into()),
            ..AttributeValue::default()
        }
    }

    #[test]
    fn names_follow_the_rules_of_aws() {
        for name in ["a", "weir.priority", "A-b_c.1", "awsome", "Amazonas", "aws"] {
            assert_eq!(check_name(name), Ok(()), "{name}");
        }
        let long = "n".repeat(257);
        for name in ["", ".a", "a.", "a..b", "AWS.x", "aws.x", "Amazon.x", "a b", "é", long.as_str()] {
            assert_eq!(check_name(name).unwrap_err().code, Code::InvalidParameterValue, "{name}");
        }
    }

    #[test]
    fn types_are_string_number_and_binary_with_a_suffix() {
        for (data_type, text) in [("String", "x"), ("String.json", "{}"), ("Number", "-1.5e3"), ("Number.int", "7")] {
            let value = value(data_type, text);
            let attribute = check_value("a", &value, &Limits::OURS).unwrap();
            assert_eq!(attribute.value, Value::Text(text));
        }
        let binary = value("Binary.gif", "ignored");
        let attribute = check_value("a", &binary, &Limits::OURS).unwrap();
        assert_eq!(attribute.value, Value::Binary(Cow::Borrowed(&[0, 1])));
        for (data_type, text) in [
            ("", "x"),
            ("Text", "x"),
            ("string", "x"),
            ("String", ""),
            ("Number", "x"),
            ("Number", "inf"),
            ("Number", "1 "),
        ] {
            let value = value(data_type, text);
            assert!(check_value("a", &value, &Limits::OURS).is_err(), "{data_type} {text}");
        }
    }

    #[test]
    fn lists_are_refused_by_name() {
        let empty = AttributeValue { string_list_values: Some(Vec::new()), ..value("String", "x") };
        assert!(check_value("a", &empty, &Limits::OURS).is_ok());
        let list = AttributeValue { binary_list_values: Some(vec!["AA==".into()]), ..value("Binary", "x") };
        let fault = check_value("a", &list, &Limits::OURS).unwrap_err();
        assert_eq!(fault.code, Code::UnsupportedOperation);
        assert!(fault.message.contains("'a'"));
    }

    #[test]
    fn a_priority_is_an_integer_of_32_bits() {
        let of = |data_type, text| priority(&[Attribute { name: PRIORITY, data_type, value: Value::Text(text) }]);
        assert_eq!(priority(&[]), Ok(0));
        assert_eq!(of("Number", "0"), Ok(0));
        assert_eq!(of("Number", "4294967295"), Ok(u32::MAX));
        for (data_type, text) in [("Number", "4294967296"), ("Number", "-1"), ("Number", "1.5"), ("String", "1")] {
            let fault = of(data_type, text).unwrap_err();
            assert_eq!(fault.code, Code::InvalidParameterValue);
            assert!(fault.message.contains(PRIORITY) && fault.message.contains(text), "{}", fault.message);
        }
    }

    #[test]
    fn only_the_trace_header_is_a_system_attribute_to_send() {
        let header = Pairs(vec![("AWSTraceHeader".into(), value("String", "Root=1"))]);
        assert_eq!(check_system(&header).unwrap().unwrap().value, Value::Text("Root=1"));
        let wrong_type = Pairs(vec![("AWSTraceHeader".into(), value("Number", "1"))]);
        let wrong_name = Pairs(vec![("SenderId".into(), value("String", "me"))]);
        for pairs in [wrong_type, wrong_name] {
            assert_eq!(check_system(&pairs).unwrap_err().code, Code::InvalidParameterValue);
        }
    }
}
