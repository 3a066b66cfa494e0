//! What a function says of the messages of a batch.

use serde::Deserialize;

#[derive(Debug, Default, Deserialize)]
struct Report {
    #[serde(rename = "batchItemFailures", default)]
    failures: Option<Vec<Item>>,
}

#[derive(Debug, Deserialize)]
struct Item {
    #[serde(rename = "itemIdentifier")]
    id: String,
}

/// The ids of the messages that a function could not handle, by its result: none where it says nothing.
///
/// # Errors
/// A text about a result that makes no sense: then none was handled.
pub fn failed_items(result: Option<&[u8]>) -> Result<Vec<String>, String> {
    let Some(result) = result.filter(|result| !result.trim_ascii().is_empty()) else { return Ok(Vec::new()) };
    let report: Option<Report> =
        serde_json::from_slice(result).map_err(|error| format!("the result of a batch makes no sense: {error}"))?;
    Ok(report.and_then(|report| report.failures).unwrap_or_default().into_iter().map(|item| item.id).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_names_what_it_could_not_handle() {
        for nothing in [None, Some(""), Some("null"), Some("{}"), Some(r#"{"batchItemFailures": null}"#)] {
            assert_eq!(failed_items(nothing.map(str::as_bytes)), Ok(Vec::new()), "{nothing:?}");
        }
        let named = r#"{"batchItemFailures": [{"itemIdentifier": "a"}, {"itemIdentifier": "b"}]}"#;
        assert_eq!(failed_items(Some(named.as_bytes())), Ok(vec!["a".to_owned(), "b".to_owned()]));
    }

    #[test]
    fn a_result_that_makes_no_sense_names_nothing() {
        for result in [
            r#""ok""#,
            "{",
            r#"{"batchItemFailures": [{"id": "a"}]}"#,
            r#"{"batchItemFailures": [{"itemIdentifier": null}]}"#,
        ] {
            assert!(failed_items(Some(result.as_bytes())).is_err(), "{result}");
        }
    }
}
