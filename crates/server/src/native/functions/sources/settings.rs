//! What a request says of a source.

use std::collections::HashMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::event_sources::{Change, Unfit, Words};
use crate::native::Problem;

/// What the native API calls the settings.
const WORDS: Words = Words {
    batch: "batch.count",
    wait: "batch.wait_ms",
    wait_unit_ms: 1,
    concurrency: "concurrency",
    filters: "filters",
    filter: |at| format!("filters[{at}]"),
};

/// How the messages of a queue are handed to a function. What is absent has its default where the source is new or replaced,
/// and stays where it is changed.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[schemars(rename = "SourceSettings")]
#[serde(deny_unknown_fields)]
pub(crate) struct SourceSettings {
    /// How batches are filled.
    #[serde(default)]
    batch: SourceBatchSettings,
    /// How many batches are under way at once at most. What the function itself allows holds beside. Default 100.
    #[schemars(range(min = 1, max = 1_000))]
    concurrency: Option<u32>,
    /// Patterns about a whole message, of up to 4 096 bytes, in the language of filters of topics. A message that matches none
    /// of them is deleted. Default: none, every message is wanted.
    #[schemars(with = "Option<Vec<HashMap<String, serde_json::Value>>>", length(max = 10))]
    filters: Option<Vec<Box<RawValue>>>,
    /// Whether the function's result names the messages of a batch that come again: `{"batchItemFailures":
    /// [{"itemIdentifier": "…"}]}`. Without this a batch is handled as a whole. Default `false`.
    partial_failures: Option<bool>,
    /// Whether anything is handed over. Default: `true` for a new source; that of one that is replaced stays.
    enabled: Option<bool>,
}

/// How batches are filled.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct SourceBatchSettings {
    /// How many messages a batch has at most; up to 10 of a FIFO queue, and more than 10 only with a wait. Default 10.
    #[schemars(range(min = 1, max = 10_000))]
    count: Option<u32>,
    /// How long to wait, from the first message on, until it has so many; 0 for a FIFO queue. Default 0.
    #[schemars(range(min = 0, max = 300_000))]
    wait_ms: Option<u32>,
}

impl SourceSettings {
    pub(super) fn change(&self) -> Change {
        let filters = self.filters.as_ref();
        Change {
            batch: self.batch.count.map(i64::from),
            wait_ms: self.batch.wait_ms.map(i64::from),
            concurrency: self.concurrency.map(|most| Some(most.into())),
            filters: filters.map(|patterns| patterns.iter().map(|pattern| pattern.get().to_owned()).collect()),
            reports: self.partial_failures,
            enabled: self.enabled,
        }
    }
}

/// A setting that cannot be so, in the words of the native API.
pub(super) fn problem(unfit: &Unfit) -> Problem {
    let (field, text) = unfit.told(&WORDS);
    Problem::field(&field, &text)
}

#[cfg(test)]
mod tests {
    use weir_core::api::Kind;

    use super::*;
    use crate::event_sources::Settings;
    use crate::native::decode;

    fn refusal(json: &str, kind: Kind) -> Problem {
        let settings = match decode::body::<SourceSettings>(json.as_bytes()) {
            Ok(settings) => settings,
            Err(problem) => return problem,
        };
        problem(&settings.change().apply(&Settings::default(), kind).unwrap_err())
    }

    #[test]
    fn what_makes_no_sense_is_refused_by_the_name_of_its_field() {
        for (json, kind, text) in [
            (r#"{"batch": {"count": 0}}"#, Kind::Standard, "batch.count: must be from 1 to 10000, found 0"),
            (
                r#"{"batch": {"count": 11}}"#,
                Kind::Standard,
                "batch.wait_ms: must be at least 1 where batch.count is greater than 10, found 0",
            ),
            (
                r#"{"batch": {"wait_ms": 300001}}"#,
                Kind::Standard,
                "batch.wait_ms: must be from 0 to 300000, found 300001",
            ),
            (r#"{"batch": {"wait_ms": 1}}"#, Kind::Fifo, "batch.wait_ms: must be 0 for a FIFO queue, found 1"),
            (r#"{"concurrency": 1001}"#, Kind::Standard, "concurrency: must be from 1 to 1000, found 1001"),
            (r#"{"filters": [{"body": ["a"]}, "x"]}"#, Kind::Standard, "filters[1]: a pattern cannot be used: "),
            (r#"{"batch": {"size": 1}}"#, Kind::Standard, "batch.size: unknown field `size`"),
        ] {
            let found = refusal(json, kind);
            assert!(found.detail().starts_with(text), "{json}: {found:?}");
        }
    }
}
