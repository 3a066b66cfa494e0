//! Moving the last bodies out of a blob segment of which most are gone.

use redb::ReadableTable as _;

use crate::blob::{BlobFile as _, Blobs, Output};
use crate::disk::Disk;
use crate::error::StoreError;
use crate::tables::{Writing, blob_of, push_blob};

/// Moves what is alive in the sparsest segment, if one is less than half alive, as a part of a checkpoint. The segment
/// is removed once the checkpoint is durable and nobody reads it any more. One segment for each checkpoint bounds how
/// long that takes. Where there is no room, what was moved so far stays moved.
pub(crate) fn run<D: Disk>(
    blobs: &Blobs<D>,
    writing: &mut Writing<'_>,
    mark: u64,
    output: &mut Output<'_, D>,
) -> Result<(), StoreError> {
    let Some((segment, count)) = blobs.sparsest(&writing.counts, mark) else { return Ok(()) };
    let mut no_room = false;
    let mut value = Vec::new();
    let scanned = segment.scan(count.end, &mut |_, key, found| {
        let reference = match writing.rows.get(key.as_slice()).map_err(StoreError::tables)? {
            Some(row) => blob_of(row.value())?,
            None => None,
        };
        let Some(reference) = reference.filter(|reference| *reference == found) else { return Ok(()) };
        let body = segment.read(&reference)?;
        let moved = output.push(mark, &key, &body);
        no_room = matches!(moved, Err(StoreError::DiskFull { .. }));
        let moved = moved?;
        value.clear();
        push_blob(&mut value, &moved);
        writing.rows.insert(key.as_slice(), value.as_slice()).map_err(StoreError::tables)?;
        writing.counts.remove(&reference);
        writing.counts.add(&moved);
        blobs.moved.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Ok(())
    });
    match scanned {
        Err(StoreError::DiskFull { .. }) if no_room => {}
        result => result?,
    }
    output.sync()
}
