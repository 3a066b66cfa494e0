//! A file that only takes up room, to be given up when a checkpoint finds the disk full.

use std::io;

use crate::disk::{Disk, DiskFile};
use crate::options::Options;

/// Makes sure that the ballast is there and returns its name. A disk without room for it goes without.
pub(crate) fn keep<D: Disk>(disk: &D, options: &Options) -> Option<String> {
    if options.reserve_bytes == 0 {
        return None;
    }
    let name = format!("{}/ballast", options.folder);
    if fill(disk, &name, options.reserve_bytes).is_ok() {
        return Some(name);
    }
    let _ = disk.remove(&name);
    None
}

fn fill<D: Disk>(disk: &D, name: &str, len: u64) -> io::Result<()> {
    let file = disk.open(name, true)?;
    if file.len()? >= len {
        return Ok(());
    }
    let zeros = vec![0; usize::try_from(len.min(1 << 20)).unwrap_or(1 << 20)];
    let mut at = 0;
    while at < len {
        let part = (len - at).min(zeros.len() as u64);
        file.write_at(zeros.get(..part as usize).unwrap_or_default(), at)?;
        at += part;
    }
    file.sync()
}
