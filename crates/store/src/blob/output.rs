//! Writing bodies to blob segments outside of the log: those that a compaction moves, and those of a backup.

use std::sync::Arc;

use super::frame::{self, HEADER, Reference};
use super::segment::Segment;
use super::segments::Blobs;
use crate::disk::{Disk, DiskFile};
use crate::error::StoreError;

/// New blob segments, written in order. What is not finished leaves nothing behind.
#[derive(Debug)]
pub(crate) struct Output<'a, D: Disk> {
    blobs: &'a Blobs<D>,
    written: Vec<(Arc<Segment<D>>, u64)>,
    finished: bool,
}

impl<'a, D: Disk> Output<'a, D> {
    pub(crate) fn new(blobs: &'a Blobs<D>) -> Self {
        Self { blobs, written: Vec::new(), finished: false }
    }

    /// Appends a body; returns where it stands.
    pub(crate) fn push(&mut self, sequence: u64, key: &[u8], body: &[u8]) -> Result<Reference, StoreError> {
        let len = (HEADER + key.len() + body.len()) as u64;
        if self.written.last().is_none_or(|(_, end)| *end > 0 && end + len > self.blobs.segment_bytes) {
            let index = self.blobs.take_number();
            let segment = Segment::open(&self.blobs.disk, &self.blobs.folder, self.blobs.directory_salt, index, true);
            let failed = |error| StoreError::io(format!("make blob segment {index}"), error);
            self.written.push((Arc::new(segment.map_err(failed)?), 0));
        }
        let Some((segment, end)) = self.written.last_mut() else {
            return Err(StoreError::broken("a blob segment was just made"));
        };
        let offset = (*end + (HEADER + key.len()) as u64) as u32;
        let checksum = frame::checksum(segment.salt, offset, body);
        let reference = Reference { segment: segment.index, offset, len: body.len() as u32, checksum };
        let failed = |error| StoreError::io(format!("write {}", segment.name), error);
        segment.write(&reference, sequence, key, body).map_err(failed)?;
        *end = reference.end();
        Ok(reference)
    }

    /// Makes everything durable.
    pub(crate) fn sync(&self) -> Result<(), StoreError> {
        for (segment, _) in &self.written {
            segment.file.sync().map_err(|error| StoreError::unsynced(&segment.name, &error))?;
        }
        if self.written.is_empty() { Ok(()) } else { self.blobs.sync_names() }
    }

    /// The segments, each with its end, for good.
    pub(crate) fn finish(mut self) -> Vec<(Arc<Segment<D>>, u64)> {
        self.finished = true;
        std::mem::take(&mut self.written)
    }
}

impl<D: Disk> Drop for Output<'_, D> {
    fn drop(&mut self) {
        if !self.finished {
            for (segment, _) in &self.written {
                // What cannot be removed now is found to be without use when the directory is opened.
                let _ = self.blobs.disk.remove(&segment.name);
            }
        }
    }
}
