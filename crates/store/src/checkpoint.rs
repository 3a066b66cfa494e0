//! Moving what is still alive from the log into the tables.

use std::collections::BTreeSet;
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use weir_core::kv::{Key, family};

use crate::blob::{Counts, Output};
use crate::body::BodyLoad;
use crate::compaction;
use crate::disk::Disk;
use crate::error::StoreError;
use crate::health::READS_TRIED;
use crate::layer::{Entry, Layer};
use crate::packing;
use crate::shared::Shared;
use crate::snapshot::Snapshot;
use crate::store::Garbage;
use crate::tables::{BULK, Families, INLINE, Mark, Writing, blob_of, push_blob};

/// A frozen layer on its way into the tables.
#[derive(Debug)]
pub struct Checkpoint<D: Disk> {
    pub(crate) shared: Arc<Shared<D>>,
    pub(crate) layer: Arc<Layer>,
    pub(crate) mark: Mark,
    pub(crate) blob_ends: Arc<[(u64, u64)]>,
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
    /// The tables are as before. After [`StoreError::DiskFull`] and [`StoreError::Unread`] the store can freeze the same
    /// state again; any other error poisons it.
    pub fn run(self) -> Result<CheckpointDone, StoreError> {
        self.shared.poison.check()?;
        let result = self.write();
        match &result {
            Ok(_) => self.shared.tables_full.store(false, Ordering::Release),
            Err(StoreError::DiskFull { .. }) => {
                self.shared.tables_full.store(true, Ordering::Release);
                self.shared.checkpoint_failed.store(true, Ordering::Release);
            }
            Err(StoreError::Unread { .. }) => self.shared.checkpoint_failed.store(true, Ordering::Release),
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
            Some(digest) if mark.sequence <= self.shared.unsynced.synced() => digest,
            _ => return Err(StoreError::broken(format!("group {} is not durable yet", mark.sequence))),
        };
        let mut filters = self.base.filters.clone();
        let blobs = &self.shared.blobs;
        let mut moved = Output::new(blobs);
        let written = self.shared.tables.write_over(&self.base, mark, &mut |writing| {
            writing.counts.extend(&self.blob_ends);
            self.apply(writing)?;
            blobs.drop_gone(&mut writing.counts);
            compaction::run(blobs, writing, mark.sequence, &mut moved)?;
            filters.take(&self.layer, &writing.touched, &writing.rows, |family| !self.base.has_family(family))
        });
        let (families, counts) = match written {
            Ok(written) => written,
            Err(error) => {
                // Without room, or after a failed read, the tables are known to be as before. Otherwise the next opening may
                // find them changed, and then they refer to what was moved.
                if !matches!(error, StoreError::DiskFull { .. } | StoreError::Unread { .. }) {
                    moved.finish();
                }
                return Err(error);
            }
        };
        blobs.adopt(moved.finish(), mark.sequence);
        let mut snapshot = self.read_again(&families)?;
        filters.retain(|family| snapshot.has_family(family));
        snapshot.filters = filters;
        snapshot.blobs = blobs.files(&counts);
        Ok(CheckpointDone { snapshot })
    }

    /// The state that was written. The tables have it, so a failure is no reason to write it again.
    fn read_again(&self, families: &Families) -> Result<Snapshot, StoreError> {
        let read = || self.shared.tables.snapshot(Some(families.clone()));
        let read = (1..READS_TRIED).fold(read(), |snapshot, _| snapshot.or_else(|_| read()));
        let in_doubt = |error| StoreError::Poisoned { reason: format!("read what a checkpoint has written: {error}") };
        read.map_err(in_doubt)
    }

    /// Brings the rows up to date.
    fn apply(&self, writing: &mut Writing<'_>) -> Result<(), StoreError> {
        let Writing { rows, touched, counts } = writing;
        for (from, to) in self.layer.masks.iter() {
            let inside = (Bound::Included(from.as_slice()), Bound::Excluded(to.as_slice()));
            let families = self.base.families.range::<[u8], _>((Bound::Unbounded, Bound::Excluded(to.as_slice())));
            for (min, _) in families.rev().take_while(|(_, max)| *max >= from) {
                touched.insert(Key::from_slice(family(min)));
            }
            let mut malformed = Ok(());
            let gone = |_: &[u8], value: &[u8]| {
                match blob_of(value) {
                    Ok(Some(reference)) => counts.remove(&reference),
                    Ok(None) => {}
                    Err(error) => malformed = Err(error),
                }
                false
            };
            rows.retain_in::<&[u8], _>(inside, gone).map_err(StoreError::tables)?;
            malformed?;
        }
        for (key, _) in self.layer.iter() {
            touch(touched, key);
        }
        packing::apply(rows, self.layer.iter(), &mut Values { shared: &self.shared, counts })
    }
}

/// Makes rows of entries, and counts the blobs that rows refer to.
struct Values<'a, D: Disk> {
    shared: &'a Shared<D>,
    counts: &'a mut Counts,
}

impl<D: Disk> packing::Render for Values<'_, D> {
    fn value(&mut self, entry: &Entry, value: &mut Vec<u8>) -> Result<bool, StoreError> {
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
            Entry::Blob(reference, _) => {
                push_blob(value, reference);
                self.counts.add(reference);
            }
        }
        Ok(true)
    }

    fn replaced(&mut self, old: &[u8]) -> Result<(), StoreError> {
        if let Some(reference) = blob_of(old)? {
            self.counts.remove(&reference);
        }
        Ok(())
    }
}

/// Notes the family of a key. Keys come in order, so most are of the family noted last.
fn touch(touched: &mut BTreeSet<Key>, key: &[u8]) {
    let prefix = family(key);
    if touched.last().is_none_or(|last| last.as_slice() != prefix) {
        touched.insert(Key::from_slice(prefix));
    }
}
