//! Reading a log from its first segment to its end, and telling a torn end from damage.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;

use super::frame::{self, FIRST, HEADER, Header, LAST, MAGIC, VERSION, VERSION_RELAXED};
use super::segment::Segment;
use super::segments::{Location, Place};
use crate::disk::Disk;
use crate::error::StoreError;

/// Stored bytes that are not what was written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file} is damaged at byte {offset}: {reason}")]
pub struct Damage {
    /// The file.
    pub file: String,
    /// Where the damage begins.
    pub offset: u64,
    /// What is wrong.
    pub reason: String,
}

/// The unreadable end of a log: a last group whose write was cut short, and groups behind it that were not synced either.
/// Their commands were never answered, unless durability is relaxed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Torn {
    /// The file.
    pub file: String,
    /// Where the log now ends.
    pub offset: u64,
    /// How many bytes were there: of the group if its length is known, else to the end of the segment.
    pub bytes: u64,
    /// How many whole groups go with it.
    pub groups: u64,
}

/// What the log need not hold any more: everything up to a sequence, whose record's digest is known where there was one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Floor {
    pub(crate) sequence: u64,
    pub(crate) digest: Option<u32>,
    pub(crate) epoch: u64,
}

/// A record after the floor.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) epoch: u64,
    pub(crate) sequence: u64,
    pub(crate) bytes: Bytes,
    pub(crate) location: Location,
    pub(crate) digest: u32,
}

/// Where and how a log ends.
#[derive(Clone, Debug)]
pub(crate) struct End {
    pub(crate) sequence: u64,
    pub(crate) digest: u32,
    /// The newest epoch known.
    pub(crate) epoch: u64,
    /// The epoch of the last record, or of the floor.
    pub(crate) record_epoch: u64,
    /// Which of the segments.
    pub(crate) segment: usize,
    pub(crate) offset: u64,
    pub(crate) torn: Option<Torn>,
    /// Whether anything was written that was to be acknowledged before it was synced.
    pub(crate) relaxed: bool,
}

/// Says whether what a record refers to elsewhere is there. Asked of records that may never have been synced.
pub(crate) type IsWhole<'a> = &'a dyn Fn(&Record) -> Result<bool, StoreError>;

/// Reads the records after `floor`.
pub(crate) fn read<D: Disk>(
    folder: &str,
    segments: &[Arc<Segment<D>>],
    floor: Floor,
    is_whole: IsWhole<'_>,
    each: &mut dyn FnMut(Record) -> Result<(), StoreError>,
) -> Result<End, StoreError> {
    let (end, loss) = read_leniently(folder, segments, floor, is_whole, each)?;
    match loss {
        None => Ok(end),
        Some(loss) => Err(loss.damage.into()),
    }
}

/// Reads the records after `floor` up to the end or to damage, which is told with what would be lost by a cut there.
pub(crate) fn read_leniently<D: Disk>(
    folder: &str,
    segments: &[Arc<Segment<D>>],
    floor: Floor,
    is_whole: IsWhole<'_>,
    each: &mut dyn FnMut(Record) -> Result<(), StoreError>,
) -> Result<(End, Option<Loss>), StoreError> {
    let mut reader = Reader {
        folder,
        segments,
        floor,
        sequence: floor.sequence,
        digest: floor.digest,
        epoch: floor.epoch,
        last_epoch: 0,
        found: false,
        partial: Partial::default(),
        segment: 0,
        offset: 0,
        data: Vec::new(),
        loss: None,
        unsure: VecDeque::new(),
        unreached: 0,
        relaxed: false,
    };
    let end = reader.run(each)?;
    let end = reader.judge(end, is_whole, each)?;
    Ok((end, reader.loss))
}

/// Damage in the log.
#[derive(Clone, Debug)]
pub(crate) struct Loss {
    pub(crate) damage: Damage,
    /// Valid groups behind the damage.
    pub(crate) groups: u64,
    /// The last of these.
    pub(crate) last: u64,
}

/// A record that may never have been synced, and what was known before it.
#[derive(Debug)]
struct Unsure {
    record: Record,
    start: (usize, usize),
    digest: Option<u32>,
    epoch: u64,
}

