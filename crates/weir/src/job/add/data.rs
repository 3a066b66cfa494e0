//! The data of a job: JSON from an argument, a file or standard input, handed on as it is written.

use std::io::Read as _;

use anyhow::Context;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::exit::Usage;

/// Reads what `--data` names.
pub(crate) fn read(data: &str) -> anyhow::Result<Box<RawValue>> {
    let text = match data.strip_prefix('@') {
        Some(path) => std::fs::read_to_string(path).with_context(|| format!("cannot read the data from {path}"))?,
        None if data == "-" => {
            let mut text = String::new();
            std::io::stdin().lock().read_to_string(&mut text).context("cannot read the data from standard input")?;
            text
        }
        None => data.to_owned(),
    };
    parse(&text).map_err(|error| Usage(format!("--data: {error}")).into())
}

/// A text that has to be JSON.
pub(super) fn parse(text: &str) -> Result<Box<RawValue>, String> {
    serde_json::from_str(text)
        .map_err(|error| format!("this is not JSON ({error}); a text stands in quotes of its own, as in '\"hello\"'"))
}

/// An object of JSON: `members`, and `data` exactly as it was written.
pub(crate) fn object(members: &Map<String, Value>, data: Option<&RawValue>) -> String {
    let mut text = serde_json::to_string(members).expect("names and values are JSON");
    if let Some(data) = data {
        text.pop();
        if !members.is_empty() {
            text.push(',');
        }
        text.push_str("\"data\":");
        text.push_str(data.get());
        text.push('}');
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn data_is_handed_on_as_it_is_written() {
        let data = read(" {\"b\": 12345678901234567890123, \"a\": 1.0} ").unwrap();
        assert_eq!(object(&Map::new(), Some(&data)), "{\"data\":{\"b\": 12345678901234567890123, \"a\": 1.0}}");
        let members = json!({ "name": "mail" });
        assert_eq!(object(members.as_object().unwrap(), Some(&data)).find(",\"data\":"), Some(14));
        assert_eq!(object(members.as_object().unwrap(), None), "{\"name\":\"mail\"}");
    }

    #[test]
    fn what_is_not_json_is_refused_with_how_to_write_it() {
        let error = read("hello").unwrap_err().to_string();
        assert!(error.starts_with("--data: this is not JSON (") && error.ends_with("as in '\"hello\"'"), "{error}");
    }
}
