//! The end of a store.

use crate::disk::Disk;
use crate::error::StoreError;
use crate::note;
use crate::store::Store;

/// Version of the mark of a clean shutdown.
pub(crate) const VERSION: u32 = 1;

/// Name of the mark of a clean shutdown: sequence and digest of the last group.
pub(crate) fn mark_file(folder: &str) -> String {
    format!("{folder}/closed")
}

impl<D: Disk> Store<D> {
    /// Shuts down: a last checkpoint, then the mark that lets the next opening tell damage from a torn end. Everything
    /// written must be sealed, durable and committed, and no checkpoint under way. Does IO on this thread.
    ///
    /// # Errors
    /// Without the mark, the next opening takes the log as after a crash: nothing is lost.
    pub fn close(mut self) -> Result<(), StoreError> {
        self.shared.poison.check()?;
        if self.unsynced_bytes() > 0 || self.synced() < self.sealed {
            return Err(StoreError::broken("closed with groups that are not durable"));
        }
        // More than once where the first is one that found no room before.
        while let Some(checkpoint) = self.freeze() {
            let done = checkpoint.run()?;
            self.checkpointed(done);
        }
        if self.frozen.is_some() {
            return Err(StoreError::broken("closed while a checkpoint is under way"));
        }
        let segments = &self.shared.segments;
        note::write(
            &segments.disk,
            &mark_file(&segments.folder),
            VERSION,
            &[self.sealed, u64::from(self.snapshot.mark.digest)],
        )
    }
}
