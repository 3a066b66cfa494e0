//! The engine's side of a store: reads, writes, and the hand-over to the threads that do IO.

use std::cell::Cell;
use std::collections::{BTreeMap, VecDeque};
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use weir_core::Time;
use weir_core::kv::{Batch, Key, Need};

use crate::blob::Blob;
use crate::body::{Body, BodyLoad};
use crate::checkpoint::{Checkpoint, CheckpointDone};
use crate::disk::Disk;
use crate::error::StoreError;
use crate::group::{Group, PREFIX, VERSION, VERSION_BLOBS};
use crate::layer::{Entry, Layer};
use crate::load::{Load, Loaded};
use crate::options::Options;
use crate::points::{Generation, Points};
use crate::shared::Shared;
use crate::snapshot::Snapshot;
use crate::stats::{Pressure, Stats};
use crate::tables::{Mark, successor};
use crate::upkeep::Upkeep;
use crate::windows::Windows;

/// A shard's state: what was written since the last checkpoint in memory, the rest in tables on disk.
///
/// Reads, writes and everything else here return at once; what needs the disk is returned as a value with a `run` that
/// belongs on another thread. Only [`Store::load_now`] and [`Store::close`] do IO themselves.
#[derive(Debug)]
pub struct Store<D: Disk> {
    pub(crate) shared: Arc<Shared<D>>,
    pub(crate) options: Options,
    pub(crate) active: Layer,
    pub(crate) frozen: Option<Frozen>,
    pub(crate) snapshot: Arc<Snapshot>,
    pub(crate) windows: Windows,
    pub(crate) points: Points,
    pub(crate) batch: Batch,
    /// Blobs of the batch.
    pub(crate) blobs: Vec<Blob>,
    pub(crate) blob_bytes: usize,
    /// Blobs that are not known to be in their segments, by segment and offset: sequence and body.
    pub(crate) unsynced_blobs: BTreeMap<(u64, u32), (u64, Bytes)>,
    pub(crate) epoch: u64,
    /// Sequence of the last sealed group.
    pub(crate) sealed: u64,
    pub(crate) time: Time,
    /// Sealed groups that are not known to be in the log: sequence and bytes.
    pub(crate) unsynced: VecDeque<(u64, usize)>,
    pub(crate) unsynced_bytes: usize,
    pub(crate) garbage: Vec<Garbage>,
    pub(crate) stats: Stats,
    pub(crate) misses: Cell<u64>,
    pub(crate) body_loads: Cell<u64>,
}

/// The layer that a checkpoint is writing.
#[derive(Debug)]
pub(crate) struct Frozen {
    pub(crate) layer: Arc<Layer>,
    pub(crate) mark: Mark,
    /// How far each blob segment is written by the groups up to the mark.
    pub(crate) blob_ends: Arc<[(u64, u64)]>,
}

/// What is no longer needed and takes long to free.
#[derive(Debug)]
pub(crate) struct Garbage {
    _layer: Arc<Layer>,
    _points: [Generation; 2],
}

/// A batch that starts with room for a record's prefix.
pub(crate) fn empty_batch(capacity: usize) -> Batch {
    let mut bytes = Vec::with_capacity(capacity.max(4096));
    bytes.resize(PREFIX, 0);
    Batch::from_bytes(bytes)
}

impl<D: Disk> Store<D> {
    /// Takes what was written since the last call as one group; `None` if nothing was.
    pub fn seal(&mut self, time: Time) -> Option<Group> {
        if self.unsealed_bytes() == 0 {
            return None;
        }
        let capacity = self.batch.len() + self.batch.len() / 4;
        let mut bytes = std::mem::replace(&mut self.batch, empty_batch(capacity)).into_bytes();
        if let Some(version) = bytes.first_mut() {
            *version = if self.blobs.is_empty() { VERSION } else { VERSION_BLOBS };
        }
        if let Some(into) = bytes.get_mut(8..16) {
            into.copy_from_slice(&time.0.to_le_bytes());
        }
        let bytes = Bytes::from(bytes);
        self.sealed += 1;
        self.time = self.time.max(time);
        self.stats.groups += 1;
        let (blobs, blob_bytes) = (std::mem::take(&mut self.blobs).into(), std::mem::take(&mut self.blob_bytes));
        // Blobs count as well: a checkpoint is what lets their segments go.
        let written = bytes.len() + blob_bytes;
        self.stats.log_bytes += written as u64;
        self.unsynced.push_back((self.sealed, written));
        self.unsynced_bytes += written;
        self.shared.recent.push(bytes.clone());
        Some(Group { epoch: self.epoch, sequence: self.sealed, time, bytes, blobs })
    }

