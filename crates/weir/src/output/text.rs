//! Texts of others, as people read them.

use std::fmt::Write as _;

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_cannot_steer_the_terminal() {
        assert_eq!(clean("a\u{1b}[31mb\n\tc\u{202e}"), "a\\u{1b}[31mb\\n\\tc\\u{202e}");
        assert_eq!(clean("größe ✓"), "größe ✓");
    }
}
