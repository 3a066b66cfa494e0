//! The memory of the first failed write.

use std::sync::{Arc, OnceLock};

use crate::error::StoreError;

/// Set once, for good, and seen by every part of a store.
#[derive(Clone, Debug, Default)]
pub(crate) struct Poison {
    reason: Arc<OnceLock<String>>,
}

impl Poison {
    pub(crate) fn set(&self, error: &StoreError) {
        let _ = self.reason.set(match error {
            StoreError::Poisoned { reason } => reason.clone(),
            other => other.to_string(),
        });
    }

    pub(crate) fn check(&self) -> Result<(), StoreError> {
        match self.reason.get() {
            None => Ok(()),
            Some(reason) => Err(StoreError::Poisoned { reason: reason.clone() }),
        }
    }

    pub(crate) fn is_set(&self) -> bool {
        self.reason.get().is_some()
    }
}
