//! Measures what a backlog takes on the disk: messages as the engine writes them, loaded through checkpoints.
//!
//! `cargo run --release -p weir-store --example disk_use [MESSAGES [BODY_BYTES [DIRECTORY]]]`

#![expect(clippy::print_stdout, reason = "the figures are what it is run for")]

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use weir_core::Time;
use weir_core::kv::{Key, KeyBuf, State};
use weir_store::{FileDisk, Options, Store};

fn key(space: u64, kind: u8, numbers: &[u64]) -> Key {
    numbers.iter().fold(KeyBuf::new().number(0).number(space).byte(kind), |key, n| key.number(*n)).to_key()
}

/// Checkpoints, if one is due, and the time that took.
fn checkpoint(store: &mut Store<FileDisk>) -> Duration {
    let start = Instant::now();
    let Some(checkpoint) = store.freeze() else { return Duration::ZERO };
    let done = checkpoint.run().expect("the disk works");
    store.checkpointed(done);
    let elapsed = start.elapsed();
    if let Some(upkeep) = store.upkeep() {
        upkeep.run().expect("the disk works");
    }
    elapsed
}

/// Bytes that a file, or the files of a folder, occupy on the disk.
fn occupied(path: &Path) -> u64 {
    let Ok(about) = path.metadata() else { return 0 };
    if about.is_dir() {
        let entries = path.read_dir().expect("a folder can be listed");
        entries.map(|entry| occupied(&entry.expect("a folder can be listed").path())).sum()
    } else {
        about.blocks() * 512
    }
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let mut number = |otherwise| arguments.next().map_or(otherwise, |argument| argument.parse().expect("a number"));
    let (messages, body_bytes) = (number(1_000_000), number(256) as usize);
    let parent = arguments.next().unwrap_or_else(|| ".".to_owned());
    let dir = tempfile::TempDir::with_prefix_in("weir-disk-use-", parent).expect("a directory can be made");
    let disk = FileDisk::new(dir.path()).expect("a directory can be opened");
    let (mut store, mut writer, _) = Store::open(disk, Options::default()).expect("an empty directory opens");
    let (head, body) = ([1; 40], vec![7; body_bytes]);
    let (mut live, mut checkpoints) = (0, Duration::ZERO);
    for id in 1..=messages {
        let rows = [key(7, 1, &[id]), key(7, 2, &[0, id]), key(0, 20, &[id])];
        let [message, ready, payload] = &rows;
        store.insert(message, &head);
        store.insert(ready, &[]);
        store.insert_bulk(payload, &[&body]);
        live += (rows.iter().map(Key::len).sum::<usize>() + head.len() + body.len()) as u64;
        if id % 1024 == 0 || id == messages {
            let group = store.seal(Time(id)).expect("something was written");
            writer.append(&group).expect("the disk works");
            store.committed(group.sequence());
            if store.checkpoint_due() {
                checkpoints += checkpoint(&mut store);
            }
        }
    }
    checkpoints += checkpoint(&mut store);
    let shard = dir.path().join("shards/0000");
    let (tables, log, blobs) =
        (occupied(&shard.join("tables")), occupied(&shard.join("log")), occupied(&shard.join("blobs")));
    let ratio = |bytes: u64| {
        let percent = 100 * bytes / live;
        format!("{}.{:02}", percent / 100, percent % 100)
    };
    println!(
        "{messages} messages, {live} live bytes; tables {tables} ({}), blobs {blobs} ({}), log {log} ({}); {} checkpoints in {checkpoints:?}",
        ratio(tables),
        ratio(blobs),
        ratio(log),
        store.stats().checkpoints,
    );
}
