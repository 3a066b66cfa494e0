//! The body of a request in each mode.

pub(crate) mod cloudevents;
pub(crate) mod lambda;
pub(crate) mod native;

use crate::message::Message;

/// Attributes as JSON: text, numbers, and bytes as `{"binary": base64}`.
pub(crate) fn attributes(message: &Message<'_>) -> serde_json::Map<String, serde_json::Value> {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    use crate::message::Value;
    let shown = |attribute: &crate::message::Attribute<'_>| match &attribute.value {
        Value::Text(text) => match serde_json::from_str::<serde_json::Number>(text) {
            Ok(number) if attribute.data_type.starts_with("Number") => serde_json::Value::Number(number),
            _ => serde_json::Value::String((*text).to_owned()),
        },
        Value::Binary(bytes) => serde_json::json!({ "binary": STANDARD.encode(bytes) }),
    };
    message.attributes.iter().map(|attribute| (attribute.name.to_owned(), shown(attribute))).collect()
}

/// Appends `value` as JSON.
pub(crate) fn push_json(out: &mut Vec<u8>, value: &(impl serde::Serialize + ?Sized)) {
    serde_json::to_writer(out, value).expect("texts and numbers are JSON");
}
