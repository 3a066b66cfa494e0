//! A JSON schema of the configuration file, for editors.

use serde_json::{Map, Value, json};

use super::key::{Key, Range, Section, paragraph};
use super::kind::Kind;
use super::tree::SECTIONS;

/// The schema (draft 2020-12).
pub(crate) fn schema() -> String {
    let mut properties = Map::new();
    for section in SECTIONS {
        let keys: Map<String, Value> = section.keys.iter().map(|key| (key.name().to_owned(), property(key))).collect();
        if section.table.is_empty() {
            properties.extend(keys);
            continue;
        }
        let table = json!({
            "type": "object",
            "description": paragraph(section.about),
            "properties": keys,
            "required": required(section),
            "additionalProperties": false,
        });
        let table = if section.repeats { json!({ "type": "array", "items": table }) } else { table };
        properties.insert(section.table.to_owned(), table);
    }
    let schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "The configuration of Weir",
        "type": "object",
        "properties": properties,
        "additionalProperties": false,
    });
    format!("{schema:#}\n")
}

/// The keys that have no default and cannot be absent.
fn required(section: &Section) -> Vec<&'static str> {
    let must = |key: &&Key| key.default.is_empty() && (key.check)("").is_err();
    section.keys.iter().filter(must).map(Key::name).collect()
}

fn property(key: &Key) -> Value {
    let mut property = Map::new();
    let mut put = |name: &str, value: Value| property.insert(name.to_owned(), value);
    let form = match key.kind {
        Kind::Switch => "boolean",
        Kind::Number => "integer",
        _ => "string",
    };
    put("type", form.into());
    match key.kind {
        Kind::Duration => put("pattern", "^([0-9]+(ms|s|m|h|d))+$".into()),
        Kind::Durability => put("pattern", "^(fsync|interval\\(([0-9]+(ms|s))+\\))$".into()),
        Kind::Size => put("pattern", "^[0-9]+ ?(B|KiB|MiB|GiB|TiB|kB|MB|GB)$".into()),
        Kind::OneOf(words) => put("enum", words.into()),
        _ => None,
    };
    if let (Kind::Number, Range::Between(min, max)) = (key.kind, &key.range) {
        put("minimum", min.parse::<u64>().unwrap_or_default().into());
        put("maximum", max.parse::<u64>().unwrap_or(u64::MAX).into());
    }
    put("description", format!("{} Range: {}. Since {}.", key.paragraph(), key.range(), key.since).into());
    if !key.default.is_empty() {
        let default = match key.kind {
            Kind::Switch => (key.default == "true").into(),
            Kind::Number => key.default.parse::<u64>().unwrap_or_default().into(),
            _ => key.default.into(),
        };
        put("default", default);
    }
    Value::Object(property)
}
