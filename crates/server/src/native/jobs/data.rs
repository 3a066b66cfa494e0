//! What a job carries, between its stored form and JSON.

use serde_json::value::RawValue;
use weir_aws::sqs::payload::{Attribute, Payload, Value};

/// The attribute that holds a job's name.
pub(crate) const NAME: &str = "weir.name";
/// The attribute that holds the id that the sender chose.
pub(crate) const CUSTOM_ID: &str = "weir.id";

/// The text of one of our own attributes.
pub(crate) fn own<'a>(attributes: &[Attribute<'a>], name: &str) -> Option<&'a str> {
    let found = attributes.iter().find(|attribute| attribute.name == name)?;
    match found.value {
        Value::Text(text) => Some(text),
        Value::Binary(_) => None,
    }
}

/// Appends a job's data as JSON. What came as JSON goes as it came; of what came through another door, objects and arrays
/// in JSON are taken for what they are, and everything else is a string.
pub(crate) fn push_data(out: &mut Vec<u8>, payload: &Payload<'_>) {
    if payload.is_json || is_document(payload.body) {
        out.extend_from_slice(payload.body.as_bytes());
    } else {
        push_string(out, payload.body);
    }
}

/// A job's data as JSON.
pub(super) fn data(payload: &Payload<'_>) -> Box<RawValue> {
    let mut out = Vec::with_capacity(payload.body.len() + 2);
    push_data(&mut out, payload);
    raw(&out)
}

/// Stored bytes that a worker gave as JSON; a string where they are none, because they came through another door.
pub(in crate::native) fn raw(bytes: &[u8]) -> Box<RawValue> {
    let text = String::from_utf8_lossy(bytes);
    RawValue::from_string(text.clone().into_owned()).unwrap_or_else(|_| string(&text))
}

/// Text as a JSON string.
pub(super) fn string(text: &str) -> Box<RawValue> {
    serde_json::value::to_raw_value(text).expect("text is JSON")
}

fn is_document(text: &str) -> bool {
    let starts = text.trim_ascii_start().starts_with(['{', '[']);
    starts && serde_json::from_str::<&RawValue>(text).is_ok()
}

/// Appends a string with its quotes.
pub(super) fn push_string(out: &mut Vec<u8>, text: &str) {
    let plain = text.bytes().all(|byte| byte >= 0x20 && byte != b'"' && byte != b'\\');
    if plain {
        out.push(b'"');
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
    } else {
        serde_json::to_writer(out, text).expect("a vector takes every text");
    }
}

/// Appends a number.
pub(super) fn push_number(out: &mut Vec<u8>, number: u64) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    let mut rest = number;
    loop {
        at -= 1;
        if let Some(digit) = digits.get_mut(at) {
            *digit = b'0' + (rest % 10) as u8;
        }
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(at..).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(body: &str, is_json: bool) -> String {
        let payload = Payload {
            uuid: [0; 16],
            group_id: None,
            deduplication: None,
            trace_header: None,
            attributes: Vec::new(),
            body,
            is_json,
            publication: None,
        };
        data(&payload).get().to_owned()
    }

    #[test]
    fn what_came_as_json_goes_as_json_and_other_text_as_a_string() {
        assert_eq!(shown("17", true), "17");
        assert_eq!(shown("\"a\"", true), "\"a\"");
        assert_eq!(shown("{\"a\": 1}", false), "{\"a\": 1}");
        assert_eq!(shown("[1]", false), "[1]");
        assert_eq!(shown("{\"a\": 1", false), "\"{\\\"a\\\": 1\"");
        assert_eq!(shown("17", false), "\"17\"");
        assert_eq!(shown("a\n\"b\"\u{1}", false), "\"a\\n\\\"b\\\"\\u0001\"");
    }

    #[test]
    fn numbers_are_written_in_digits() {
        for number in [0, 7, 10, 1_234_567, u64::MAX] {
            let mut out = Vec::new();
            push_number(&mut out, number);
            assert_eq!(out, number.to_string().into_bytes());
        }
    }
}
