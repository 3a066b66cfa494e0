//! Bodies: found in recent groups, in the log, or in the tables.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use weir_core::kv::Key;

use crate::blob::{BlobFile, Blobs, Reference, Segment};
use crate::disk::{Disk, DiskFile};
use crate::error::StoreError;
use crate::layer::Position;
use crate::log::{Damage, Piece, Segments, segment_name};
use crate::snapshot::Snapshot;

/// Where a body was found.
#[derive(Debug)]
pub enum Body<D: Disk> {
    /// Here it is.
    Ready(Bytes),
    /// It must be read.
    Load(BodyLoad<D>),
    /// There is none.
    Absent,
}

/// A body to be read. It stays readable for as long as this is kept, whatever happens to the store meanwhile.
#[derive(Debug)]
pub struct BodyLoad<D: Disk> {
    source: Source<D>,
}

#[derive(Debug)]
enum Source<D: Disk> {
    Log { folder: String, pieces: Vec<Piece<D>>, checksum: u32 },
    Tables { snapshot: Arc<Snapshot>, key: Key },
    Blob { segment: Arc<Segment<D>>, reference: Reference },
    Lost { what: String },
}

impl<D: Disk> BodyLoad<D> {
    pub(crate) fn from_tables(snapshot: Arc<Snapshot>, key: &[u8]) -> Self {
        Self { source: Source::Tables { snapshot, key: Key::from_slice(key) } }
    }

    /// A body in the log.
    pub(crate) fn from_log(segments: &Segments<D>, position: Position) -> Self {
        let source = match segments.pieces(position.sequence, position.at, position.len) {
            Some(pieces) => Source::Log { folder: segments.folder.clone(), pieces, checksum: position.checksum },
            None => Source::Lost { what: format!("group {} is not in the log", position.sequence) },
        };
        Self { source }
    }

    /// A body in a blob segment.
    pub(crate) fn from_blob(blobs: &Blobs<D>, reference: Reference) -> Self {
        let source = match blobs.get(reference.segment) {
            Some(segment) => Source::Blob { segment, reference },
            None => Source::Lost { what: format!("blob segment {} is not there", reference.segment) },
        };
        Self { source }
    }

    /// Reads it, once more if that fails. `None` if there is no such body.
    ///
    /// # Errors
    /// After [`StoreError::Outdated`], [`crate::Store::body`] knows where it is now.
    pub fn run(self) -> Result<Option<Bytes>, StoreError> {
        match self.read() {
            Err(StoreError::Unread { .. }) => self.read(),
            read => read,
        }
    }

    fn read(&self) -> Result<Option<Bytes>, StoreError> {
        match &self.source {
            Source::Tables { snapshot, key } => snapshot.body(key),
            Source::Log { folder, pieces, checksum } => read(folder, pieces, *checksum).map(Some),
            Source::Blob { segment, reference } => segment.read(reference).map(Some),
            Source::Lost { what } => Err(StoreError::broken(what.as_str())),
        }
    }
}

fn read<D: Disk>(folder: &str, pieces: &[Piece<D>], checksum: u32) -> Result<Bytes, StoreError> {
    let mut body = vec![0; pieces.iter().map(|(_, _, len)| len).sum()];
    let mut rest = body.as_mut_slice();
    for (segment, offset, len) in pieces {
        let (piece, after) = rest.split_at_mut(*len);
        let name = || segment_name(folder, segment.index);
        let read = segment
            .file
            .read_at(piece, *offset)
            .map_err(|error| StoreError::unread(format!("read {}", name()), error))?;
        if read < *len {
            let reason = "the segment is too short".to_owned();
            return Err(Damage { file: name(), offset: *offset + read as u64, reason }.into());
        }
        rest = after;
    }
    if crc32c::crc32c(&body) != checksum {
        let (file, offset) =
            pieces.first().map(|(segment, at, _)| (segment_name(folder, segment.index), *at)).unwrap_or_default();
        return Err(Damage { file, offset, reason: "the checksum of a body is wrong".to_owned() }.into());
    }
    Ok(Bytes::from(body))
}

/// The records of recent groups, of which bodies are parts. Groups that are not in the log yet stay whatever their size.
#[derive(Debug)]
pub(crate) struct Recent {
    kept: Mutex<Kept>,
    bytes_max: usize,
}

#[derive(Debug, Default)]
struct Kept {
    groups: VecDeque<Bytes>,
    first: u64,
    bytes: usize,
    committed: u64,
}

impl Recent {
    pub(crate) fn new(bytes_max: usize, first: u64) -> Self {
        Self { kept: Mutex::new(Kept { first, ..Kept::default() }), bytes_max }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in the next group.
    pub(crate) fn push(&self, record: Bytes) {
        let mut kept = self.kept();
        kept.bytes += record.len();
        kept.groups.push_back(record);
        self.shrink(&mut kept);
    }

    /// Lets groups up to `sequence` go when there is no room.
    pub(crate) fn committed(&self, sequence: u64) {
        let mut kept = self.kept();
        kept.committed = sequence;
        self.shrink(&mut kept);
    }

    fn shrink(&self, kept: &mut Kept) {
        while kept.bytes > self.bytes_max
            && kept.first <= kept.committed
            && let Some(oldest) = kept.groups.pop_front()
        {
            kept.bytes -= oldest.len();
            kept.first += 1;
        }
    }

    /// The body at a position, sharing the group's memory.
    pub(crate) fn body(&self, position: Position) -> Option<Bytes> {
        let kept = self.kept();
        let slot = usize::try_from(position.sequence.checked_sub(kept.first)?).ok()?;
        let group = kept.groups.get(slot)?;
        let at = position.at as usize;
        Some(group.slice(at..at + position.len as usize))
    }

    pub(crate) fn bytes(&self) -> usize {
        self.kept().bytes
    }
}
