//! Values of arguments that several commands take.

use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::config::parse_duration;

/// A duration of whole seconds: `30s`, `5m`, `2h`.
pub(crate) fn seconds(text: &str) -> Result<u64, String> {
    let duration = parse_duration(text)?;
    if duration.subsec_nanos() > 0 {
        return Err("must be a duration of whole seconds, such as 30s".to_owned());
    }
    Ok(duration.as_secs())
}

/// A duration in whole milliseconds: `250ms`, `30s`, `5m`.
pub(crate) fn milliseconds(text: &str) -> Result<u64, String> {
    let duration = parse_duration(text)?;
    u64::try_from(duration.as_millis()).map_err(|_| "is longer than can be counted".to_owned())
}

/// A moment in milliseconds since the epoch: as RFC 3339 writes it, or a day, which begins in UTC.
pub(crate) fn moment(text: &str) -> Result<u64, String> {
    let day = || text.parse::<Date>().ok().filter(|_| text.len() == "2026-01-31".len());
    let at = match day() {
        Some(day) => day.to_zoned(TimeZone::UTC).ok().map(|day| day.timestamp()),
        None => text.parse().ok(),
    };
    let at: Timestamp =
        at.ok_or("must be a moment such as 2026-01-31T08:05:00Z or 2026-01-31T08:05:00+01:00, or a day in UTC")?;
    u64::try_from(at.as_millisecond()).map_err(|_| "must not be before 1970".to_owned())
}

/// A part in percent: `20` or `20%`.
pub(crate) fn percent(text: &str) -> Result<f64, String> {
    let number = text.strip_suffix('%').unwrap_or(text).parse().ok();
    number.filter(|percent| (0.0..=100.0).contains(percent)).ok_or_else(|| "must be from 0% to 100%".to_owned())
}

/// A name and a value: `name=value`.
pub(crate) fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("must be of the form NAME=VALUE".to_owned()),
    }
}

/// How many a second: `50` or `50/s`.
pub(crate) fn rate(text: &str) -> Result<u32, String> {
    let number = text.strip_suffix("/s").unwrap_or(text);
    match number.parse() {
        Ok(0) | Err(_) => Err("must be a number of messages a second, such as 50/s".to_owned()),
        Ok(rate) => Ok(rate),
    }
}

/// Seconds as people write them.
pub(crate) fn spoken(seconds: u64) -> String {
    let units = [("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)];
    let (unit, length) =
        units.into_iter().find(|(_, length)| seconds >= *length && seconds.is_multiple_of(*length)).unwrap_or(("s", 1));
    format!("{}{unit}", seconds / length)
}

/// Milliseconds as people write them.
pub(crate) fn spoken_ms(ms: u64) -> String {
    if ms.is_multiple_of(1_000) { spoken(ms / 1_000) } else { format!("{ms}ms") }
}

/// The duration of so many seconds.
pub(crate) fn duration(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_read_with_their_units() {
        assert_eq!(seconds("5m"), Ok(300));
        assert!(seconds("100ms").is_err() && seconds("5").is_err());
        assert_eq!(rate("50/s"), Ok(50));
        assert_eq!(rate("7"), Ok(7));
        assert!(rate("0/s").is_err() && rate("x").is_err() && rate("5/m").is_err());
        assert_eq!(pair("a=b=c"), Ok(("a".to_owned(), "b=c".to_owned())));
        assert!(pair("=x").is_err() && pair("x").is_err());
    }

    #[test]
    fn a_moment_has_an_offset_or_is_a_day() {
        assert_eq!(moment("1970-01-02"), Ok(86_400_000));
        assert_eq!(moment("1970-01-01T01:00:00.5+01:00"), Ok(500));
        for text in ["1970-01-01T00:00:00", "1969-12-31", "tomorrow", ""] {
            assert!(moment(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_part_is_from_none_to_all() {
        assert_eq!((percent("20%"), percent("0.5")), (Ok(20.0), Ok(0.5)));
        assert!(percent("101%").is_err() && percent("-1").is_err() && percent("NaN").is_err());
    }

    #[test]
    fn seconds_are_told_in_the_largest_whole_unit() {
        let told = [0, 30, 90, 3_600, 345_600].map(spoken);
        assert_eq!(told, ["0s", "30s", "90s", "1h", "4d"]);
        assert_eq!([0, 1_500, 60_000].map(spoken_ms), ["0s", "1500ms", "1m"]);
    }
}
