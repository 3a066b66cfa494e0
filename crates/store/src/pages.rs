//! The file of the tables as the B-tree sees it.

use std::io;
use std::sync::Mutex;

use redb::StorageBackend;

use crate::disk::{Disk, DiskFile};
use crate::error::{StoreError, is_full};

/// Storage of the tables in one file of a disk.
#[derive(Debug)]
pub(crate) struct Pages<D: Disk> {
    disk: D,
    file: D::File,
    /// A file that is given up when there is no room.
    ballast: Mutex<Option<String>>,
}

impl<D: Disk> Pages<D> {
    pub(crate) fn open(disk: &D, name: &str, ballast: Option<String>) -> Result<Self, StoreError> {
        let file = disk.open(name, true).map_err(|error| StoreError::io(format!("open {name}"), error))?;
        Ok(Self { disk: disk.clone(), file, ballast: Mutex::new(ballast) })
    }
}

impl<D: Disk> StorageBackend for Pages<D> {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        if self.file.read_at(out, offset)? == out.len() { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        match self.file.set_len(len) {
            Err(error) if is_full(&error) => {
                let mut ballast = self.ballast.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                let Some(name) = ballast.take() else { return Err(error) };
                self.disk.remove(&name)?;
                self.file.set_len(len)
            }
            result => result,
        }
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.file.write_at(data, offset)
    }
}