/// The frames of a record so far.
#[derive(Debug, Default)]
struct Partial {
    start: Option<(usize, usize)>,
    epoch: u64,
    bytes: Vec<u8>,
    places: Vec<Place>,
    checksums: Vec<u32>,
}

struct Reader<'a, D: Disk> {
    folder: &'a str,
    segments: &'a [Arc<Segment<D>>],
    floor: Floor,
    /// The last whole record, or the floor.
    sequence: u64,
    digest: Option<u32>,
    /// The newest epoch known.
    epoch: u64,
    /// The epoch of the last whole record after the floor.
    last_epoch: u64,
    /// Whether the place of the floor in the segments is known, so that what follows must follow without a gap.
    found: bool,
    partial: Partial,
    segment: usize,
    offset: usize,
    data: Vec<u8>,
    loss: Option<Loss>,
    /// Records of which none read so far says that they were synced.
    unsure: VecDeque<Unsure>,
    /// Valid groups that cannot be reached and were not synced.
    unreached: u64,
    relaxed: bool,
}

/// What stands at a place.
enum Seen {
    Frame(Header),
    Marker,
    Invalid(&'static str),
}

impl<D: Disk> Reader<'_, D> {
    fn run(&mut self, each: &mut dyn FnMut(Record) -> Result<(), StoreError>) -> Result<End, StoreError> {
        if self.segments.is_empty() {
            return Ok(self.end(0, 0, None));
        }
        self.load()?;
        loop {
            match self.look()? {
                Seen::Marker if self.segment + 1 < self.segments.len() => self.next_segment()?,
                Seen::Marker => {
                    let (segment, offset) = (self.segment, self.offset);
                    // The marker says that nothing follows; a record that does was lost in between.
                    self.look_behind("the group before a later one is missing");
                    let torn = (self.loss.is_some() || self.unreached > 0).then(|| Torn {
                        file: self.name(segment),
                        offset: offset as u64,
                        bytes: (self.data.len() - offset) as u64,
                        groups: self.unreached,
                    });
                    return Ok(self.end(segment, offset, torn));
                }
                Seen::Frame(header) => self.take(header, each)?,
                Seen::Invalid(reason) => {
                    if !self.resume(reason)? {
                        let (segment, offset) = self.partial.start.unwrap_or((self.segment, self.offset));
                        let torn = self.torn(segment, offset)?;
                        return Ok(self.end(segment, offset, Some(torn)));
                    }
                }
            }
        }
    }

    fn end(&self, segment: usize, offset: usize, torn: Option<Torn>) -> End {
        End {
            sequence: self.sequence,
            digest: self.digest.unwrap_or(0),
            epoch: self.epoch,
            record_epoch: self.last_epoch.max(self.floor.epoch),
            segment,
            offset: offset as u64,
            torn,
            relaxed: self.relaxed,
        }
    }

    /// Takes the records up to `sequence`, which were synced.
    fn settle(
        &mut self,
        sequence: u64,
        each: &mut dyn FnMut(Record) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        while let Some(unsure) = self.unsure.pop_front_if(|unsure| unsure.record.sequence <= sequence) {
            each(unsure.record)?;
        }
        Ok(())
    }

    /// Takes the records that may not have been synced, up to the first that is not whole.
    fn judge(
        &mut self,
        mut end: End,
        is_whole: IsWhole<'_>,
        each: &mut dyn FnMut(Record) -> Result<(), StoreError>,
    ) -> Result<End, StoreError> {
        if self.loss.is_some() {
            // Something later says that even what is missing had been synced.
            self.settle(u64::MAX, each)?;
            return Ok(end);
        }
        while let Some(unsure) = self.unsure.pop_front() {
            if is_whole(&unsure.record)? {
                each(unsure.record)?;
                continue;
            }
            let (segment, offset) = unsure.start;
            end.sequence = unsure.record.sequence - 1;
            end.digest = unsure.digest.unwrap_or(0);
            end.record_epoch = unsure.epoch.max(self.floor.epoch);
            (end.segment, end.offset) = (segment, offset as u64);
            end.torn = Some(Torn {
                file: self.name(segment),
                offset: offset as u64,
                bytes: (unsure.record.bytes.len() + HEADER) as u64,
                groups: self.unsure.len() as u64 + self.unreached,
            });
            break;
        }
        Ok(end)
    }

