//! What requests say of event source mappings.

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::lambda::Fault;

/// The one kind of answer that a function can give beside none.
pub(super) const REPORTS: &str = "ReportBatchItemFailures";
/// How many mappings a page has where nothing is said, and at most.
const PAGE: u64 = 100;
const PAGE_MAX: u64 = 10_000;

/// What a request creates a mapping with, or changes of one. What is absent stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// The ARN of the queue.
    pub event_source_arn: Option<String>,
    /// The function.
    pub function_name: Option<String>,
    /// Whether anything is handed over.
    pub enabled: Option<bool>,
    /// Most messages of a batch.
    pub batch_size: Option<i64>,
    /// How long a batch fills.
    pub window_s: Option<i64>,
    /// Most batches at once; nothing in it takes the bound away.
    pub concurrency: Option<Option<i64>>,
    /// All patterns of the filters.
    pub patterns: Option<Vec<String>>,
    /// Whether the function says which messages of a batch it could not handle.
    pub reports: Option<bool>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Body {
    event_source_arn: Option<String>,
    function_name: Option<String>,
    enabled: Option<bool>,
    batch_size: Option<i64>,
    maximum_batching_window_in_seconds: Option<i64>,
    filter_criteria: Option<Criteria>,
    function_response_types: Option<Vec<String>>,
    scaling_config: Option<Scaling>,
    /// What is for other sources, or not served.
    #[serde(flatten)]
    others: Map<String, Value>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Criteria {
    filters: Option<Vec<Pattern>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Pattern {
    pattern: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Scaling {
    maximum_concurrency: Option<i64>,
}

impl Changes {
    /// Reads the body of a request.
    ///
    /// # Errors
    /// `InvalidRequestContentException` for what is not of the form, `InvalidParameterValueException` names a parameter that
    /// is not served.
    pub fn read(body: &[u8]) -> Result<Self, Fault> {
        let body: Body = serde_json::from_slice(body)
            .map_err(|error| Fault::content(format!("Could not parse request body into json: {error}")))?;
        let is_said = |value: &Value| match value {
            Value::Null => false,
            Value::Array(values) => !values.is_empty(),
            Value::Object(values) => !values.is_empty(),
            _ => true,
        };
        if let Some((name, _)) = body.others.iter().find(|(_, value)| is_said(value)) {
            let text = format!("{name:.64}: is not supported for event source mappings of SQS queues here");
            return Err(Fault::invalid(text));
        }
        let types = body.function_response_types.as_deref();
        if let Some(other) = types.unwrap_or_default().iter().find(|name| *name != REPORTS) {
            return Err(Fault::invalid(format!("FunctionResponseTypes: must be {REPORTS}, found {other:.64}")));
        }
        let patterns = |criteria: Criteria| {
            let filters = criteria.filters.unwrap_or_default().into_iter();
            filters.map(|filter| filter.pattern.unwrap_or_default()).collect()
        };
        Ok(Self {
            reports: types.map(|types| !types.is_empty()),
            event_source_arn: body.event_source_arn,
            function_name: body.function_name,
            enabled: body.enabled,
            batch_size: body.batch_size,
            window_s: body.maximum_batching_window_in_seconds,
            concurrency: body.scaling_config.map(|scaling| scaling.maximum_concurrency),
            patterns: body.filter_criteria.map(patterns),
        })
    }
}

/// Which mappings are listed.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Page {
    /// Those of this queue.
    pub event_source_arn: Option<String>,
    /// Those of this function.
    pub function_name: Option<String>,
    /// Where the last page ended.
    pub marker: Option<String>,
    max_items: Option<u64>,
}

impl Page {
    /// How many at most.
    ///
    /// # Errors
    /// `InvalidParameterValueException`.
    pub fn max(&self) -> Result<usize, Fault> {
        let max = self.max_items.unwrap_or(PAGE);
        if (1..=PAGE_MAX).contains(&max) {
            return Ok(max as usize);
        }
        Err(Fault::invalid(format!("MaxItems: must be from 1 to {PAGE_MAX}, found {max}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_read_with_all_that_is_served() {
        assert_eq!(Changes::read(b"{}").unwrap(), Changes::default());
        let all = r#"{"EventSourceArn": "a", "FunctionName": "f", "Enabled": false, "BatchSize": 500, "Tags": {},
            "MaximumBatchingWindowInSeconds": 2, "FunctionResponseTypes": ["ReportBatchItemFailures"],
            "ScalingConfig": {"MaximumConcurrency": 1}, "FilterCriteria": {"Filters": [{"Pattern": "{}"}]}}"#;
        let expected = Changes {
            event_source_arn: Some("a".to_owned()),
            function_name: Some("f".to_owned()),
            enabled: Some(false),
            batch_size: Some(500),
            window_s: Some(2),
            concurrency: Some(Some(1)),
            patterns: Some(vec!["{}".to_owned()]),
            reports: Some(true),
        };
        assert_eq!(Changes::read(all.as_bytes()).unwrap(), expected);
        let cleared = r#"{"ScalingConfig": {}, "FilterCriteria": {}, "FunctionResponseTypes": []}"#;
        let expected =
            Changes { concurrency: Some(None), patterns: Some(Vec::new()), reports: Some(false), ..Changes::default() };
        assert_eq!(Changes::read(cleared.as_bytes()).unwrap(), expected);
    }

    #[test]
    fn what_is_not_served_is_named() {
        for (body, text) in [
            (r#"{"FunctionResponseTypes": ["x"]}"#, "FunctionResponseTypes: must be ReportBatchItemFailures, found x"),
            (r#"{"KMSKeyArn": "arn"}"#, "KMSKeyArn: is not supported for event source mappings of SQS queues here"),
        ] {
            let fault = Changes::read(body.as_bytes()).unwrap_err();
            assert_eq!((fault.code, fault.message.as_str()), ("InvalidParameterValueException", text), "{body}");
        }
        assert_eq!(Changes::read(b"[]").unwrap_err().code, "InvalidRequestContentException");
        assert_eq!(Page { max_items: Some(0), ..Page::default() }.max().unwrap_err().status, 400);
    }
}
