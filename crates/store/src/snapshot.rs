//! The tables as they were at one checkpoint.
//!
//! A snapshot reads through the handle of the tables that it was taken with. When something fails under that handle, the
//! tables are opened again, and a snapshot goes on with the new handle as long as the tables still hold its state.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use redb::ReadableTable;
use smallvec::SmallVec;
use weir_core::kv::Key;

use crate::blob::{BlobFile, Counts, Reference};
use crate::error::StoreError;
use crate::filters::Filters;
use crate::health::READS_TRIED;
use crate::layer::Value;
use crate::tables::{Families, Handle, INLINE, Mark, Reading, Rows, Tables, blob_of, has_family};
use crate::windows::Row;

/// The tables as they were at one checkpoint.
pub(crate) struct Snapshot {
    /// Before the tables, which have the lock.
    source: RwLock<Source>,
    tables: Arc<Tables>,
    pub(crate) mark: Mark,
    pub(crate) families: Arc<Families>,
    /// Which keys of families of hashes have no row.
    pub(crate) filters: Filters,
    pub(crate) counts: Counts,
    /// The blob segments that rows refer to.
    pub(crate) blobs: BTreeMap<u64, Arc<dyn BlobFile>>,
}

/// The rows, and which opening of the tables they are read through.
struct Source {
    rows: Arc<Rows>,
    opening: u64,
}

impl std::fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Snapshot").field("mark", &self.mark).finish_non_exhaustive()
    }
}

impl Snapshot {
    /// What `reading` found when the tables were opened for the `opening`th time.
    pub(crate) fn new(tables: Arc<Tables>, opening: u64, reading: Reading, families: Families) -> Self {
        let Reading { rows, mark, counts } = reading;
        Self {
            source: RwLock::new(Source { rows: Arc::new(rows), opening }),
            tables,
            mark,
            families: Arc::new(families),
            filters: Filters::default(),
            counts,
            blobs: BTreeMap::new(),
        }
    }

    fn source(&self) -> RwLockReadGuard<'_, Source> {
        self.source.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn rows(&self) -> Arc<Rows> {
        Arc::clone(&self.source().rows)
    }

    /// Reads. What a failure made unreadable, this one's or anybody else's, is read again by a new handle.
    fn reading<T>(&self, read: impl Fn(&Rows) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let mut result = read(&self.rows());
        for _ in 1..READS_TRIED {
            match &result {
                Err(StoreError::Io { .. } | StoreError::Unread { .. } | StoreError::Tables { .. }) => {}
                _ => break,
            }
            result = self.renew().and_then(|()| read(&self.rows()));
        }
        result
    }

    /// Goes on with the present handle of the tables if the one that this reads from has failed.
    fn renew(&self) -> Result<(), StoreError> {
        self.tables.with(|handle| self.read_from(handle))
    }

    /// Reads through `handle` from now on.
    pub(crate) fn read_from(&self, handle: &Handle) -> Result<(), StoreError> {
        if self.source().opening == handle.opening {
            return Ok(());
        }
        let Reading { rows, mark, .. } = handle.read()?;
        if mark != self.mark {
            return Err(StoreError::Outdated);
        }
        *self.source.write().unwrap_or_else(PoisonError::into_inner) =
            Source { rows: Arc::new(rows), opening: handle.opening };
        Ok(())
    }

    /// The body of `key`.
    pub(crate) fn body(&self, key: &[u8]) -> Result<Option<bytes::Bytes>, StoreError> {
        let found = self.reading(|rows| {
            let Some(value) = rows.get(key).map_err(StoreError::tables)? else { return Ok(None) };
            if let Some(reference) = blob_of(value.value())? {
                return Ok(Some(Err(reference)));
            }
            Ok(Some(Ok(bytes::Bytes::copy_from_slice(value.value().get(1..).unwrap_or_default()))))
        })?;
        match found {
            None => Ok(None),
            Some(Ok(body)) => Ok(Some(body)),
            Some(Err(reference)) => self.blob(&reference).map(Some),
        }
    }

