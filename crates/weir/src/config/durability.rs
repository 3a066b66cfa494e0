//! When a write is acknowledged, as people write it: `fsync`, or `interval(100ms)`.

use std::time::Duration;

use weir_store::Durability;

use super::duration;
use super::kind::{Kind, Setting};

const INTERVAL_MIN: Duration = Duration::from_millis(1);
const INTERVAL_MAX: Duration = Duration::from_secs(10);

impl Setting for Durability {
    const KIND: Kind = Kind::Durability;

    fn parse(text: &str) -> Result<Self, String> {
        if text == "fsync" {
            return Ok(Durability::Fsync);
        }
        let interval = text.strip_prefix("interval(").and_then(|rest| rest.strip_suffix(')'));
        let interval = interval.ok_or("must be fsync, or an interval such as interval(100ms)")?;
        let interval = duration::parse(interval).map_err(|reason| format!("has an interval that {reason}"))?;
        if (INTERVAL_MIN..=INTERVAL_MAX).contains(&interval) {
            Ok(Durability::Interval(interval))
        } else {
            Err("must have an interval between 1ms and 10s".to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_is_acknowledged_after_its_fsync_or_up_to_an_interval_before() {
        assert_eq!(Durability::parse("fsync"), Ok(Durability::Fsync));
        for (text, ms) in [("interval(1ms)", 1), ("interval(100ms)", 100), ("interval(10s)", 10_000)] {
            assert_eq!(Durability::parse(text), Ok(Durability::Interval(Duration::from_millis(ms))), "{text}");
        }
    }

    #[test]
    fn what_is_no_durability_says_how_to_write_one() {
        for text in ["", "none", "100ms", "interval", "interval()", "interval(5)", "interval(100ms", "interval(0s)"] {
            assert!(Durability::parse(text).is_err(), "{text}");
        }
        assert_eq!(Durability::parse("interval(11s)"), Err("must have an interval between 1ms and 10s".to_owned()));
        assert_eq!(
            Durability::parse("interval(5)"),
            Err("has an interval that needs a unit: ms, s, m, h or d, as in 5s".to_owned())
        );
    }
}
