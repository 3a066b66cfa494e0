//! The file of the tables as the B-tree sees it, with a checksum for every block.
//!
//! The B-tree verifies its own checksums only when it repairs itself, so a byte that changed on disk would go unseen.
//! Here every block of 4 KiB carries a CRC-32C, salted with its number, which every read verifies. A block is written
//! before the root that refers to it is, and never in place, so a torn write leaves no block of the tables with a wrong
//! checksum. The exception is block 0, which has the roots: it is kept twice, and the copy that was synced last is not
//! overwritten before the other one is synced.
//!
//! File: two copies of block 0 (each 4096 bytes, version (8), checksum (4), zeros (4)), padded to 12 288 bytes; then
//! blocks 1, 2, …, each 4096 bytes, checksum (4), zeros (4).

use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use redb::StorageBackend;

use crate::ballast::Ballast;
use crate::disk::{Disk, DiskFile};
use crate::error::{StoreError, is_full};
use crate::health::{Failure, Health};
use crate::log::Damage;

const BLOCK: usize = 4096;
const STRIDE: usize = BLOCK + 8;
const HEAD_STRIDE: usize = BLOCK + 16;
const BLOCKS_AT: u64 = 12_288;

/// Storage of the tables in one file of a disk.
#[derive(Debug)]
pub(crate) struct Pages<D: Disk> {
    name: String,
    file: D::File,
    head: Mutex<Head>,
    /// A file that is given up when there is no room.
    ballast: Option<Arc<Ballast<D>>>,
    /// After the first failure nothing is read or written: it could mix with what a new handle writes.
    health: Arc<Health>,
}

/// Block 0.
#[derive(Debug)]
struct Head {
    block: Vec<u8>,
    version: u64,
    /// Which copy was synced last.
    synced: u64,
    /// Whether the other copy is newer.
    dirty: bool,
}

impl<D: Disk> Pages<D> {
    pub(crate) fn open(
        disk: &D,
        name: &str,
        ballast: Option<Arc<Ballast<D>>>,
        health: Arc<Health>,
    ) -> Result<Self, StoreError> {
        let failed = |error| StoreError::io(format!("open {name}"), error);
        let unread = |error| StoreError::unread(format!("read {name}"), error);
        let file = disk.open(name, true).map_err(failed)?;
        let mut head = Head { block: vec![0; BLOCK], version: 0, synced: 1, dirty: false };
        if file.len().map_err(failed)? > 0 {
            // A process that was killed may have left what it wrote to the operating system.
            file.sync().map_err(failed)?;
            for copy in [0, 1] {
                let mut bytes = vec![0; HEAD_STRIDE];
                file.read_at(&mut bytes, copy * HEAD_STRIDE as u64).map_err(unread)?;
                if let Some(version) = head_version(&bytes)
                    && version > head.version
                {
                    bytes.truncate(BLOCK);
                    head = Head { block: bytes, version, synced: copy, dirty: false };
                }
            }
            if head.version == 0 {
                let reason = "both copies of the first block have wrong checksums".to_owned();
                return Err(Damage { file: name.to_owned(), offset: 0, reason }.into());
            }
        }
        Ok(Self { name: name.to_owned(), file, head: Mutex::new(head), ballast, health })
    }

    fn head(&self) -> MutexGuard<'_, Head> {
        self.head.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_head(&self, head: &Head, copy: u64) -> io::Result<()> {
        let mut bytes = head.block.clone();
        bytes.extend_from_slice(&head.version.to_le_bytes());
        let checksum = crc32c::crc32c(&bytes);
        bytes.extend_from_slice(&checksum.to_le_bytes());
        bytes.extend_from_slice(&[0; 4]);
        self.file.write_at(&bytes, copy * HEAD_STRIDE as u64)
    }

    /// Reads whole blocks, from block `first` (1 or greater) on, into `out`.
    fn read_blocks(&self, first: u64, out: &mut [u8]) -> io::Result<()> {
        let mut bytes = vec![0; out.len() / BLOCK * STRIDE];
        let offset = place(first);
        if self.file.read_at(&mut bytes, offset)? < bytes.len() {
            return Err(self.damage(offset, "the file is too short"));
        }
        for (n, (stored, out)) in bytes.chunks_exact(STRIDE).zip(out.chunks_exact_mut(BLOCK)).enumerate() {
            let (block, checksum) = stored.split_at(BLOCK);
            let number = first + n as u64;
            if checksum.get(..4) != Some(&block_checksum(number, block).to_le_bytes())
                || checksum.get(4..) != Some(&[0; 4])
            {
                return Err(self.damage(place(number), "the checksum of a block is wrong"));
            }
            out.copy_from_slice(block);
        }
        Ok(())
    }

    fn write_blocks(&self, first: u64, data: &[u8]) -> io::Result<()> {
        let mut bytes = Vec::with_capacity(data.len() / BLOCK * STRIDE);
        for (n, block) in data.chunks_exact(BLOCK).enumerate() {
            bytes.extend_from_slice(block);
            bytes.extend_from_slice(&block_checksum(first + n as u64, block).to_le_bytes());
            bytes.extend_from_slice(&[0; 4]);
        }
        self.file.write_at(&bytes, place(first))
    }

