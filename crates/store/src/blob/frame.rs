//! The form of a frame in a blob segment: header, key, body.
//!
//! | offset | bytes | what |
//! | --- | --- | --- |
//! | 0 | 4 | `WBLB` |
//! | 4 | 1 | version of the format |
//! | 5 | 3 | zero |
//! | 8 | 8 | sequence of the group that brought the body, or of the checkpoint that moved it |
//! | 16 | 4 | length of the key |
//! | 20 | 4 | length of the body |
//! | 24 | 4 | checksum of the body |
//! | 28 | 4 | checksum of bytes 0 to 28 and the key |
//!
//! Numbers are little-endian. Checksums are CRC-32C, started from a value made of the directory's salt, the segment's
//! number and, for the body, its offset.

/// Length of a frame's header.
pub(crate) const HEADER: usize = 32;
const VERSION: u8 = 1;
const MAGIC: [u8; 4] = *b"WBLB";

/// Where a body stands, and what it must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reference {
    pub(crate) segment: u64,
    /// Offset of the body in the segment.
    pub(crate) offset: u32,
    pub(crate) len: u32,
    pub(crate) checksum: u32,
}

impl Reference {
    /// Length of the stored form.
    pub(crate) const BYTES: usize = 20;

    pub(crate) fn encode(&self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        let (segment, rest) = bytes.split_at_mut(8);
        segment.copy_from_slice(&self.segment.to_le_bytes());
        for (into, number) in rest.chunks_exact_mut(4).zip([self.offset, self.len, self.checksum]) {
            into.copy_from_slice(&number.to_le_bytes());
        }
        bytes
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        if bytes.len() != Self::BYTES {
            return None;
        }
        Some(Self {
            segment: long(bytes, 0)?,
            offset: number(bytes, 8)?,
            len: number(bytes, 12)?,
            checksum: number(bytes, 16)?,
        })
    }

    /// Where the body ends in its segment.
    pub(crate) fn end(&self) -> u64 {
        u64::from(self.offset) + u64::from(self.len)
    }
}

/// A frame's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) sequence: u64,
    pub(crate) key_len: u32,
    pub(crate) len: u32,
    pub(crate) checksum: u32,
}

impl Header {
    /// Header and key.
    pub(crate) fn encode(&self, salt: u32, key: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER + key.len());
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&[VERSION, 0, 0, 0]);
        bytes.extend_from_slice(&self.sequence.to_le_bytes());
        for number in [self.key_len, self.len, self.checksum] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        let checksum = crc32c::crc32c_append(crc32c::crc32c_append(salt, &bytes), key);
        bytes.extend_from_slice(&checksum.to_le_bytes());
        bytes.extend_from_slice(key);
        bytes
    }

    /// What the first bytes of a header say, not yet verified: that takes the key.
    pub(crate) fn peek(bytes: &[u8]) -> Option<Self> {
        if bytes.get(..4)? != MAGIC || bytes.get(4..8)? != [VERSION, 0, 0, 0] {
            return None;
        }
        Some(Self {
            sequence: long(bytes, 8)?,
            key_len: number(bytes, 16)?,
            len: number(bytes, 20)?,
            checksum: number(bytes, 24)?,
        })
    }

    /// Whether `bytes` are this header with `key`.
    pub(crate) fn verify(&self, salt: u32, bytes: &[u8], key: &[u8]) -> bool {
        self.encode(salt, key).get(..HEADER) == bytes.get(..HEADER)
    }
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn long(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

/// What the checksums of a segment's headers start from.
pub(crate) fn salt(directory: u64, segment: u64) -> u32 {
    let salt = crc32c::crc32c_append(crc32c::crc32c(b"blob"), &directory.to_le_bytes());
    crc32c::crc32c_append(salt, &segment.to_le_bytes())
}

/// Checksum of a body at `offset`.
pub(crate) fn checksum(salt: u32, offset: u32, body: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c_append(salt, &offset.to_le_bytes()), body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_counts_only_with_its_own_salt_and_key_and_unchanged() {
        let header = Header { sequence: 3, key_len: 2, len: 9, checksum: 7 };
        let bytes = header.encode(salt(1, 2), b"ab");
        assert_eq!(Header::peek(&bytes), Some(header));
        assert!(header.verify(salt(1, 2), &bytes, b"ab"));
        assert!(!header.verify(salt(1, 3), &bytes, b"ab"));
        assert!(!header.verify(salt(1, 2), &bytes, b"ac"));
        for at in 0..HEADER {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1;
            let seen = Header::peek(&flipped);
            assert!(seen.is_none_or(|seen| !seen.verify(salt(1, 2), &flipped, b"ab")), "byte {at}");
        }
    }

    #[test]
    fn a_reference_reads_back() {
        let reference = Reference { segment: u64::MAX - 1, offset: 5, len: 6, checksum: 7 };
        assert_eq!(Reference::decode(&reference.encode()), Some(reference));
        assert_eq!(Reference::decode(&reference.encode()[..19]), None);
    }
}
