//! The blob segments of a store: where the next body goes, which files there are, and which are needed no more.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use weir_core::kv::Key;

use super::counts::{Count, Counts};
use super::frame::{self, HEADER, Reference};
use super::segment::{self, BlobFile, Segment};
use crate::ballast::Ballast;
use crate::disk::{Disk, DiskFile};
use crate::error::{StoreError, is_full};
use crate::options::Options;
use crate::unsynced::Unsynced;

/// A body on its way to its blob segment.
#[derive(Clone, Debug)]
pub(crate) struct Blob {
    pub(crate) reference: Reference,
    pub(crate) sequence: u64,
    pub(crate) key: Key,
    pub(crate) body: Bytes,
}

/// What the engine's side, the log writer, checkpoints and readers share of the blob segments.
#[derive(Debug)]
pub(crate) struct Blobs<D: Disk> {
    pub(crate) disk: D,
    pub(crate) folder: String,
    pub(crate) directory_salt: u64,
    pub(crate) segment_bytes: u64,
    /// No room for a blob was found the last time.
    pub(crate) full: AtomicBool,
    /// Given up when there is no room for a blob that the log waits for. Made with the first blob.
    pub(crate) ballast: Ballast<D>,
    pub(crate) written: AtomicU64,
    pub(crate) moved: AtomicU64,
    pub(crate) removed: AtomicU64,
    /// A checkpoint has let go of a segment.
    sweepable: AtomicBool,
    state: Mutex<State<D>>,
}

#[derive(Debug)]
struct State<D: Disk> {
    segments: BTreeMap<u64, Known<D>>,
    /// The segment that bodies are appended to.
    current: u64,
    next: u64,
    /// Sequence of the last durable checkpoint.
    settled: u64,
    /// Whether a file was made whose name is not durable yet.
    unnamed: bool,
}

/// A segment.
#[derive(Debug)]
struct Known<D: Disk> {
    /// `None` before its first body is written.
    file: Option<Arc<Segment<D>>>,
    /// Where its last body ends, which may be still to be written.
    end: u64,
    /// Sequence of the last group that has a body in it.
    last: u64,
    /// Bytes that the tables referred to at the last checkpoint.
    live: u64,
}

impl<D: Disk> Known<D> {
    fn new(file: Option<Arc<Segment<D>>>) -> Self {
        Self { file, end: 0, last: 0, live: 0 }
    }
}

impl<D: Disk> Blobs<D> {
    pub(crate) fn new(disk: D, options: &Options, directory_salt: u64) -> Self {
        Self {
            folder: options.folder.clone(),
            directory_salt,
            segment_bytes: options.blob_segment_bytes,
            full: AtomicBool::new(false),
            ballast: Ballast::new(
                disk.clone(),
                format!("{}/ballast", segment::folder(&options.folder)),
                options.reserve_bytes.saturating_mul(2),
            ),
            written: AtomicU64::new(0),
            moved: AtomicU64::new(0),
            removed: AtomicU64::new(0),
            sweepable: AtomicBool::new(false),
            state: Mutex::new(State { segments: BTreeMap::new(), current: 0, next: 1, settled: 0, unnamed: false }),
            disk,
        }
    }

    fn state(&self) -> MutexGuard<'_, State<D>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens the files there are; `counts` is what the tables know of them as of `mark`.
    pub(crate) fn open(&self, counts: &Counts, mark: u64) -> Result<(), StoreError> {
        for index in self.list()? {
            let failed = |error| StoreError::io(format!("open {}", segment::name(&self.folder, index)), error);
            let file = self.open_file(index, false).map_err(failed)?;
            self.state().segments.insert(index, Known::new(Some(Arc::new(file))));
        }
        let mut state = self.state();
        state.settled = mark;
        for (&index, count) in &counts.segments {
            let known = state.segments.entry(index).or_insert_with(|| Known::new(None));
            (known.end, known.last, known.live) = (count.end, mark, count.live);
        }
        Ok(())
    }

