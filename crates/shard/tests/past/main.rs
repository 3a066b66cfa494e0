//! Data directories of past versions open for ever, with everything in them.
//!
//! `directories/` has two of each format that was released: as a kill left it, and as a clean end did. They are made by
//!
//! ```sh
//! WEIR_PAST=0.1 cargo test -p weir-shard --test past -- --ignored
//! ```
//!
//! when a format is final, and never again after.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test stops at what it does not expect")]

mod archive;
mod story;

use std::fs;
use std::path::PathBuf;

fn directories() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/past/directories")
}

#[test]
fn a_directory_of_this_version_has_everything_after_it_was_text() {
    let (killed, closed, notes) = story::live();
    for (disk, clean) in [(killed, false), (closed, true)] {
        let (disk, notes) = archive::read(&archive::write(&disk, &notes));
        story::check(disk, &notes, clean);
    }
}

#[test]
fn directories_of_past_versions_open_with_everything_in_them() {
    let Ok(entries) = fs::read_dir(directories()) else { return };
    for entry in entries {
        let path = entry.unwrap().path();
        println!("{}", path.display());
        let (disk, notes) = archive::read(&fs::read_to_string(&path).unwrap());
        story::check(disk, &notes, path.to_string_lossy().ends_with("-closed.txt"));
    }
}

#[test]
#[ignore = "writes the directories of the version that WEIR_PAST names"]
fn write_the_directories_of_this_version() {
    let version = std::env::var("WEIR_PAST").expect("WEIR_PAST names a version");
    let (killed, closed, notes) = story::live();
    fs::create_dir_all(directories()).unwrap();
    for (disk, end) in [(killed, "killed"), (closed, "closed")] {
        let path = directories().join(format!("{version}-{end}.txt"));
        assert!(!path.exists(), "{} is there, and never changes", path.display());
        fs::write(path, archive::write(&disk, &notes)).unwrap();
    }
}
