//! Looking a directory over, and cutting out what is damaged.

use std::collections::BTreeMap;
use std::io;

use weir_core::kv::{Key, Op, Ops};

use crate::blob::{BlobFile as _, Blobs, Counts, Reference};
use crate::close::{self, mark_file};
use crate::disk::{Disk, DiskFile};
use crate::error::{OpenError, StoreError};
use crate::format;
use crate::group::{PREFIX, has_its_blobs};
use crate::log::{self, Damage, End, Floor, Record, Segments, Torn, Writer};
use crate::note;
use crate::options::Options;
use crate::shared::tables_file;
use crate::store::Store;
use crate::tables::{Families, Mark, Tables, Writing, blob_of};
use crate::unchanging::Unchanging;

/// What a directory holds and what is wrong with it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Sequence of the state in the tables.
    pub checkpoint: u64,
    /// Rows in the tables, as far as they can be read.
    pub rows: u64,
    /// Bytes of their keys and values.
    pub row_bytes: u64,
    /// Segments of the log.
    pub segments: usize,
    /// Groups in the log after the checkpoint, as far as they can be read.
    pub groups: u64,
    /// Their bytes.
    pub group_bytes: u64,
    /// Writes in them.
    pub writes: u64,
    /// Sequence of the last group.
    pub sequence: u64,
    /// Blob segments.
    pub blob_segments: usize,
    /// Bodies in them that are referred to.
    pub blobs: u64,
    /// Their bytes.
    pub blob_bytes: u64,
    /// Whether the directory was closed properly.
    pub clean: bool,
    /// A last group that was cut short, which opening cuts: nothing in it was acknowledged, unless durability was
    /// relaxed.
    pub torn: Option<Torn>,
    /// Whether durability was relaxed.
    pub relaxed: bool,
    /// What is damaged. The directory cannot be opened unless this is empty.
    pub damage: Vec<Damage>,
}

/// What a repair does about one damage, and what it costs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cut {
    /// The format is written anew from its copy. Costs nothing.
    Format {
        /// The damage.
        damage: Damage,
    },
    /// The mark of the clean shutdown is removed, so that the end of the log is read as after a crash. Costs nothing.
    Mark {
        /// The damage.
        damage: Damage,
    },
    /// The log ends before the damage.
    Log {
        /// The damage.
        damage: Damage,
        /// The last group that stays.
        last_kept: u64,
        /// The last group that goes.
        last_lost: u64,
        /// How many of those that go could still be read, but not without those before them.
        readable: u64,
    },
    /// The tables lose the rows between two keys, and those only.
    Tables {
        /// The damage.
        damage: Damage,
        /// Rows that stay.
        kept: u64,
        /// The last row that stays before the gap.
        after: Option<Vec<u8>>,
        /// The first row that stays behind the gap.
        before: Option<Vec<u8>>,
    },
    /// One body is gone, and the row that refers to it.
    Blob {
        /// The damage.
        damage: Damage,
        /// The row's key.
        key: Vec<u8>,
    },
    /// No repair is possible: only a backup helps.
    Impossible {
        /// The damage.
        damage: Damage,
    },
}

/// Looks a directory over that is not open. Reads every group of the log and every row of the tables,
/// and changes nothing.
pub fn check<D: Disk>(disk: &D, options: &Options) -> Result<Report, OpenError> {
    let _lock = lock(disk)?;
    Ok(Examination::new(&Unchanging::new(disk.clone()), options)?.report)
}

/// What [`repair`] would do. Changes nothing.
pub fn plan_repair<D: Disk>(disk: &D, options: &Options) -> Result<Vec<Cut>, OpenError> {
    let _lock = lock(disk)?;
    Ok(Examination::new(&Unchanging::new(disk.clone()), options)?.cuts)
}