    /// The sequence of the state as seen now: that of the last group, or of the next if something was written since.
    pub fn sequence(&self) -> u64 {
        self.sealed + u64::from(self.unsealed_bytes() > 0)
    }

    /// The time of the last group.
    pub fn last_time(&self) -> Time {
        self.time
    }

    /// Bytes written since the last [`Store::seal`].
    pub fn unsealed_bytes(&self) -> usize {
        self.batch.len() - PREFIX + self.blob_bytes
    }

    /// Bytes that are not known to be in the log.
    pub fn unsynced_bytes(&self) -> usize {
        self.unsealed_bytes() + self.unsynced_bytes
    }

    /// Takes note that the group `sequence` and all before it are in the log.
    pub fn committed(&mut self, sequence: u64) {
        while let Some(&(first, bytes)) = self.unsynced.front()
            && first <= sequence
        {
            self.unsynced.pop_front();
            self.unsynced_bytes -= bytes;
        }
        while let Some(first) = self.unsynced_blobs.first_entry()
            && first.get().0 <= sequence
        {
            first.remove();
        }
        self.shared.recent.committed(sequence);
    }

    /// How to load what a read needs.
    pub fn load(&self, need: &Need) -> Load<D> {
        Load {
            snapshot: Arc::clone(&self.snapshot),
            need: need.clone(),
            bytes_max: (self.options.window_bytes_max / 8).max(1024),
            disk: PhantomData,
        }
    }

    /// Takes loaded rows in. What a checkpoint has made stale is ignored: whoever needs it will ask again.
    pub fn loaded(&mut self, loaded: Loaded) {
        if loaded.sequence != Some(self.snapshot.mark.sequence) {
            self.stats.stale_loads += 1;
            return;
        }
        self.stats.table_loads += 1;
        self.stats.window_refills += u64::from(loaded.rows.len() > 1);
        let bytes_max = self.options.window_bytes_max / 2;
        if loaded.is_point {
            let point = loaded.rows.into_iter().next().map(|row| row.value.unwrap_or_default());
            self.points.insert(loaded.from, point, bytes_max);
        } else {
            self.windows.insert(loaded.from, loaded.to, loaded.rows, bytes_max);
        }
    }

    /// Loads on this thread: for opening, when nothing is served yet.
    pub fn load_now(&mut self, need: &Need) -> Result<(), StoreError> {
        let loaded = self.load(need).run()?;
        self.loaded(loaded);
        Ok(())
    }

    /// The value of `key` whether it is a body or not.
    pub fn body(&self, key: &[u8]) -> Body<D> {
        let load = |load| {
            self.body_loads.set(self.body_loads.get() + 1);
            Body::Load(load)
        };
        match self.overlay(key) {
            Some(Entry::Inline(value, _) | Entry::Short(value, _)) => Body::Ready(Bytes::copy_from_slice(value)),
            Some(Entry::Bulk(position, _)) if position.sequence > self.sealed => {
                let at = position.at as usize;
                let body = self.batch.bytes().get(at..at + position.len as usize);
                Body::Ready(Bytes::copy_from_slice(body.expect("a position is within its group")))
            }
            Some(Entry::Bulk(position, _)) => match self.shared.recent.body(*position) {
                Some(body) => Body::Ready(body),
                None => load(BodyLoad::from_log(&self.shared.segments, *position)),
            },
            Some(Entry::Blob(reference, _)) => match self.unsynced_blobs.get(&(reference.segment, reference.offset)) {
                Some((_, body)) => Body::Ready(body.clone()),
                None => load(BodyLoad::from_blob(&self.shared.blobs, *reference)),
            },
            None if self.snapshot.may_hold(key) => load(BodyLoad::from_tables(Arc::clone(&self.snapshot), key)),
            Some(Entry::Tombstone) | None => Body::Absent,
        }
    }

    /// Whether it is time for [`Store::freeze`].
    pub fn checkpoint_due(&self) -> bool {
        if self.shared.poison.is_set() {
            return false;
        }
        match &self.frozen {
            Some(_) => self.shared.checkpoint_failed.load(Ordering::Acquire),
            None => {
                self.stats.log_bytes >= self.options.checkpoint_log_bytes
                    || self.active.bytes >= self.options.checkpoint_overlay_bytes
                    // On a full disk a checkpoint is what lets segments be written again.
                    || (self.is_full() && self.stats.log_bytes > 0 && self.shared.segments.counts().0 > 1)
            }
        }
    }

