//! A copy of a store that is being served.

use std::collections::BTreeSet;
use std::ops::Bound;
use std::sync::Arc;

use weir_core::kv::{Key, family};

use crate::close::{self, mark_file};
use crate::disk::Disk;
use crate::error::StoreError;
use crate::format;
use crate::log::Segments;
use crate::note;
use crate::options::Options;
use crate::packing;
use crate::shared::tables_file;
use crate::store::Store;
use crate::tables::{Families, Snapshot, Tables};

/// The state at the last checkpoint, to be copied. It stays as it is while this is kept.
#[derive(Debug)]
pub struct Backup {
    snapshot: Arc<Snapshot>,
    options: Options,
}

/// What was copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackedUp {
    /// Sequence of the state in the copy.
    pub sequence: u64,
    /// Rows.
    pub rows: u64,
    /// Bytes of keys and values.
    pub bytes: u64,
}

impl<D: Disk> Store<D> {
    /// A copy of the state at the last checkpoint. To copy the present state, finish a checkpoint first.
    pub fn backup(&self) -> Backup {
        Backup { snapshot: Arc::clone(&self.snapshot), options: self.options.clone() }
    }
}

impl Backup {
    /// The sequence of the state that is copied.
    pub fn sequence(&self) -> u64 {
        self.snapshot.mark.sequence
    }

    /// Writes the copy to `target`, which must be empty: a directory that opens as one that was closed properly.
    pub fn run<T: Disk>(self, target: &T) -> Result<BackedUp, StoreError> {
        copy(&self.snapshot, target, &self.options)
    }
}

fn copy<T: Disk>(snapshot: &Snapshot, target: &T, options: &Options) -> Result<BackedUp, StoreError> {
    let mark = snapshot.mark;
    let folder = &options.folder;
    for inside in ["", folder.as_str()] {
        let found = target.list(inside).map_err(|error| StoreError::io("list the target of the copy", error))?;
        if let Some(file) = found.iter().find(|file| *file != "lock") {
            return Err(StoreError::broken(format!("the target of the copy is not empty: it has {file}")));
        }
    }
    let tables = Tables::open(target, &tables_file(folder), options.table_cache_bytes, None)?;
    let mut copied = BackedUp { sequence: mark.sequence, rows: 0, bytes: 0 };
    tables.write(mark, &Families::new(), &mut |rows, touched: &mut BTreeSet<Key>| {
        let mut end = rows.upper_bound_mut(Bound::<&[u8]>::Unbounded).map_err(StoreError::tables)?;
        snapshot.each(|key, value| {
            packing::push(&mut end, key, value)?;
            if copied.rows == 0 {
                touched.insert(Key::from_slice(family(key)));
            }
            copied.rows += 1;
            copied.bytes += (key.len() + value.len()) as u64;
            Ok(())
        })?;
        end.close().map_err(StoreError::tables)
    })?;
    drop(tables);
    let segments = Segments::new(target.clone(), options, options.salt);
    segments.activate(mark.epoch)?;
    note::write(target, &mark_file(folder), close::VERSION, &[mark.sequence, u64::from(mark.digest)])?;
    // Last, so that a copy that was cut short does not pass for a directory.
    format::write(target, options)?;
    Ok(copied)
}