/// Cuts out what is damaged and returns what was cut. Take a copy of the directory first.
///
/// # Errors
/// Nothing is changed where one of the damages cannot be repaired.
pub fn repair<D: Disk>(disk: &D, options: &Options) -> Result<Vec<Cut>, OpenError> {
    let lock = lock(disk)?;
    let Examination { salt, cuts, end, .. } = Examination::new(disk, options)?;
    for cut in &cuts {
        if let Cut::Impossible { damage } = cut {
            return Err(damage.clone().into());
        }
    }
    for cut in &cuts {
        match cut {
            Cut::Format { .. } => format::write(disk, &Options { salt, ..options.clone() })?,
            Cut::Mark { .. } => note::remove(disk, &mark_file(&options.folder))?,
            Cut::Log { .. } => {
                note::remove(disk, &mark_file(&options.folder))?;
                let segments = std::sync::Arc::new(Segments::new(disk.clone(), options, salt));
                let found = segments.find().map_err(|error| StoreError::io("open the log", error))?;
                if let Some(end) = &end {
                    if let Some(segment) = found.get(end.segment) {
                        // What stays readable behind the cut would be taken for damage again.
                        let name = log::segment_name(&options.folder, segment.index);
                        let zeros = vec![0; (segment.len - end.offset) as usize];
                        segment
                            .file
                            .write_at(&zeros, end.offset)
                            .map_err(|error| StoreError::io(format!("cut {name}"), error))?;
                    }
                    Writer::resume(segments, found, end, end.epoch, None)?;
                }
            }
            Cut::Tables { .. } => rewrite_tables(disk, options)?,
            Cut::Blob { .. } | Cut::Impossible { .. } => {}
        }
    }
    drop(lock);
    let lost: Vec<&[u8]> = cuts
        .iter()
        .filter_map(|cut| match cut {
            Cut::Blob { key, .. } => Some(key.as_slice()),
            _ => None,
        })
        .collect();
    if !lost.is_empty() {
        forget_blobs(disk, options, &lost)?;
    }
    Ok(cuts)
}

fn lock<D: Disk>(disk: &D) -> Result<Box<dyn std::fmt::Debug + Send + Sync>, OpenError> {
    disk.lock().map_err(|error| match error.kind() {
        io::ErrorKind::WouldBlock => OpenError::Locked,
        _ => StoreError::io("lock the data directory", error).into(),
    })
}

/// All that is known of a directory.
struct Examination {
    salt: u64,
    report: Report,
    cuts: Vec<Cut>,
    end: Option<End>,
    /// Rows whose body is in a blob segment.
    blobs: BTreeMap<Vec<u8>, Reference>,
}

impl Examination {
    fn new<D: Disk>(disk: &D, options: &Options) -> Result<Self, StoreError> {
        let mut found =
            Examination { salt: 0, report: Report::default(), cuts: Vec::new(), end: None, blobs: BTreeMap::new() };
        if found.format(disk, options)? {
            let mark = found.tables(disk, options)?;
            found.log(disk, options, mark)?;
            found.blobs(disk, options)?;
        }
        Ok(found)
    }

    fn damaged(&mut self, damage: Damage, cut: impl FnOnce(Damage) -> Cut) {
        self.report.damage.push(damage.clone());
        self.cuts.push(cut(damage));
    }

