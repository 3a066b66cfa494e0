//! Both disks and both logs against what every disk, log and store must do.

use weir_store::{FileDisk, MemoryDisk, MemoryLog, Options, SegmentLog, conformance};

fn options() -> Options {
    Options { segment_bytes: 4096, ..Options::default() }
}

#[test]
fn memory_is_a_disk() {
    conformance::disk(&MemoryDisk::new());
}

#[test]
fn files_are_a_disk() {
    let folder = tempfile::tempdir().unwrap();
    conformance::disk(&FileDisk::new(folder.path()).unwrap());
}

#[test]
fn memory_is_a_log() {
    let log = MemoryLog::new();
    conformance::log(|| log.clone());
}

#[test]
fn segments_in_memory_are_a_log() {
    let disk = MemoryDisk::new();
    conformance::log(|| SegmentLog::open(disk.clone(), &options()).unwrap());
}

#[test]
fn segments_in_files_are_a_log() {
    let folder = tempfile::tempdir().unwrap();
    let disk = FileDisk::new(folder.path()).unwrap();
    conformance::log(|| SegmentLog::open(disk.clone(), &options()).unwrap());
}

#[test]
fn a_store_works_over_memory() {
    conformance::store(&MemoryDisk::new());
}

#[test]
fn a_store_works_over_files() {
    let folder = tempfile::tempdir().unwrap();
    conformance::store(&FileDisk::new(folder.path()).unwrap());
}