    /// Sets aside the present state for a checkpoint. `None` while one is under way, while something is unsealed, and
    /// when nothing was written since the last.
    pub fn freeze(&mut self) -> Option<Checkpoint<D>> {
        if self.shared.poison.is_set() {
            return None;
        }
        if self.frozen.is_some() {
            if !self.shared.checkpoint_failed.swap(false, Ordering::AcqRel) {
                return None;
            }
        } else {
            if self.unsealed_bytes() > 0 || self.sealed == self.snapshot.mark.sequence {
                return None;
            }
            let mark = Mark { sequence: self.sealed, time: self.time.0, epoch: self.epoch, digest: 0 };
            let (layer, blob_ends) = (Arc::new(std::mem::take(&mut self.active)), self.shared.blobs.ends().into());
            self.frozen = Some(Frozen { layer, mark, blob_ends });
            self.stats.log_bytes = 0;
        }
        let frozen = self.frozen.as_ref()?;
        Some(Checkpoint {
            shared: Arc::clone(&self.shared),
            layer: Arc::clone(&frozen.layer),
            mark: frozen.mark,
            blob_ends: Arc::clone(&frozen.blob_ends),
            base: Arc::clone(&self.snapshot),
            garbage: std::mem::take(&mut self.garbage),
        })
    }

    /// Takes note of a finished checkpoint: the frozen layer and the segments below it are let go.
    pub fn checkpointed(&mut self, done: CheckpointDone) {
        let Some(frozen) = self.frozen.take() else { return };
        self.snapshot = Arc::new(done.snapshot);
        self.shared.blobs.settle(&self.snapshot.counts, frozen.mark.sequence);
        self.windows.apply(&frozen.layer);
        let points = self.points.take_all();
        self.shared.segments.retire(frozen.mark.sequence);
        self.stats.checkpoints += 1;
        self.stats.spills += frozen.layer.len() as u64;
        // Freeing a large tree takes long; the next step that runs elsewhere does it.
        self.garbage.push(Garbage { _layer: frozen.layer, _points: points });
    }

    /// Work that is better done on another thread than by a commit: preparing segments, removing those too many,
    /// freeing memory. `None` if there is none.
    pub fn upkeep(&mut self) -> Option<Upkeep<D>> {
        let segments = &self.shared.segments;
        let ready = segments.ready() > self.options.reserve_segments && !segments.full.load(Ordering::Acquire);
        let idle =
            ready && self.garbage.is_empty() && !self.shared.ballast.is_due() && !self.shared.blobs.needs_upkeep();
        if idle || self.shared.poison.is_set() {
            return None;
        }
        Some(Upkeep { shared: Arc::clone(&self.shared), garbage: std::mem::take(&mut self.garbage) })
    }

    /// Whether producers should be refused.
    pub fn pressure(&self) -> Pressure {
        if self.is_full() {
            Pressure::DiskFull
        } else if self.overlay_bytes() > self.options.overlay_bytes_max {
            Pressure::Lagging
        } else {
            Pressure::None
        }
    }

    fn is_full(&self) -> bool {
        self.shared.segments.full.load(Ordering::Acquire)
            || self.shared.tables_full.load(Ordering::Acquire)
            || self.shared.blobs.full.load(Ordering::Acquire)
    }

    fn overlay_bytes(&self) -> usize {
        self.active.bytes + self.frozen.as_ref().map_or(0, |frozen| frozen.layer.bytes)
    }

    /// Figures.
    pub fn stats(&self) -> Stats {
        let (segments_live, segments_retired, segments_ready) = self.shared.segments.counts();
        Stats {
            overlay_bytes: self.overlay_bytes(),
            overlay_keys: self.active.len() + self.frozen.as_ref().map_or(0, |frozen| frozen.layer.len()),
            segments_live,
            segments_retired,
            segments_ready,
            windows: self.windows.len(),
            window_bytes: self.windows.bytes() + self.points.bytes(),
            window_evictions: self.windows.evicted + self.points.evicted,
            body_cache_bytes: self.shared.recent.bytes(),
            families: self.snapshot.families.len(),
            blobs: self.shared.blobs.written.load(Ordering::Relaxed),
            blobs_moved: self.shared.blobs.moved.load(Ordering::Relaxed),
            blob_segments_removed: self.shared.blobs.removed.load(Ordering::Relaxed),
            recycles: self.shared.segments.recycled.load(Ordering::Relaxed),
            misses: self.misses.get(),
            body_loads: self.body_loads.get(),
            unsynced_groups: self.shared.unsynced.groups(),
            syncs: self.shared.unsynced.syncs(),
            disk_full: self.is_full(),
            ..self.stats
        }
    }

    /// The rows that a single read wants.
    pub(crate) fn need(&self, key: &[u8], ahead: usize) -> Need {
        self.misses.set(self.misses.get() + 1);
        let to = match ahead {
            0 => successor(key),
            _ => self.snapshot.next_rows(key).map_or_else(|| successor(key), |(_, max)| successor(max)),
        };
        Need { from: Key::from_slice(key), to, rows: ahead + 1 }
    }
}
