//! The segments of a log: those in use, those to be recycled, and where each record stands.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::frame::{self, HEADER, Header, VERSION, VERSION_RELAXED};
use super::segment::{self, Segment};
use crate::disk::{Disk, DiskFile};
use crate::error::{StoreError, is_full};
use crate::options::Options;

/// Where a frame's part of a record stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// The segment.
    pub(crate) segment: u64,
    /// Offset of the part in the segment.
    pub(crate) offset: u64,
    /// Offset of the part in the record.
    pub(crate) at: u32,
    /// Length of the part.
    pub(crate) len: u32,
}

/// Where a record stands.
#[derive(Clone, Debug)]
pub(crate) enum Location {
    /// In one piece: nearly always.
    One(Place),
    /// In several frames.
    Many(Box<[Place]>),
}

impl Location {
    pub(crate) fn places(&self) -> &[Place] {
        match self {
            Location::One(place) => std::slice::from_ref(place),
            Location::Many(places) => places,
        }
    }

    pub(crate) fn from_places(mut places: Vec<Place>) -> Self {
        match (places.pop(), places.is_empty()) {
            (Some(only), true) => Location::One(only),
            (Some(last), false) => {
                places.push(last);
                Location::Many(places.into_boxed_slice())
            }
            (None, _) => Location::Many(Box::default()),
        }
    }
}

/// A part of a record in a segment, which stays as it is while this is kept: segment, offset, length.
pub(crate) type Piece<D> = (Arc<Segment<D>>, u64, usize);

/// What the writer, the readers of bodies and checkpoints share.
#[derive(Debug)]
pub(crate) struct Segments<D: Disk> {
    pub(crate) disk: D,
    pub(crate) folder: String,
    pub(crate) segment_bytes: u64,
    pub(crate) reserve: usize,
    pub(crate) directory_salt: u64,
    /// Version of the frames to be written.
    pub(crate) version: u8,
    /// No room for another segment was found the last time.
    pub(crate) full: AtomicBool,
    pub(crate) recycled: AtomicU64,
    pub(crate) created: AtomicU64,
    state: Mutex<State<D>>,
    /// Held while the number of segments is brought to what it should be, which does not keep the writer waiting.
    work: Mutex<()>,
}

#[derive(Debug)]
struct State<D: Disk> {
    /// Segments that hold records not yet trimmed, with the sequence of the last record that has a part in each.
    live: BTreeMap<u64, (Arc<Segment<D>>, u64)>,
    /// Segments whose records are trimmed, oldest first.
    retired: VecDeque<Arc<Segment<D>>>,
    /// Names of prepared files in the pool.
    pool: Vec<String>,
    /// The oldest segment that the writer may still write to.
    writing: u64,
    next_index: u64,
    next_pool: u64,
    /// Location and digest of the records from `first` on.
    locations: VecDeque<(Location, u32)>,
    first: u64,
}

impl<D: Disk> Segments<D> {
    pub(crate) fn new(disk: D, options: &Options, salt: u64) -> Self {
        Self {
            disk,
            folder: options.folder.clone(),
            segment_bytes: options.segment_bytes.max(4 * HEADER as u64),
            reserve: options.reserve_segments,
            directory_salt: salt,
            version: if options.durability.is_relaxed() { VERSION_RELAXED } else { VERSION },
            full: AtomicBool::new(false),
            recycled: AtomicU64::new(0),
            created: AtomicU64::new(0),
            state: Mutex::new(State {
                live: BTreeMap::new(),
                retired: VecDeque::new(),
                pool: Vec::new(),
                writing: 0,
                next_index: 1,
                next_pool: 1,
                locations: VecDeque::new(),
                first: 1,
            }),
            work: Mutex::new(()),
        }
    }

