//! What requests say of event source mappings.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{
    BATCH_MAX, BATCH_MAX_AT_ONCE, BATCH_MAX_FIFO, CONCURRENCY_MAX, CONCURRENCY_MIN, FILTERS_MAX, Filters,
    PATTERN_BYTES_MAX, WINDOW_S_MAX,
};
use crate::lambda::Fault;

/// The one kind of answer that a function can give beside none.
pub(super) const REPORTS: &str = "ReportBatchItemFailures";
/// How many mappings a page has where nothing is said, and at most.
const PAGE: u64 = 100;
const PAGE_MAX: u64 = 10_000;

/// What is set of a mapping, and what is stored of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// Most messages of a batch.
    pub batch: u32,
    /// How long a batch fills, in seconds.
    pub window_s: u32,
    /// Most batches at once, where that is bounded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<u32>,
    /// Patterns of which a message has to match one, where there are any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub filters: Vec<String>,
    /// Whether the function says which messages of a batch it could not handle.
    #[serde(default)]
    pub reports: bool,
    /// Whether anything is handed over.
    pub enabled: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self { batch: 10, window_s: 0, concurrency: None, filters: Vec::new(), reports: false, enabled: true }
    }
}

/// What a request creates a mapping with, or changes of one. What is absent stays as it is.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Changes {
    /// The queue.
    pub event_source_arn: Option<String>,
    /// The function.
    pub function_name: Option<String>,
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

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Criteria {
    filters: Option<Vec<Pattern>>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Pattern {
    pattern: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
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
        let changes: Self = serde_json::from_slice(body)
            .map_err(|error| Fault::content(format!("Could not parse request body into json: {error}")))?;
        let is_said = |value: &Value| match value {
            Value::Null => false,
            Value::Array(values) => !values.is_empty(),
            Value::Object(values) => !values.is_empty(),
            _ => true,
        };
        match changes.others.iter().find(|(_, value)| is_said(value)) {
            Some((name, _)) => Err(Fault::invalid(format!(
                "{name:.64}: is not supported for event source mappings of SQS queues here"
            ))),
            None => Ok(changes),
        }
    }

    /// The settings that are made from `before` by what is said; `is_fifo` tells of the queue.
    ///
    /// # Errors
    /// `InvalidParameterValueException` names a parameter with a value that it cannot have.
    pub fn apply(&self, before: &Settings, is_fifo: bool) -> Result<Settings, Fault> {
        let mut settings = before.clone();
        if let Some(enabled) = self.enabled {
            settings.enabled = enabled;
        }
        if let Some(batch) = self.batch_size {
            settings.batch = within("BatchSize", batch, 1, if is_fifo { BATCH_MAX_FIFO } else { BATCH_MAX })?;
        }
        if let Some(window) = self.maximum_batching_window_in_seconds {
            settings.window_s =
                within("MaximumBatchingWindowInSeconds", window, 0, if is_fifo { 0 } else { WINDOW_S_MAX })?;
        }
        if settings.batch > BATCH_MAX_AT_ONCE && settings.window_s == 0 {
            return Err(Fault::invalid(format!(
                "MaximumBatchingWindowInSeconds: must be at least 1 where BatchSize is greater than {BATCH_MAX_AT_ONCE}, found 0"
            )));
        }
        if let Some(scaling) = &self.scaling_config {
            let most = scaling.maximum_concurrency;
            let most =
                most.map(|most| within("ScalingConfig.MaximumConcurrency", most, CONCURRENCY_MIN, CONCURRENCY_MAX));
            settings.concurrency = most.transpose()?;
        }
        if let Some(types) = &self.function_response_types {
            if let Some(other) = types.iter().find(|name| *name != REPORTS) {
                return Err(Fault::invalid(format!("FunctionResponseTypes: must be {REPORTS}, found {other:.64}")));
            }
            settings.reports = !types.is_empty();
        }
        if let Some(criteria) = &self.filter_criteria {
            settings.filters = patterns(criteria)?;
        }
        Ok(settings)
    }
}