    fn write_part(&self, number: u64, within: Range<usize>, data: &[u8]) -> io::Result<()> {
        if number == 0 {
            let mut head = self.head();
            if let Some(block) = head.block.get_mut(within) {
                block.copy_from_slice(data);
            }
            head.version += 1;
            head.dirty = true;
            self.write_head(&head, 1 - head.synced)
        } else if within.start == 0 && data.len().is_multiple_of(BLOCK) {
            self.write_blocks(number, data)
        } else {
            let mut block = vec![0; BLOCK];
            self.read_blocks(number, &mut block)?;
            if let Some(block) = block.get_mut(within) {
                block.copy_from_slice(data);
            }
            self.write_blocks(number, &block)
        }
    }

    /// Does what may need room; with the ballast gone, once more.
    fn with_room(&self, write: impl Fn() -> io::Result<()>) -> io::Result<()> {
        match write() {
            Err(error) if is_full(&error) => match &self.ballast {
                Some(ballast) if ballast.give_up()? => write(),
                _ => Err(error),
            },
            result => result,
        }
    }

    fn alive(&self, write: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        self.health.check()?;
        let result = write();
        if let Err(error) = &result {
            self.health.note(if is_full(error) { Failure::Full } else { Failure::Write });
        }
        result
    }

    /// Reads what a stretch of the file holds.
    fn fill(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        for (number, within, part) in parts(offset, out.len()) {
            let out = out.get_mut(part).unwrap_or_default();
            if number == 0 {
                let head = self.head();
                out.copy_from_slice(head.block.get(within).unwrap_or_default());
            } else if within.start == 0 && out.len().is_multiple_of(BLOCK) {
                self.read_blocks(number, out)?;
            } else {
                let mut block = vec![0; BLOCK];
                self.read_blocks(number, &mut block)?;
                out.copy_from_slice(block.get(within).unwrap_or_default());
            }
        }
        Ok(())
    }

    fn damage(&self, offset: u64, reason: &str) -> io::Error {
        let damage = Damage { file: self.name.clone(), offset, reason: reason.to_owned() };
        io::Error::new(io::ErrorKind::InvalidData, damage)
    }
}

impl<D: Disk> StorageBackend for Pages<D> {
    fn len(&self) -> io::Result<u64> {
        let len = self.file.len().inspect_err(|_| self.health.note(Failure::Read))?;
        Ok(if len == 0 { 0 } else { (1 + len.saturating_sub(BLOCKS_AT) / STRIDE as u64) * BLOCK as u64 })
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.fill(offset, out).inspect_err(|_| self.health.note(Failure::Read))?;
        // Where another thread has met a failure meanwhile, a new handle may have written there already, and its blocks
        // are valid like any other.
        self.health.check()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let len = match len.div_ceil(BLOCK as u64) {
            0 => 0,
            blocks => BLOCKS_AT + (blocks - 1) * STRIDE as u64,
        };
        self.alive(|| self.with_room(|| self.file.set_len(len)))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.alive(|| {
            let mut head = self.head();
            self.file.sync()?;
            if head.dirty {
                head.dirty = false;
                let old = head.synced;
                head.synced = 1 - old;
                // The other copy follows, so that a byte that changes in one of them is not the end.
                self.write_head(&head, old)?;
            }
            Ok(())
        })
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.alive(|| {
            parts(offset, data.len()).into_iter().try_for_each(|(number, within, part)| {
                let data = data.get(part).unwrap_or_default();
                self.with_room(|| self.write_part(number, within.clone(), data))
            })
        })
    }

    fn close(&self) -> io::Result<()> {
        if self.health.failure().is_some() {
            return Ok(());
        }
        self.sync_data()?;
        self.file.sync()
    }
}

/// Splits `len` bytes from `offset` on into: part of block 0, part of a block, whole blocks, part of a block. Each with
/// the number of its first block, the range within it, and the range within the bytes.
fn parts(offset: u64, len: usize) -> Vec<(u64, Range<usize>, Range<usize>)> {
    let mut parts = Vec::with_capacity(2);
    let mut at = 0;
    while at < len {
        let number = (offset + at as u64) / BLOCK as u64;
        let start = ((offset + at as u64) % BLOCK as u64) as usize;
        let rest = len - at;
        let taken =
            if number > 0 && start == 0 && rest >= BLOCK { rest / BLOCK * BLOCK } else { rest.min(BLOCK - start) };
        parts.push((number, start..start + taken, at..at + taken));
        at += taken;
    }
    parts
}

fn place(number: u64) -> u64 {
    BLOCKS_AT + (number - 1) * STRIDE as u64
}

fn block_checksum(number: u64, block: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&number.to_le_bytes()), block)
}

/// The version of a copy of block 0; `None` unless its checksum is right.
fn head_version(bytes: &[u8]) -> Option<u64> {
    let version = bytes.get(BLOCK..BLOCK + 8)?;
    let checksum = crc32c::crc32c(bytes.get(..BLOCK + 8)?).to_le_bytes();
    (bytes.get(BLOCK + 8..BLOCK + 12)? == checksum).then(|| version.try_into().ok().map(u64::from_le_bytes))?
}
