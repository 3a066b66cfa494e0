//! What batches have in common.

use weir_core::api::Error;

/// The outcome of an entry that the engine said nothing of, which it never does.
pub(super) fn outcome_of_none<T>() -> Result<T, Error> {
    debug_assert!(false, "the engine answers every entry");
    Err(Error::QueueNotFound)
}
