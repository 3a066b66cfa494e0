//! A blob segment: one file of bodies.

use std::fmt::Debug;

use bytes::Bytes;
use weir_core::kv::Key;

use super::frame::{self, HEADER, Header, Reference};
use crate::disk::{Disk, DiskFile};
use crate::error::StoreError;
use crate::log::Damage;

/// Longest key that a frame can have: keys are built of few numbers and hashes.
const KEY_MAX: u32 = 4096;

/// An open blob segment. Whoever holds it keeps it from being removed.
#[derive(Debug)]
pub(crate) struct Segment<D: Disk> {
    pub(crate) file: D::File,
    pub(crate) name: String,
    pub(crate) index: u64,
    pub(crate) salt: u32,
}

/// A blob segment, whatever disk it is on.
pub(crate) trait BlobFile: Debug + Send + Sync {
    /// Reads a body.
    fn read(&self, reference: &Reference) -> Result<Bytes, StoreError>;
}

impl<D: Disk> BlobFile for Segment<D> {
    fn read(&self, reference: &Reference) -> Result<Bytes, StoreError> {
        let mut body = vec![0; reference.len as usize];
        self.fill(&mut body, u64::from(reference.offset))?;
        if frame::checksum(self.salt, reference.offset, &body) != reference.checksum {
            return Err(self.damage(u64::from(reference.offset), "the checksum of a body is wrong").into());
        }
        Ok(Bytes::from(body))
    }
}

impl<D: Disk> Segment<D> {
    /// Opens segment `index`, which is there or, with `create`, is made.
    pub(crate) fn open(disk: &D, folder: &str, directory_salt: u64, index: u64, create: bool) -> std::io::Result<Self> {
        let name = name(folder, index);
        let file = disk.open(&name, create)?;
        Ok(Self { file, name, index, salt: frame::salt(directory_salt, index) })
    }

    /// Writes a body and what goes before it. `offset` is that of the body.
    pub(crate) fn write(&self, reference: &Reference, sequence: u64, key: &[u8], body: &[u8]) -> std::io::Result<()> {
        let header = Header { sequence, key_len: key.len() as u32, len: reference.len, checksum: reference.checksum };
        let header = header.encode(self.salt, key);
        self.file.write_at(&header, u64::from(reference.offset) - header.len() as u64)?;
        self.file.write_at(body, u64::from(reference.offset))
    }

    /// Calls `each` for every frame up to `end` with its sequence, its key and where its body stands.
    pub(crate) fn scan(
        &self,
        end: u64,
        each: &mut dyn FnMut(u64, Key, Reference) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let mut at = 0;
        while at < end {
            let mut bytes = [0; HEADER];
            self.fill(&mut bytes, at)?;
            let invalid = || self.damage(at, "the header of a blob is invalid");
            let header = Header::peek(&bytes).filter(|header| header.key_len <= KEY_MAX).ok_or_else(invalid)?;
            let mut key = vec![0; header.key_len as usize];
            self.fill(&mut key, at + HEADER as u64)?;
            let offset = u32::try_from(at + HEADER as u64 + u64::from(header.key_len)).map_err(|_| invalid())?;
            let reference = Reference { segment: self.index, offset, len: header.len, checksum: header.checksum };
            if !header.verify(self.salt, &bytes, &key) || reference.end() > end {
                return Err(invalid().into());
            }
            each(header.sequence, Key::from_slice(&key), reference)?;
            at = reference.end();
        }
        Ok(())
    }

    /// Whether a body is there with what goes before it.
    pub(crate) fn holds(&self, reference: &Reference, key: &[u8]) -> Result<bool, StoreError> {
        let Some(at) = u64::from(reference.offset).checked_sub((HEADER + key.len()) as u64) else { return Ok(false) };
        let mut bytes = vec![0; HEADER + key.len()];
        let read = self.fill(&mut bytes, at).and_then(|()| self.read(reference));
        match read {
            Ok(_) => {}
            Err(StoreError::Damaged(_)) => return Ok(false),
            Err(error) => return Err(error),
        }
        let header = Header::peek(&bytes).filter(|header| {
            (header.len, header.checksum, header.key_len) == (reference.len, reference.checksum, key.len() as u32)
        });
        Ok(bytes.ends_with(key) && header.is_some_and(|header| header.verify(self.salt, &bytes, key)))
    }

    fn fill(&self, bytes: &mut [u8], offset: u64) -> Result<(), StoreError> {
        let failed = |error| StoreError::unread(format!("read {}", self.name), error);
        let read = self.file.read_at(bytes, offset).map_err(failed)?;
        if read < bytes.len() {
            return Err(self.damage(offset + read as u64, "the file is too short").into());
        }
        Ok(())
    }

    pub(crate) fn damage(&self, offset: u64, reason: &str) -> Damage {
        Damage { file: self.name.clone(), offset, reason: reason.to_owned() }
    }
}

/// Folder of the blob segments in the shard's folder.
pub(crate) fn folder(shard: &str) -> String {
    format!("{shard}/blobs")
}

/// File name of blob segment `index` in the shard's folder.
pub(crate) fn name(shard: &str, index: u64) -> String {
    format!("{shard}/blobs/{index:016x}.blob")
}

/// The number in a blob segment's file name.
pub(crate) fn number(file: &str) -> Option<u64> {
    u64::from_str_radix(file.strip_suffix(".blob")?, 16).ok()
}
