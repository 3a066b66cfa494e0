//! Small files that are replaced as a whole: the format of a directory, the mark of a clean shutdown.
//!
//! `WEIR`, the version of the format (4 bytes), numbers (8 bytes each), a CRC-32C over all before it (4 bytes), all
//! little-endian.

use std::io;

use crate::disk::{Disk, DiskFile};
use crate::error::StoreError;
use crate::log::Damage;

const MAGIC: [u8; 4] = *b"WEIR";
/// Header and checksum, and more numbers than any version is likely to have.
const LEN_MAX: usize = 4096;

/// Replaces a note; durable when this returns.
pub(crate) fn write<D: Disk>(disk: &D, name: &str, version: u32, numbers: &[u64]) -> Result<(), StoreError> {
    let mut bytes = Vec::from(MAGIC);
    bytes.extend_from_slice(&version.to_le_bytes());
    for number in numbers {
        bytes.extend_from_slice(&number.to_le_bytes());
    }
    bytes.extend_from_slice(&crc32c::crc32c(&bytes).to_le_bytes());
    let temporary = format!("{name}.new");
    let write = || {
        let file = disk.open(&temporary, true)?;
        file.set_len(0)?;
        file.write_at(&bytes, 0)?;
        file.sync()?;
        disk.rename(&temporary, name)?;
        disk.sync_names(folder(name))
    };
    write().map_err(|error| StoreError::io(format!("write {name}"), error))
}

/// Reads a note; `None` if there is none.
pub(crate) fn read<D: Disk>(disk: &D, name: &str, known: u32, numbers: usize) -> Result<Option<Vec<u64>>, StoreError> {
    let file = match disk.open(name, false) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(StoreError::io(format!("open {name}"), error)),
    };
    let mut bytes = vec![0; LEN_MAX];
    let len = file.read_at(&mut bytes, 0).map_err(|error| StoreError::io(format!("read {name}"), error))?;
    bytes.truncate(len);
    let damage = |reason: &str| Damage { file: name.to_owned(), offset: 0, reason: reason.to_owned() };
    let content = len.checked_sub(4).and_then(|at| bytes.split_at_checked(at));
    let Some((content, checksum)) = content.filter(|(_, checksum)| checksum.len() == 4) else {
        return Err(damage("it is too short").into());
    };
    if crc32c::crc32c(content).to_le_bytes() != checksum || content.get(..4) != Some(&MAGIC) {
        return Err(damage("the checksum is wrong").into());
    }
    let version = content.get(4..8).and_then(|bytes| bytes.try_into().ok()).map_or(0, u32::from_le_bytes);
    if version != known {
        return Err(StoreError::VersionUnknown { file: name.to_owned(), found: version, known });
    }
    let found: Vec<u64> = content
        .get(8..)
        .unwrap_or_default()
        .chunks_exact(8)
        .filter_map(|bytes| bytes.try_into().ok().map(u64::from_le_bytes))
        .collect();
    if found.len() == numbers { Ok(Some(found)) } else { Err(damage("it has not as many numbers as it should").into()) }
}

/// Removes a note; durable when this returns.
pub(crate) fn remove<D: Disk>(disk: &D, name: &str) -> Result<(), StoreError> {
    match disk.remove(name) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(StoreError::io(format!("remove {name}"), error)),
        _ => disk.sync_names(folder(name)).map_err(|error| StoreError::io(format!("sync the folder of {name}"), error)),
    }
}

fn folder(name: &str) -> &str {
    name.rsplit_once('/').map_or("", |(folder, _)| folder)
}
