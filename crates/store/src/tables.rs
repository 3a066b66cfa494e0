//! The tables: what was alive at the last checkpoint, in a B-tree on disk.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::ops::Bound;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use redb::{
    Database, ReadOnlyTable, ReadTransaction, ReadableDatabase, ReadableTable, Table, TableDefinition, TableError,
    WriteTransaction,
};
use weir_core::kv::{Key, family, prefix_end};

use crate::ballast::Ballast;
use crate::blob::{Count, Counts, Reference};
use crate::disk::{Disk, DiskFile};
use crate::error::StoreError;
use crate::health::{Failure, Health, READS_TRIED};
use crate::pages::Pages;
use crate::snapshot::Snapshot;

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

pub(crate) type Rows = ReadOnlyTable<&'static [u8], &'static [u8]>;

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
    /// Held for as long as a transaction writes.
    opened: Mutex<Opened>,
    open: Box<Open>,
    file: String,
    /// The directory's lock. Last, and here: a B-tree still writes as it is dropped, and a copy may outlive its store.
    lock: OnceLock<Lock>,
}

type Open = dyn Fn(&Arc<Health>) -> Result<Database, StoreError> + Send + Sync;

/// The tables' file as it was opened last.
struct Opened {
    /// `None` when it could not be opened again, which is tried whenever it is wanted.
    handle: Option<Handle>,
    openings: u64,
}

/// The B-tree, until something fails under it.
pub(crate) struct Handle {
    db: Database,
    health: Arc<Health>,
    /// Which opening of the file it is.
    pub(crate) opening: u64,
    file: String,
}

impl std::fmt::Debug for Tables {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tables").field("file", &self.file).finish_non_exhaustive()
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
        let open = move |health: &Arc<Health>| {
            let mut builder = Database::builder();
            builder.set_cache_size(cache_bytes);
            let pages = Pages::open(&disk, &name, ballast.clone(), Arc::clone(health))?;
            builder.create_with_backend(pages).map_err(|error| told(health, StoreError::tables(error)))
        };
        let opened = Mutex::new(Opened { handle: None, openings: 0 });
        let tables = Self { opened, open: Box::new(open), file: file.to_owned(), lock: OnceLock::new() };
        tables.with(|_| Ok(()))?;
        Ok(Arc::new(tables))
    }

    /// Keeps the directory locked for as long as anybody has these tables.
    pub(crate) fn keep_lock(&self, lock: Lock) {
        self.lock.get_or_init(|| lock);
    }

    /// Does something with the tables, which are opened again if something has failed under the last handle.
    pub(crate) fn with<T>(&self, run: impl FnOnce(&Handle) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        run(self.good(&mut opened)?)
    }

    /// A handle under which nothing has failed. Where a write has, for another reason than want of room, there is none any
    /// more: a sync that succeeds after one that failed says nothing.
    fn good<'a>(&self, opened: &'a mut Opened) -> Result<&'a Handle, StoreError> {
        let failure = opened.handle.as_ref().and_then(|handle| handle.health.failure());
        match opened.handle.take() {
            Some(handle) if failure.is_none() => Ok(opened.handle.insert(handle)),
            Some(handle) if failure == Some(Failure::Write) => {
                opened.handle = Some(handle);
                Err(StoreError::Poisoned { reason: format!("a write to {} failed", self.file) })
            }
            failed => {
                // It gives the file up before the next one takes it.
                drop(failed);
                opened.openings += 1;
                let health = Arc::default();
                let db = (self.open)(&health)?;
                Ok(opened.handle.insert(Handle { db, health, opening: opened.openings, file: self.file.clone() }))
            }
        }
    }

    /// Runs one transaction over the rows and moves the mark. `change` tells which families it touched.
    /// Returns the families after it. Nothing is known of the state before.
    pub(crate) fn write(&self, mark: Mark, change: Change<'_>) -> Result<Families, StoreError> {
        self.with(|handle| {
            let counts = if mark == Mark::default() { Counts::default() } else { handle.read()?.counts };
            let mut written = None;
            write(&handle.db, mark, &Families::new(), &counts, change, &mut written)?;
            Ok(written.map_or_else(Families::new, |(families, _)| families))
        })
    }

    /// As [`Tables::write`], over the state of `base`, which can still be read afterwards, whatever comes of it.
    ///
    /// # Errors
    /// After [`StoreError::DiskFull`] and [`StoreError::Unread`] the tables are as before. After any other error that is
    /// not known.
    pub(crate) fn write_over(
        &self,
        base: &Snapshot,
        mark: Mark,
        change: Change<'_>,
    ) -> Result<(Families, Counts), StoreError> {
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        let handle = self.good(&mut opened)?;
        base.read_from(handle)?;
        let mut written = None;
        let Err(error) = write(&handle.db, mark, &base.families, &base.counts, change, &mut written) else {
            return written.ok_or_else(|| StoreError::broken("a transaction that was committed wrote nothing"));
        };
        let error = told(&handle.health, error);
        if !matches!(error, StoreError::DiskFull { .. } | StoreError::Unread { .. }) {
            return Err(error);
        }
        let mut found = self.found(&mut opened);
        for _ in 1..READS_TRIED {
            found = found.or_else(|_| self.found(&mut opened));
        }
        match (found, written) {
            (Err(unread), Some(_)) => {
                let reason = format!("the tables could not be read again after a failed commit: {unread}");
                Err(StoreError::Poisoned { reason })
            }
            // It failed elsewhere, and only then: the commit is whole, and was synced as the tables were opened again.
            (Ok(found), Some(written)) if found == mark && matches!(error, StoreError::Unread { .. }) => Ok(written),
            (Ok(found), _) if found != base.mark => {
                Err(StoreError::broken("the tables changed in a transaction that failed"))
            }
            // As before, or no commit was begun: then whoever comes next opens the tables again.
            (Ok(_), _) | (Err(_), None) => Err(error),
        }
    }

    /// What the tables are the state of.
    fn found(&self, opened: &mut Opened) -> Result<Mark, StoreError> {
        self.good(opened)?.read().map(|reading| reading.mark)
    }

    /// The tables as they are now, without the files of blobs. `families` are looked up unless they are known.
    pub(crate) fn snapshot(self: &Arc<Self>, families: Option<Families>) -> Result<Snapshot, StoreError> {
        let (opening, reading, families) = self.with(|handle| {
            let reading = handle.read()?;
            let families = match families {
                Some(families) => families,
                None => all_families(&reading.rows)?,
            };
            Ok((handle.opening, reading, families))
        })?;
        Ok(Snapshot::new(Arc::clone(self), opening, reading, families))
    }
}

