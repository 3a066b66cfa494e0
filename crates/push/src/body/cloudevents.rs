//! CloudEvents 1.0: structured and binary mode of the HTTP binding, and the batch format.

use std::fmt::Write as _;

use serde_json::value::RawValue;

use crate::message::{Message, Origin, Value};

/// The media type of an event in structured mode, and of a batch.
pub(crate) const EVENT: &str = "application/cloudevents+json; charset=utf-8";
pub(crate) const EVENTS: &str = "application/cloudevents-batch+json; charset=utf-8";

/// The type of an event whose job has no name.
const TYPE: &str = "weir.job";
/// Names that an event has of itself: attributes of these names are not added.
const TAKEN: [&str; 9] =
    ["specversion", "id", "source", "type", "subject", "time", "datacontenttype", "dataschema", "data"];

/// The attributes of an event, in order.
fn attributes(origin: &Origin<'_>, source: Option<&str>, message: &Message<'_>) -> Vec<(String, serde_json::Value)> {
    let source = source.map_or_else(|| format!("/v1/queues/{}", percent_encoded(origin.queue)), str::to_owned);
    let name = message.name.filter(|name| !name.is_empty()).unwrap_or(TYPE);
    let mut attributes: Vec<(String, serde_json::Value)> = vec![
        ("specversion".to_owned(), "1.0".into()),
        ("id".to_owned(), message.uuid_text().into()),
        ("source".to_owned(), source.into()),
        ("type".to_owned(), name.into()),
        ("time".to_owned(), rfc3339(message.sent_at_ms).into()),
        ("datacontenttype".to_owned(), "application/json".into()),
        ("weirattempt".to_owned(), message.attempt.into()),
    ];
    if let Some(custom_id) = message.custom_id.filter(|id| !id.is_empty()) {
        attributes.push(("subject".to_owned(), custom_id.into()));
    }
    if let Some(group) = message.group {
        attributes.push(("partitionkey".to_owned(), group.into()));
    }
    for attribute in &message.attributes {
        let Value::Text(text) = attribute.value else { continue };
        let is_name = !attribute.name.is_empty()
            && attribute.name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
        let is_taken = TAKEN.contains(&attribute.name) || attributes.iter().any(|(taken, _)| taken == attribute.name);
        if !is_name || is_taken || text.chars().any(char::is_control) {
            continue;
        }
        // The only numbers of CloudEvents are whole ones of 32 bits; others are text.
        let value = match text.parse::<i32>() {
            Ok(number) if attribute.data_type.starts_with("Number") => number.into(),
            _ => text.into(),
        };
        attributes.push((attribute.name.to_owned(), value));
    }
    attributes
}

fn push(out: &mut Vec<u8>, origin: &Origin<'_>, source: Option<&str>, message: &Message<'_>) -> Result<(), String> {
    let data: &RawValue =
        serde_json::from_str(&message.data).map_err(|error| format!("the data of the job is no JSON: {error}"))?;
    out.push(b'{');
    for (name, value) in attributes(origin, source, message) {
        super::push_json(out, &name);
        out.push(b':');
        super::push_json(out, &value);
        out.push(b',');
    }
    out.extend_from_slice(b"\"data\":");
    out.extend_from_slice(data.get().as_bytes());
    out.push(b'}');
    Ok(())
}

/// One event in structured mode.
pub(crate) fn one(origin: &Origin<'_>, source: Option<&str>, message: &Message<'_>) -> Result<Vec<u8>, String> {
    let mut out = Vec::with_capacity(message.data.len() + 320);
    push(&mut out, origin, source, message)?;
    Ok(out)
}

/// A batch.
pub(crate) fn many(origin: &Origin<'_>, source: Option<&str>, messages: &[Message<'_>]) -> Result<Vec<u8>, String> {
    let mut out = vec![b'['];
    for (at, message) in messages.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        push(&mut out, origin, source, message)?;
    }
    out.push(b']');
    Ok(out)
}

/// The headers of an event in binary mode; its body is its data.
pub(crate) fn headers(origin: &Origin<'_>, source: Option<&str>, message: &Message<'_>) -> Vec<(String, String)> {
    let attributes = attributes(origin, source, message).into_iter().filter(|(name, _)| name != "datacontenttype");
    let text = |value: serde_json::Value| match value {
        serde_json::Value::String(text) => text,
        other => other.to_string(),
    };
    attributes.map(|(name, value)| (format!("ce-{name}"), header_encoded(&text(value)))).collect()
}

/// Percent-encoding of headers, as the HTTP binding has it: what is not visible ASCII, space, quote and percent.
fn header_encoded(text: &str) -> String {
    encoded(text, |byte| (0x21..=0x7e).contains(&byte) && byte != b'"' && byte != b'%')
}

/// Text as one segment of a path.
pub(crate) fn percent_encoded(text: &str) -> String {
    encoded(text, |byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte))
}

fn encoded(text: &str, stays: impl Fn(u8) -> bool) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if stays(byte) {
            out.push(byte as char);
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// A moment as RFC 3339 has it.
fn rfc3339(ms: u64) -> String {
    let (days, in_day_ms) = (ms / 86_400_000, ms % 86_400_000);
    // Days since 0000-03-01, in eras of 400 years: leap days then come last in their years.
    let days = days + 719_468;
    let (era, in_era) = (days / 146_097, days % 146_097);
    let year_of_era = (in_era - in_era / 1_460 + in_era / 36_524 - in_era / 146_096) / 365;
    let in_year = in_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * in_year + 2) / 153;
    let day = in_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let seconds = in_day_ms / 1_000;
    let (hour, minute, second, millis) = (seconds / 3_600, seconds / 60 % 60, seconds % 60, in_day_ms % 1_000);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_as_rfc_3339_has_them() {
        for (ms, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_399_999, "2000-02-28T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_614_265_330_123, "2021-02-25T15:02:10.123Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
        ] {
            assert_eq!(rfc3339(ms), text);
        }
    }

    #[test]
    fn headers_are_encoded_as_the_binding_has_it() {
        assert_eq!(header_encoded("Euro € \"100%\""), "Euro%20%E2%82%AC%20%22100%25%22");
    }
}
