//! Moving what is still alive from the log into the tables.

use std::collections::BTreeSet;
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use weir_core::kv::{Key, family};

use crate::body::BodyLoad;
use crate::disk::Disk;
use crate::error::StoreError;
use crate::layer::{Entry, Layer};
use crate::packing;
use crate::shared::Shared;
use crate::store::Garbage;
use crate::tables::{BULK, INLINE, Mark, Snapshot};

/// A frozen layer on its way into the tables.
#[derive(Debug)]
pub struct Checkpoint<D: Disk> {
    pub(crate) shared: Arc<Shared<D>>,
    pub(crate) layer: Arc<Layer>,
    pub(crate) mark: Mark,
    pub(crate) base: Arc<Snapshot>,
    pub(crate) garbage: Vec<Garbage>,
}

/// A checkpoint that has become durable.
#[derive(Debug)]
pub struct CheckpointDone {
    pub(crate) snapshot: Snapshot,
}

impl CheckpointDone {
    /// The sequence of the state that the tables now hold.
    pub fn sequence(&self) -> u64 {
        self.snapshot.mark.sequence
    }
}

impl<D: Disk> Checkpoint<D> {
    /// The sequence of the state that it writes, which must be durable in the log before [`Checkpoint::run`].
    pub fn sequence(&self) -> u64 {
        self.mark.sequence
    }

    /// Writes it. Belongs on a thread of its own.
    ///
    /// # Errors
    /// The tables are as before. After [`StoreError::DiskFull`] the store can freeze the same state again; any other error
    /// poisons it.
    pub fn run(self) -> Result<CheckpointDone, StoreError> {
        self.shared.poison.check()?;
        let result = self.write();
        match &result {
            Ok(_) => self.shared.tables_full.store(false, Ordering::Release),
            Err(StoreError::DiskFull { .. }) => {
                self.shared.tables_full.store(true, Ordering::Release);
                self.shared.checkpoint_failed.store(true, Ordering::Release);
            }
            // The tables take no further write after a failed one.
            Err(error) => self.shared.poison.set(error),
        }
        drop(self.garbage);
        result
    }

    fn write(&self) -> Result<CheckpointDone, StoreError> {
        // Segments first: what is full shows before the tables are touched.
        if let Err(error) = self.shared.segments.level(0)
            && !matches!(error, StoreError::DiskFull { .. })
        {
            return Err(error);
        }
        let mut mark = self.mark;
        mark.digest = match self.shared.segments.digest(mark.sequence) {
            Some(digest) => digest,
            None => return Err(StoreError::broken(format!("group {} is not durable yet", mark.sequence))),
        };
        let mut filters = self.base.filters.clone();
        let families = self.shared.tables.write_over(&self.base, mark, &mut |rows, touched| {
            for (from, to) in self.layer.masks.iter() {
                let inside = (Bound::Included(from.as_slice()), Bound::Excluded(to.as_slice()));
                let families = self.base.families.range::<[u8], _>((Bound::Unbounded, Bound::Excluded(to.as_slice())));
                for (min, _) in families.rev().take_while(|(_, max)| *max >= from) {
                    touched.insert(Key::from_slice(family(min)));
                }
                rows.retain_in::<&[u8], _>(inside, |_, _| false).map_err(StoreError::tables)?;
            }
            for key in self.layer.map.keys() {
                touch(touched, key);
            }
            packing::apply(rows, self.layer.map.iter(), &mut |entry, value| self.value(entry, value))?;
            filters.take(&self.layer, touched, rows, |family| !self.base.has_family(family))
        })?;
        let mut snapshot = self.shared.tables.snapshot(Some(families))?;
        filters.retain(|family| snapshot.has_family(family));
        snapshot.filters = filters;
        Ok(CheckpointDone { snapshot })
    }

    /// What the tables are to hold for an entry; `false` where that is nothing.
    fn value(&self, entry: &Entry, value: &mut Vec<u8>) -> Result<bool, StoreError> {
        value.clear();
        match entry {
            Entry::Tombstone => return Ok(false),
            Entry::Inline(inline, _) => {
                value.push(INLINE);
                value.extend_from_slice(inline);
            }
            Entry::Short(body, _) => {
                value.push(BULK);
                value.extend_from_slice(body);
            }
            Entry::Bulk(position, _) => {
                value.push(BULK);
                let body = match self.shared.recent.body(*position) {
                    Some(body) => body,
                    None => BodyLoad::from_log(&self.shared.segments, *position)
                        .run()?
                        .expect("a body in the log is there or cannot be read"),
                };
                value.extend_from_slice(&body);
            }
        }
        Ok(true)
    }
}

/// Notes the family of a key. Keys come in order, so most are of the family noted last.
fn touch(touched: &mut BTreeSet<Key>, key: &[u8]) {
    let prefix = family(key);
    if touched.last().is_none_or(|last| last.as_slice() != prefix) {
        touched.insert(Key::from_slice(prefix));
    }
}