    fn state(&self) -> MutexGuard<'_, State<D>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn log_folder(&self) -> String {
        format!("{}/log", self.folder)
    }

    /// Opens every segment there is, in order.
    pub(crate) fn open_all(&self) -> io::Result<Vec<Arc<Segment<D>>>> {
        let mut found = Vec::new();
        for file in self.disk.list(&self.log_folder())? {
            let Some(index) = segment::number(&file) else { continue };
            let file = self.disk.open(&segment::name(&self.folder, index), false)?;
            let len = file.len()?;
            found.push(Arc::new(Segment { index, file, len, salt: frame::salt(self.directory_salt, index) }));
        }
        found.sort_by_key(|segment| segment.index);
        Ok(found)
    }

    /// Opens the segments for a writer.
    pub(crate) fn find(&self) -> io::Result<Vec<Arc<Segment<D>>>> {
        let found = self.open_all()?;
        self.state().next_index = found.last().map_or(1, |segment| segment.index + 1);
        for file in self.disk.list(&self.log_folder())? {
            let name = format!("{}/{file}", self.log_folder());
            let mut state = self.state();
            match file.split_once('.') {
                Some((number, "spare")) if self.disk.open(&name, false)?.len()? == self.segment_bytes => {
                    state.next_pool = state.next_pool.max(number.parse().unwrap_or(0) + 1);
                    state.pool.push(name);
                }
                // Not written to its end, or of another length than segments now have.
                Some((_, "spare" | "part")) => self.disk.remove(&name)?,
                _ => {}
            }
        }
        Ok(found)
    }

    /// Takes in a segment that was found at opening.
    pub(crate) fn adopt(&self, segment: Arc<Segment<D>>) {
        self.state().live.entry(segment.index).or_insert((segment, 0));
    }

    /// Lets go of a segment that recovery has removed.
    pub(crate) fn forget(&self, index: u64) {
        self.state().live.remove(&index);
    }

    /// Says which record comes first.
    pub(crate) fn start_locations(&self, first: u64) {
        let mut state = self.state();
        state.locations.clear();
        state.first = first;
    }

    /// Takes note of the oldest segment that the writer may still write to: neither it nor a newer one is recycled.
    pub(crate) fn set_writing(&self, index: u64) {
        self.state().writing = index;
    }

    /// Takes note of where the next record stands.
    pub(crate) fn record(&self, sequence: u64, location: Location, digest: u32) {
        let mut state = self.state();
        debug_assert_eq!(sequence, state.first + state.locations.len() as u64, "records come in order");
        for place in location.places() {
            if let Some((_, last)) = state.live.get_mut(&place.segment) {
                *last = sequence;
            }
        }
        state.locations.push_back((location, digest));
    }

    /// The digest of a record that was not trimmed.
    pub(crate) fn digest(&self, sequence: u64) -> Option<u32> {
        let state = self.state();
        let at = usize::try_from(sequence.checked_sub(state.first)?).ok()?;
        state.locations.get(at).map(|(_, digest)| *digest)
    }

    /// The pieces of bytes `at` to `at + len` of a record, each with its segment, which stays as it is while held.
    pub(crate) fn pieces(&self, sequence: u64, at: u32, len: u32) -> Option<Vec<Piece<D>>> {
        let state = self.state();
        let slot = usize::try_from(sequence.checked_sub(state.first)?).ok()?;
        let (location, _) = state.locations.get(slot)?;
        let end = at.checked_add(len)?;
        let mut pieces = Vec::with_capacity(1);
        for place in location.places() {
            let from = at.max(place.at);
            let to = end.min(place.at + place.len);
            if from < to {
                let (segment, _) = state.live.get(&place.segment)?;
                let offset = place.offset + u64::from(from - place.at);
                pieces.push((Arc::clone(segment), offset, (to - from) as usize));
            }
        }
        Some(pieces)
    }

    /// Forgets the records up to `sequence`, whose effect is durable elsewhere; whole segments are then recycled.
    pub(crate) fn retire(&self, sequence: u64) {
        let mut state = self.state();
        while state.first <= sequence && state.locations.pop_front().is_some() {
            state.first += 1;
        }
        let writing = state.writing;
        while let Some(first) = state.live.first_entry()
            && *first.key() < writing
            && first.get().1 <= sequence
        {
            let (segment, _) = first.remove();
            state.retired.push_back(segment);
        }
    }

    /// How many segments are live, to be recycled, and prepared.
    pub(crate) fn counts(&self) -> (usize, usize, usize) {
        let state = self.state();
        (state.live.len(), state.retired.len(), state.pool.len())
    }

    /// How many segments can be had for sure.
    pub(crate) fn ready(&self) -> usize {
        let state = self.state();
        state.pool.len() + recyclable(&state, self.segment_bytes)
    }

    /// Brings the number of segments that stand ready to what was asked for: makes some or removes some.
    ///
    /// # Errors
    /// `DiskFull` where there is no room, which is also remembered in `full`.
    pub(crate) fn level(&self, extra: usize) -> Result<(), StoreError> {
        let _work = self.work.lock().unwrap_or_else(PoisonError::into_inner);
        let wanted = self.reserve.max(1) + extra;
        while self.ready() < wanted {
            self.make()?;
        }
        self.full.store(false, Ordering::Release);
        loop {
            let excess = {
                let mut state = self.state();
                // Recycling must stay possible for as many as are being filled between two checkpoints.
                let kept = state.live.len().max(wanted) + 1;
                let unusable =
                    state.retired.front().is_some_and(|s| Arc::strong_count(s) == 1 && s.len != self.segment_bytes);
                if unusable || state.retired.len() + state.pool.len() > kept {
                    match state.retired.front() {
                        Some(oldest) if Arc::strong_count(oldest) == 1 => state.retired.pop_front(),
                        _ => None,
                    }
                } else {
                    None
                }
            };
            let Some(segment) = excess else { return Ok(()) };
            let name = segment::name(&self.folder, segment.index);
            self.disk.remove(&name).map_err(|error| StoreError::io(format!("remove {name}"), error))?;
        }
    }

    /// Writes a new file for the pool, to its end.
    fn make(&self) -> Result<(), StoreError> {
        let number = {
            let mut state = self.state();
            state.next_pool += 1;
            state.next_pool - 1
        };
        // In the folder of the log, since a rename within one folder is whole or not there after a crash: a prepared
        // file must never be there under its old name too once it is a segment.
        let name = format!("{}/{number:08}.spare", self.log_folder());
        let part = format!("{}/{number:08}.part", self.log_folder());
        match self.fill(&part).and_then(|()| self.disk.rename(&part, &name)) {
            Ok(()) => {
                self.created.fetch_add(1, Ordering::Relaxed);
                self.state().pool.push(name);
                Ok(())
            }
            Err(error) => {
                if is_full(&error) {
                    self.full.store(true, Ordering::Release);
                }
                // What was written of it would only take room.
                let _ = self.disk.remove(&part);
                Err(StoreError::io(format!("prepare {name}"), error))
            }
        }
    }

    fn fill(&self, name: &str) -> io::Result<()> {
        let file = self.disk.open(name, true)?;
        let zeros = vec![0; usize::try_from(self.segment_bytes.min(1 << 20)).unwrap_or(1 << 20)];
        let mut at = 0;
        while at < self.segment_bytes {
            let len = (self.segment_bytes - at).min(zeros.len() as u64);
            file.write_at(zeros.get(..len as usize).unwrap_or_default(), at)?;
            at += len;
        }
        file.sync()
    }

    /// Puts a fresh segment at the end of the log: a retired one, one of the pool, or a new one.
    pub(crate) fn activate(&self, epoch: u64) -> Result<Arc<Segment<D>>, StoreError> {
        let source = if let Some(source) = self.take() {
            source
        } else {
            self.make()?;
            self.take().ok_or_else(|| StoreError::broken("a prepared segment is gone"))?
        };
        let index = {
            let mut state = self.state();
            state.next_index += 1;
            state.next_index - 1
        };
        let name = segment::name(&self.folder, index);
        let failed = |error| StoreError::io(format!("put {name} into use"), error);
        self.disk.rename(&source, &name).map_err(failed)?;
        let file = self.disk.open(&name, false).map_err(failed)?;
        let salt = frame::salt(self.directory_salt, index);
        file.write_at(&Header::marker(self.version, epoch, 0, 0).encode(salt), 0).map_err(failed)?;
        file.sync().map_err(failed)?;
        self.disk.sync_names(&self.log_folder()).map_err(failed)?;
        let segment = Arc::new(Segment { index, file, len: self.segment_bytes, salt });
        self.state().live.insert(index, (Arc::clone(&segment), 0));
        Ok(segment)
    }

    /// Name of a file to make a segment of.
    fn take(&self) -> Option<String> {
        let mut state = self.state();
        if recyclable(&state, self.segment_bytes) > 0 {
            let segment = state.retired.pop_front()?;
            self.recycled.fetch_add(1, Ordering::Relaxed);
            return Some(segment::name(&self.folder, segment.index));
        }
        state.pool.pop()
    }
}

/// How many of the oldest retired segments nobody reads any more and have the right length.
fn recyclable<D: Disk>(state: &State<D>, segment_bytes: u64) -> usize {
    state.retired.iter().take_while(|s| s.len == segment_bytes && Arc::strong_count(s) == 1).count()
}
