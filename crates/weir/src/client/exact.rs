//! An object whose values are as they were written: what a worker or a sender gave as JSON keeps its numbers, whatever
//! their length and precision.

use std::collections::BTreeMap;

use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};

/// An object of JSON.
#[derive(Debug, Default)]
pub(crate) struct Exact(BTreeMap<String, Box<RawValue>>);

impl Exact {
    /// Reads an object.
    pub(crate) fn read(text: &[u8]) -> serde_json::Result<Self> {
        serde_json::from_slice(text).map(Self)
    }

    /// A member, as it is written.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|value| value.get())
    }

    /// The items of a list, each in one line; none where there is no such list.
    pub(crate) fn items(&self, name: &str) -> Vec<String> {
        let items: Option<Vec<&RawValue>> = self.get(name).and_then(|list| serde_json::from_str(list).ok());
        items.unwrap_or_default().into_iter().map(|item| in_one_line(item.get())).collect()
    }

    /// With another member.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        let value = to_raw_value(&Value::from(value)).expect("a text is JSON");
        self.0.insert(name.to_owned(), value);
        self
    }

    /// In one line.
    pub(crate) fn line(&self) -> String {
        in_one_line(&serde_json::to_string(&self.0).expect("an object of JSON is JSON"))
    }

    /// With a line for each member.
    pub(crate) fn pretty(&self) -> String {
        serde_json::to_string_pretty(&self.0).expect("an object of JSON is JSON")
    }
}

/// JSON without its line breaks, which stand between tokens only: those of texts are escaped.
fn in_one_line(json: &str) -> String {
    json.replace(['\r', '\n'], " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stay_as_they_were_written() {
        let text = "{\"result\":{\"n\":1.50,\"big\":12345678901234567890123},\"jobs\":[{\n\"n\":1e400},2.0]}";
        let exact = Exact::read(text.as_bytes()).unwrap();
        assert_eq!(exact.get("result"), Some("{\"n\":1.50,\"big\":12345678901234567890123}"));
        assert_eq!(exact.items("jobs"), ["{ \"n\":1e400}", "2.0"]);
        assert!(exact.pretty().contains("  \"result\": {\"n\":1.50,\"big\":12345678901234567890123}"));
        assert!(exact.with("event_id", "7-1").line().starts_with("{\"event_id\":\"7-1\",\"jobs\":[{ \""));
    }
}
