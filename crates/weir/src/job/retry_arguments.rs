//! How jobs are tried again, and what remains of them, as arguments.

use std::str::FromStr;

use clap::Args;
use serde_json::{Map, Value, json};

use crate::arguments::{milliseconds, percent};

/// How jobs are tried again.
#[derive(Args, Debug)]
pub(crate) struct RetryArguments {
    /// Failures after which a job is not tried again.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    attempts: Option<u32>,
    /// How long it waits before it is tried again: `5s` each time, `exponential:1s` twice as long each time, or
    /// `1s,10s,5m` one after the other.
    #[arg(long, value_name = "DURATION")]
    backoff: Option<Backoff>,
    /// No wait before another try is longer.
    #[arg(long, value_name = "DURATION", value_parser = milliseconds)]
    backoff_max: Option<u64>,
    /// So much of each wait is taken off at random: 20%.
    #[arg(long, value_name = "PERCENT", value_parser = percent)]
    jitter: Option<f64>,
}

impl RetryArguments {
    /// The settings of the native API that are given; `None` where none is.
    pub(crate) fn settings(&self) -> Option<Value> {
        let settings: Map<String, Value> = [
            ("attempts_max", self.attempts.map(Value::from)),
            ("backoff", self.backoff.as_ref().map(|backoff| backoff.0.clone())),
            ("backoff_ms_max", self.backoff_max.map(Value::from)),
            ("jitter_percent", self.jitter.map(Value::from)),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)))
        .collect();
        (!settings.is_empty()).then(|| settings.into())
    }
}

/// A backoff as the native API has it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Backoff(Value);

impl FromStr for Backoff {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(first) = text.strip_prefix("exponential:") {
            return Ok(Self(json!({ "exponential_ms": milliseconds(first)? })));
        }
        let delays: Vec<u64> = text.split(',').map(milliseconds).collect::<Result<_, _>>()?;
        Ok(Self(match delays.as_slice() {
            [delay] => json!({ "fixed_ms": delay }),
            delays => json!({ "list_ms": delays }),
        }))
    }
}

/// What remains of finished jobs.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Keep(Value);

impl Keep {
    /// As the native API has it.
    pub(crate) fn settings(&self) -> Value {
        self.0.clone()
    }
}

impl FromStr for Keep {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "all" => return Ok(Self(json!({}))),
            "none" => return Ok(Self(json!({ "count": 0 }))),
            _ => {}
        }
        let mut keep = Map::new();
        for part in text.split(',') {
            let (name, value) = match part.parse::<u64>() {
                Ok(count) => ("count", count),
                Err(_) => ("age_ms", milliseconds(part)?),
            };
            if keep.insert(name.to_owned(), value.into()).is_some() {
                return Err("names an age or a number twice".to_owned());
            }
        }
        Ok(Self(keep.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backoff_is_fixed_exponential_or_a_list() {
        let backoff = |text: &str| text.parse::<Backoff>().map(|backoff| backoff.0);
        assert_eq!(backoff("5s"), Ok(json!({ "fixed_ms": 5_000 })));
        assert_eq!(backoff("exponential:250ms"), Ok(json!({ "exponential_ms": 250 })));
        assert_eq!(backoff("1s,1m"), Ok(json!({ "list_ms": [1_000, 60_000] })));
        assert!(backoff("5").is_err() && backoff("linear:5s").is_err() && backoff("1s,").is_err());
    }

    #[test]
    fn what_is_kept_has_an_age_a_number_or_both() {
        let keep = |text: &str| text.parse::<Keep>().map(|keep| keep.0);
        assert_eq!(keep("1h"), Ok(json!({ "age_ms": 3_600_000 })));
        assert_eq!(keep("1h,100"), Ok(json!({ "age_ms": 3_600_000, "count": 100 })));
        assert_eq!((keep("none"), keep("all")), (Ok(json!({ "count": 0 })), Ok(json!({}))));
        assert!(keep("1h,2h").is_err() && keep("many").is_err());
    }
}
