//! What the parts of a store share: the engine's side, the log writer, checkpoints and readers.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use crate::ballast::Ballast;
use crate::blob::Blobs;
use crate::body::Recent;
use crate::disk::Disk;
use crate::log::Segments;
use crate::poison::Poison;
use crate::tables::Tables;
use crate::unsynced::Unsynced;

#[derive(Debug)]
pub(crate) struct Shared<D: Disk> {
    pub(crate) segments: Arc<Segments<D>>,
    pub(crate) blobs: Arc<Blobs<D>>,
    /// Given up when the tables find no room.
    pub(crate) ballast: Arc<Ballast<D>>,
    pub(crate) unsynced: Arc<Unsynced<D>>,
    pub(crate) recent: Recent,
    pub(crate) tables: Arc<Tables>,
    /// The tables found no room the last time.
    pub(crate) tables_full: AtomicBool,
    pub(crate) poison: Poison,
    pub(crate) checkpoint_failed: AtomicBool,
}

pub(crate) fn tables_file(folder: &str) -> String {
    format!("{folder}/tables")
}
