//! Comparing without regard to case.

/// `text` in the form in which texts that differ in case only are equal.
pub(crate) fn fold(text: &str) -> String {
    // By way of upper case, in which more letters have one form: both sigmas, for one.
    text.chars().flat_map(char::to_uppercase).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_makes_no_difference() {
        for (one, other) in [("Tennis", "tENNIS"), ("ÄÖ", "äö"), ("Σ", "ς"), ("", "")] {
            assert_eq!(fold(one), fold(other));
        }
        assert_ne!(fold("a"), fold("b"));
    }
}