    fn name(&self, segment: usize) -> String {
        self.segments.get(segment).map(|s| super::segment::name(self.folder, s.index)).unwrap_or_default()
    }

    fn salt(&self) -> u32 {
        self.segments.get(self.segment).map_or(0, |segment| segment.salt)
    }

    fn load(&mut self) -> Result<(), StoreError> {
        if let Some(segment) = self.segments.get(self.segment) {
            self.data.resize(segment.len as usize, 0);
            frame::read_padded(&segment.file, &mut self.data, 0)
                .map_err(|error| StoreError::io(format!("read {}", self.name(self.segment)), error))?;
        }
        Ok(())
    }

    fn next_segment(&mut self) -> Result<(), StoreError> {
        self.segment += 1;
        self.offset = 0;
        self.load()
    }

    /// Judges what stands at the present place.
    fn look(&mut self) -> Result<Seen, StoreError> {
        let bytes = self.data.get(self.offset..).unwrap_or_default();
        let Some(header) = Header::decode(bytes, self.salt()) else {
            return Ok(Seen::Invalid("no frame can be read"));
        };
        if !(VERSION..=VERSION_RELAXED).contains(&header.version) {
            return Err(StoreError::VersionUnknown {
                file: self.name(self.segment),
                found: u32::from(header.version),
                known: u32::from(VERSION_RELAXED),
            });
        }
        self.relaxed |= header.is_relaxed();
        if header.is_marker() {
            let blank = header.sequence == 0 && self.offset == 0;
            let fits = self.partial.start.is_none() && (blank || !self.found || header.sequence == self.sequence);
            return Ok(if fits { Seen::Marker } else { Seen::Invalid("the log ends in the middle of a group") });
        }
        if !whole(bytes, &header, self.salt()) {
            return Ok(Seen::Invalid("the checksum of a group is wrong"));
        }
        Ok(if self.continues(&header) { Seen::Frame(header) } else { Seen::Invalid("a group is missing") })
    }

    /// Whether a frame is the one that must come next.
    fn continues(&self, header: &Header) -> bool {
        if self.partial.start.is_some() {
            return header.flags & FIRST == 0
                && header.sequence == self.sequence + 1
                && header.epoch == self.partial.epoch
                && header.at as usize == self.partial.bytes.len();
        }
        if self.found {
            let follows = self.digest.is_none_or(|digest| digest == header.previous) && header.epoch >= self.last_epoch;
            return header.flags & FIRST != 0 && header.sequence == self.sequence + 1 && follows;
        }
        // Before the floor anything goes; the first record after it must follow the floor's.
        header.sequence <= self.floor.sequence
            || (header.flags & FIRST != 0
                && header.sequence == self.floor.sequence + 1
                && self.floor.digest.is_none_or(|digest| digest == header.previous))
    }

    fn take(
        &mut self,
        header: Header,
        each: &mut dyn FnMut(Record) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let len = header.len as usize;
        let start = self.offset + HEADER;
        if header.sequence > self.floor.sequence {
            self.found = true;
            self.partial.epoch = header.epoch;
            self.partial.start.get_or_insert((self.segment, self.offset));
            self.partial.bytes.extend_from_slice(self.data.get(start..start + len).unwrap_or_default());
            self.partial.checksums.push(header.checksum);
            self.partial.places.push(Place {
                segment: self.segments.get(self.segment).map_or(0, |segment| segment.index),
                offset: start as u64,
                at: header.at,
                len: header.len,
            });
        }
        let last = header.flags & LAST != 0;
        if last && header.sequence > self.floor.sequence {
            let partial = std::mem::take(&mut self.partial);
            let digest =
                frame::digest(header.previous, header.epoch, header.sequence, partial.checksums.iter().copied());
            let before = self.digest.replace(digest);
            self.sequence = header.sequence;
            let epoch = std::mem::replace(&mut self.last_epoch, header.epoch);
            self.epoch = self.epoch.max(header.epoch);
            let record = Record {
                epoch: header.epoch,
                sequence: header.sequence,
                bytes: Bytes::from(partial.bytes),
                location: Location::from_places(partial.places),
                digest,
            };
            self.settle(header.vouches_for(), each)?;
            match partial.start {
                Some(start) if header.is_relaxed() => {
                    self.unsure.push_back(Unsure { record, start, digest: before, epoch });
                }
                _ => each(record)?,
            }
        }
        if last {
            self.offset = start + len;
            Ok(())
        } else if self.segment + 1 < self.segments.len() {
            self.next_segment()
        } else {
            // Nothing can be read past the end of the data: the rest of the record is missing.
            self.offset = self.data.len();
            Ok(())
        }
    }