    /// Numbers of the segments that have a file.
    pub(crate) fn list(&self) -> Result<Vec<u64>, StoreError> {
        let folder = segment::folder(&self.folder);
        let files = self.disk.list(&folder).map_err(|error| StoreError::io(format!("list {folder}"), error))?;
        Ok(files.iter().filter_map(|file| segment::number(file)).collect())
    }

    pub(crate) fn open_file(&self, index: u64, create: bool) -> std::io::Result<Segment<D>> {
        Segment::open(&self.disk, &self.folder, self.directory_salt, index, create)
    }

    /// Takes note of a body that a group in the log refers to.
    pub(crate) fn replayed(&self, reference: &Reference, sequence: u64) {
        let mut state = self.state();
        let known = state.segments.entry(reference.segment).or_insert_with(|| Known::new(None));
        known.end = known.end.max(reference.end());
        known.last = known.last.max(sequence);
    }

    /// Cuts off what no group refers to, once all groups are known. Returns how many bytes that was.
    ///
    /// # Errors
    /// With `verify`, damage where less is there than groups vouch for. With `sync`, what groups wrote is synced.
    pub(crate) fn finish_open(&self, verify: bool, sync: bool) -> Result<u64, StoreError> {
        let mut cut = 0;
        let mut state = self.state();
        let mut useless = Vec::new();
        for (&index, known) in &state.segments {
            let Some(file) = &known.file else {
                if known.live > 0 && verify {
                    let damage = self.missing(index);
                    return Err(damage.into());
                }
                continue;
            };
            let failed = |error| StoreError::io(format!("cut {}", file.name), error);
            let len = file.file.len().map_err(failed)?;
            if known.end == 0 {
                useless.push((index, file.name.clone()));
                cut += len;
            } else if len < known.end && verify {
                return Err(file.damage(len, "the file is too short").into());
            } else if len > known.end {
                file.file.set_len(known.end).and_then(|()| file.file.sync()).map_err(failed)?;
                cut += len - known.end;
            } else if sync && known.last > state.settled {
                // A process that was killed may have left it to the operating system.
                file.file.sync().map_err(|error| StoreError::unsynced(&file.name, &error))?;
            }
        }
        state.next = state.segments.last_key_value().map_or(1, |(last, _)| last + 1);
        // A segment that is gone because nothing referred to it.
        state.segments.retain(|_, known| known.file.is_some());
        for (index, name) in useless {
            state.segments.remove(&index);
            self.disk.remove(&name).map_err(|error| StoreError::io(format!("remove {name}"), error))?;
        }
        if let Some((&last, known)) = state.segments.last_key_value()
            && known.file.is_some()
        {
            state.current = last;
        }
        let dead = state.segments.values().any(|known| known.file.is_some() && known.live == 0);
        self.sweepable.store(dead, Ordering::Release);
        if !state.segments.is_empty() {
            self.ballast.want();
        }
        if sync {
            self.sync_names()?;
        }
        Ok(cut)
    }

    pub(crate) fn missing(&self, index: u64) -> crate::log::Damage {
        let file = segment::name(&self.folder, index);
        crate::log::Damage { file, offset: 0, reason: "the file is missing".to_owned() }
    }

    /// Finds the place of the next body.
    pub(crate) fn place(&self, sequence: u64, key: &[u8], body: Bytes) -> Blob {
        let mut state = self.state();
        let len = (HEADER + key.len() + body.len()) as u64;
        let current = state.current;
        let fits = state.segments.get(&current).is_some_and(|known| known.end + len <= self.segment_bytes);
        if !fits {
            state.current = state.next;
            state.next += 1;
        }
        let segment = state.current;
        let known = state.segments.entry(segment).or_insert_with(|| Known::new(None));
        let offset = (known.end + (HEADER + key.len()) as u64) as u32;
        let checksum = frame::checksum(frame::salt(self.directory_salt, segment), offset, &body);
        let reference = Reference { segment, offset, len: body.len() as u32, checksum };
        known.end = reference.end();
        known.last = sequence;
        Blob { reference, sequence, key: Key::from_slice(key), body }
    }

