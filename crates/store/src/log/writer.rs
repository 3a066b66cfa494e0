//! Appending to the segments.

use std::collections::VecDeque;
use std::sync::Arc;

use super::contract::Appended;
use super::frame::{self, FIRST, HEADER, Header, LAST};
use super::reader::End;
use super::segment::{self, Segment};
use super::segments::{Location, Place, Segments};
use crate::disk::{Disk, DiskFile};
use crate::error::StoreError;
use crate::unsynced::Unsynced;

/// The end of a log. There is one writer for a log.
#[derive(Debug)]
pub(crate) struct Writer<D: Disk> {
    segments: Arc<Segments<D>>,
    current: Arc<Segment<D>>,
    offset: u64,
    /// Segments put into use for a record that found no room in the end.
    ahead: VecDeque<Arc<Segment<D>>>,
    epoch: u64,
    sequence: u64,
    digest: u32,
    poisoned: Option<String>,
    /// Where to take note of what was written, if it is not to be synced here.
    relaxed: Option<Arc<Unsynced<D>>>,
    scratch: Vec<u8>,
}

/// The least room in a segment that a frame is put into: header, a byte, and the marker behind it.
const ROOM_MIN: u64 = 2 * HEADER as u64 + 1;

impl<D: Disk> Writer<D> {
    /// Goes on where a log was found to end; what is torn there is cut. With `relaxed`, others sync what is appended.
    pub(crate) fn resume(
        segments: Arc<Segments<D>>,
        mut found: Vec<Arc<Segment<D>>>,
        end: &End,
        epoch: u64,
        relaxed: Option<Arc<Unsynced<D>>>,
    ) -> Result<Self, StoreError> {
        let mut offset = end.offset;
        if end.torn.is_some() {
            // From the newest on, so that a crash in between leaves a log that is torn at the same place.
            while found.len() > end.segment + 1
                && let Some(segment) = found.pop()
            {
                segments.forget(segment.index);
                let name = segment::name(&segments.folder, segment.index);
                segments.disk.remove(&name).map_err(|error| StoreError::io(format!("remove {name}"), error))?;
                let folder = format!("{}/log", segments.folder);
                segments.disk.sync_names(&folder).map_err(|error| StoreError::io(format!("sync {folder}"), error))?;
            }
            if let Some(last) = found.last() {
                let name = segment::name(&segments.folder, last.index);
                let failed = |error| StoreError::io(format!("cut the torn end of {name}"), error);
                if end.relaxed {
                    // Whole groups may stand behind the one that is missing; they are not to be met again.
                    wipe(last, offset).map_err(failed)?;
                }
                let marker = Header::marker(segments.version, end.epoch, end.sequence, end.digest).encode(last.salt);
                last.file.write_at(&marker, offset).map_err(failed)?;
                last.file.sync().map_err(failed)?;
            }
        }
        // A process that was killed may have left what it wrote, and what was read now, to the operating system.
        let folder = format!("{}/log", segments.folder);
        for segment in &found {
            let failed =
                |error| StoreError::io(format!("sync {}", segment::name(&segments.folder, segment.index)), error);
            segment.file.sync().map_err(failed)?;
            segments.adopt(Arc::clone(segment));
        }
        segments.disk.sync_names(&folder).map_err(|error| StoreError::io(format!("sync {folder}"), error))?;
        let current = if let Some(last) = found.pop() {
            last
        } else {
            offset = 0;
            segments.activate(epoch)?
        };
        segments.set_writing(current.index);
        Ok(Self {
            segments,
            current,
            offset,
            ahead: VecDeque::new(),
            epoch,
            sequence: end.sequence,
            digest: end.digest,
            poisoned: None,
            relaxed,
            scratch: Vec::new(),
        })
    }

    pub(crate) fn sequence(&self) -> u64 {
        self.sequence
    }

    pub(crate) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Writes one record and, unless others do, syncs it.
    pub(crate) fn append(&mut self, epoch: u64, sequence: u64, record: &[u8]) -> Appended {
        if let Some(reason) = &self.poisoned {
            return Appended::Unknown(StoreError::Poisoned { reason: reason.clone() });
        }
        if epoch < self.epoch {
            return Appended::Fenced { newer: self.epoch };
        }
        if sequence != self.sequence + 1 {
            let reason = format!("record {sequence} appended behind {}", self.sequence);
            self.poisoned = Some(reason.clone());
            return Appended::Unknown(StoreError::Poisoned { reason });
        }
        if let Err(error) = self.make_room(epoch, record.len()) {
            if !matches!(error, StoreError::DiskFull { .. }) {
                self.poisoned = Some(error.to_string());
            }
            return Appended::Unknown(error);
        }
        match self.write(epoch, sequence, record) {
            Ok(()) => {
                self.epoch = epoch;
                Appended::Committed
            }
            Err(error) => {
                self.poisoned = Some(error.to_string());
                Appended::Unknown(error)
            }
        }
    }

