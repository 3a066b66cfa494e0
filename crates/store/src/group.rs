//! A group: everything that commits together, as one record of the log.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use weir_core::Time;
use weir_core::kv::{Op, Ops};

use crate::blob::{Blob, Blobs, Reference};
use crate::disk::Disk;
use crate::error::StoreError;
use crate::log::{Appended, Writer};
use crate::unsynced::Unsynced;

/// Version of what a record holds: of one that refers to no blob, and of one that does.
pub(crate) const VERSION: u8 = 1;
pub(crate) const VERSION_BLOBS: u8 = 2;
/// What stands before the writes in a record: version, zeros, and the engine time in bytes 8 to 16.
pub(crate) const PREFIX: usize = 16;

/// Writes that are to be made durable together.
#[derive(Clone, Debug)]
pub struct Group {
    pub(crate) epoch: u64,
    pub(crate) sequence: u64,
    pub(crate) time: Time,
    pub(crate) bytes: Bytes,
    /// Bodies that the record refers to, to be durable before it.
    pub(crate) blobs: Arc<[Blob]>,
}

impl Group {
    /// Its sequence: one more than that of the group before.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// The engine time that it was sealed at.
    pub fn time(&self) -> Time {
        self.time
    }

    /// Length of its record in bytes.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether it has no writes, which no group is.
    pub fn is_empty(&self) -> bool {
        self.bytes.len() <= PREFIX
    }
}

/// The engine time in a record.
pub(crate) fn time(record: &[u8]) -> Option<Time> {
    let bytes = record.get(8..16)?;
    Some(Time(u64::from_le_bytes(bytes.try_into().ok()?)))
}

/// Whether the bodies that a group refers to are where it says. It may never have been synced, and neither may they.
pub(crate) fn has_its_blobs<D: Disk>(record: &[u8], blobs: &Blobs<D>) -> Result<bool, StoreError> {
    for op in Ops::from(record, PREFIX).flatten() {
        let Op::PutReference { key, reference } = op else { continue };
        // What is malformed was written so, and is found when the group is applied.
        let Some(reference) = Reference::decode(reference) else { continue };
        let segment = match blobs.open_file(reference.segment, false) {
            Ok(segment) => segment,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(StoreError::io(format!("open blob segment {}", reference.segment), error)),
        };
        if !segment.holds(&reference, key)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Writes groups, in order, one at a time. Belongs on a thread of its own.
#[derive(Debug)]
pub struct LogWriter<D: Disk> {
    pub(crate) writer: Writer<D>,
    pub(crate) blobs: Arc<Blobs<D>>,
    pub(crate) unsynced: Arc<Unsynced<D>>,
    /// Whether a group is not synced here.
    pub(crate) is_relaxed: bool,
    pub(crate) poison: crate::poison::Poison,
}

impl<D: Disk> LogWriter<D> {
    /// Writes a group and, unless durability is relaxed, syncs it. When this returns, the group may be acknowledged.
    ///
    /// # Errors
    /// After [`StoreError::DiskFull`] nothing was written to the log and the same group may be tried again. After any other error
    /// it is unknown whether the group will be there when the store is opened anew, and nothing is accepted any more.
    pub fn append(&mut self, group: &Group) -> Result<(), StoreError> {
        self.poison.check()?;
        match self.prepare(group) {
            Ok(()) => {}
            Err(error @ StoreError::DiskFull { .. }) => return Err(error),
            Err(error) => {
                self.poison.set(&error);
                return Err(error);
            }
        }
        match self.writer.append(group.epoch, group.sequence, &group.bytes) {
            Appended::Committed => {
                if !self.is_relaxed {
                    self.unsynced.wrote_and_synced(group.sequence);
                }
                Ok(())
            }
            Appended::Fenced { newer } => {
                let error = StoreError::Fenced { ours: group.epoch, newer };
                self.poison.set(&error);
                Err(error)
            }
            Appended::Unknown(error @ StoreError::DiskFull { .. }) => Err(error),
            Appended::Unknown(error) => {
                self.poison.set(&error);
                Err(error)
            }
        }
    }

    /// What comes before the group in the log.
    fn prepare(&self, group: &Group) -> Result<(), StoreError> {
        if self.unsynced.is_full() {
            self.unsynced.sync(&self.blobs)?;
        }
        self.blobs.write(&group.blobs, self.is_relaxed.then_some(&*self.unsynced))
    }

    /// The sequence of the last group written.
    pub fn sequence(&self) -> u64 {
        self.writer.sequence()
    }
}
