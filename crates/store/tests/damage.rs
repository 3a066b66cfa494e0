//! Damage: a byte that changes on the disk is never taken for what was written, and never costs a record silently.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test stops at what it does not expect"
)]

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use weir_core::Time;
use weir_core::kv::{State, View};
use weir_store::disk::{Disk, DiskFile};
use weir_store::{Body, LogWriter, MemoryDisk, OpenError, Options, Recovery, Store, StoreError};

type Content = BTreeMap<Vec<u8>, Vec<u8>>;

fn options() -> Options {
    Options {
        segment_bytes: 1024,
        reserve_bytes: 0,
        body_cache_bytes: 0,
        table_cache_bytes: 0,
        blob_bytes_min: 200,
        blob_segment_bytes: 700,
        ..Options::default()
    }
}

fn commit(store: &mut Store<MemoryDisk>, writer: &mut LogWriter<MemoryDisk>) {
    let group = store.seal(Time(1)).unwrap();
    writer.append(&group).unwrap();
    store.committed(group.sequence());
}

/// Writes a small history with a checkpoint in it; returns the contents after each group from the checkpoint on.
fn history(disk: &MemoryDisk, close: bool) -> Vec<Content> {
    let (mut store, mut writer, _) = Store::open(disk.clone(), options()).unwrap();
    let mut content = Content::new();
    let mut history = Vec::new();
    for n in 0..12_u8 {
        let (key, bulk) = (vec![1, 1, 1, 1, 1, 1, n], vec![1, 1, 1, 1, 20, 1, n]);
        store.insert(&key, &[n; 50]);
        store.insert_bulk(&bulk, &[&[n; 140]]);
        content.insert(key, vec![n; 50]);
        content.insert(bulk, vec![n; 140]);
        if n == 9 {
            // Longer than a segment.
            store.put(&[1, 1, 1, 1, 20, 2, 1, 1], &[n; 1500]);
            content.insert(vec![1, 1, 1, 1, 20, 2, 1, 1], vec![n; 1500]);
        }
        if n % 3 == 0 {
            let blob = vec![1, 1, 1, 1, 20, 3, n];
            store.insert_bulk(&blob, &[&[n; 250]]);
            content.insert(blob, vec![n; 250]);
        }
        if n == 10 {
            // A hole in a blob segment that is still needed.
            store.delete(&[1, 1, 1, 1, 20, 3, 3]);
            content.remove(&vec![1, 1, 1, 1, 20, 3, 3]);
        }
        if n == 11 {
            // Longer than what is left of a segment, so that no page has two of the last groups in full.
            store.put(&[1, 1, 1, 1, 1, 2], &[n; 900]);
            content.insert(vec![1, 1, 1, 1, 1, 2], vec![n; 900]);
        }
        if n > 6 {
            store.delete(&[1, 1, 1, 1, 1, 1, n - 6]);
            content.remove(&vec![1, 1, 1, 1, 1, 1, n - 6]);
        }
        commit(&mut store, &mut writer);
        if n == 6 {
            let done = store.freeze().unwrap().run().unwrap();
            store.checkpointed(done);
        }
        if n >= 6 {
            history.push(content.clone());
        }
    }
    if close {
        store.close().unwrap();
    }
    history
}

fn open(disk: &MemoryDisk) -> Result<(Content, Recovery), String> {
    let error = |error: StoreError| {
        assert!(matches!(error, StoreError::Damaged(_)), "{error}");
        error.to_string()
    };
    let (mut store, _writer, recovery) = Store::open(disk.clone(), options()).map_err(|error| {
        assert!(matches!(error, OpenError::Damaged(_) | OpenError::VersionUnknown { .. }), "{error}");
        error.to_string()
    })?;
    let mut content = Content::new();
    loop {
        content.clear();
        match store.scan(&[], &[255], &mut |key, value| {
            content.insert(key.to_vec(), value.to_vec());
            ControlFlow::Continue(())
        }) {
            Ok(()) => break,
            Err(need) => store.load_now(&need).map_err(error)?,
        }
    }
    for (key, value) in &mut content {
        match store.body(key) {
            Body::Ready(body) => *value = body.to_vec(),
            Body::Load(load) => *value = load.run().map_err(error)?.unwrap().to_vec(),
            Body::Absent => panic!("a row without a value"),
        }
    }
    Ok((content, recovery))
}

#[derive(Debug, Default)]
struct Outcomes {
    whole: usize,
    torn: usize,
    refused: usize,
}

impl Outcomes {
    /// Opens a damaged directory and judges the outcome.
    fn judge(&mut self, disk: &MemoryDisk, history: &[Content], what: &str) {
        let last = history.last().unwrap();
        match open(disk) {
            Ok((content, recovery)) if recovery.torn.is_some() => {
                assert!(
                    history.iter().rev().take(2).any(|state| *state == content),
                    "{what}: more than the last group is gone"
                );
                self.torn += 1;
            }
            Ok((content, _)) => {
                assert!(content == *last, "{what}: silently other than what was written");
                self.whole += 1;
            }
            Err(_) => self.refused += 1,
        }
    }
}

fn damaged(disk: &MemoryDisk, file: &str, at: u64, change: impl Fn(&mut [u8]), len: usize) -> Option<MemoryDisk> {
    let copy = disk.copy();
    let opened = copy.open(file, false).unwrap();
    let mut bytes = vec![0; len];
    let read = opened.read_at(&mut bytes, at).unwrap();
    bytes.truncate(read);
    let before = bytes.clone();
    change(&mut bytes);
    opened.write_at(&bytes, at).unwrap();
    (before != bytes).then_some(copy)
}

fn len(disk: &MemoryDisk, file: &str) -> u64 {
    disk.open(file, false).unwrap().len().unwrap()
}

fn judge_all(close: bool) -> Outcomes {
    let disk = MemoryDisk::new();
    let history = history(&disk, close);
    let mut outcomes = Outcomes::default();
    outcomes.judge(&disk.copy(), &history, "untouched");
    assert_eq!(outcomes.whole, 1);
    for file in disk.names() {
        // The tables are long and mostly unused; every byte is covered by a block's checksum in the same way.
        let step = if file.ends_with("tables") { 61 } else { 1 };
        for at in (0..len(&disk, &file)).step_by(step) {
            if let Some(copy) = damaged(&disk, &file, at, |bytes| bytes[0] ^= 1 << (at % 8), 1) {
                outcomes.judge(&copy, &history, &format!("{file} byte {at}"));
            }
        }
        for page in [512, 4096] {
            for at in (0..len(&disk, &file)).step_by(page) {
                if let Some(copy) = damaged(&disk, &file, at, |bytes| bytes.fill(0), page) {
                    outcomes.judge(&copy, &history, &format!("{file} page of {page} at {at}"));
                }
            }
        }
    }
    assert!(disk.names().iter().any(|name| name.contains("/blobs/")), "there are blobs to be damaged");
    println!("{close}: {outcomes:?}");
    outcomes
}

#[test]
fn no_flipped_byte_and_no_zeroed_page_costs_a_record_silently() {
    let outcomes = judge_all(false);
    assert!(outcomes.whole > 0 && outcomes.torn > 0 && outcomes.refused > 0, "{outcomes:?}");
}

#[test]
fn after_a_clean_shutdown_no_damage_passes_for_a_torn_end() {
    let outcomes = judge_all(true);
    assert_eq!(outcomes.torn, 0, "{outcomes:?}");
    assert!(outcomes.refused > 0, "{outcomes:?}");
}
