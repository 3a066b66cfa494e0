//! The log as segments on a disk: the contract's first implementation.

use std::sync::Arc;

use bytes::Bytes;

use super::contract::{Appended, Log};
use super::reader::{self, End, Floor};
use super::segments::Segments;
use super::writer::Writer;
use crate::disk::Disk;
use crate::error::StoreError;
use crate::note;
use crate::options::{Durability, Options};

const SNAPSHOT_VERSION: u32 = 1;

/// A log of segments, which a store also writes, without the store's tables: a snapshot is a note of its sequence.
#[derive(Debug)]
pub struct SegmentLog<D: Disk> {
    segments: Arc<Segments<D>>,
    writer: Writer<D>,
    snapshot: u64,
}

impl<D: Disk> SegmentLog<D> {
    /// Opens the log in the folder of `options`, making an empty one if there is none. A torn end is cut.
    pub fn open(disk: D, options: &Options) -> Result<Self, StoreError> {
        let segments =
            Arc::new(Segments::new(disk, &Options { durability: Durability::Fsync, ..options.clone() }, options.salt));
        let noted = note::read(&segments.disk, &snapshot_file(&segments), SNAPSHOT_VERSION, 3)?;
        let floor = match noted.as_deref() {
            Some(&[sequence, digest, epoch]) => Floor { sequence, digest: Some(digest as u32), epoch },
            _ => Floor { sequence: 0, digest: Some(0), epoch: 0 },
        };
        let found = segments.find().map_err(|error| StoreError::io("open the log", error))?;
        for segment in &found {
            segments.adopt(Arc::clone(segment));
        }
        segments.start_locations(floor.sequence + 1);
        let end = reader::read(&segments.folder, &found, floor, &|_| Ok(true), &mut |record| {
            segments.record(record.sequence, record.location, record.digest);
            Ok(())
        })?;
        let writer = Writer::resume(Arc::clone(&segments), found, &end, end.epoch, None)?;
        Ok(Self { segments, writer, snapshot: floor.sequence })
    }
}

fn snapshot_file<D: Disk>(segments: &Segments<D>) -> String {
    format!("{}/snapshot", segments.folder)
}

impl<D: Disk> Log for SegmentLog<D> {
    fn append(&mut self, epoch: u64, sequence: u64, record: Bytes) -> Appended {
        self.writer.append(epoch, sequence, &record)
    }

    fn read(&self, from: u64, each: &mut dyn FnMut(u64, u64, Bytes)) -> Result<(), StoreError> {
        let found = self.segments.open_all().map_err(|error| StoreError::io("open the log", error))?;
        let floor = Floor { sequence: from.saturating_sub(1), digest: None, epoch: 0 };
        let End { sequence, .. } = reader::read(&self.segments.folder, &found, floor, &|_| Ok(true), &mut |record| {
            each(record.epoch, record.sequence, record.bytes);
            Ok(())
        })?;
        if sequence < self.writer.sequence() && from <= self.writer.sequence() {
            return Err(StoreError::broken(format!("record {} was trimmed", sequence + 1)));
        }
        Ok(())
    }

    fn trim(&mut self, before: u64) -> Result<(), StoreError> {
        self.segments.retire(before.saturating_sub(1).min(self.snapshot));
        Ok(())
    }

    fn put_snapshot(&mut self, sequence: u64) -> Result<(), StoreError> {
        if sequence <= self.snapshot {
            return Ok(());
        }
        let digest = self.segments.digest(sequence);
        let digest =
            digest.ok_or_else(|| StoreError::broken(format!("a snapshot of {sequence}, which is no record")))?;
        let numbers = [sequence, u64::from(digest), self.writer.epoch()];
        note::write(&self.segments.disk, &snapshot_file(&self.segments), SNAPSHOT_VERSION, &numbers)?;
        self.snapshot = sequence;
        Ok(())
    }

    fn latest_snapshot(&self) -> Result<u64, StoreError> {
        Ok(self.snapshot)
    }
}
