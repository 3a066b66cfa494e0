//! Texts of others, and moments, as people read them.

use std::fmt::Write as _;

use jiff::Timestamp;

/// A text in one line that cannot steer a terminal: control characters are written as escapes.
pub(crate) fn clean(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => clean.push_str("\\n"),
            '\r' => clean.push_str("\\r"),
            '\t' => clean.push_str("\\t"),
            // Characters that change the direction of what follows could show one thing for another.
            c if c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') => {
                let _ = write!(clean, "\\u{{{:x}}}", u32::from(c));
            }
            c => clean.push(c),
        }
    }
    clean
}

/// A number of things: `1 message`, `2 messages`.
pub(crate) fn counted(count: u64, thing: &str) -> String {
    format!("{count} {thing}{}", if count == 1 { "" } else { "s" })
}

/// A moment in milliseconds since the epoch as `2026-01-31T08:05:09Z`; the number itself where no calendar reaches it.
pub(crate) fn stamp(ms: u64) -> String {
    let at = i64::try_from(ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
    at.map_or_else(|| ms.to_string(), |at| at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_cannot_steer_the_terminal() {
        assert_eq!(clean("a\u{1b}[31mb\n\tc\u{202e}"), "a\\u{1b}[31mb\\n\\tc\\u{202e}");
        assert_eq!(clean("größe ✓"), "größe ✓");
    }

    #[test]
    fn moments_are_written_in_universal_time() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_735_689_599, "2024-12-31T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(stamp(seconds * 1_000), text);
        }
    }
}