fn patterns(criteria: &Criteria) -> Result<Vec<String>, Fault> {
    let filters = criteria.filters.as_deref().unwrap_or_default();
    if filters.len() > FILTERS_MAX {
        let text = format!("FilterCriteria.Filters: may have {FILTERS_MAX} entries, found {}", filters.len());
        return Err(Fault::invalid(text));
    }
    let patterns: Vec<String> = filters.iter().map(|filter| filter.pattern.clone().unwrap_or_default()).collect();
    if let Some(long) = patterns.iter().find(|pattern| pattern.len() > PATTERN_BYTES_MAX) {
        return Err(Fault::invalid(format!(
            "FilterCriteria: a pattern must have at most {PATTERN_BYTES_MAX} bytes, found {}",
            long.len()
        )));
    }
    Filters::new(&patterns).map_err(|unfit| Fault::invalid(format!("FilterCriteria: {unfit}")))?;
    Ok(patterns)
}

fn within(name: &str, found: i64, least: u32, most: u32) -> Result<u32, Fault> {
    let fits = u32::try_from(found).ok().filter(|value| (least..=most).contains(value));
    fits.ok_or_else(|| {
        let allowed =
            if least == most { format!("{least} for a FIFO queue") } else { format!("from {least} to {most}") };
        Fault::invalid(format!("{name}: must be {allowed}, found {found}"))
    })
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

    fn made(body: &str, is_fifo: bool) -> Result<Settings, Fault> {
        Changes::read(body.as_bytes())?.apply(&Settings::default(), is_fifo)
    }

    #[test]
    fn what_is_not_said_stays() {
        assert_eq!(made("{}", false).unwrap(), Settings::default());
        let all = r#"{"EventSourceArn": "a", "FunctionName": "f", "Enabled": false, "BatchSize": 500, "Tags": {},
            "MaximumBatchingWindowInSeconds": 2, "FunctionResponseTypes": ["ReportBatchItemFailures"],
            "ScalingConfig": {"MaximumConcurrency": 1}, "FilterCriteria": {"Filters": [{"Pattern": "{\"body\": [\"a\"]}"}]}}"#;
        let settings = made(all, false).unwrap();
        let expected = Settings {
            batch: 500,
            window_s: 2,
            concurrency: Some(1),
            filters: vec![r#"{"body": ["a"]}"#.to_owned()],
            reports: true,
            enabled: false,
        };
        assert_eq!(settings, expected);
        let nothing = r#"{"ScalingConfig": {}, "FilterCriteria": {}, "FunctionResponseTypes": []}"#;
        let cleared = Changes::read(nothing.as_bytes()).unwrap().apply(&settings, false).unwrap();
        assert_eq!(cleared, Settings { concurrency: None, filters: Vec::new(), reports: false, ..expected });
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        for (body, is_fifo, text) in [
            (r#"{"BatchSize": 0}"#, false, "BatchSize: must be from 1 to 10000, found 0"),
            (r#"{"BatchSize": 11}"#, true, "BatchSize: must be from 1 to 10, found 11"),
            (
                r#"{"BatchSize": 11}"#,
                false,
                "MaximumBatchingWindowInSeconds: must be at least 1 where BatchSize is greater than 10, found 0",
            ),
            (
                r#"{"MaximumBatchingWindowInSeconds": 1}"#,
                true,
                "MaximumBatchingWindowInSeconds: must be 0 for a FIFO queue, found 1",
            ),
            (
                r#"{"ScalingConfig": {"MaximumConcurrency": 1001}}"#,
                false,
                "ScalingConfig.MaximumConcurrency: must be from 1 to 1000, found 1001",
            ),
            (
                r#"{"FunctionResponseTypes": ["x"]}"#,
                false,
                "FunctionResponseTypes: must be ReportBatchItemFailures, found x",
            ),
            (
                r#"{"KMSKeyArn": "arn"}"#,
                false,
                "KMSKeyArn: is not supported for event source mappings of SQS queues here",
            ),
        ] {
            let fault = made(body, is_fifo).unwrap_err();
            assert_eq!((fault.code, fault.message.as_str()), ("InvalidParameterValueException", text), "{body}");
        }
        assert_eq!(made("[]", false).unwrap_err().code, "InvalidRequestContentException");
        assert!(made(r#"{"FilterCriteria": {"Filters": [{}]}}"#, false).is_err());
        assert_eq!(Page { max_items: Some(0), ..Page::default() }.max().unwrap_err().status, 400);
    }
}
