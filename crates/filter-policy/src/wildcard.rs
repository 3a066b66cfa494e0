//! Texts with stars in them.

/// A text in which `*` stands for any characters, also none; `\*` and `\\` for a star and a backslash themselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wildcard {
    /// What stands between the stars: one part more than there are stars.
    parts: Vec<String>,
}

/// Why a text is no wildcard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unusable {
    /// Two stars stand next to each other.
    Consecutive,
    /// A backslash stands before something else than a star or a backslash.
    Escape,
}

impl Wildcard {
    pub(crate) fn parse(text: &str) -> Result<Self, Unusable> {
        let mut parts = Vec::new();
        let mut part = String::new();
        let mut chars = text.chars();
        let mut after_star = false;
        while let Some(c) = chars.next() {
            let is_star = c == '*';
            match c {
                '*' if after_star => return Err(Unusable::Consecutive),
                '*' => parts.push(std::mem::take(&mut part)),
                '\\' => match chars.next() {
                    Some(c @ ('*' | '\\')) => part.push(c),
                    _ => return Err(Unusable::Escape),
                },
                c => part.push(c),
            }
            after_star = is_star;
        }
        parts.push(part);
        Ok(Self { parts })
    }

    /// What every text that fits starts with.
    pub(crate) fn start(&self) -> &str {
        self.parts.first().map_or("", String::as_str)
    }

    /// What every text that fits ends with.
    pub(crate) fn end(&self) -> &str {
        self.parts.last().map_or("", String::as_str)
    }

    /// Whether there is no star at all.
    pub(crate) fn is_plain(&self) -> bool {
        self.parts.len() == 1
    }

    /// Whether `text` fits. Takes time in proportion to the lengths.
    pub(crate) fn matches(&self, text: &str) -> bool {
        let Some((first, rest)) = self.parts.split_first() else { return false };
        let Some((last, middle)) = rest.split_last() else { return text == first };
        let Some(text) = text.strip_prefix(first.as_str()) else { return false };
        let Some(mut text) = text.strip_suffix(last.as_str()) else { return false };
        // Each part where it first comes: what is found later leaves less to those that follow.
        for part in middle {
            let Some(at) = text.find(part.as_str()) else { return false };
            text = text.get(at + part.len()..).unwrap_or_default();
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn fits(wildcard: &str, text: &str) -> bool {
        Wildcard::parse(wildcard).unwrap().matches(text)
    }

    #[test]
    fn a_star_stands_for_any_characters() {
        for (wildcard, text, expected) in [
            ("*", "", true),
            ("a*", "a", true),
            ("a*b", "ab", true),
            ("a*b", "aXb", true),
            ("a*b", "aXbc", false),
            ("*a*a*", "aa", true),
            ("*a*a*", "a", false),
            ("xy*yx", "xyx", false),
            ("plain", "plain", true),
            ("plain", "plains", false),
            ("a\\*b", "a*b", true),
            ("a\\*b", "aXb", false),
            ("a\\\\*", "a\\b", true),
        ] {
            assert_eq!(fits(wildcard, text), expected, "{wildcard} {text}");
        }
        assert_eq!(Wildcard::parse("a**b"), Err(Unusable::Consecutive));
        assert_eq!(Wildcard::parse("a\\b"), Err(Unusable::Escape));
        assert_eq!(Wildcard::parse("a\\"), Err(Unusable::Escape));
    }

    /// The definition.
    fn by_trying(wildcard: &[u8], text: &[u8]) -> bool {
        match wildcard.split_first() {
            None => text.is_empty(),
            Some((b'*', rest)) => (0..=text.len()).any(|at| by_trying(rest, &text[at..])),
            Some((byte, rest)) => {
                text.split_first().is_some_and(|(first, text)| first == byte && by_trying(rest, text))
            }
        }
    }

    proptest! {
        #[test]
        fn it_fits_what_the_definition_fits(wildcard in "[ab]{0,3}(\\*[ab]{1,2}){0,3}\\*?", text in "[ab]{0,10}") {
            prop_assert_eq!(fits(&wildcard, &text), by_trying(wildcard.as_bytes(), text.as_bytes()));
        }
    }
}
