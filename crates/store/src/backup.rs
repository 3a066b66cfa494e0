//! A copy of a store that is being served.

use std::ops::Bound;
use std::sync::Arc;

use crate::blob::{Blobs, Output};
use crate::close::{self, mark_file};
use crate::disk::Disk;
use crate::error::StoreError;
use crate::format;
use crate::log::Segments;
use crate::note;
use crate::options::{Durability, Options};
use crate::packing;
use crate::shared::tables_file;
use crate::snapshot::Snapshot;
use crate::store::Store;
use crate::tables::{Tables, Writing, blob_of, push_blob};

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
    let blobs = Blobs::new(target.clone(), options, options.salt);
    let mut output = Output::new(&blobs);
    let mut copied = BackedUp { sequence: mark.sequence, rows: 0, bytes: 0 };
    tables.write(mark, &mut |writing| {
        let Writing { rows, counts, .. } = writing;
        let mut end = rows.upper_bound_mut(Bound::<&[u8]>::Unbounded).map_err(StoreError::tables)?;
        let mut refers = Vec::new();
        snapshot.each(|key, value| {
            copied.rows += 1;
            copied.bytes += (key.len() + value.len()) as u64;
            let Some(reference) = blob_of(value)? else { return packing::push(&mut end, key, value) };
            let body = snapshot.blob(&reference)?;
            copied.bytes += body.len() as u64;
            let reference = output.push(mark.sequence, key, &body)?;
            counts.add(&reference);
            refers.clear();
            push_blob(&mut refers, &reference);
            packing::push(&mut end, key, &refers)
        })?;
        end.close().map_err(StoreError::tables)?;
        output.sync()
    })?;
    output.finish();
    drop(tables);
    // Nothing in it was ever acknowledged before it was synced.
    let strict = Options { durability: Durability::Fsync, ..options.clone() };
    let segments = Segments::new(target.clone(), &strict, options.salt);
    segments.activate(mark.epoch)?;
    note::write(target, &mark_file(folder), close::VERSION, &[mark.sequence, u64::from(mark.digest)])?;
    // Last, so that a copy that was cut short does not pass for a directory.
    format::write(target, options)?;
    Ok(copied)
}
