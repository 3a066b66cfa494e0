//! The tables: what was alive at the last checkpoint, in a B-tree on disk.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};

use redb::{
    Database, ReadOnlyTable, ReadTransaction, ReadableDatabase, ReadableTable, Table, TableDefinition, TableError,
    WriteTransaction,
};
use smallvec::SmallVec;
use weir_core::kv::{Key, family, prefix_end};

use crate::ballast::Ballast;
use crate::blob::{BlobFile, Count, Counts, Reference};
use crate::disk::{Disk, DiskFile};
use crate::error::StoreError;
use crate::filters::Filters;
use crate::layer::Value;
use crate::pages::Pages;
use crate::windows::Row;

const ROWS: TableDefinition<'static, &[u8], &[u8]> = TableDefinition::new("rows");
const META: TableDefinition<'static, &str, u64> = TableDefinition::new("meta");
/// Blob segments: bytes referred to, and end. Since version 2.
const BLOBS: TableDefinition<'static, u64, (u64, u64)> = TableDefinition::new("blobs");

/// Version of what the tables hold.
const VERSION: u64 = 2;

/// First byte of a value that the engine reads.
pub(crate) const INLINE: u8 = 0;
/// First byte of a body.
pub(crate) const BULK: u8 = 1;
/// First byte of a reference to a body in a blob segment.
pub(crate) const BLOB: u8 = 2;

/// Families of keys in the tables: smallest and greatest key of each. Outside of these there is no row.
pub(crate) type Families = BTreeMap<Key, Key>;

type Rows = ReadOnlyTable<&'static [u8], &'static [u8]>;

/// Whether a family is among these.
pub(crate) fn has_family(families: &Families, prefix: &[u8]) -> bool {
    let first = families.range::<[u8], _>((Bound::Included(prefix), Bound::Unbounded)).next();
    first.is_some_and(|(min, _)| min.starts_with(prefix))
}

/// What the tables are the state of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) sequence: u64,
    pub(crate) time: u64,
    pub(crate) epoch: u64,
    pub(crate) digest: u32,
}

type Lock = Box<dyn std::fmt::Debug + Send + Sync>;

/// The tables of a shard.
pub(crate) struct Tables {
    /// Held for as long as a transaction writes. `None` only if the tables could not be opened again after a failure.
    db: Mutex<Option<Database>>,
    open: Box<dyn Fn() -> Result<Database, StoreError> + Send + Sync>,
    file: String,
    /// The directory's lock. Last, and here: a B-tree still writes as it is dropped, and a copy may outlive its store.
    lock: OnceLock<Lock>,
}

impl std::fmt::Debug for Tables {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tables").field("file", &self.file).finish_non_exhaustive()
    }
}

/// The tables as they were at one checkpoint.
pub(crate) struct Snapshot {
    /// Replaced when the tables were opened again, with the same content. Before the tables, which have the lock.
    rows: RwLock<Arc<Rows>>,
    tables: Arc<Tables>,
    pub(crate) mark: Mark,
    pub(crate) families: Arc<Families>,
    /// Which keys of families of hashes have no row.
    pub(crate) filters: Filters,
    pub(crate) counts: Counts,
    /// The blob segments that rows refer to.
    pub(crate) blobs: BTreeMap<u64, Arc<dyn BlobFile>>,
}

impl std::fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Snapshot").field("mark", &self.mark).finish_non_exhaustive()
    }
}

