//! What is set of a mapping, and what may be.

use serde::{Deserialize, Serialize};
use weir_aws::lambda::event_source::Filters;
use weir_core::api::Kind;

/// Most messages of a batch, as AWS has it.
const BATCH_MAX: u32 = 10_000;
/// Most messages of a batch of a FIFO queue, as AWS has it.
const BATCH_MAX_FIFO: u32 = 10;
/// Most messages of a batch that is not waited for, as AWS has it.
const BATCH_MAX_AT_ONCE: u32 = 10;
/// Longest time that a batch fills, as AWS has it.
const WAIT_MS_MAX: u32 = 300_000;
/// Most batches at once that a mapping may be bounded to, as AWS has it.
const CONCURRENCY_MAX: u32 = 1_000;
/// Most batches at once where the mapping does not say.
pub(crate) const CONCURRENCY: u32 = 100;
/// Most filters of a mapping: AWS allows so many to those who ask for more than 5.
const FILTERS_MAX: usize = 10;
/// Longest pattern of a filter, as AWS has it.
const PATTERN_BYTES_MAX: usize = 4_096;

/// What is set of a mapping, as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Settings {
    /// Most messages of a batch.
    pub(crate) batch: u32,
    /// How long a batch fills.
    pub(crate) wait_ms: u32,
    /// Most batches at once, where that is bounded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) concurrency: Option<u32>,
    /// Patterns of which a message has to match one, where there are any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) filters: Vec<String>,
    /// Whether the function says which messages of a batch it could not handle.
    #[serde(default)]
    pub(crate) reports: bool,
    /// Whether anything is handed over.
    pub(crate) enabled: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self { batch: 10, wait_ms: 0, concurrency: None, filters: Vec::new(), reports: false, enabled: true }
    }
}

/// What a request says of settings, before it is known whether they may be so. What is absent stays as it is.
#[derive(Clone, Debug, Default)]
pub(crate) struct Change {
    pub(crate) batch: Option<i64>,
    pub(crate) wait_ms: Option<i64>,
    /// Nothing in it takes the bound away.
    #[expect(clippy::option_option, reason = "a bound stays, goes or is another one")]
    pub(crate) concurrency: Option<Option<i64>>,
    pub(crate) filters: Option<Vec<String>>,
    pub(crate) reports: Option<bool>,
    pub(crate) enabled: Option<bool>,
}

/// A setting that cannot be so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Unfit {
    Batch {
        found: i64,
        most: u32,
    },
    Wait {
        found_ms: i64,
        most_ms: u32,
    },
    /// Nothing but a wait fills so long a batch.
    NoWait,
    Concurrency {
        found: i64,
    },
    Filters {
        found: usize,
    },
    FilterBytes {
        at: usize,
        found: usize,
    },
    Filter {
        at: usize,
        text: String,
    },
}

/// What a door calls the settings.
#[derive(Debug)]
pub(crate) struct Words {
    pub(crate) batch: &'static str,
    pub(crate) wait: &'static str,
    /// How long the unit is that the door counts waits in.
    pub(crate) wait_unit_ms: u32,
    pub(crate) concurrency: &'static str,
    pub(crate) filters: &'static str,
    /// One of the filters, by its place.
    pub(crate) filter: fn(usize) -> String,
}

impl Change {
    /// The settings that are made from `before` by what is said, for a queue of this kind.
    pub(crate) fn apply(&self, before: &Settings, kind: Kind) -> Result<Settings, Unfit> {
        let is_fifo = kind == Kind::Fifo;
        let mut settings = before.clone();
        if let Some(found) = self.batch {
            let most = if is_fifo { BATCH_MAX_FIFO } else { BATCH_MAX };
            settings.batch = within(found, 1, most).ok_or(Unfit::Batch { found, most })?;
        }
        if let Some(found_ms) = self.wait_ms {
            let most_ms = if is_fifo { 0 } else { WAIT_MS_MAX };
            settings.wait_ms = within(found_ms, 0, most_ms).ok_or(Unfit::Wait { found_ms, most_ms })?;
        }
        if settings.batch > BATCH_MAX_AT_ONCE && settings.wait_ms == 0 {
            return Err(Unfit::NoWait);
        }
        if let Some(most) = self.concurrency {
            // From 2 on AWS.
            let checked = |found| within(found, 1, CONCURRENCY_MAX).ok_or(Unfit::Concurrency { found });
            settings.concurrency = most.map(checked).transpose()?;
        }
        if let Some(patterns) = &self.filters {
            check_filters(patterns)?;
            settings.filters.clone_from(patterns);
        }
        settings.reports = self.reports.unwrap_or(settings.reports);
        settings.enabled = self.enabled.unwrap_or(settings.enabled);
        Ok(settings)
    }
}

fn within(found: i64, least: u32, most: u32) -> Option<u32> {
    u32::try_from(found).ok().filter(|value| (least..=most).contains(value))
}

fn check_filters(patterns: &[String]) -> Result<(), Unfit> {
    if patterns.len() > FILTERS_MAX {
        return Err(Unfit::Filters { found: patterns.len() });
    }
    for (at, pattern) in patterns.iter().enumerate() {
        if pattern.len() > PATTERN_BYTES_MAX {
            return Err(Unfit::FilterBytes { at, found: pattern.len() });
        }
        Filters::new(std::slice::from_ref(pattern)).map_err(|error| Unfit::Filter { at, text: error.to_string() })?;
    }
    Ok(())
}

