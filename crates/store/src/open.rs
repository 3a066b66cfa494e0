//! Opening a directory: recovery.

use std::cell::Cell;
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use weir_core::Time;
use weir_core::kv::{Op, Ops};

use crate::ballast::Ballast;
use crate::blob::{BlobFile as _, Blobs, Reference};
use crate::body::Recent;
use crate::close::{self, mark_file};
use crate::disk::Disk;
use crate::error::{OpenError, StoreError};
use crate::format;
use crate::group::{self, LogWriter, PREFIX, VERSION, VERSION_BLOBS, has_its_blobs};
use crate::layer::{Entry, Layer};
use crate::log::{self, Damage, End, Floor, Record, Segment, Segments, Torn, Writer, segment_name};
use crate::note;
use crate::options::Options;
use crate::points::Points;
use crate::poison::Poison;
use crate::shared::{Shared, tables_file};
use crate::stats::Stats;
use crate::store::{Store, empty_batch};
use crate::tables::Tables;
use crate::unsynced::Unsynced;
use crate::windows::Windows;

/// Version of the note that durability was relaxed.
const RELAXED_VERSION: u32 = 1;

/// Name of the note that durability was relaxed: the epoch of the last life in which it was.
fn relaxed_file(folder: &str) -> String {
    format!("{folder}/relaxed")
}

/// What opening found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    /// Sequence of the state: that of the last group.
    pub sequence: u64,
    /// Engine time of the last group.
    pub last_time: Time,
    /// Sequence of the state in the tables.
    pub checkpoint: u64,
    /// Groups replayed from the log.
    pub replayed_groups: u64,
    /// Their bytes.
    pub replayed_bytes: u64,
    /// A last group that was cut short, and is gone now. Nothing in it was acknowledged, unless durability was relaxed.
    pub torn: Option<Torn>,
    /// In how many lives, the last one included, something may have been acknowledged that a loss of power took: 0 unless
    /// durability was relaxed, or after a clean end.
    pub lives_lost: u64,
    /// Bytes of blob segments that no group refers to, and that are gone now.
    pub blob_bytes_cut: u64,
    /// Whether the directory was closed properly.
    pub clean: bool,
}

impl<D: Disk> Store<D> {
    /// Opens the directory, making it if it is empty, and brings the state back.
    pub fn open(disk: D, options: Options) -> Result<(Store<D>, LogWriter<D>, Recovery), OpenError> {
        Self::open_verified(disk, options, true)
    }

