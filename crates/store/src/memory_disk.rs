//! Files in memory: a server that keeps nothing, and tests.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use crate::disk::{Disk, DiskFile};

/// A directory that lives as long as its clones.
#[derive(Clone, Debug)]
pub struct MemoryDisk {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    files: Mutex<BTreeMap<String, Arc<Content>>>,
    locked: AtomicBool,
    used: AtomicU64,
    room: AtomicU64,
    failing: AtomicBool,
    reads_passing: AtomicU64,
    reads_failing: AtomicU64,
}

#[derive(Debug, Default)]
struct Content {
    bytes: RwLock<Vec<u8>>,
}

impl Default for MemoryDisk {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryDisk {
    /// An empty directory without bounds.
    pub fn new() -> Self {
        Self {
            shared: Arc::new(Shared {
                files: Mutex::default(),
                locked: AtomicBool::new(false),
                used: AtomicU64::new(0),
                room: AtomicU64::new(u64::MAX),
                failing: AtomicBool::new(false),
                reads_passing: AtomicU64::new(0),
                reads_failing: AtomicU64::new(0),
            }),
        }
    }

    /// A directory with the same files, which goes its own way from here: what a crash or a copy would find.
    #[must_use]
    pub fn copy(&self) -> Self {
        let copy = Self::new();
        let mut used = 0;
        for (name, content) in self.files().iter() {
            let bytes = content.bytes.read().unwrap_or_else(PoisonError::into_inner).clone();
            used += bytes.len() as u64;
            copy.files().insert(name.clone(), Arc::new(Content { bytes: RwLock::new(bytes) }));
        }
        copy.shared.used.store(used, Ordering::Relaxed);
        copy
    }

    /// Lets the directory hold at most `bytes`; what would grow it beyond is refused as a full disk does.
    pub fn set_room(&self, bytes: u64) {
        self.shared.room.store(bytes, Ordering::Relaxed);
    }

    /// Bytes that the files hold.
    pub fn used(&self) -> u64 {
        self.shared.used.load(Ordering::Relaxed)
    }

    /// Makes every later write and sync fail, or work again.
    pub fn set_failing(&self, failing: bool) {
        self.shared.failing.store(failing, Ordering::Relaxed);
    }

    /// Lets `passing` reads pass from now on and makes the `failing` ones after these fail. Returns how many of those that
    /// were to fail before did not come.
    pub fn fail_reads(&self, passing: u64, failing: u64) -> u64 {
        self.shared.reads_passing.store(passing, Ordering::Relaxed);
        self.shared.reads_failing.swap(failing, Ordering::Relaxed)
    }

    /// Names of all files.
    pub fn names(&self) -> Vec<String> {
        self.files().keys().cloned().collect()
    }

    fn files(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Content>>> {
        self.shared.files.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared {
    fn check(&self) -> io::Result<()> {
        if self.failing.load(Ordering::Relaxed) { Err(io::Error::other("made to fail")) } else { Ok(()) }
    }

    fn check_read(&self) -> io::Result<()> {
        let taken = |reads: &AtomicU64| {
            reads.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
        };
        if !taken(&self.reads_passing) && taken(&self.reads_failing) {
            return Err(io::Error::other("made to fail"));
        }
        Ok(())
    }

    /// Accounts for a file that changes its length.
    fn resize(&self, old: u64, new: u64) -> io::Result<()> {
        if new > old {
            let used = self.used.load(Ordering::Relaxed);
            if used + (new - old) > self.room.load(Ordering::Relaxed) {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.used.fetch_add(new - old, Ordering::Relaxed);
        } else {
            self.used.fetch_sub(old - new, Ordering::Relaxed);
        }
        Ok(())
    }
}

impl Disk for MemoryDisk {
    type File = MemoryFile;

    fn open(&self, name: &str, create: bool) -> io::Result<MemoryFile> {
        let mut files = self.files();
        let content = match files.get(name) {
            Some(content) => Arc::clone(content),
            None if create => Arc::clone(files.entry(name.to_owned()).or_default()),
            None => return Err(io::ErrorKind::NotFound.into()),
        };
        Ok(MemoryFile { content, shared: Arc::clone(&self.shared) })
    }

    fn list(&self, folder: &str) -> io::Result<Vec<String>> {
        let files = self.files();
        let inside = files.keys().filter_map(|name| match name.rsplit_once('/') {
            Some((parent, file)) if parent == folder => Some(file.to_owned()),
            None if folder.is_empty() => Some(name.clone()),
            _ => None,
        });
        Ok(inside.collect())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.shared.check()?;
        let mut files = self.files();
        let content = files.remove(from).ok_or(io::ErrorKind::NotFound)?;
        if let Some(replaced) = files.insert(to.to_owned(), content) {
            let bytes = replaced.bytes.read().unwrap_or_else(PoisonError::into_inner);
            self.shared.resize(bytes.len() as u64, 0)?;
        }
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let content = self.files().remove(name).ok_or(io::ErrorKind::NotFound)?;
        let bytes = content.bytes.read().unwrap_or_else(PoisonError::into_inner);
        self.shared.resize(bytes.len() as u64, 0)
    }

    fn sync_names(&self, _folder: &str) -> io::Result<()> {
        self.shared.check()
    }

    fn lock(&self) -> io::Result<Box<dyn Debug + Send + Sync>> {
        if self.shared.locked.swap(true, Ordering::AcqRel) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(Box::new(Lock { shared: Arc::clone(&self.shared) }))
    }
}

#[derive(Debug)]
struct Lock {
    shared: Arc<Shared>,
}

impl Drop for Lock {
    fn drop(&mut self) {
        self.shared.locked.store(false, Ordering::Release);
    }
}

/// A file in memory.
#[derive(Debug)]
pub struct MemoryFile {
    content: Arc<Content>,
    shared: Arc<Shared>,
}

impl DiskFile for MemoryFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.shared.check_read()?;
        let bytes = self.content.bytes.read().unwrap_or_else(PoisonError::into_inner);
        let Some(source) = usize::try_from(offset).ok().and_then(|offset| bytes.get(offset..)) else { return Ok(0) };
        let len = source.len().min(buffer.len());
        if let (Some(into), Some(from)) = (buffer.get_mut(..len), source.get(..len)) {
            into.copy_from_slice(from);
        }
        Ok(len)
    }

    fn write_at(&self, written: &[u8], offset: u64) -> io::Result<()> {
        self.shared.check()?;
        let mut bytes = self.content.bytes.write().unwrap_or_else(PoisonError::into_inner);
        let offset = usize::try_from(offset).map_err(|_| io::ErrorKind::InvalidInput)?;
        let end = offset.checked_add(written.len()).ok_or(io::ErrorKind::InvalidInput)?;
        if end > bytes.len() {
            self.shared.resize(bytes.len() as u64, end as u64)?;
            bytes.resize(end, 0);
        }
        if let Some(into) = bytes.get_mut(offset..end) {
            into.copy_from_slice(written);
        }
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        self.shared.check()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.shared.check()?;
        let mut bytes = self.content.bytes.write().unwrap_or_else(PoisonError::into_inner);
        self.shared.resize(bytes.len() as u64, len)?;
        bytes.resize(usize::try_from(len).map_err(|_| io::ErrorKind::InvalidInput)?, 0);
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.content.bytes.read().unwrap_or_else(PoisonError::into_inner).len() as u64)
    }
}
