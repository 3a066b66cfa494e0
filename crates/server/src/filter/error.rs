//! What is wrong with a filter.

/// `filter.invalid`: what is wrong with a filter, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("at character {at}: {reason}")]
pub struct Error {
    /// The character, from 1.
    pub at: usize,
    /// What is wrong.
    pub reason: String,
}

impl Error {
    pub(super) fn new(at: usize, reason: impl Into<String>) -> Self {
        Self { at, reason: reason.into() }
    }
}