/// An error of the B-tree in the light of what failed under it: only the first failure comes with its cause.
fn told(health: &Health, error: StoreError) -> StoreError {
    match (health.failure(), error) {
        (Some(Failure::Read), StoreError::Io { what, source }) => StoreError::Unread { what, source },
        (Some(Failure::Read), StoreError::Tables { what }) => {
            StoreError::unread(what, io::Error::other("another read failed"))
        }
        (Some(Failure::Full), StoreError::Io { what, .. } | StoreError::Tables { what }) => {
            StoreError::DiskFull { what }
        }
        (Some(Failure::Write), error @ (StoreError::Io { .. } | StoreError::Tables { .. })) => {
            StoreError::Poisoned { reason: error.to_string() }
        }
        (_, error) => error,
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

/// Runs one transaction. `written` is set right before it is committed.
fn write(
    db: &Database,
    mark: Mark,
    families: &Families,
    before: &Counts,
    change: Change<'_>,
    written: &mut Option<(Families, Counts)>,
) -> Result<(), StoreError> {
    let mut txn = db.begin_write().map_err(StoreError::tables)?;
    txn.set_quick_repair(true);
    let result = {
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
    *written = Some(result);
    txn.commit().map_err(StoreError::tables)
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

/// What the tables hold as of their last transaction.
pub(crate) struct Reading {
    pub(crate) rows: Rows,
    pub(crate) mark: Mark,
    pub(crate) counts: Counts,
}

impl Handle {
    /// The present state, which stays as it is for as long as this handle is good.
    pub(crate) fn read(&self) -> Result<Reading, StoreError> {
        self.read_tables().map_err(|error| told(&self.health, error))
    }

    fn read_tables(&self) -> Result<Reading, StoreError> {
        let txn = self.db.begin_read().map_err(StoreError::tables)?;
        let meta = txn.open_table(META).map_err(StoreError::tables)?;
        let number = |name: &str| -> Result<u64, StoreError> {
            Ok(meta.get(name).map_err(StoreError::tables)?.map_or(0, |value| value.value()))
        };
        let version = number("version")?;
        if !(1..=VERSION).contains(&version) {
            let (found, known) = (version as u32, VERSION as u32);
            return Err(StoreError::VersionUnknown { file: self.file.clone(), found, known });
        }
        let mark = Mark {
            sequence: number("sequence")?,
            time: number("time")?,
            epoch: number("epoch")?,
            digest: number("digest")? as u32,
        };
        let counts = read_counts(&txn)?;
        Ok(Reading { rows: txn.open_table(ROWS).map_err(StoreError::tables)?, mark, counts })
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
