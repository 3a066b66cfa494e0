//! The version of a data directory's format.

use crate::disk::Disk;
use crate::error::{OpenError, StoreError};
use crate::log::Damage;
use crate::note;
use crate::options::Options;

/// Version of the layout of the directory.
pub(crate) const VERSION: u32 = 1;
/// Name of the file that has it: one number, the directory's salt.
pub(crate) const FILE: &str = "format";

/// The salt of the directory. A new directory gets its format, and the salt of the options, before anything else.
///
/// # Errors
/// An unknown version, and a directory that has data but no format.
pub(crate) fn check<D: Disk>(disk: &D, options: &Options) -> Result<u64, OpenError> {
    if let Some(numbers) = note::read(disk, FILE, VERSION, 1)? {
        return Ok(numbers.first().copied().unwrap_or_default());
    }
    for folder in [options.folder.clone(), format!("{}/log", options.folder)] {
        let files = disk.list(&folder).map_err(|error| StoreError::io(format!("list {folder}"), error))?;
        if files.iter().any(|file| *file != SPARE && !file.starts_with("format.") && !file.starts_with("tables.")) {
            let reason = "it is missing from a directory that has data".to_owned();
            return Err(Damage { file: FILE.to_owned(), offset: 0, reason }.into());
        }
    }
    write(disk, options)?;
    Ok(options.salt)
}

/// Name of the copy of the format in the shard's folder, which repairs the format if that is damaged.
const SPARE: &str = "format";

fn spare(options: &Options) -> String {
    format!("{}/{SPARE}", options.folder)
}

/// Writes the format of a directory.
pub(crate) fn write<D: Disk>(disk: &D, options: &Options) -> Result<(), StoreError> {
    note::write(disk, &spare(options), VERSION, &[options.salt])?;
    note::write(disk, FILE, VERSION, &[options.salt])
}

/// The salt according to the copy of the format.
pub(crate) fn read_spare<D: Disk>(disk: &D, options: &Options) -> Result<Option<u64>, StoreError> {
    Ok(note::read(disk, &spare(options), VERSION, 1)?.and_then(|numbers| numbers.first().copied()))
}
