//! Which characters texts may have.

/// Whether `text` has only the characters that SQS permits in a body: those of XML 1.0.
pub(crate) fn is_xml(text: &str) -> bool {
    text.chars().all(
        |c| matches!(c, '\u{9}' | '\u{A}' | '\u{D}' | '\u{20}'..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..),
    )
}

/// Whether `text` is of letters, digits and ASCII punctuation: message group and deduplication ids.
pub(crate) fn is_graphic(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Whether `text` is of letters, digits, hyphens and underscores.
pub(crate) fn is_word(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

/// Whether `text` is of the characters that a tag may have: letters, digits and spaces of any script, and some signs.
pub(crate) fn is_tag(text: &str) -> bool {
    text.chars().all(|c| {
        c.is_alphanumeric()
            || c.is_whitespace() && !c.is_control()
            || matches!(c, '_' | '.' | ':' | '/' | '=' | '+' | '-' | '@')
    })
}

/// At most the first `bytes_max` bytes of `text`, cut at a character: what a message to the caller quotes.
pub(crate) fn quote(text: &str, bytes_max: usize) -> &str {
    let end = (0..=bytes_max.min(text.len())).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0);
    text.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn xml_has_no_control_characters_but_three() {
        assert!(is_xml("tab\t line\n return\r \u{20}\u{D7FF}\u{E000}\u{FFFD}\u{10000}\u{10FFFF}"));
        for text in ["\0", "\u{1}", "\u{8}", "\u{B}", "\u{C}", "\u{1F}", "\u{FFFE}", "\u{FFFF}"] {
            assert!(!is_xml(text), "{text:?}");
        }
    }

    #[test]
    fn a_quote_ends_at_a_character() {
        assert_eq!(quote("aé", 1), "a");
        assert_eq!(quote("aé", 2), "a");
        assert_eq!(quote("aé", 3), "aé");
        assert_eq!(quote("", 10), "");
    }
}
