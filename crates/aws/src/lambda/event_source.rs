//! Event source mappings: queues whose messages are handed to functions, in batches.

mod filter;
mod request;
mod result;

pub use filter::{Filters, Seen, Unfit};
pub use request::{Changes, Page};
pub use result::failed_items;

use serde_json::{Map, Value, json};

/// A mapping as Lambda describes it.
#[derive(Clone, Debug)]
pub struct Described<'a> {
    /// Its id.
    pub uuid: &'a str,
    /// Its own ARN.
    pub arn: String,
    /// The ARN of the queue.
    pub source_arn: String,
    /// The ARN of the function.
    pub function_arn: String,
    /// Most messages of a batch.
    pub batch: u32,
    /// How long a batch fills, in seconds.
    pub window_s: u32,
    /// Most batches at once, where that is bounded.
    pub concurrency: Option<u32>,
    /// Patterns of which a message has to match one, where there are any.
    pub filters: &'a [String],
    /// Whether the function says which messages of a batch it could not handle.
    pub reports: bool,
    /// When it was changed last, in milliseconds since 1970.
    pub modified_ms: u64,
    /// `Enabled`, `Disabled` or `Deleting`.
    pub state: &'a str,
    /// What came of the last batch.
    pub last_result: &'a str,
}

impl Described<'_> {
    /// The answer of the operations that are about one mapping.
    pub fn body(&self) -> Vec<u8> {
        self.json().to_string().into_bytes()
    }

    fn json(&self) -> Value {
        #[expect(clippy::cast_precision_loss, reason = "seconds with a fraction, as AWS writes them")]
        let modified = self.modified_ms as f64 / 1_000.0;
        let mut told = json!({
            "UUID": self.uuid,
            "EventSourceMappingArn": self.arn,
            "EventSourceArn": self.source_arn,
            "FunctionArn": self.function_arn,
            "BatchSize": self.batch,
            "MaximumBatchingWindowInSeconds": self.window_s,
            "LastModified": modified,
            "LastProcessingResult": self.last_result,
            "State": self.state,
            "StateTransitionReason": "USER_INITIATED",
            "FunctionResponseTypes": if self.reports { json!([request::REPORTS]) } else { json!([]) },
        });
        let mut optional = Map::new();
        if !self.filters.is_empty() {
            let filters: Vec<Value> = self.filters.iter().map(|pattern| json!({ "Pattern": pattern })).collect();
            optional.insert("FilterCriteria".to_owned(), json!({ "Filters": filters }));
        }
        if let Some(most) = self.concurrency {
            optional.insert("ScalingConfig".to_owned(), json!({ "MaximumConcurrency": most }));
        }
        if let Some(told) = told.as_object_mut() {
            told.extend(optional);
        }
        told
    }
}

/// The answer of `ListEventSourceMappings`.
pub fn mappings(mappings: &[Described<'_>], next: Option<&str>) -> Vec<u8> {
    let shown: Vec<Value> = mappings.iter().map(Described::json).collect();
    let mut body = json!({ "EventSourceMappings": shown });
    if let (Some(next), Some(body)) = (next, body.as_object_mut()) {
        body.insert("NextMarker".to_owned(), next.into());
    }
    body.to_string().into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mapping_is_described_in_the_words_of_aws() {
        let filters = ["{}".to_owned()];
        let described = Described {
            uuid: "u",
            arn: "a".to_owned(),
            source_arn: "s".to_owned(),
            function_arn: "f".to_owned(),
            batch: 10,
            window_s: 0,
            concurrency: Some(5),
            filters: &filters,
            reports: false,
            modified_ms: 1_500,
            state: "Enabled",
            last_result: "OK",
        };
        let expected = json!({
            "UUID": "u", "EventSourceMappingArn": "a", "EventSourceArn": "s", "FunctionArn": "f", "BatchSize": 10,
            "MaximumBatchingWindowInSeconds": 0, "LastModified": 1.5, "LastProcessingResult": "OK", "State": "Enabled",
            "StateTransitionReason": "USER_INITIATED", "FunctionResponseTypes": [],
            "FilterCriteria": {"Filters": [{"Pattern": "{}"}]}, "ScalingConfig": {"MaximumConcurrency": 5},
        });
        assert_eq!(serde_json::from_slice::<Value>(&described.body()).unwrap(), expected);
        let page: Value = serde_json::from_slice(&mappings(&[described], Some("m"))).unwrap();
        assert_eq!(page, json!({ "EventSourceMappings": [expected], "NextMarker": "m" }));
    }
}
