//! A segment: one file of the log.

use crate::disk::Disk;

/// An open segment. Whoever holds it keeps its content from being recycled.
#[derive(Debug)]
pub(crate) struct Segment<D: Disk> {
    pub(crate) index: u64,
    pub(crate) file: D::File,
    pub(crate) len: u64,
    pub(crate) salt: u32,
}

/// File name of segment `index` in the log's folder.
pub(crate) fn name(folder: &str, index: u64) -> String {
    format!("{folder}/log/{index:016x}.seg")
}

/// The number in a segment's file name.
pub(crate) fn number(file: &str) -> Option<u64> {
    u64::from_str_radix(file.strip_suffix(".seg")?, 16).ok()
}
