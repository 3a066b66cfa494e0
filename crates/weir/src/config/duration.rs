//! Durations as people write them: `30s`, `250ms`, `1h30m`.

use std::time::Duration;

/// Units, the longest first, in milliseconds.
const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// Reads a duration.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    let mut rest = text.trim();
    let mut total_ms: u64 = 0;
    if rest.is_empty() {
        return Err("must be a duration such as 30s".to_owned());
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let (number, after) = rest.split_at(digits);
        let unit_end = after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len());
        let (unit, after) = after.split_at(unit_end);
        let number: u64 = number.parse().map_err(|_| "must be a duration such as 30s or 1h30m".to_owned())?;
        if unit.is_empty() {
            return Err(format!("needs a unit: ms, s, m, h or d, as in {number}s"));
        }
        let (_, unit_ms) = UNITS
            .into_iter()
            .find(|(known, _)| *known == unit)
            .ok_or_else(|| format!("has the unit {unit:?}, which is none of ms, s, m, h, d"))?;
        total_ms = number
            .checked_mul(unit_ms)
            .and_then(|ms| total_ms.checked_add(ms))
            .ok_or_else(|| "is longer than can be counted".to_owned())?;
        rest = after;
    }
    Ok(Duration::from_millis(total_ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_a_number_with_a_unit_or_several() {
        for (text, ms) in [("30s", 30_000), ("250ms", 250), ("1h30m", 5_400_000), ("2d", 172_800_000), ("0s", 0)] {
            assert_eq!(parse(text), Ok(Duration::from_millis(ms)), "{text}");
        }
    }

    #[test]
    fn a_duration_without_unit_says_how_to_write_it() {
        assert_eq!(parse("30"), Err("needs a unit: ms, s, m, h or d, as in 30s".to_owned()));
        for text in ["", "s", "3 weeks", "-1s", "1.5s", "99999999999999999999d", "999999999999999999d"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
