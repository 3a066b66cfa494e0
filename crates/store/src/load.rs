//! Loading rows of the tables into memory.

use std::marker::PhantomData;
use std::sync::Arc;

use weir_core::kv::{Key, Need};

use crate::disk::Disk;
use crate::error::StoreError;
use crate::snapshot::Snapshot;
use crate::tables::successor;
use crate::windows::Row;

/// Rows at most in one load.
const ROWS_MAX: usize = 4096;

/// Rows to be read from the tables.
#[derive(Debug)]
pub struct Load<D: Disk> {
    pub(crate) snapshot: Arc<Snapshot>,
    pub(crate) need: Need,
    pub(crate) bytes_max: usize,
    pub(crate) disk: PhantomData<D>,
}

/// Rows that were read.
#[derive(Debug)]
pub struct Loaded {
    /// The checkpoint that they were read from. `None` where that could not be read any more.
    pub(crate) sequence: Option<u64>,
    pub(crate) from: Key,
    /// All rows up to here are among them.
    pub(crate) to: Key,
    pub(crate) rows: Vec<Row>,
    /// Whether a single key was asked for by itself: a walk looks for ranges.
    pub(crate) is_point: bool,
}

impl<D: Disk> Load<D> {
    /// Reads them. Belongs on a reader's thread.
    pub fn run(self) -> Result<Loaded, StoreError> {
        let Need { from, to, rows } = self.need;
        let is_point = rows == 1 && to == successor(&from);
        match self.snapshot.load(&from, &to, rows.min(ROWS_MAX), self.bytes_max) {
            Ok((rows, to)) => Ok(Loaded { sequence: Some(self.snapshot.mark.sequence), from, to, rows, is_point }),
            Err(StoreError::Outdated) => {
                Ok(Loaded { sequence: None, to: from.clone(), from, rows: Vec::new(), is_point })
            }
            Err(error) => Err(error),
        }
    }
}