    /// A body in a blob segment that a row refers to.
    pub(crate) fn blob(&self, reference: &Reference) -> Result<bytes::Bytes, StoreError> {
        match self.blobs.get(&reference.segment) {
            Some(file) => file.read(reference),
            None => Err(StoreError::broken(format!("blob segment {} is not open", reference.segment))),
        }
    }

    /// The rows from `from` to `to`, but not many more than `rows` and `bytes`; and where what is known ends.
    pub(crate) fn load(
        &self,
        from: &[u8],
        to: &[u8],
        rows: usize,
        bytes: usize,
    ) -> Result<(Vec<Row>, Key), StoreError> {
        if from >= to {
            return Ok((Vec::new(), Key::from_slice(to)));
        }
        self.reading(|table| load(table, from, to, rows, bytes))
    }

    /// Whether the tables may hold a row of `key`.
    pub(crate) fn may_hold(&self, key: &[u8]) -> bool {
        if self.families.is_empty() {
            return false;
        }
        let around = self.families.range::<[u8], _>((Bound::Unbounded, Bound::Included(key))).next_back();
        around.is_some_and(|(_, max)| max.as_slice() >= key) && self.filters.may_hold(key)
    }

    /// Whether the tables hold rows of a family.
    pub(crate) fn has_family(&self, prefix: &[u8]) -> bool {
        has_family(&self.families, prefix)
    }

    /// Whether the tables may hold a row between `from` and `to`.
    pub(crate) fn may_hold_in(&self, from: &[u8], to: &[u8]) -> bool {
        let before = self.families.range::<[u8], _>((Bound::Unbounded, Bound::Excluded(to))).next_back();
        before.is_some_and(|(_, max)| max.as_slice() >= from)
    }

    /// The first stretch from `from` on in which the tables may hold rows: its first and its last key.
    pub(crate) fn next_rows(&self, from: &[u8]) -> Option<(&Key, &Key)> {
        if let Some((min, max)) = self.families.range::<[u8], _>((Bound::Unbounded, Bound::Included(from))).next_back()
            && max.as_slice() >= from
        {
            return Some((min, max));
        }
        self.families.range::<[u8], _>((Bound::Excluded(from), Bound::Unbounded)).next()
    }

    /// Everything, in order: each key with its stored value.
    pub(crate) fn each(&self, mut row: impl FnMut(&[u8], &[u8]) -> Result<(), StoreError>) -> Result<(), StoreError> {
        self.renew()?;
        for entry in self.rows().iter().map_err(StoreError::tables)? {
            let (key, value) = entry.map_err(StoreError::tables)?;
            row(key.value(), value.value())?;
        }
        Ok(())
    }

    /// Everything, in reverse order.
    pub(crate) fn each_back(
        &self,
        mut row: impl FnMut(&[u8], &[u8]) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        self.renew()?;
        for entry in self.rows().iter().map_err(StoreError::tables)?.rev() {
            let (key, value) = entry.map_err(StoreError::tables)?;
            row(key.value(), value.value())?;
        }
        Ok(())
    }
}

fn load(table: &Rows, from: &[u8], to: &[u8], rows: usize, bytes: usize) -> Result<(Vec<Row>, Key), StoreError> {
    let mut found = Vec::new();
    let mut taken = 0;
    let range = table.range::<&[u8]>((Bound::Included(from), Bound::Excluded(to))).map_err(StoreError::tables)?;
    for row in range {
        let (key, value) = row.map_err(StoreError::tables)?;
        if found.len() >= rows.max(1) || (taken > bytes && !found.is_empty()) {
            return Ok((found, Key::from_slice(key.value())));
        }
        let value = match value.value().split_first() {
            Some((&INLINE, value)) => Some(Value::from_slice(value)),
            _ => None,
        };
        taken += key.value().len() + value.as_ref().map_or(0, SmallVec::len) + size_of::<Row>();
        found.push(Row { key: Key::from_slice(key.value()), value });
    }
    Ok((found, Key::from_slice(to)))
}
