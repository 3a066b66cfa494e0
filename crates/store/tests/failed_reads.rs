//! A store whose disk fails to read: what is stored is as before, so it goes on wherever that is possible.

#![allow(clippy::unwrap_used, reason = "a test stops at what it does not expect")]

use std::ops::{ControlFlow, Range};

use weir_core::Time;
use weir_core::kv::{State, View};
use weir_store::{Body, LogWriter, MemoryDisk, Options, Store, StoreError};

/// No caches: every read comes to the disk.
fn options() -> Options {
    Options {
        segment_bytes: 4096,
        reserve_bytes: 1 << 20,
        body_cache_bytes: 0,
        table_cache_bytes: 0,
        blob_bytes_min: 700,
        blob_segment_bytes: 4096,
        ..Options::default()
    }
}

fn open(disk: &MemoryDisk) -> (Store<MemoryDisk>, LogWriter<MemoryDisk>) {
    let (store, writer, _) = Store::open(disk.clone(), options()).unwrap();
    (store, writer)
}

fn key(n: u32) -> Vec<u8> {
    [&[1, 1, 1, 1, 1, 4][..], &n.to_be_bytes()].concat()
}

/// Every tenth is in a blob segment.
fn text(n: u32) -> Vec<u8> {
    vec![n as u8; if n.is_multiple_of(10) { 900 } else { 300 }]
}

fn commit(store: &mut Store<MemoryDisk>, writer: &mut LogWriter<MemoryDisk>) {
    let group = store.seal(Time(1)).unwrap();
    writer.append(&group).unwrap();
    store.committed(group.sequence());
}

fn fill(store: &mut Store<MemoryDisk>, writer: &mut LogWriter<MemoryDisk>, keys: Range<u32>) {
    for n in keys {
        store.insert_bulk(&key(n), &[&text(n)]);
        commit(store, writer);
    }
}

fn checkpoint(store: &mut Store<MemoryDisk>) -> Result<(), StoreError> {
    let done = store.freeze().expect("there is something to write").run()?;
    store.checkpointed(done);
    Ok(())
}

fn read(body: Body<MemoryDisk>) -> Result<Option<Vec<u8>>, StoreError> {
    match body {
        Body::Ready(body) => Ok(Some(body.to_vec())),
        Body::Load(load) => load.run().map(|body| body.map(|body| body.to_vec())),
        Body::Absent => Ok(None),
    }
}

/// Exactly these keys are there, with what was stored under them.
fn holds(store: &mut Store<MemoryDisk>, keys: Range<u32>) {
    let found = loop {
        let mut found = Vec::new();
        match store.scan(&[], &[255], &mut |key, _| {
            found.push(key.to_vec());
            ControlFlow::Continue(())
        }) {
            Ok(()) => break found,
            Err(need) => store.load_now(&need).unwrap(),
        }
    };
    assert_eq!(found, keys.clone().map(key).collect::<Vec<_>>());
    for n in keys {
        assert_eq!(read(store.body(&key(n))).unwrap(), Some(text(n)), "{n}");
    }
}

#[test]
fn a_read_that_fails_is_made_again_whatever_it_was_reading() {
    let disk = MemoryDisk::new();
    let (mut store, mut writer) = open(&disk);
    fill(&mut store, &mut writer, 0..60);
    checkpoint(&mut store).unwrap();
    fill(&mut store, &mut writer, 60..80);
    let mut failed = 0;
    for n in 0..80 {
        for passing in 0.. {
            disk.fail_reads(passing, 1);
            assert_eq!(read(store.body(&key(n))).unwrap(), Some(text(n)), "{n}, after {passing}");
            if disk.fail_reads(0, 0) == 1 {
                break;
            }
            failed += 1;
        }
    }
    assert!(failed > 60, "{failed}");
    holds(&mut store, 0..80);
}

#[test]
fn a_read_that_keeps_failing_is_an_error_and_the_next_is_served() {
    let disk = MemoryDisk::new();
    let (mut store, mut writer) = open(&disk);
    fill(&mut store, &mut writer, 0..60);
    checkpoint(&mut store).unwrap();
    disk.fail_reads(0, u64::MAX);
    let error = read(store.body(&key(3))).unwrap_err();
    assert!(matches!(error, StoreError::Io { .. } | StoreError::Unread { .. }), "{error:?}");
    disk.fail_reads(0, 0);
    holds(&mut store, 0..60);
    fill(&mut store, &mut writer, 60..61);
    checkpoint(&mut store).unwrap();
}

