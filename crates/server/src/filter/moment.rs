//! Moments as RFC 3339 writes them.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

/// Milliseconds since the epoch of a moment such as `2026-01-31T08:05:09.5+02:00`, or of the start of a day in UTC.
pub(super) fn parse(text: &str) -> Option<i64> {
    // The library reads more than these two forms, such as a moment with the name of a zone.
    if text.len() == "2026-01-31".len() {
        let day: Date = text.parse().ok()?;
        return Some(day.to_zoned(TimeZone::UTC).ok()?.timestamp().as_millisecond());
    }
    text.parse::<Timestamp>().ok().map(Timestamp::as_millisecond)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_read_with_its_offset() {
        for (text, ms) in [
            ("1970-01-01T00:00:00Z", 0),
            ("1970-01-01", 0),
            ("2000-02-29T00:00:00.5Z", 951_782_400_500),
            ("2024-12-31T23:59:59+00:00", 1_735_689_599_000),
            ("2025-01-01T01:59:59+02:00", 1_735_689_599_000),
            ("2024-12-31T18:29:59-05:30", 1_735_689_599_000),
            ("1969-12-31T23:59:59.999Z", -1),
        ] {
            assert_eq!(parse(text), Some(ms), "{text}");
        }
    }

    #[test]
    fn what_is_no_moment_is_refused() {
        for text in [
            "2026-02-29",
            "2026-13-01",
            "2026-1-1",
            "2026-01-01T00:00:00",
            "2026-01-01T24:00:00Z",
            "yesterday",
            "2026-01-01T00:00:00+2:00",
            "2026-01-01T00:00:00.Z",
            "-5",
            "",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
