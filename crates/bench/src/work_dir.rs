//! Where a workload puts its files.

use std::path::Path;

use anyhow::Context as _;
use tempfile::TempDir;

/// A fresh directory under `parent`, removed when it is dropped. The current directory is the default parent: the
/// system's temporary one may be memory, where an fsync costs nothing.
pub(crate) fn fresh(parent: &Path) -> anyhow::Result<TempDir> {
    TempDir::with_prefix_in("weir-bench-", parent).with_context(|| format!("no directory in {}", parent.display()))
}

/// Bytes that the files under `dir` occupy on the disk.
pub(crate) fn occupied(dir: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt as _;
    let Ok(entries) = std::fs::read_dir(dir) else { return 0 };
    entries
        .flatten()
        .map(|entry| match entry.metadata() {
            Ok(about) if about.is_dir() => occupied(&entry.path()),
            Ok(about) => about.blocks() * 512,
            Err(_) => 0,
        })
        .sum()
}