impl Tables {
    /// Opens the tables in `file`. New ones are made under another name first, so that a crash in between leaves none.
    pub(crate) fn open<D: Disk>(
        disk: &D,
        file: &str,
        cache_bytes: usize,
        ballast: Option<Arc<Ballast<D>>>,
    ) -> Result<Arc<Self>, StoreError> {
        let failed = |error| StoreError::io(format!("make {file}"), error);
        let (folder, name) = file.rsplit_once('/').unwrap_or(("", file));
        if !disk.list(folder).map_err(failed)?.iter().any(|found| found == name) {
            let new = format!("{file}.new");
            disk.open(&new, true).and_then(|file| file.set_len(0)).map_err(failed)?;
            let tables = Self::open_file(disk, &new, cache_bytes, None)?;
            tables.write(Mark::default(), &mut |_| Ok(()))?;
            drop(tables);
            disk.rename(&new, file).map_err(failed)?;
            disk.sync_names(folder).map_err(failed)?;
        }
        Self::open_file(disk, file, cache_bytes, ballast)
    }

    fn open_file<D: Disk>(
        disk: &D,
        file: &str,
        cache_bytes: usize,
        ballast: Option<Arc<Ballast<D>>>,
    ) -> Result<Arc<Self>, StoreError> {
        let (disk, name) = (disk.clone(), file.to_owned());
        let open = move || {
            let mut builder = Database::builder();
            builder.set_cache_size(cache_bytes);
            builder.create_with_backend(Pages::open(&disk, &name, ballast.clone())?).map_err(StoreError::tables)
        };
        let db = Mutex::new(Some(open()?));
        Ok(Arc::new(Self { db, open: Box::new(open), file: file.to_owned(), lock: OnceLock::new() }))
    }

    /// Keeps the directory locked for as long as anybody has these tables.
    pub(crate) fn keep_lock(&self, lock: Lock) {
        self.lock.get_or_init(|| lock);
    }

    fn db(&self) -> MutexGuard<'_, Option<Database>> {
        self.db.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs one transaction over the rows and moves the mark. `change` tells which families it touched.
    /// Returns the families after it. Nothing is known of the state before.
    pub(crate) fn write(&self, mark: Mark, change: Change<'_>) -> Result<Families, StoreError> {
        let mut db = self.db();
        let db = db.as_mut().ok_or_else(lost)?;
        let counts = if mark == Mark::default() { Counts::default() } else { read(db, &self.file)?.2 };
        Ok(write(db, mark, &Families::new(), &counts, change)?.0)
    }

    /// As [`Tables::write`], over the state of `base`. Where there is no room, the tables are opened again, since the
    /// B-tree does nothing more after a failed write, and `base` goes on reading from them.
    pub(crate) fn write_over(
        &self,
        base: &Snapshot,
        mark: Mark,
        change: Change<'_>,
    ) -> Result<(Families, Counts), StoreError> {
        let mut db = self.db();
        let result = write(db.as_ref().ok_or_else(lost)?, mark, &base.families, &base.counts, change);
        if let Err(StoreError::DiskFull { .. }) = result {
            *db = None;
            let opened = db.insert((self.open)()?);
            let (rows, found, _) = read(opened, &self.file)?;
            if found != base.mark {
                return Err(StoreError::broken("the tables changed in a transaction that failed"));
            }
            *base.rows.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(rows);
        }
        result
    }

    /// The tables as they are now, without the files of blobs. `families` are looked up unless they are known.
    pub(crate) fn snapshot(self: &Arc<Self>, families: Option<Families>) -> Result<Snapshot, StoreError> {
        let (rows, mark, counts) = read(self.db().as_ref().ok_or_else(lost)?, &self.file)?;
        let families = match families {
            Some(families) => families,
            None => all_families(&rows)?,
        };
        Ok(Snapshot {
            tables: Arc::clone(self),
            rows: RwLock::new(Arc::new(rows)),
            mark,
            families: Arc::new(families),
            filters: Filters::default(),
            counts,
            blobs: BTreeMap::new(),
        })
    }
}

/// A transaction over the rows.
pub(crate) struct Writing<'txn> {
    pub(crate) rows: Table<'txn, &'static [u8], &'static [u8]>,
    /// Families in which rows come or go.
    pub(crate) touched: BTreeSet<Key>,
    pub(crate) counts: Counts,
}

