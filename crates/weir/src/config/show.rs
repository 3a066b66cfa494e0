//! The settings that hold, and where each comes from.

use serde_json::json;

use super::kind::Kind;
use super::origin::Origin;
use super::resolve::{Resolved, Value};
use super::secret::MASK;
use super::tree::{SECTIONS, keys};
use crate::output::Table;

/// The rows: path, value, origin.
fn rows(resolved: &Resolved) -> Vec<(String, &Value)> {
    let mut rows: Vec<(String, &Value)> =
        keys().filter_map(|key| Some((key.path.to_owned(), resolved.values.get(key.path)?))).collect();
    for section in SECTIONS.into_iter().filter(|section| section.repeats) {
        for (at, values) in resolved.repeated.iter().enumerate() {
            for key in section.keys {
                let path = format!("{}[{at}].{}", section.table, key.name());
                rows.extend(values.get(key.path).map(|value| (path, value)));
            }
        }
    }
    rows
}

fn shown(value: &Value) -> &str {
    if value.key.kind == Kind::Secret && !value.text.is_empty() { MASK } else { &value.text }
}

/// For people.
pub(crate) fn table(resolved: &Resolved) -> String {
    let mut table = Table::new(&["KEY", "VALUE", "FROM"]);
    for (path, value) in rows(resolved) {
        let text = shown(value);
        table.row([path, if text.is_empty() { "-".to_owned() } else { text.to_owned() }, value.origin.to_string()]);
    }
    table.render()
}

/// For programs: an array of objects with `key`, `value` and `origin`.
pub(crate) fn json(resolved: &Resolved) -> String {
    let rows: Vec<serde_json::Value> = rows(resolved)
        .into_iter()
        .map(|(path, value)| {
            let text = shown(value);
            let origin = match &value.origin {
                Origin::Default => json!({ "kind": value.origin.kind() }),
                Origin::File { path, line } => {
                    json!({ "kind": value.origin.kind(), "path": path.display().to_string(), "line": line })
                }
                Origin::Environment(name) | Origin::Flag(name) => json!({ "kind": value.origin.kind(), "name": name }),
            };
            let shown = match value.key.kind {
                _ if text.is_empty() => serde_json::Value::Null,
                Kind::Switch => (matches!(text, "true" | "1")).into(),
                Kind::Number => text.replace('_', "").parse::<u64>().map_or_else(|_| text.into(), Into::into),
                _ => text.into(),
            };
            json!({ "key": path, "value": shown, "origin": origin })
        })
        .collect();
    format!("{:#}\n", serde_json::Value::Array(rows))
}