    /// Writes bodies at their places and makes them durable; with `relaxed`, leaves that to others.
    ///
    /// # Errors
    /// After [`StoreError::DiskFull`] the same may be tried again.
    pub(crate) fn write(&self, blobs: &[Blob], relaxed: Option<&Unsynced<D>>) -> Result<(), StoreError> {
        let mut touched: Vec<Arc<Segment<D>>> = Vec::new();
        for blob in blobs {
            let segment = match self.get(blob.reference.segment) {
                Some(segment) => segment,
                None => self.make(blob.reference.segment)?,
            };
            let write = || segment.write(&blob.reference, blob.sequence, &blob.key, &blob.body);
            self.with_room(write).map_err(|error| {
                if is_full(&error) {
                    self.full.store(true, Ordering::Release);
                    StoreError::io(format!("write {}", segment.name), error)
                } else {
                    StoreError::Poisoned { reason: format!("write {}: {error}", segment.name) }
                }
            })?;
            if let Some(relaxed) = relaxed {
                relaxed.wrote_blob(&segment, u64::from(blob.reference.len));
            }
            if touched.last().is_none_or(|last| last.index != segment.index) {
                touched.push(segment);
            }
        }
        if relaxed.is_none() {
            for segment in touched {
                segment.file.sync().map_err(|error| StoreError::unsynced(&segment.name, &error))?;
            }
            // An earlier attempt may have made the file and then found no room.
            self.sync_new_names()?;
        }
        if !blobs.is_empty() {
            self.ballast.want();
            self.full.store(self.ballast.is_missing(), Ordering::Release);
            self.written.fetch_add(blobs.len() as u64, Ordering::Relaxed);
        }
        Ok(())
    }

    fn make(&self, index: u64) -> Result<Arc<Segment<D>>, StoreError> {
        let file = self.open_file(index, true).map_err(|error| {
            if is_full(&error) {
                self.full.store(true, Ordering::Release);
            }
            StoreError::io(format!("make {}", segment::name(&self.folder, index)), error)
        })?;
        let file = Arc::new(file);
        let mut state = self.state();
        state.segments.entry(index).or_insert_with(|| Known::new(None)).file = Some(Arc::clone(&file));
        state.unnamed = true;
        Ok(file)
    }

    /// Makes the names of files durable that were made since the last time.
    pub(crate) fn sync_new_names(&self) -> Result<(), StoreError> {
        // Taken first: a file that is made meanwhile is for the next time.
        let unnamed = std::mem::take(&mut self.state().unnamed);
        if unnamed { self.sync_names() } else { Ok(()) }
    }

    /// Makes the names of the segments durable.
    pub(crate) fn sync_names(&self) -> Result<(), StoreError> {
        let folder = segment::folder(&self.folder);
        self.disk.sync_names(&folder).map_err(|error| StoreError::unsynced(&folder, &error))
    }

    /// Does what may need room; with the ballast gone, once more.
    fn with_room(&self, write: impl Fn() -> std::io::Result<()>) -> std::io::Result<()> {
        match write() {
            Err(error) if is_full(&error) && self.ballast.give_up()? => {
                // What is in the engine's memory may go on; nothing more is taken.
                self.full.store(true, Ordering::Release);
                write()
            }
            result => result,
        }
    }

    /// A segment that has a file.
    pub(crate) fn get(&self, index: u64) -> Option<Arc<Segment<D>>> {
        self.state().segments.get(&index)?.file.clone()
    }

    /// The segments that the tables refer to. They stay while this is kept.
    pub(crate) fn files(&self, counts: &Counts) -> BTreeMap<u64, Arc<dyn BlobFile>> {
        let state = self.state();
        let live = counts.segments.iter().filter(|(_, count)| count.live > 0);
        let files = live.filter_map(|(index, _)| Some((*index, state.segments.get(index)?.file.clone()?)));
        files.map(|(index, file)| (index, file as Arc<dyn BlobFile>)).collect()
    }

    /// How far each segment is written, by the groups up to now.
    pub(crate) fn ends(&self) -> Vec<(u64, u64)> {
        self.state().segments.iter().map(|(&index, known)| (index, known.end)).collect()
    }

