//! The file system as the store sees it: a flat data directory. Production, memory and simulation each implement it.

use std::fmt::Debug;
use std::io;

/// A directory of files with relative, slash-separated names (`shards/0000/log/00000001.seg`).
pub trait Disk: Clone + Debug + Send + Sync + 'static {
    /// An open file.
    type File: DiskFile;

    /// Opens `name` for reading and writing. With `create`, makes it and its folders if absent; a new file's name is
    /// durable only after [`Disk::sync_names`].
    fn open(&self, name: &str, create: bool) -> io::Result<Self::File>;

    /// Names of the files directly in `folder`, sorted; empty where there is no such folder.
    fn list(&self, folder: &str) -> io::Result<Vec<String>>;

    /// Renames a file, replacing what had the new name. Durable only after [`Disk::sync_names`] of both folders.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Makes the names in `folder` durable (and those of the folders above it).
    fn sync_names(&self, folder: &str) -> io::Result<()>;

    /// Takes the exclusive lock of the directory, held until the returned guard is dropped.
    ///
    /// # Errors
    /// `WouldBlock` when another process holds it.
    fn lock(&self) -> io::Result<Box<dyn Debug + Send + Sync>>;
}

/// A file, read and written at offsets.
pub trait DiskFile: Debug + Send + Sync + 'static {
    /// Reads into `buffer` from `offset`, returning how many bytes there were: fewer than asked only at the end.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes all of `bytes` at `offset`, growing the file where needed.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Makes the content and length durable.
    fn sync(&self) -> io::Result<()>;

    /// Cuts or grows the file to `len` bytes; new bytes read as zero.
    fn set_len(&self, len: u64) -> io::Result<()>;

    /// Its length.
    fn len(&self) -> io::Result<u64>;

    /// Whether it is empty.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }
}