    /// At bytes that cannot be read: goes to where the log continues without a loss, or says that it ends here.
    /// A valid later group makes it damage.
    fn resume(&mut self, reason: &str) -> Result<bool, StoreError> {
        let (segment, offset) = self.partial.start.unwrap_or((self.segment, self.offset));
        let damage = Damage { file: self.name(segment), offset: offset as u64, reason: reason.to_owned() };
        let here = (self.segment, self.offset);
        // What stands here may be a valid frame of another group.
        let mut from = self.offset;
        loop {
            while let Some((at, header)) = later(&self.data, from, self.salt()) {
                from = at + 1;
                let first = header.flags & FIRST != 0;
                // All up to the floor is durable elsewhere: what is unreadable there is not missed.
                let before_floor = !self.found && first && header.sequence <= self.floor.sequence + 1;
                // The marker at a segment's end is unreadable, the next segment is as it should be.
                let follows = self.partial.start.is_none() && at == 0 && self.segment > here.0 && first;
                if self.loss.is_none() && (before_floor || follows) && self.continues(&header) {
                    self.offset = at;
                    return Ok(true);
                }
                self.lose(&damage, &header);
            }
            if self.segment + 1 >= self.segments.len() {
                (self.segment, self.offset) = here;
                self.load()?;
                return Ok(false);
            }
            self.next_segment()?;
            from = 0;
        }
    }

    /// Looks for groups behind the marker at which the log ends.
    fn look_behind(&mut self, reason: &str) {
        let damage = Damage { file: self.name(self.segment), offset: self.offset as u64, reason: reason.to_owned() };
        let mut from = self.offset + HEADER;
        while let Some((at, header)) = later(&self.data, from, self.salt()) {
            self.lose(&damage, &header);
            from = at + 1;
        }
    }

    /// Counts a valid frame that cannot be reached. Of the group right after the last one, it may be a stale piece. It is
    /// no loss where the group that is missing had not been synced when this one was written.
    fn lose(&mut self, damage: &Damage, header: &Header) {
        if header.sequence <= self.sequence + 1 {
            return;
        }
        self.relaxed |= header.is_relaxed();
        if header.vouches_for() <= self.sequence {
            self.unreached += u64::from(header.flags & LAST != 0);
            return;
        }
        let loss = self.loss.get_or_insert_with(|| Loss { damage: damage.clone(), groups: 0, last: 0 });
        loss.groups += u64::from(header.flags & LAST != 0);
        loss.last = loss.last.max(header.sequence);
    }

    /// Measures the torn end that begins at `offset` of `segment`.
    fn torn(&mut self, segment: usize, offset: usize) -> Result<Torn, StoreError> {
        if segment != self.segment {
            self.segment = segment;
            self.load()?;
        }
        let bytes = self.data.get(offset..).unwrap_or_default();
        let of_group = Header::decode(bytes, self.salt()).map(|header| u64::from(header.total) + HEADER as u64);
        Ok(Torn {
            file: self.name(segment),
            offset: offset as u64,
            bytes: of_group.unwrap_or(bytes.len() as u64),
            groups: self.unreached,
        })
    }
}

/// Whether the part of a frame is as its header says.
fn whole(bytes: &[u8], header: &Header, salt: u32) -> bool {
    let part = bytes.get(HEADER..HEADER + header.len as usize);
    part.is_some_and(|part| frame::checksum(salt, part) == header.checksum)
}

/// The first valid frame of a record at `from` or later.
fn later(data: &[u8], mut from: usize, salt: u32) -> Option<(usize, Header)> {
    loop {
        let bytes = data.get(from..)?;
        from += bytes.windows(MAGIC.len()).position(|window| window == MAGIC)?;
        let bytes = data.get(from..)?;
        if let Some(header) = Header::decode(bytes, salt)
            && !header.is_marker()
            && whole(bytes, &header, salt)
        {
            return Some((from, header));
        }
        from += 1;
    }
}