    /// As [`Store::open`]; for a repair, without looking whether the blobs of the log's groups are what they should be.
    #[expect(clippy::needless_pass_by_value, reason = "the store owns the disk: its clones are for its own parts")]
    pub(crate) fn open_verified(
        disk: D,
        options: Options,
        verify: bool,
    ) -> Result<(Store<D>, LogWriter<D>, Recovery), OpenError> {
        let lock = disk.lock().map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock => OpenError::Locked,
            _ => StoreError::io("lock the data directory", error).into(),
        })?;
        let salt = format::check(&disk, &options)?;
        let options = Options { salt, ..options };
        let closed = note::read(&disk, &mark_file(&options.folder), close::VERSION, 2)?;
        let noted = note::read(&disk, &relaxed_file(&options.folder), RELAXED_VERSION, 1)?;
        let file = tables_file(&options.folder);
        let ballast =
            Arc::new(Ballast::new(disk.clone(), format!("{}/ballast", options.folder), options.reserve_bytes));
        ballast.want();
        // A disk without room for the ballast goes without until there is some.
        let _ = ballast.keep();
        let tables = Tables::open(&disk, &file, options.table_cache_bytes, Some(Arc::clone(&ballast)))?;
        tables.keep_lock(lock);
        let mut snapshot = tables.snapshot(None)?;
        let mark = snapshot.mark;
        let blobs = Arc::new(Blobs::new(disk.clone(), &options, salt));
        blobs.open(&snapshot.counts, mark.sequence)?;
        snapshot.blobs = blobs.files(&snapshot.counts);

        let segments = Arc::new(Segments::new(disk.clone(), &options, salt));
        let found = segments.find().map_err(|error| StoreError::io("open the log", error))?;
        if found.is_empty() && mark.sequence > 0 {
            let reason = "no segment is left".to_owned();
            return Err(Damage { file: format!("{}/log", options.folder), offset: 0, reason }.into());
        }
        for segment in &found {
            segments.adopt(Arc::clone(segment));
        }
        segments.start_locations(mark.sequence + 1);
        let poison = Poison::default();
        let shared = Arc::new(Shared {
            segments: Arc::clone(&segments),
            blobs: Arc::clone(&blobs),
            ballast,
            unsynced: Arc::new(Unsynced::new(&options.folder, mark.sequence)),
            recent: Recent::new(options.body_cache_bytes, mark.sequence + 1),
            tables,
            tables_full: AtomicBool::new(false),
            poison: poison.clone(),
            checkpoint_failed: AtomicBool::new(false),
        });
        let mut store = Store {
            shared: Arc::clone(&shared),
            active: Layer::default(),
            frozen: None,
            snapshot: Arc::new(snapshot),
            windows: Windows::default(),
            points: Points::default(),
            batch: empty_batch(0),
            blobs: Vec::new(),
            blob_bytes: 0,
            unsynced_blobs: BTreeMap::new(),
            epoch: 0,
            sealed: mark.sequence,
            time: Time(mark.time),
            unsynced: VecDeque::new(),
            unsynced_bytes: 0,
            garbage: Vec::new(),
            stats: Stats::default(),
            misses: Cell::new(0),
            body_loads: Cell::new(0),
            options,
        };
        let floor = Floor { sequence: mark.sequence, digest: Some(mark.digest), epoch: mark.epoch };
        let mut recovery = Recovery { checkpoint: mark.sequence, ..Recovery::default() };
        let folder = store.options.folder.clone();
        let is_whole = |record: &Record| has_its_blobs(&record.bytes, &blobs);
        let end = log::read(&folder, &found, floor, &is_whole, &mut |record| {
            recovery.replayed_groups += 1;
            recovery.replayed_bytes += record.bytes.len() as u64;
            store.replay(record)
        })?;
        if let Some(&[sequence, digest]) = closed.as_deref() {
            refuse_unclean(&folder, &found, &end, sequence, digest)?;
            recovery.clean = true;
        }
        if verify {
            store.verify_blobs()?;
        }
        let noted = noted.and_then(|numbers| numbers.first().copied());
        let is_loss_possible = closed.is_none() && (noted.is_some() || end.relaxed);
        recovery.blob_bytes_cut = blobs.finish_open(verify, is_loss_possible)?;
        store.epoch = end.epoch.max(noted.unwrap_or(0)) + 1;
        store.stats.replays = recovery.replayed_groups;
        store.stats.log_bytes = recovery.replayed_bytes;
        recovery.sequence = end.sequence;
        recovery.last_time = store.time;
        recovery.torn.clone_from(&end.torn);
        if is_loss_possible {
            recovery.lives_lost = store.epoch - end.record_epoch;
        }
        let is_relaxed = store.options.durability.is_relaxed();
        let unsynced = Arc::clone(&shared.unsynced);
        let writer =
            Writer::resume(Arc::clone(&segments), found, &end, store.epoch, is_relaxed.then(|| Arc::clone(&unsynced)))?;
        unsynced.wrote_and_synced(end.sequence);
        segments.retire(mark.sequence);
        if closed.is_some() {
            note::remove(&disk, &mark_file(&folder))?;
        }
        if is_relaxed {
            // A loss of power may take all that is written from here on, and leave no trace of it in the log.
            note::write(&disk, &relaxed_file(&folder), RELAXED_VERSION, &[store.epoch])?;
        } else if noted.is_some() && closed.is_some() {
            note::remove(&disk, &relaxed_file(&folder))?;
        }
        Ok((store, LogWriter { writer, blobs, unsynced, is_relaxed, poison }, recovery))
    }

    /// Reads the blobs that groups in the log vouch for.
    fn verify_blobs(&self) -> Result<(), StoreError> {
        for (_, entry) in self.active.iter() {
            if let Entry::Blob(reference, _) = entry {
                match self.shared.blobs.get(reference.segment) {
                    Some(segment) => drop(segment.read(reference)?),
                    None => return Err(self.shared.blobs.missing(reference.segment).into()),
                }
            }
        }
        Ok(())
    }

    /// Applies a group that was found in the log.
    fn replay(&mut self, record: Record) -> Result<(), StoreError> {
        let Record { sequence, bytes, location, digest, .. } = record;
        let place = location.places().first().copied();
        let shared = Arc::clone(&self.shared);
        let damage = |reason: &str, at: u64| {
            let (segment, offset) = place.map_or((0, 0), |place| (place.segment, place.offset));
            let file = segment_name(&shared.segments.folder, segment);
            Damage { file, offset: offset + at, reason: reason.to_owned() }
        };
        let version = bytes.first().copied().unwrap_or_default();
        if !(VERSION..=VERSION_BLOBS).contains(&version) {
            return Err(StoreError::VersionUnknown {
                file: damage("", 0).file,
                found: u32::from(version),
                known: u32::from(VERSION_BLOBS),
            });
        }
        let time = group::time(&bytes).ok_or_else(|| damage("a group without a time", 0))?;
        for op in Ops::from(&bytes, PREFIX) {
            let op = op.map_err(|malformed| {
                let (segment, offset) = place.map_or((0, 0), |place| (place.segment, place.offset));
                Damage {
                    file: segment_name(&self.shared.segments.folder, segment),
                    offset: offset + malformed.at as u64,
                    reason: "a group that is no batch of writes".to_owned(),
                }
            })?;
            match op {
                Op::Put { key, value } => self.apply_put(key, value, false),
                Op::PutBulk { key, value, at } => self.apply_body(key, value, sequence, at, false),
                Op::PutReference { key, reference } => {
                    let reference = Reference::decode(reference)
                        .ok_or_else(|| damage("a group with a malformed reference to a blob", 0))?;
                    self.shared.blobs.replayed(&reference, sequence);
                    self.active.put(key, Entry::Blob(reference, false));
                }
                Op::Delete { key } => self.apply_delete(key),
                Op::DeleteRange { from, to } => self.apply_delete_range(from, to),
            }
        }
        self.sealed = sequence;
        self.time = self.time.max(time);
        self.shared.segments.record(sequence, location, digest);
        self.shared.recent.push(bytes);
        self.shared.recent.committed(sequence);
        Ok(())
    }
}

/// After a clean shutdown the log ends as it was marked to, or it is damaged.
fn refuse_unclean<D: Disk>(
    folder: &str,
    found: &[Arc<Segment<D>>],
    end: &End,
    sequence: u64,
    digest: u64,
) -> Result<(), StoreError> {
    let (file, offset, reason) = match &end.torn {
        Some(torn) => {
            (torn.file.clone(), torn.offset, "the end is torn although the directory was closed properly".to_owned())
        }
        None if end.sequence != sequence || u64::from(end.digest) != digest => {
            let file = found.get(end.segment).map(|segment| segment_name(folder, segment.index)).unwrap_or_default();
            let reason = format!("it ends with group {} although it was closed with group {sequence}", end.sequence);
            (file, end.offset, reason)
        }
        None => return Ok(()),
    };
    Err(Damage { file, offset, reason }.into())
}
