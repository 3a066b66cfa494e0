//! The form of a frame: a piece of a record in a segment, or the marker behind the last record.
//!
//! | offset | bytes | what |
//! | --- | --- | --- |
//! | 0 | 4 | `WEIR` |
//! | 4 | 1 | version of the format: 1, or 2 of what is acknowledged before it is synced |
//! | 5 | 1 | flags |
//! | 6 | 2 | version 1: zero; version 2: how many of the records right before it were not known to be synced |
//! | 8 | 8 | epoch of the writer |
//! | 16 | 8 | sequence of the record; in a marker, of the last record before it (0: unknown) |
//! | 24 | 4 | length of the whole record |
//! | 28 | 4 | offset in the record of this frame's part |
//! | 32 | 4 | length of this frame's part |
//! | 36 | 4 | digest of the previous record |
//! | 40 | 4 | checksum of the part |
//! | 44 | 4 | checksum of bytes 0 to 44 |
//!
//! Numbers are little-endian. Both checksums are CRC-32C, started from a value made of the directory's salt and the
//! segment's number, so that what a recycled segment still holds never validates.

use std::io;

use crate::disk::DiskFile;

/// Length of a frame's header, and of a marker.
pub(crate) const HEADER: usize = 48;
/// Version of a frame that was synced before anything else was written.
pub(crate) const VERSION: u8 = 1;
/// Version of a frame that others may have followed before it was synced.
pub(crate) const VERSION_RELAXED: u8 = 2;

pub(crate) const FIRST: u8 = 1;
pub(crate) const LAST: u8 = 2;
/// Not a part of a record: the log ends here, or goes on in the next segment.
pub(crate) const MARKER: u8 = 4;

pub(crate) const MAGIC: [u8; 4] = *b"WEIR";

/// A frame's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) version: u8,
    pub(crate) flags: u8,
    /// How many of the records right before this one were not known to be synced when it was written.
    pub(crate) unsynced: u16,
    pub(crate) epoch: u64,
    pub(crate) sequence: u64,
    pub(crate) total: u32,
    pub(crate) at: u32,
    pub(crate) len: u32,
    pub(crate) previous: u32,
    pub(crate) checksum: u32,
}

impl Header {
    pub(crate) fn marker(version: u8, epoch: u64, sequence: u64, digest: u32) -> Self {
        Header {
            version,
            flags: MARKER,
            unsynced: 0,
            epoch,
            sequence,
            total: 0,
            at: 0,
            len: 0,
            previous: digest,
            checksum: 0,
        }
    }

    pub(crate) fn is_marker(&self) -> bool {
        self.flags & MARKER != 0
    }

    pub(crate) fn is_relaxed(&self) -> bool {
        self.version >= VERSION_RELAXED
    }

    /// Everything up to here was synced before this was written.
    pub(crate) fn vouches_for(&self) -> u64 {
        self.sequence.saturating_sub(1 + u64::from(self.unsynced))
    }

    pub(crate) fn encode(&self, salt: u32) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        let mut at = 0;
        let mut push = |part: &[u8]| {
            if let Some(into) = bytes.get_mut(at..at + part.len()) {
                into.copy_from_slice(part);
            }
            at += part.len();
        };
        push(&MAGIC);
        push(&[self.version, self.flags]);
        push(&self.unsynced.to_le_bytes());
        push(&self.epoch.to_le_bytes());
        push(&self.sequence.to_le_bytes());
        for number in [self.total, self.at, self.len, self.previous, self.checksum] {
            push(&number.to_le_bytes());
        }
        let checksum = crc32c::crc32c_append(salt, bytes.get(..HEADER - 4).unwrap_or_default());
        if let Some(into) = bytes.get_mut(HEADER - 4..) {
            into.copy_from_slice(&checksum.to_le_bytes());
        }
        bytes
    }

    /// The header that `bytes` start with; `None` unless its checksum is right.
    pub(crate) fn decode(bytes: &[u8], salt: u32) -> Option<Self> {
        let bytes = bytes.get(..HEADER)?;
        if bytes.get(..4)? != MAGIC {
            return None;
        }
        let number = |at: usize| Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
        let long = |at: usize| Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?));
        if number(HEADER - 4)? != crc32c::crc32c_append(salt, bytes.get(..HEADER - 4)?) {
            return None;
        }
        Some(Header {
            version: *bytes.get(4)?,
            flags: *bytes.get(5)?,
            unsynced: u16::from_le_bytes(bytes.get(6..8)?.try_into().ok()?),
            epoch: long(8)?,
            sequence: long(16)?,
            total: number(24)?,
            at: number(28)?,
            len: number(32)?,
            previous: number(36)?,
            checksum: number(40)?,
        })
    }
}

/// What the checksums of segment `index` start from.
pub(crate) fn salt(directory: u64, index: u64) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&directory.to_le_bytes()), &index.to_le_bytes())
}

/// Checksum of a part of a record.
pub(crate) fn checksum(salt: u32, part: &[u8]) -> u32 {
    crc32c::crc32c_append(salt, part)
}

/// Digest of a record: it depends on the record's content and, by the previous digest, on all before it.
pub(crate) fn digest(previous: u32, epoch: u64, sequence: u64, parts: impl IntoIterator<Item = u32>) -> u32 {
    let mut digest = crc32c::crc32c_append(previous, &epoch.to_le_bytes());
    digest = crc32c::crc32c_append(digest, &sequence.to_le_bytes());
    for part in parts {
        digest = crc32c::crc32c_append(digest, &part.to_le_bytes());
    }
    digest
}

/// Fills `buffer` from `offset`; bytes past the end of the file read as zero.
pub(crate) fn read_padded(file: &impl DiskFile, buffer: &mut [u8], offset: u64) -> io::Result<()> {
    let read = file.read_at(buffer, offset)?;
    if let Some(rest) = buffer.get_mut(read..) {
        rest.fill(0);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_reads_back_only_with_its_own_salt_and_unchanged() {
        let header =
            Header { flags: FIRST | LAST, total: 7, len: 7, checksum: 9, ..Header::marker(VERSION_RELAXED, 3, 4, 5) };
        let header = Header { unsynced: 515, ..header };
        let bytes = header.encode(salt(1, 2));
        assert_eq!(Header::decode(&bytes, salt(1, 2)), Some(header));
        assert_eq!(Header::decode(&bytes, salt(1, 3)), None);
        assert_eq!(Header::decode(&bytes, salt(2, 2)), None);
        for at in 0..HEADER {
            let mut flipped = bytes;
            flipped[at] ^= 1;
            assert_eq!(Header::decode(&flipped, salt(1, 2)), None, "byte {at}");
        }
    }
}