impl Unfit {
    /// The name of the setting, and what it allows and was found, in the words of a door.
    pub(crate) fn told(&self, words: &Words) -> (String, String) {
        let unit = words.wait_unit_ms;
        let (name, text) = match self {
            Self::Batch { found, most } => (words.batch, format!("must be from 1 to {most}, found {found}")),
            Self::Wait { found_ms, most_ms: 0 } => {
                (words.wait, format!("must be 0 for a FIFO queue, found {}", found_ms / i64::from(unit)))
            }
            Self::Wait { found_ms, most_ms } => {
                (words.wait, format!("must be from 0 to {}, found {}", most_ms / unit, found_ms / i64::from(unit)))
            }
            Self::NoWait => {
                let text =
                    format!("must be at least 1 where {} is greater than {BATCH_MAX_AT_ONCE}, found 0", words.batch);
                (words.wait, text)
            }
            Self::Concurrency { found } => {
                (words.concurrency, format!("must be from 1 to {CONCURRENCY_MAX}, found {found}"))
            }
            Self::Filters { found } => {
                (words.filters, format!("must have at most {FILTERS_MAX} entries, found {found}"))
            }
            Self::FilterBytes { at, found } => {
                let text = format!("must have at most {PATTERN_BYTES_MAX} bytes, found {found}");
                return ((words.filter)(*at), text);
            }
            Self::Filter { at, text } => return ((words.filter)(*at), text.clone()),
        };
        (name.to_owned(), text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORDS: Words = Words {
        batch: "batch",
        wait: "wait",
        wait_unit_ms: 1_000,
        concurrency: "concurrency",
        filters: "filters",
        filter: |at| format!("filters[{at}]"),
    };

    #[test]
    fn what_is_not_said_stays() {
        assert_eq!(Change::default().apply(&Settings::default(), Kind::Standard).unwrap(), Settings::default());
        let all = Change {
            batch: Some(500),
            wait_ms: Some(200),
            concurrency: Some(Some(1)),
            filters: Some(vec![r#"{"body": ["a"]}"#.to_owned()]),
            reports: Some(true),
            enabled: Some(false),
        };
        let settings = all.apply(&Settings::default(), Kind::Standard).unwrap();
        let expected = Settings {
            batch: 500,
            wait_ms: 200,
            concurrency: Some(1),
            filters: vec![r#"{"body": ["a"]}"#.to_owned()],
            reports: true,
            enabled: false,
        };
        assert_eq!(settings, expected);
        assert_eq!(Change::default().apply(&settings, Kind::Standard).unwrap(), expected);
        let cleared = Change { concurrency: Some(None), filters: Some(Vec::new()), ..Change::default() };
        let cleared = cleared.apply(&settings, Kind::Standard).unwrap();
        assert_eq!(cleared, Settings { concurrency: None, filters: Vec::new(), ..expected });
    }

    #[test]
    fn what_cannot_be_is_told_with_its_limit_and_what_was_found() {
        let change = Change::default;
        let filters = |patterns: &[&str]| Some(patterns.iter().map(|pattern| (*pattern).to_owned()).collect());
        for (asked, kind, name, text) in [
            (Change { batch: Some(0), ..change() }, Kind::Standard, "batch", "must be from 1 to 10000, found 0"),
            (Change { batch: Some(-1), ..change() }, Kind::Standard, "batch", "must be from 1 to 10000, found -1"),
            (Change { batch: Some(11), ..change() }, Kind::Fifo, "batch", "must be from 1 to 10, found 11"),
            (
                Change { batch: Some(11), ..change() },
                Kind::Standard,
                "wait",
                "must be at least 1 where batch is greater than 10, found 0",
            ),
            (Change { wait_ms: Some(301_000), ..change() }, Kind::Standard, "wait", "must be from 0 to 300, found 301"),
            (Change { wait_ms: Some(1_000), ..change() }, Kind::Fifo, "wait", "must be 0 for a FIFO queue, found 1"),
            (
                Change { concurrency: Some(Some(1_001)), ..change() },
                Kind::Standard,
                "concurrency",
                "must be from 1 to 1000, found 1001",
            ),
            (
                Change { filters: filters(&["{}"; 11]), ..change() },
                Kind::Standard,
                "filters",
                "must have at most 10 entries, found 11",
            ),
            (
                Change { filters: filters(&[r#"{"body": ["a"]}"#, &" ".repeat(4_097)]), ..change() },
                Kind::Standard,
                "filters[1]",
                "must have at most 4096 bytes, found 4097",
            ),
        ] {
            let found = asked.apply(&Settings::default(), kind).unwrap_err().told(&WORDS);
            assert_eq!(found, (name.to_owned(), text.to_owned()));
        }
        let unknown = Change { filters: filters(&[r#"{"body": {"a": [{"regex": "b"}]}}"#]), ..change() };
        let (name, text) = unknown.apply(&Settings::default(), Kind::Standard).unwrap_err().told(&WORDS);
        assert!(name == "filters[0]" && text.starts_with("a pattern cannot be used: "), "{name}: {text}");
    }
}
