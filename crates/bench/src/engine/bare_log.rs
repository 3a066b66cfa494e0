//! The least that a durable log can do: write the bytes of a group, and make them durable.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

/// Length of the pre-written file. Past its end it is written from the start, as segments are recycled.
const FILE_BYTES: u64 = 64 << 20;

/// How far it came.
pub(super) struct Bare {
    pub(super) groups: u64,
    pub(super) took: Duration,
    pub(super) longest: Duration,
}

/// Writes groups of `bytes` for `duration`, each made durable before the next.
pub(super) fn run(dir: &Path, bytes: usize, duration: Duration) -> anyhow::Result<Bare> {
    let file = File::options().write(true).create_new(true).open(dir.join("bare-log"))?;
    let zeros = vec![0; 1 << 20];
    for at in (0..FILE_BYTES).step_by(zeros.len()) {
        file.write_all_at(&zeros, at)?;
    }
    file.sync_all()?;
    let group = vec![0xA5; bytes];
    let mut bare = Bare { groups: 0, took: Duration::ZERO, longest: Duration::ZERO };
    let began = Instant::now();
    let mut at = 0;
    while began.elapsed() < duration {
        if at + bytes as u64 > FILE_BYTES {
            at = 0;
        }
        let commit = Instant::now();
        file.write_all_at(&group, at)?;
        file.sync_data()?;
        bare.longest = bare.longest.max(commit.elapsed());
        at += bytes as u64;
        bare.groups += 1;
    }
    bare.took = began.elapsed();
    Ok(bare)
}