/// What a transaction does.
pub(crate) type Change<'a> = &'a mut dyn FnMut(&mut Writing<'_>) -> Result<(), StoreError>;

fn lost() -> StoreError {
    StoreError::broken("the tables could not be opened again after a failed write")
}

fn write(
    db: &Database,
    mark: Mark,
    families: &Families,
    before: &Counts,
    change: Change<'_>,
) -> Result<(Families, Counts), StoreError> {
    let mut txn = db.begin_write().map_err(StoreError::tables)?;
    txn.set_quick_repair(true);
    let written = {
        let rows = txn.open_table(ROWS).map_err(StoreError::tables)?;
        let mut writing = Writing { rows, touched: BTreeSet::new(), counts: before.clone() };
        change(&mut writing)?;
        let Writing { rows, touched, counts } = writing;
        write_counts(&txn, before, &counts)?;
        let mut families = families.clone();
        for prefix in touched {
            measure(&rows, &prefix, &mut families)?;
        }
        let mut meta = txn.open_table(META).map_err(StoreError::tables)?;
        let digest = u64::from(mark.digest);
        for (name, value) in [
            ("version", VERSION),
            ("sequence", mark.sequence),
            ("time", mark.time),
            ("epoch", mark.epoch),
            ("digest", digest),
        ] {
            meta.insert(name, value).map_err(StoreError::tables)?;
        }
        (families, counts)
    };
    txn.commit().map_err(StoreError::tables)?;
    Ok(written)
}

/// Stores what has changed of the counts.
fn write_counts(txn: &WriteTransaction, before: &Counts, after: &Counts) -> Result<(), StoreError> {
    let mut blobs = txn.open_table(BLOBS).map_err(StoreError::tables)?;
    for index in before.segments.keys().filter(|index| !after.segments.contains_key(index)) {
        blobs.remove(index).map_err(StoreError::tables)?;
    }
    for (index, count) in after.segments.iter().filter(|(index, count)| before.segments.get(index) != Some(count)) {
        blobs.insert(index, (count.live, count.end)).map_err(StoreError::tables)?;
    }
    Ok(())
}

fn read_counts(txn: &ReadTransaction) -> Result<Counts, StoreError> {
    let mut counts = Counts::default();
    let blobs = match txn.open_table(BLOBS) {
        Ok(blobs) => blobs,
        Err(TableError::TableDoesNotExist(_)) => return Ok(counts),
        Err(error) => return Err(StoreError::tables(error)),
    };
    for entry in blobs.iter().map_err(StoreError::tables)? {
        let (index, count) = entry.map_err(StoreError::tables)?;
        let (live, end) = count.value();
        counts.segments.insert(index.value(), Count { live, end });
    }
    Ok(counts)
}

fn read(db: &Database, file: &str) -> Result<(Rows, Mark, Counts), StoreError> {
    let txn = db.begin_read().map_err(StoreError::tables)?;
    let meta = txn.open_table(META).map_err(StoreError::tables)?;
    let number = |name: &str| -> Result<u64, StoreError> {
        Ok(meta.get(name).map_err(StoreError::tables)?.map_or(0, |value| value.value()))
    };
    let version = number("version")?;
    if !(1..=VERSION).contains(&version) {
        let (found, known) = (version as u32, VERSION as u32);
        return Err(StoreError::VersionUnknown { file: file.to_owned(), found, known });
    }
    let mark = Mark {
        sequence: number("sequence")?,
        time: number("time")?,
        epoch: number("epoch")?,
        digest: number("digest")? as u32,
    };
    let counts = read_counts(&txn)?;
    Ok((txn.open_table(ROWS).map_err(StoreError::tables)?, mark, counts))
}

impl Snapshot {
    fn rows(&self) -> Arc<Rows> {
        Arc::clone(&self.rows.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads; where a checkpoint has failed meanwhile for want of room, once more after the tables were opened again.
    fn reading<T>(&self, read: impl Fn(&Rows) -> Result<T, StoreError>) -> Result<T, StoreError> {
        match read(&self.rows()) {
            Err(StoreError::Tables { .. }) => {
                drop(self.tables.db());
                read(&self.rows())
            }
            result => result,
        }
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
        for entry in self.rows().iter().map_err(StoreError::tables)? {
            let (key, value) = entry.map_err(StoreError::tables)?;
            row(key.value(), value.value())?;
        }
        Ok(())
    }
}

impl Snapshot {
    /// Everything, in reverse order.
    pub(crate) fn each_back(
        &self,
        mut row: impl FnMut(&[u8], &[u8]) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        for entry in self.rows().iter().map_err(StoreError::tables)?.rev() {
            let (key, value) = entry.map_err(StoreError::tables)?;
            row(key.value(), value.value())?;
        }
        Ok(())
    }
}

/// Where a row's body is if that is in a blob segment.
pub(crate) fn blob_of(value: &[u8]) -> Result<Option<Reference>, StoreError> {
    match value.split_first() {
        Some((&BLOB, reference)) => match Reference::decode(reference) {
            Some(reference) => Ok(Some(reference)),
            None => Err(StoreError::broken("a row's reference to a blob is malformed")),
        },
        _ => Ok(None),
    }
}

/// Appends the stored form of a reference.
pub(crate) fn push_blob(value: &mut Vec<u8>, reference: &Reference) {
    value.push(BLOB);
    value.extend_from_slice(&reference.encode());
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

/// Finds the families by leaping from one to the next: two seeks for each, however many rows it has.
fn all_families(rows: &impl ReadableTable<&'static [u8], &'static [u8]>) -> Result<Families, StoreError> {
    let first = |from: &[u8]| -> Result<Option<Key>, StoreError> {
        let mut range = rows.range::<&[u8]>((Bound::Included(from), Bound::Unbounded)).map_err(StoreError::tables)?;
        let row = range.next().transpose().map_err(StoreError::tables)?;
        Ok(row.map(|(key, _)| Key::from_slice(key.value())))
    };
    let mut families = Families::new();
    let mut next = first(&[])?;
    while let Some(key) = next {
        let prefix = Key::from_slice(family(&key));
        measure(rows, &prefix, &mut families)?;
        // A family that is one key of unusual form may be followed by longer keys of other families.
        let after = match families.range::<[u8], _>((Bound::Unbounded, Bound::Included(&*key))).next_back() {
            Some((_, max)) => successor(max),
            None => successor(&key),
        };
        next = first(&after)?;
    }
    Ok(families)
}

/// Looks up the first and the last key of a family.
fn measure(
    rows: &impl ReadableTable<&'static [u8], &'static [u8]>,
    prefix: &[u8],
    families: &mut Families,
) -> Result<(), StoreError> {
    let end = prefix_end(prefix);
    let end = end.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
    let of_family: Vec<Key> = families
        .range::<[u8], _>((Bound::Included(prefix), end))
        .map(|(min, _)| min.clone())
        .filter(|min| family(min) == prefix)
        .collect();
    for min in of_family {
        families.remove(&min);
    }
    let mut range = rows.range::<&[u8]>((Bound::Included(prefix), end)).map_err(StoreError::tables)?;
    let Some(first) = range.next().transpose().map_err(StoreError::tables)? else { return Ok(()) };
    let first = Key::from_slice(first.0.value());
    if family(&first) != prefix {
        return Ok(());
    }
    let last = range.next_back().transpose().map_err(StoreError::tables)?;
    let last = last.map(|(key, _)| Key::from_slice(key.value())).filter(|last| family(last) == prefix);
    families.insert(first.clone(), last.unwrap_or(first));
    Ok(())
}

/// The key right after `key`.
pub(crate) fn successor(key: &[u8]) -> Key {
    let mut next = Key::from_slice(key);
    next.push(0);
    next
}
