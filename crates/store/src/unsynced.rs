//! What was written and is not known to be synced: nothing where every group waits for its sync.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::blob::{self, Blobs};
use crate::disk::{Disk, DiskFile};
use crate::error::StoreError;
use crate::log::{Segment, segment_name};

/// How many groups may be acknowledged and not synced; the next one waits for a sync. A frame has two bytes to say so.
const GROUPS_MAX: u64 = 1 << 15;

/// The same in bytes.
const BYTES_MAX: u64 = 64 << 20;

/// The groups that were written and not synced, and the files that have them.
#[derive(Debug)]
pub(crate) struct Unsynced<D: Disk> {
    folder: String,
    /// All groups up to this one are synced.
    synced: AtomicU64,
    syncs: AtomicU64,
    state: Mutex<State<D>>,
    /// Held by a sync, so that a later one does not overtake it.
    work: Mutex<()>,
}

#[derive(Debug)]
struct State<D: Disk> {
    /// The last group written.
    written: u64,
    bytes: u64,
    log: BTreeMap<u64, Arc<Segment<D>>>,
    blobs: BTreeMap<u64, Arc<blob::Segment<D>>>,
}

impl<D: Disk> State<D> {
    fn new(written: u64) -> Self {
        Self { written, bytes: 0, log: BTreeMap::new(), blobs: BTreeMap::new() }
    }
}

impl<D: Disk> Unsynced<D> {
    /// All groups up to `synced` are.
    pub(crate) fn new(folder: &str, synced: u64) -> Self {
        Self {
            folder: folder.to_owned(),
            synced: AtomicU64::new(synced),
            syncs: AtomicU64::new(0),
            state: Mutex::new(State::new(synced)),
            work: Mutex::new(()),
        }
    }

    fn state(&self) -> MutexGuard<'_, State<D>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The last group that is synced, with all before it.
    pub(crate) fn synced(&self) -> u64 {
        self.synced.load(Ordering::Acquire)
    }

    /// How often written groups were synced.
    pub(crate) fn syncs(&self) -> u64 {
        self.syncs.load(Ordering::Relaxed)
    }

    /// How many groups are written and not synced.
    pub(crate) fn groups(&self) -> u64 {
        self.state().written.saturating_sub(self.synced())
    }

    /// Whether no further group may be written before a sync.
    pub(crate) fn is_full(&self) -> bool {
        self.groups() >= GROUPS_MAX || self.state().bytes >= BYTES_MAX
    }

    /// Takes note of a group that was synced as it was written.
    pub(crate) fn wrote_and_synced(&self, sequence: u64) {
        self.state().written = sequence;
        self.synced.store(sequence, Ordering::Release);
    }

    /// Takes note of a body that was written.
    pub(crate) fn wrote_blob(&self, segment: &Arc<blob::Segment<D>>, bytes: u64) {
        let mut state = self.state();
        state.bytes += bytes;
        state.blobs.insert(segment.index, Arc::clone(segment));
    }

    /// Takes note of a part of a group that was written.
    pub(crate) fn wrote_part(&self, segment: &Arc<Segment<D>>, bytes: u64) {
        let mut state = self.state();
        state.bytes += bytes;
        state.log.insert(segment.index, Arc::clone(segment));
    }

    /// Takes note of a group of which every part was written.
    pub(crate) fn wrote(&self, sequence: u64) {
        self.state().written = sequence;
    }

    /// Syncs every group written before the call; returns the last one.
    pub(crate) fn sync(&self, blobs: &Blobs<D>) -> Result<u64, StoreError> {
        let _work = self.work.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = {
            let mut state = self.state();
            let written = state.written;
            std::mem::replace(&mut *state, State::new(written))
        };
        for segment in taken.blobs.values() {
            segment.file.sync().map_err(|error| StoreError::unsynced(&segment.name, &error))?;
        }
        blobs.sync_new_names()?;
        for segment in taken.log.values() {
            let name = segment_name(&self.folder, segment.index);
            segment.file.sync().map_err(|error| StoreError::unsynced(&name, &error))?;
        }
        self.synced.fetch_max(taken.written, Ordering::AcqRel);
        self.syncs.fetch_add(1, Ordering::Relaxed);
        Ok(taken.written)
    }
}
