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
        if !files.is_empty() {
            let reason = "it is missing from a directory that has data".to_owned();
            return Err(Damage { file: FILE.to_owned(), offset: 0, reason }.into());
        }
    }
    note::write(disk, FILE, VERSION, &[options.salt])?;
    Ok(options.salt)
}
