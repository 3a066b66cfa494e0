//! How long an answer asks to be left alone: `Retry-After`, and the headers of rate limits.

use std::time::UNIX_EPOCH;

/// Longest time that a target is left alone because it asked for it.
pub const WAIT_MS_MAX: u64 = 3_600_000;
/// Numbers beyond are moments, not seconds to wait.
const MOMENT_S: u64 = 1_000_000_000;

/// Headers of an answer, by their names in lower case.
pub trait Headers {
    /// The value of the first header of this name, where it is text.
    fn get(&self, name: &str) -> Option<&str>;
}

impl Headers for [(&str, &str)] {
    fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(found, _)| *found == name).map(|&(_, value)| value)
    }
}

impl Headers for http::HeaderMap {
    fn get(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(|value| value.to_str().ok())
    }
}

/// What `Retry-After` says, in seconds or as a date.
pub fn retry_after_ms(headers: &(impl Headers + ?Sized), now_ms: u64) -> Option<u64> {
    let value = headers.get("retry-after")?.trim();
    let wait_ms = if let Some(ms) = decimal_ms(value) {
        ms
    } else {
        let at = httpdate::parse_http_date(value).ok()?.duration_since(UNIX_EPOCH).ok()?;
        u64::try_from(at.as_millis()).ok()?.saturating_sub(now_ms)
    };
    Some(wait_ms.min(WAIT_MS_MAX))
}

/// How long the headers of a rate limit say that nothing is left: `RateLimit` in its present form, `RateLimit-Remaining`
/// and `-Reset` in that of older drafts, and those with an `X-` before them.
pub fn rate_limit_ms(headers: &(impl Headers + ?Sized), now_ms: u64) -> Option<u64> {
    let reset = |text: &str| {
        let ms = decimal_ms(text)?;
        Some(if ms / 1_000 >= MOMENT_S { ms.saturating_sub(now_ms) } else { ms })
    };
    if let Some(value) = headers.get("ratelimit") {
        // "default";r=0;t=30, "daily";r=5;t=600
        let spent = value.split(',').filter_map(|item| {
            let parameter = |name: &str| {
                let found = item.split(';').find_map(|part| part.trim().strip_prefix(name)?.strip_prefix('='));
                found.and_then(|text| text.trim().parse::<u64>().ok())
            };
            (parameter("r") == Some(0)).then(|| parameter("t")).flatten()
        });
        if let Some(longest_s) = spent.max() {
            return Some(longest_s.saturating_mul(1_000).min(WAIT_MS_MAX));
        }
    }
    for (remaining, resets) in [
        ("ratelimit-remaining", "ratelimit-reset"),
        ("x-ratelimit-remaining", "x-ratelimit-reset"),
        ("x-rate-limit-remaining", "x-rate-limit-reset"),
    ] {
        let is_spent =
            headers.get(remaining).is_some_and(|text| text.trim().parse::<f64>().is_ok_and(|left| left < 1.0));
        if is_spent && let Some(ms) = headers.get(resets).and_then(|text| reset(text.trim())) {
            return Some(ms.min(WAIT_MS_MAX));
        }
    }
    None
}

/// Seconds, with a fraction or without, as milliseconds.
fn decimal_ms(text: &str) -> Option<u64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let is_number = !whole.is_empty()
        && whole.len() <= 15
        && (whole.bytes().chain(fraction.bytes())).all(|byte| byte.is_ascii_digit());
    if !is_number {
        return None;
    }
    let thousandths: String = fraction.chars().chain("000".chars()).take(3).collect();
    Some(whole.parse::<u64>().ok()?.saturating_mul(1_000).saturating_add(thousandths.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_MS: u64 = 1_614_265_330_000;

    #[test]
    fn retry_after_is_read_in_seconds_and_as_a_date() {
        for (value, wait_ms) in [
            ("0", Some(0)),
            ("120", Some(120_000)),
            (" 1.5 ", Some(1_500)),
            ("Thu, 25 Feb 2021 15:03:40 GMT", Some(90_000)),
            ("Thu, 25 Feb 2021 15:00:00 GMT", Some(0)),
            ("999999999", Some(WAIT_MS_MAX)),
            ("-1", None),
            ("soon", None),
            ("", None),
            ("1e3", None),
        ] {
            assert_eq!(retry_after_ms(&[("retry-after", value)][..], NOW_MS), wait_ms, "{value}");
        }
        assert_eq!(retry_after_ms(&[][..], NOW_MS), None);
    }

    #[test]
    fn spent_rate_limits_are_read_in_all_their_forms() {
        let of = |headers: &[(&str, &str)]| rate_limit_ms(headers, NOW_MS);
        assert_eq!(of(&[("ratelimit", "\"default\";r=0;t=30")]), Some(30_000));
        assert_eq!(of(&[("ratelimit", "\"a\";r=0;t=3, \"b\"; r=0; t=9, \"c\";r=1;t=99")]), Some(9_000));
        assert_eq!(of(&[("ratelimit", "\"default\";r=2;t=30")]), None);
        assert_eq!(of(&[("ratelimit-remaining", "0"), ("ratelimit-reset", "7")]), Some(7_000));
        assert_eq!(of(&[("ratelimit-remaining", "1"), ("ratelimit-reset", "7")]), None);
        assert_eq!(of(&[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1614265340")]), Some(10_000));
        assert_eq!(of(&[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1")]), Some(1_000));
        assert_eq!(of(&[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "tomorrow")]), None);
        assert_eq!(of(&[]), None);
    }
}
