//! What a limiter allows: as arguments, and as it is told.

use std::str::FromStr;

use clap::Args;
use serde_json::{Value, json};

use crate::arguments::{milliseconds, spoken_ms};
use crate::client::{list, number, text};
use crate::exit::Usage;

/// What a limiter is to allow.
#[derive(Args, Debug)]
#[command(next_help_heading = "Terms")]
pub(super) struct TermsArguments {
    /// How many may start in any interval of the --per that goes with it: 50, or 1000units where their costs are added
    /// up. Can be given up to four times; all hold at once.
    #[arg(long, value_name = "N")]
    max: Vec<Max>,
    /// The length of the interval: 10s, 1m.
    #[arg(long, value_name = "DURATION", value_parser = milliseconds)]
    per: Vec<u64>,
    /// How many may run at once.
    #[arg(long, value_name = "N")]
    concurrency: Option<u32>,
    /// Starts are spread evenly over the intervals instead of leaving as soon as there is room.
    #[arg(long)]
    pacing: bool,
    /// A share of all this is kept for priorities up to one: 20%:0. Can be given twice.
    #[arg(long = "reserve", value_name = "PERCENT:PRIORITY")]
    reserves: Vec<Reserve>,
    /// Added to every interval, for what the network may add on the way.
    #[arg(long, value_name = "DURATION", value_parser = milliseconds)]
    guard: Option<u64>,
    /// For so long after a pause a key goes from a tenth of its pace and concurrency to all of it.
    #[arg(long, value_name = "DURATION", value_parser = milliseconds)]
    slow_start: Option<u64>,
}

impl TermsArguments {
    /// As the native API has them.
    pub(super) fn terms(&self) -> anyhow::Result<Value> {
        if self.max.len() != self.per.len() {
            let (max, per) = (self.max.len(), self.per.len());
            let text = format!("each --max goes with a --per, as in --max 50 --per 10s; found {max} and {per} of them");
            return Err(Usage(text).into());
        }
        let windows = self.max.iter().zip(&self.per).map(|(max, per_ms)| {
            let counts = if max.units { "units" } else { "starts" };
            json!({ "max": max.max, "per_ms": per_ms, "counts": counts })
        });
        let mut terms = json!({
            "windows": windows.collect::<Vec<_>>(),
            "pacing": self.pacing,
            "reserves": self.reserves.iter().map(|reserve| reserve.term()).collect::<Vec<_>>(),
        });
        if let Some(terms) = terms.as_object_mut() {
            terms.extend(self.concurrency.map(|most| ("concurrency".to_owned(), most.into())));
            terms.extend(self.guard.map(|ms| ("guard_ms".to_owned(), ms.into())));
            terms.extend(self.slow_start.map(|ms| ("slow_start_ms".to_owned(), ms.into())));
        }
        Ok(terms)
    }
}

/// The most of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Max {
    max: u32,
    units: bool,
}

impl FromStr for Max {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text.strip_suffix("units");
        match digits.unwrap_or(text).parse() {
            Ok(max) => Ok(Self { max, units: digits.is_some() }),
            Err(_) => Err("must be a number of starts, such as 50, or of units, such as 1000units".to_owned()),
        }
    }
}

/// A share that is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Reserve {
    share: u32,
    priority_max: u32,
}

impl Reserve {
    fn term(self) -> Value {
        json!({ "share": self.share, "priority_max": self.priority_max })
    }
}

impl FromStr for Reserve {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once("%:").and_then(|(share, last)| Some((share.parse().ok()?, last.parse().ok()?)));
        let (share, priority_max) = parts.ok_or("must be a share and the last priority that it is for, as in 20%:0")?;
        Ok(Self { share, priority_max })
    }
}

/// The windows in words: `50 per 10s, 300 per 1m`.
pub(super) fn windows(terms: &Value) -> String {
    let windows: Vec<String> = list(terms, "windows").iter().map(window).collect();
    if windows.is_empty() { "-".to_owned() } else { windows.join(", ") }
}

/// A window in words.
pub(super) fn window(window: &Value) -> String {
    let max = number(window, "max").unwrap_or_default();
    let units = if text(window, "counts") == Some("units") { " units" } else { "" };
    format!("{max}{units} per {}", spoken_ms(number(window, "per_ms").unwrap_or_default()))
}

/// The reserves in words: `20% for priority 0, 5% for priorities to 3`.
pub(super) fn reserves(terms: &Value) -> String {
    let reserves: Vec<String> = list(terms, "reserves")
        .iter()
        .map(|reserve| {
            let share = number(reserve, "share").unwrap_or_default();
            match number(reserve, "priority_max").unwrap_or_default() {
                0 => format!("{share}% for priority 0"),
                last => format!("{share}% for priorities to {last}"),
            }
        })
        .collect();
    if reserves.is_empty() { "-".to_owned() } else { reserves.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_maximum_counts_starts_or_units() {
        assert_eq!("50".parse(), Ok(Max { max: 50, units: false }));
        assert_eq!("1000units".parse(), Ok(Max { max: 1_000, units: true }));
        assert!("50/s".parse::<Max>().is_err() && "units".parse::<Max>().is_err());
    }

    #[test]
    fn a_reserve_is_a_share_for_the_first_priorities() {
        assert_eq!("20%:0".parse(), Ok(Reserve { share: 20, priority_max: 0 }));
        assert!("20:0".parse::<Reserve>().is_err() && "20%".parse::<Reserve>().is_err());
    }

    #[test]
    fn terms_are_told_in_words() {
        let terms = json!({
            "windows": [{ "max": 50, "per_ms": 10_000 }, { "max": 1_000, "per_ms": 1_500, "counts": "units" }],
            "reserves": [{ "share": 20, "priority_max": 0 }, { "share": 5, "priority_max": 3 }],
        });
        assert_eq!(windows(&terms), "50 per 10s, 1000 units per 1500ms");
        assert_eq!(reserves(&terms), "20% for priority 0, 5% for priorities to 3");
        assert_eq!((windows(&json!({})), reserves(&json!({}))), ("-".to_owned(), "-".to_owned()));
    }
}