/// The n-th read of the copy fails, for every n; then others.
#[test]
fn a_copy_whose_read_fails_stops_nothing_and_the_next_copy_is_whole() {
    let disk = MemoryDisk::new();
    let (mut store, mut writer) = open(&disk);
    fill(&mut store, &mut writer, 0..60);
    checkpoint(&mut store).unwrap();
    let mut failed = 0;
    for passing in 0.. {
        let last = 60 + passing as u32;
        let backup = store.backup();
        disk.fail_reads(passing, 1);
        let copied = backup.run(&MemoryDisk::new());
        if disk.fail_reads(0, 0) == 1 {
            copied.unwrap();
            break;
        }
        failed += u32::from(copied.is_err());
        if passing % 2 == 0 {
            holds(&mut store, 0..last);
        }
        fill(&mut store, &mut writer, last..last + 1);
        checkpoint(&mut store).unwrap();
        let target = MemoryDisk::new();
        store.backup().run(&target).unwrap();
        holds(&mut open(&target).0, 0..last + 1);
    }
    assert!(failed > 10, "{failed}");
}

/// The n-th read of the checkpoint fails, for every n, and one after it.
#[test]
fn a_checkpoint_whose_read_fails_can_be_made_again() {
    let prepared = MemoryDisk::new();
    let (mut store, mut writer) = open(&prepared);
    fill(&mut store, &mut writer, 0..60);
    store.delete_range(&key(5), &key(12));
    commit(&mut store, &mut writer);
    checkpoint(&mut store).unwrap();
    drop((store, writer));
    let mut unread = 0;
    'places: for passing in 0.. {
        for failing in [1, 2] {
            let disk = prepared.copy();
            let (mut store, mut writer) = open(&disk);
            let early = store.body(&key(1));
            // Most of what is in the blobs goes, so that the rest is moved.
            store.delete_range(&key(0), &key(45));
            commit(&mut store, &mut writer);
            fill(&mut store, &mut writer, 60..90);
            let checkpoint = store.freeze().unwrap();
            disk.fail_reads(passing, failing);
            let done = checkpoint.run();
            if disk.fail_reads(0, 0) == failing {
                done.unwrap();
                break 'places;
            }
            match done {
                Ok(done) => {
                    drop(early);
                    store.checkpointed(done);
                }
                Err(StoreError::Unread { .. }) => {
                    unread += 1;
                    assert!(store.checkpoint_due(), "after {passing}");
                    assert_eq!(read(early).unwrap(), Some(text(1)), "after {passing}");
                    holds(&mut store, 45..90);
                    fill(&mut store, &mut writer, 90..91);
                    let done = store.freeze().expect("the same state again").run().unwrap();
                    store.checkpointed(done);
                    store.delete(&key(90));
                    commit(&mut store, &mut writer);
                }
                Err(other) => panic!("{other}, after {passing}"),
            }
            holds(&mut store, 45..90);
            drop((store, writer));
            holds(&mut open(&disk).0, 45..90);
        }
    }
    assert!(unread > 20, "{unread}");
}

#[test]
fn the_state_of_an_earlier_checkpoint_is_not_taken_from_a_later_one() {
    let disk = MemoryDisk::new();
    let (mut store, mut writer) = open(&disk);
    fill(&mut store, &mut writer, 0..60);
    checkpoint(&mut store).unwrap();
    let (early, copy) = (store.body(&key(30)), store.backup());
    store.delete(&key(3));
    commit(&mut store, &mut writer);
    checkpoint(&mut store).unwrap();
    disk.fail_reads(0, 1);
    store.backup().run(&MemoryDisk::new()).unwrap_err();
    assert!(matches!(read(early), Err(StoreError::Outdated)));
    assert_eq!(read(store.body(&key(30))).unwrap(), Some(text(30)), "asked for anew it is found");
    assert!(matches!(copy.run(&MemoryDisk::new()), Err(StoreError::Outdated)));
    store.backup().run(&MemoryDisk::new()).unwrap();
}