    /// A number for a new segment.
    pub(crate) fn take_number(&self) -> u64 {
        let mut state = self.state();
        state.next += 1;
        state.next - 1
    }

    /// Forgets in `counts` the segments that are gone.
    pub(crate) fn drop_gone(&self, counts: &mut Counts) {
        let state = self.state();
        counts.segments.retain(|index, count| count.live > 0 || state.segments.contains_key(index));
    }

    /// A segment of which less than half is referred to, and to which nothing will refer anew after `mark`: the one with
    /// the least that is.
    pub(crate) fn sparsest(&self, counts: &Counts, mark: u64) -> Option<(Arc<Segment<D>>, Count)> {
        let state = self.state();
        let sparse = counts.segments.iter().filter(|(_, count)| count.live > 0 && count.live < count.end / 2);
        let sealed = sparse.filter_map(|(index, count)| {
            let known = state.segments.get(index).filter(|known| *index != state.current && known.last <= mark)?;
            Some((known.file.clone()?, *count))
        });
        sealed.min_by_key(|(_, count)| count.live)
    }

    /// Takes in segments that a compaction wrote.
    pub(crate) fn adopt(&self, written: Vec<(Arc<Segment<D>>, u64)>, mark: u64) {
        let mut state = self.state();
        for (file, end) in written {
            // Until the checkpoint is known to be there, they count as referred to in full.
            let known = Known { end, last: mark, live: end, file: Some(file) };
            if let Some(index) = known.file.as_ref().map(|file| file.index) {
                state.segments.insert(index, known);
            }
        }
    }

    /// Takes note of a durable checkpoint.
    pub(crate) fn settle(&self, counts: &Counts, mark: u64) {
        let mut state = self.state();
        state.settled = mark;
        let current = state.current;
        let mut dead = false;
        for (index, known) in &mut state.segments {
            known.live = counts.segments.get(index).map_or(0, |count| count.live);
            dead |= known.live == 0 && known.last <= mark && *index != current;
        }
        self.sweepable.store(dead, Ordering::Release);
    }

    /// Whether [`Blobs::keep_up`] has something to do.
    pub(crate) fn needs_upkeep(&self) -> bool {
        self.sweepable.load(Ordering::Acquire) || self.ballast.is_due() || self.is_waiting_for_ballast()
    }

    fn is_waiting_for_ballast(&self) -> bool {
        self.full.load(Ordering::Acquire) && self.ballast.is_missing()
    }

    /// Removes segments and makes the ballast again.
    ///
    /// # Errors
    /// `DiskFull` while there is no room for the ballast that was given up.
    pub(crate) fn keep_up(&self) -> Result<(), StoreError> {
        self.sweep()?;
        let waits = self.is_waiting_for_ballast();
        match self.ballast.keep() {
            // While there is no room for it, bodies go without; once it was given up, producers wait for it.
            Err(error) if is_full(&error) && !waits => Ok(()),
            Err(error) => Err(StoreError::io("make the ballast for blobs", error)),
            Ok(()) if waits => {
                self.full.store(false, Ordering::Release);
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    /// Removes the segments that nothing refers to as of the last checkpoint, unless somebody still reads them: those
    /// are left for the sweep after the next checkpoint.
    fn sweep(&self) -> Result<(), StoreError> {
        if !self.sweepable.swap(false, Ordering::AcqRel) {
            return Ok(());
        }
        let dead: Vec<Arc<Segment<D>>> = {
            let mut state = self.state();
            let (current, mark) = (state.current, state.settled);
            let is_dead = |index: &u64, known: &Known<D>| {
                known.live == 0
                    && known.last <= mark
                    && *index != current
                    && known.file.as_ref().is_none_or(|file| Arc::strong_count(file) == 1)
            };
            let found: Vec<u64> =
                state.segments.iter().filter(|(index, known)| is_dead(index, known)).map(|(&index, _)| index).collect();
            found.iter().filter_map(|index| state.segments.remove(index)?.file).collect()
        };
        for segment in dead {
            let failed = |error| StoreError::io(format!("remove {}", segment.name), error);
            self.disk.remove(&segment.name).map_err(failed)?;
            self.removed.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }
}
