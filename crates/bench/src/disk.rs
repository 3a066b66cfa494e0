//! What the disk itself can do.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::time::Instant;

use crate::samples::Samples;

/// Bytes of the file that is written to: past its end it starts over.
const FILE_BYTES: u64 = 64 << 20;

/// Writes of `bytes` to a pre-written file, each followed by an fdatasync: how long each took.
pub(crate) fn fsyncs(dir: &Path, bytes: usize, count: usize) -> anyhow::Result<Samples> {
    let path = dir.join("fsync");
    let file = File::options().read(true).write(true).create(true).truncate(true).open(&path)?;
    let zeros = vec![0; 1 << 20];
    for at in (0..FILE_BYTES).step_by(zeros.len()) {
        file.write_all_at(&zeros, at)?;
    }
    file.sync_all()?;
    let content = vec![0xA5; bytes];
    let mut at = 0;
    let mut samples = Samples::default();
    for _ in 0..count {
        if at + bytes as u64 > FILE_BYTES {
            at = 0;
        }
        let began = Instant::now();
        file.write_all_at(&content, at)?;
        file.sync_data()?;
        samples.push(began.elapsed());
        at += bytes as u64;
    }
    std::fs::remove_file(path)?;
    Ok(samples)
}
