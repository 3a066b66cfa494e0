//! Work for the disk that a driver gives out, and its results.

use bytes::Bytes;
use weir_core::kv::Key;
use weir_store::disk::Disk;
use weir_store::{BodyLoad, Checkpoint, CheckpointDone, Group, Load, Loaded, LogSync, LogWriter, StoreError, Upkeep};

/// Work for the disk, to be run anywhere: one append at a time, the others in any order and number.
#[derive(Debug)]
pub enum Work<D: Disk> {
    /// To be given to the [`LogWriter`].
    Append(Group),
    /// Syncs groups that were acknowledged before.
    Sync(LogSync<D>),
    /// Brings the frozen part of the overlay into the tables.
    Checkpoint(Checkpoint<D>),
    /// Prepares segments and frees memory.
    Upkeep(Upkeep<D>),
    /// Loads rows.
    Load(LoadWork<D>),
    /// Loads payloads.
    Bodies(BodyWork<D>),
}

/// The result of a piece of work.
#[derive(Debug)]
pub enum Done {
    /// The group was appended, or was not.
    Appended(Group, Result<(), StoreError>),
    /// Groups were synced up to a sequence, or were not.
    Synced(Result<u64, StoreError>),
    /// A checkpoint.
    Checkpointed(Result<CheckpointDone, StoreError>),
    /// Upkeep.
    KeptUp(Result<(), StoreError>),
    /// Rows.
    Loaded(Result<Vec<LoadedRows>, StoreError>),
    /// Payloads.
    Bodies(Vec<LoadedBody>),
    /// The thread that did the work came to a broken invariant.
    Panicked(String),
}

/// Rows to be loaded: what was asked for, and how to get it.
#[derive(Debug)]
pub struct LoadWork<D: Disk> {
    pub(crate) loads: Vec<(Range, Load<D>)>,
}

/// Payloads to be loaded.
#[derive(Debug)]
pub struct BodyWork<D: Disk> {
    pub(crate) loads: Vec<(Place, BodyLoad<D>)>,
}

/// The first key of what is loaded, and the first key after it.
pub(crate) type Range = (Key, Key);

/// Where a payload belongs: the ticket of its answer, and the number of its delivery there.
pub(crate) type Place = (u64, usize);

/// Rows that were loaded.
#[derive(Debug)]
pub struct LoadedRows {
    pub(crate) range: Range,
    pub(crate) loaded: Loaded,
}

/// A payload that was loaded, or why it was not; `None` if there is none.
#[derive(Debug)]
pub struct LoadedBody {
    pub(crate) place: Place,
    pub(crate) payload: Result<Option<Bytes>, StoreError>,
}

impl<D: Disk> LoadWork<D> {
    fn run(self) -> Result<Vec<LoadedRows>, StoreError> {
        self.loads.into_iter().map(|(range, load)| Ok(LoadedRows { range, loaded: load.run()? })).collect()
    }
}

impl<D: Disk> BodyWork<D> {
    fn run(self) -> Vec<LoadedBody> {
        self.loads.into_iter().map(|(place, load)| LoadedBody { place, payload: load.run() }).collect()
    }
}

impl<D: Disk> Work<D> {
    /// Does the work; blocks on the disk. An append is done by `writer`.
    pub fn run(self, writer: Option<&mut LogWriter<D>>) -> Done {
        match self {
            Work::Append(group) => {
                let writer = writer.expect("the caller gives the writer where it gives an append");
                let appended = writer.append(&group);
                Done::Appended(group, appended)
            }
            Work::Sync(sync) => Done::Synced(sync.run()),
            Work::Checkpoint(checkpoint) => Done::Checkpointed(checkpoint.run()),
            Work::Upkeep(upkeep) => Done::KeptUp(upkeep.run()),
            Work::Load(work) => Done::Loaded(work.run()),
            Work::Bodies(work) => Done::Bodies(work.run()),
        }
    }
}
