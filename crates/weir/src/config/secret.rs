//! What must not be shown.

use std::fmt;

/// A text that appears nowhere: not in logs, not in `weir config show`.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(pub(crate) String);

/// What stands for a secret wherever it would be shown.
pub(crate) const MASK: &str = "********";

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_does_not_show_itself() {
        assert_eq!(format!("{:?}", Secret("open sesame".to_owned())), MASK);
    }
}
