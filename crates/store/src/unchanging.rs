//! A directory that is looked at and never changed: what is written to it stays in memory, over the files.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::disk::{Disk, DiskFile};

/// Writes are kept by whole blocks of this size.
const BLOCK: u64 = 4096;

/// A view of another disk. Files opened twice share what was written to them; names cannot be changed.
#[derive(Clone, Debug)]
pub(crate) struct Unchanging<D: Disk> {
    disk: D,
    patches: Arc<Mutex<BTreeMap<String, Arc<Mutex<Patch>>>>>,
}

/// What was written to a file: whole blocks by number, and its length.
#[derive(Debug, Default)]
struct Patch {
    blocks: BTreeMap<u64, Vec<u8>>,
    len: u64,
    /// Nothing of the file below counts from here on.
    floor: u64,
}

/// A file of [`Unchanging`].
#[derive(Debug)]
pub(crate) struct Patched<F> {
    file: F,
    patch: Arc<Mutex<Patch>>,
}

impl<D: Disk> Unchanging<D> {
    pub(crate) fn new(disk: D) -> Self {
        Self { disk, patches: Arc::default() }
    }
}

impl<D: Disk> Disk for Unchanging<D> {
    type File = Patched<D::File>;

    fn open(&self, name: &str, _create: bool) -> io::Result<Self::File> {
        let file = self.disk.open(name, false)?;
        let mut patches = guard(&self.patches);
        if let Some(patch) = patches.get(name) {
            return Ok(Patched { file, patch: Arc::clone(patch) });
        }
        let len = file.len()?;
        let patch = Arc::new(Mutex::new(Patch { blocks: BTreeMap::new(), len, floor: len }));
        patches.insert(name.to_owned(), Arc::clone(&patch));
        Ok(Patched { file, patch })
    }

    fn list(&self, folder: &str) -> io::Result<Vec<String>> {
        self.disk.list(folder)
    }

    fn rename(&self, from: &str, _to: &str) -> io::Result<()> {
        Err(refused(from))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        Err(refused(name))
    }

    fn sync_names(&self, _folder: &str) -> io::Result<()> {
        Ok(())
    }

    fn lock(&self) -> io::Result<Box<dyn std::fmt::Debug + Send + Sync>> {
        self.disk.lock()
    }
}

impl<F: DiskFile> Patched<F> {
    /// A block as it stands.
    fn block(&self, patch: &Patch, number: u64) -> io::Result<Vec<u8>> {
        if let Some(block) = patch.blocks.get(&number) {
            return Ok(block.clone());
        }
        let mut block = vec![0; BLOCK as usize];
        let start = number * BLOCK;
        let whole = patch.floor.saturating_sub(start).min(BLOCK) as usize;
        let mut filled = 0;
        while let Some(rest) = block.get_mut(filled..whole).filter(|rest| !rest.is_empty()) {
            match self.file.read_at(rest, start + filled as u64)? {
                0 => break,
                read => filled += read,
            }
        }
        Ok(block)
    }

    /// Calls `piece` for each stretch of one block between two offsets: its block, and where it starts and ends there.
    fn pieces(from: u64, to: u64, mut piece: impl FnMut(u64, usize, usize) -> io::Result<()>) -> io::Result<()> {
        let mut at = from;
        while at < to {
            let (number, start) = (at / BLOCK, at % BLOCK);
            let end = (start + (to - at)).min(BLOCK);
            piece(number, start as usize, end as usize)?;
            at += end - start;
        }
        Ok(())
    }
}

impl<F: DiskFile> DiskFile for Patched<F> {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let patch = guard(&self.patch);
        let end = patch.len.min(offset + buffer.len() as u64);
        let mut done = 0;
        Self::pieces(offset, end, |number, start, end| {
            let block = self.block(&patch, number)?;
            let from = block.get(start..end).unwrap_or_default();
            if let Some(into) = buffer.get_mut(done..done + from.len()) {
                into.copy_from_slice(from);
            }
            done += from.len();
            Ok(())
        })?;
        Ok(done)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut patch = guard(&self.patch);
        let mut rest = bytes;
        Self::pieces(offset, offset + bytes.len() as u64, |number, start, end| {
            let mut block = self.block(&patch, number)?;
            let (piece, later) = rest.split_at(end - start);
            rest = later;
            if let Some(into) = block.get_mut(start..end) {
                into.copy_from_slice(piece);
            }
            patch.blocks.insert(number, block);
            Ok(())
        })?;
        patch.len = patch.len.max(offset + bytes.len() as u64);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut patch = guard(&self.patch);
        if len < patch.len {
            let last = len / BLOCK;
            let cut = self.block(&patch, last)?;
            patch.blocks.retain(|&number, _| number < last);
            let kept = cut.get(..(len % BLOCK) as usize).unwrap_or_default();
            let mut block = vec![0; BLOCK as usize];
            if let Some(into) = block.get_mut(..kept.len()) {
                into.copy_from_slice(kept);
            }
            patch.blocks.insert(last, block);
            patch.floor = patch.floor.min(last * BLOCK);
        }
        patch.len = len;
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        Ok(guard(&self.patch).len)
    }
}

/// A panic elsewhere leaves a patch no worse than a write that was not made.
fn guard<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn refused(name: &str) -> io::Error {
    io::Error::new(io::ErrorKind::ReadOnlyFilesystem, format!("{name} is only looked at"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MemoryDisk;

    #[test]
    fn what_is_written_is_read_back_and_the_file_stays_as_it_was() {
        let disk = MemoryDisk::new();
        let file = disk.open("a", true).unwrap();
        let before: Vec<u8> = (0..10_000_u32).map(|n| n as u8).collect();
        file.write_at(&before, 0).unwrap();
        let unchanging = Unchanging::new(disk.clone());
        let view = unchanging.open("a", false).unwrap();
        view.write_at(&[7; 5_000], 3_000).unwrap();
        view.set_len(6_000).unwrap();
        view.set_len(20_000).unwrap();
        let mut seen = vec![9; 20_000];
        assert_eq!(unchanging.open("a", false).unwrap().read_at(&mut seen, 0).unwrap(), 20_000);
        let mut wanted = before[..3_000].to_vec();
        wanted.extend([7; 3_000]);
        wanted.resize(20_000, 0);
        assert_eq!(seen, wanted);
        let mut now = vec![0; 20_000];
        assert_eq!(file.read_at(&mut now, 0).unwrap(), 10_000);
        assert_eq!(now[..10_000], before);
        assert!(unchanging.remove("a").is_err());
    }
}
