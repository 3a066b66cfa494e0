//! What the parts of a store share: the engine's side, the log writer, checkpoints and readers.

use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use crate::body::Recent;
use crate::disk::Disk;
use crate::log::Segments;
use crate::poison::Poison;
use crate::tables::Tables;

#[derive(Debug)]
pub(crate) struct Shared<D: Disk> {
    pub(crate) segments: Arc<Segments<D>>,
    pub(crate) recent: Recent,
    pub(crate) tables: Tables,
    pub(crate) poison: Poison,
    pub(crate) checkpoint_failed: AtomicBool,
    pub(crate) _lock: Box<dyn Debug + Send + Sync>,
}

impl<D: Disk> Shared<D> {
    pub(crate) fn tables_file(&self) -> String {
        tables_file(&self.segments.folder)
    }
}

pub(crate) fn tables_file(folder: &str) -> String {
    format!("{folder}/tables")
}
