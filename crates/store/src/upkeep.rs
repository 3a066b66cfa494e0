//! Work that keeps commits short.

use std::sync::Arc;

use crate::disk::Disk;
use crate::error::StoreError;
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
        self.shared.segments.level(1)
    }
}