    /// Puts as many segments into use as a record of `len` bytes takes, before any of it is written.
    fn make_room(&mut self, epoch: u64, len: usize) -> Result<(), StoreError> {
        let mut room = part_room(&self.current, self.offset);
        room += self.ahead.iter().map(|segment| part_room(segment, 0)).sum::<u64>();
        while room < (len as u64).max(1) {
            let segment = self.segments.activate(epoch)?;
            room += part_room(&segment, 0);
            self.ahead.push_back(segment);
        }
        Ok(())
    }

    fn write(&mut self, epoch: u64, sequence: u64, record: &[u8]) -> Result<(), StoreError> {
        let mut at = 0;
        let mut places = Vec::with_capacity(1);
        let mut checksums = Vec::with_capacity(1);
        let previous = self.digest;
        let synced = self.relaxed.as_ref().map_or(sequence - 1, |relaxed| relaxed.synced());
        let unsynced = u16::try_from(sequence - 1 - synced).map_err(|_| StoreError::Poisoned {
            reason: format!("record {sequence} written when {synced} was synced"),
        })?;
        loop {
            if part_room(&self.current, self.offset) == 0 {
                self.current = self.ahead.pop_front().expect("make_room put enough segments into use");
                self.offset = 0;
            }
            let room = part_room(&self.current, self.offset);
            let len = room.min((record.len() - at) as u64) as usize;
            let part = record.get(at..at + len).unwrap_or_default();
            let last = at + len == record.len();
            let checksum = frame::checksum(self.current.salt, part);
            checksums.push(checksum);
            let header = Header {
                version: self.segments.version,
                unsynced,
                flags: if at == 0 { FIRST } else { 0 } | if last { LAST } else { 0 },
                epoch,
                sequence,
                total: record.len() as u32,
                at: at as u32,
                len: len as u32,
                previous,
                checksum,
            };
            self.scratch.clear();
            self.scratch.extend_from_slice(&header.encode(self.current.salt));
            self.scratch.extend_from_slice(part);
            let end = self.offset + self.scratch.len() as u64;
            if last {
                self.digest = frame::digest(previous, epoch, sequence, checksums.iter().copied());
                let marker = Header::marker(self.segments.version, epoch, sequence, self.digest);
                self.scratch.extend_from_slice(&marker.encode(self.current.salt));
            }
            let name = || segment::name(&self.segments.folder, self.current.index);
            let file = &self.current.file;
            file.write_at(&self.scratch, self.offset)
                .map_err(|error| broken(&format!("write to {}", name()), &error))?;
            match &self.relaxed {
                None => file.sync().map_err(|error| broken(&format!("sync {}", name()), &error))?,
                Some(relaxed) => relaxed.wrote_part(&self.current, self.scratch.len() as u64),
            }
            places.push(Place {
                segment: self.current.index,
                offset: self.offset + HEADER as u64,
                at: at as u32,
                len: len as u32,
            });
            at += len;
            if last {
                self.offset = end;
                break;
            }
            // The rest goes to the next segment, whatever room is left here.
            self.offset = self.current.len;
        }
        self.sequence = sequence;
        self.segments.record(sequence, Location::from_places(places), self.digest);
        self.segments.set_writing(self.current.index);
        if let Some(relaxed) = &self.relaxed {
            relaxed.wrote(sequence);
        }
        Ok(())
    }
}

/// Overwrites a segment from `offset` to its end.
fn wipe<D: Disk>(segment: &Segment<D>, mut offset: u64) -> std::io::Result<()> {
    let zeros = vec![0; usize::try_from((segment.len - offset).min(1 << 20)).unwrap_or(1 << 20)];
    while offset < segment.len {
        let len = (segment.len - offset).min(zeros.len() as u64);
        segment.file.write_at(zeros.get(..len as usize).unwrap_or_default(), offset)?;
        offset += len;
    }
    Ok(())
}

/// A failed write to space that the segment owns is never a matter of room that could be found later.
fn broken(what: &str, error: &std::io::Error) -> StoreError {
    StoreError::Poisoned { reason: format!("{what}: {error}") }
}

/// How many bytes of a record fit into a segment from `offset` on.
fn part_room<D: Disk>(segment: &Segment<D>, offset: u64) -> u64 {
    let room = segment.len.saturating_sub(offset);
    if room < ROOM_MIN { 0 } else { room - 2 * HEADER as u64 }
}