    /// Whether the format is known, so that the rest can be looked at.
    fn format<D: Disk>(&mut self, disk: &D, options: &Options) -> Result<bool, StoreError> {
        let damage = match note::read(disk, format::FILE, format::VERSION, 1) {
            Ok(Some(numbers)) => {
                self.salt = numbers.first().copied().unwrap_or_default();
                return Ok(true);
            }
            Ok(None) => Damage { file: format::FILE.to_owned(), offset: 0, reason: "it is missing".to_owned() },
            Err(StoreError::Damaged(damage)) => damage,
            Err(error) => return Err(error),
        };
        match format::read_spare(disk, options) {
            Ok(Some(salt)) => {
                self.salt = salt;
                self.damaged(damage, |damage| Cut::Format { damage });
                Ok(true)
            }
            Ok(None) | Err(StoreError::Damaged(_)) => {
                self.damaged(damage, |damage| Cut::Impossible { damage });
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    /// Reads every row; returns what the tables are the state of.
    fn tables<D: Disk>(&mut self, disk: &D, options: &Options) -> Result<Mark, StoreError> {
        let blobs = &mut self.blobs;
        let salvaged = salvage(disk, options, &mut |key, value| {
            if let Some(reference) = blob_of(value)? {
                blobs.insert(key.to_vec(), reference);
            }
            Ok(())
        });
        match salvaged {
            Ok(salvage) => {
                self.report.rows = salvage.rows;
                self.report.row_bytes = salvage.bytes;
                self.report.checkpoint = salvage.mark.sequence;
                if let Some(damage) = salvage.damage {
                    let (kept, after, before) = (salvage.rows, salvage.after, salvage.before);
                    self.damaged(damage, |damage| Cut::Tables { damage, kept, after, before });
                }
                Ok(salvage.mark)
            }
            Err(StoreError::Damaged(damage)) => {
                self.damaged(damage, |damage| Cut::Impossible { damage });
                Ok(Mark::default())
            }
            Err(StoreError::Tables { what }) => {
                let damage = Damage { file: tables_file(&options.folder), offset: 0, reason: what };
                self.damaged(damage, |damage| Cut::Impossible { damage });
                Ok(Mark::default())
            }
            Err(error) => Err(error),
        }
    }

    fn log<D: Disk>(&mut self, disk: &D, options: &Options, mark: Mark) -> Result<(), StoreError> {
        let segments = Segments::new(disk.clone(), options, self.salt);
        let found = segments.open_all().map_err(|error| StoreError::io("open the log", error))?;
        self.report.segments = found.len();
        let floor = Floor { sequence: mark.sequence, digest: Some(mark.digest), epoch: mark.epoch };
        let (report, blobs) = (&mut self.report, &mut self.blobs);
        let files = Blobs::new(disk.clone(), options, self.salt);
        let is_whole = |record: &Record| has_its_blobs(&record.bytes, &files);
        let (mut end, loss) = log::read_leniently(&options.folder, &found, floor, &is_whole, &mut |record| {
            report.groups += 1;
            report.group_bytes += record.bytes.len() as u64;
            for op in Ops::from(&record.bytes, PREFIX).flatten() {
                report.writes += 1;
                follow(blobs, op);
            }
            Ok(())
        })?;
        self.report.sequence = end.sequence;
        self.report.relaxed = end.relaxed;
        let closed = match note::read(disk, &mark_file(&options.folder), close::VERSION, 2) {
            Ok(numbers) => numbers,
            Err(StoreError::Damaged(damage)) => {
                self.damaged(damage, |damage| Cut::Mark { damage });
                None
            }
            Err(error) => return Err(error),
        };
        self.report.clean = closed.is_some();
        let last_kept = end.sequence;
        if let Some(loss) = loss {
            let (last_lost, readable) = (loss.last, loss.groups);
            self.damaged(loss.damage, |damage| Cut::Log { damage, last_kept, last_lost, readable });
        } else if let Some(&[sequence, digest]) = closed.as_deref()
            && (end.torn.is_some() || sequence != end.sequence || digest != u64::from(end.digest))
        {
            let file = found.get(end.segment).map_or_else(String::new, |s| log::segment_name(&options.folder, s.index));
            let reason = format!("the log ends with group {last_kept} although it was closed with group {sequence}");
            let damage = Damage { file, offset: end.offset, reason };
            // The cut is the same as that of a torn end.
            end.torn.get_or_insert_with(|| Torn {
                file: damage.file.clone(),
                offset: damage.offset,
                bytes: 0,
                groups: 0,
            });
            self.damaged(damage, |damage| Cut::Log { damage, last_kept, last_lost: sequence, readable: 0 });
        } else {
            self.report.torn.clone_from(&end.torn);
        }
        self.end = Some(end);
        Ok(())
    }
}

impl Examination {
    /// Reads every body in a blob segment that is referred to.
    fn blobs<D: Disk>(&mut self, disk: &D, options: &Options) -> Result<(), StoreError> {
        let segments = Blobs::new(disk.clone(), options, self.salt);
        self.report.blob_segments = segments.list()?.len();
        for (key, reference) in std::mem::take(&mut self.blobs) {
            self.report.blobs += 1;
            self.report.blob_bytes += u64::from(reference.len);
            let read = match segments.open_file(reference.segment, false) {
                Ok(segment) => segment.read(&reference).map(drop),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    Err(segments.missing(reference.segment).into())
                }
                Err(error) => Err(StoreError::io(format!("open blob segment {}", reference.segment), error)),
            };
            match read {
                Ok(()) => {}
                Err(StoreError::Damaged(damage)) => self.damaged(damage, |damage| Cut::Blob { damage, key }),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Keeps track of the rows whose body is in a blob segment.
fn follow(blobs: &mut BTreeMap<Vec<u8>, Reference>, op: Op<'_>) {
    match op {
        Op::PutReference { key, reference } => {
            if let Some(reference) = Reference::decode(reference) {
                blobs.insert(key.to_vec(), reference);
            }
        }
        Op::Put { key, .. } | Op::PutBulk { key, .. } | Op::Delete { key } => {
            blobs.remove(key);
        }
        Op::DeleteRange { from, to } => blobs.retain(|key, _| key.as_slice() < from || key.as_slice() >= to),
    }
}

/// Removes rows whose body is gone. What the log holds goes to the tables first, so that they are all there.
fn forget_blobs<D: Disk>(disk: &D, options: &Options, lost: &[&[u8]]) -> Result<(), OpenError> {
    let (store, writer, _) = Store::open_verified(disk.clone(), options.clone(), false)?;
    drop(writer);
    store.close()?;
    let tables = Tables::open(disk, &tables_file(&options.folder), options.table_cache_bytes, None)?;
    let mark = tables.snapshot(Some(Families::new()))?.mark;
    let blobs = Blobs::new(disk.clone(), options, 0);
    tables.write(mark, &mut |writing| {
        let Writing { rows, counts, .. } = writing;
        for key in lost {
            if let Some(old) = rows.remove(key).map_err(StoreError::tables)?
                && let Some(reference) = blob_of(old.value())?
            {
                counts.remove(&reference);
            }
        }
        // No row refers to what is not there any more.
        let mut lens = BTreeMap::new();
        for index in blobs.list()? {
            let len = blobs.open_file(index, false).and_then(|segment| segment.file.len());
            lens.insert(index, len.map_err(|error| StoreError::io(format!("open blob segment {index}"), error))?);
        }
        counts.segments.retain(|index, _| lens.contains_key(index));
        for (index, count) in &mut counts.segments {
            count.end = count.end.min(lens.get(index).copied().unwrap_or_default());
        }
        Ok(())
    })?;
    Ok(())
}

/// What can be read of tables.
struct Salvage {
    mark: Mark,
    counts: Counts,
    rows: u64,
    bytes: u64,
    damage: Option<Damage>,
    after: Option<Vec<u8>>,
    before: Option<Vec<u8>>,
}

type EachRow<'a> = &'a mut dyn FnMut(&[u8], &[u8]) -> Result<(), StoreError>;

/// Reads the rows in front of the first damage, then from the end back to the last.
fn salvage<D: Disk>(disk: &D, options: &Options, row: EachRow<'_>) -> Result<Salvage, StoreError> {
    let file = tables_file(&options.folder);
    let tables = Tables::open(disk, &file, options.table_cache_bytes, None)?;
    let snapshot = tables.snapshot(Some(Families::new()))?;
    let mut found = Salvage {
        mark: snapshot.mark,
        counts: snapshot.counts.clone(),
        rows: 0,
        bytes: 0,
        damage: None,
        after: None,
        before: None,
    };
    let mut take = |found: &mut Salvage, key: &[u8], value: &[u8]| {
        found.rows += 1;
        found.bytes += (key.len() + value.len()) as u64;
        row(key, value)
    };
    let damage = match snapshot.each(|key, value| {
        take(&mut found, key, value)?;
        found.after = Some(key.to_vec());
        Ok(())
    }) {
        Ok(()) => {
            found.after = None;
            return Ok(found);
        }
        Err(StoreError::Damaged(damage)) => damage,
        Err(error) => return Err(error),
    };
    found.damage = Some(damage);
    let after = found.after.clone();
    match snapshot.each_back(|key, value| {
        if after.as_deref().is_some_and(|after| key <= after) {
            return Ok(());
        }
        take(&mut found, key, value)?;
        found.before = Some(key.to_vec());
        Ok(())
    }) {
        Ok(()) | Err(StoreError::Damaged(_)) => {}
        Err(error) => return Err(error),
    }
    Ok(found)
}

fn rewrite_tables<D: Disk>(disk: &D, options: &Options) -> Result<(), StoreError> {
    let file = tables_file(&options.folder);
    let repaired = format!("{file}.repaired");
    let failed = |error| StoreError::io(format!("write {repaired}"), error);
    if let Ok(old) = disk.open(&repaired, false) {
        old.set_len(0).map_err(failed)?;
        disk.remove(&repaired).map_err(failed)?;
    }
    let mut rows = Vec::new();
    let salvaged = salvage(disk, options, &mut |key, value| {
        rows.push((Key::from_slice(key), value.to_vec()));
        Ok(())
    })?;
    let tables = Tables::open(disk, &repaired, options.table_cache_bytes, None)?;
    tables.write(salvaged.mark, &mut |writing| {
        writing.counts = salvaged.counts.clone();
        for count in writing.counts.segments.values_mut() {
            count.live = 0;
        }
        for (key, value) in &rows {
            writing.rows.insert(key.as_slice(), value.as_slice()).map_err(StoreError::tables)?;
            if let Some(reference) = blob_of(value)? {
                writing.counts.add(&reference);
            }
        }
        Ok(())
    })?;
    drop(tables);
    disk.rename(&repaired, &file).map_err(failed)?;
    disk.sync_names(&options.folder).map_err(failed)
}
