//! Syncing groups that were acknowledged before.

use std::sync::Arc;

use crate::disk::Disk;
use crate::error::StoreError;
use crate::shared::Shared;
use crate::store::Store;

/// Groups to be synced, on whatever thread: the log goes on being written meanwhile.
#[derive(Debug)]
pub struct LogSync<D: Disk> {
    shared: Arc<Shared<D>>,
}

impl<D: Disk> LogSync<D> {
    /// Syncs all groups written before the call; returns the sequence of the last one.
    ///
    /// # Errors
    /// It is unknown which of them are durable, and nothing is accepted any more.
    pub fn run(self) -> Result<u64, StoreError> {
        self.shared.poison.check()?;
        let synced = self.shared.unsynced.sync(&self.shared.blobs);
        if let Err(error) = &synced {
            self.shared.poison.set(error);
        }
        synced
    }
}

impl<D: Disk> Store<D> {
    /// The sequence of the last group that a loss of power cannot take.
    pub fn synced(&self) -> u64 {
        self.shared.unsynced.synced()
    }

    /// How to sync the groups that were written and are not synced; `None` if there is none.
    pub fn sync(&self) -> Option<LogSync<D>> {
        (self.shared.unsynced.groups() > 0).then(|| LogSync { shared: Arc::clone(&self.shared) })
    }
}
