//! Work that keeps commits short.

use std::sync::Arc;

use crate::disk::Disk;
use crate::error::{StoreError, is_full};
use crate::shared::Shared;
use crate::store::Garbage;

/// Segments to be prepared or removed, and memory to be freed. Belongs on the thread of the checkpoints.
#[derive(Debug)]
pub struct Upkeep<D: Disk> {
    pub(crate) shared: Arc<Shared<D>>,
    pub(crate) garbage: Vec<Garbage>,
}

impl<D: Disk> Upkeep<D> {
    /// Does it.
    ///
    /// # Errors
    /// `DiskFull` is seen in `Store::pressure` too; no error here harms what is stored.
    pub fn run(self) -> Result<(), StoreError> {
        drop(self.garbage);
        // What frees room comes first.
        self.shared.blobs.keep_up()?;
        self.shared.segments.level(1)?;
        match self.shared.ballast.keep() {
            Err(error) if !is_full(&error) => Err(StoreError::io("make the ballast again", error)),
            // While there is no room for it, the tables go without.
            _ => Ok(()),
        }
    }
}
