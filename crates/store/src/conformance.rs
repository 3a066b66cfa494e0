//! What every disk, every log and every store must do, as functions that panic where it does not.
//!
//! An implementation's tests call these; they are part of the library so that implementations elsewhere can.

use std::io;
use std::ops::ControlFlow;

use bytes::Bytes;
use weir_core::Time;
use weir_core::kv::{State, View};

use crate::body::Body;
use crate::disk::{Disk, DiskFile};
use crate::group::LogWriter;
use crate::log::{Appended, Log};
use crate::options::Options;
use crate::store::Store;

/// Checks a disk, which must be empty.
pub fn disk<D: Disk>(disk: &D) {
    let absent = disk.open("a/b/one", false).map(|_| ()).map_err(|error| error.kind());
    assert_eq!(absent, Err(io::ErrorKind::NotFound), "a file that was never made");
    assert!(disk.list("a/b").expect("a folder that is not there can be listed").is_empty());

    let file = disk.open("a/b/one", true).expect("a file can be made with its folders");
    assert!(file.is_empty().expect("a length can be asked for"));
    file.write_at(b"hello", 3).expect("a file can be written past its end");
    file.write_at(b"HE", 3).expect("a file can be overwritten");
    file.sync().expect("a file can be synced");
    let mut buffer = [9; 10];
    assert_eq!(file.read_at(&mut buffer, 0).expect("a file can be read"), 8, "a read stops at the end");
    assert_eq!(&buffer, b"\0\0\0HEllo\x09\x09", "a gap reads as zeros, what is past the end is left alone");
    assert_eq!(file.read_at(&mut buffer, 100).expect("a read past the end finds nothing"), 0);
    file.set_len(6).expect("a file can be cut");
    file.set_len(9).expect("a file can be grown");
    assert_eq!(file.len().expect("a length can be asked for"), 9);
    assert_eq!(file.read_at(&mut buffer, 0).expect("a file can be read"), 9);
    assert_eq!(buffer.get(..9), Some(&b"\0\0\0HEl\0\0\0"[..]), "what a file grows by reads as zeros");

    disk.open("a/b/two", true).expect("a second file can be made");
    disk.open("a/three", true).expect("a file can be made beside a folder");
    assert_eq!(disk.list("a/b").expect("a folder can be listed"), ["one", "two"]);
    assert_eq!(disk.list("a").expect("a folder can be listed"), ["three"], "folders are not listed");
    disk.rename("a/b/one", "a/b/two").expect("a file can replace another");
    disk.rename("a/b/two", "c/four").expect("a file can move to another folder");
    disk.sync_names("a/b").expect("names can be synced");
    disk.sync_names("c").expect("names can be synced");
    assert_eq!(file.len().expect("an open file outlives its name"), 9);
    let moved = disk.open("c/four", false).expect("a renamed file can be opened");
    assert_eq!(moved.len().expect("a length can be asked for"), 9);
    disk.remove("c/four").expect("a file can be removed");
    assert!(disk.remove("c/four").is_err(), "a file can be removed once");
    assert!(disk.list("c").expect("a folder can be listed").is_empty());

    let lock = disk.lock().expect("a directory can be locked");
    let second = disk.lock().map(|_| ()).map_err(|error| error.kind());
    assert_eq!(second, Err(io::ErrorKind::WouldBlock), "a locked directory");
    drop(lock);
    drop(disk.lock().expect("a lock ends with its guard"));
}

/// Checks a log. `open` opens the same log again each time, after the last one was dropped; the first time it is empty.
pub fn log<L: Log>(mut open: impl FnMut() -> L) {
    let records = |log: &L, from| {
        let mut found = Vec::new();
        log.read(from, &mut |epoch, sequence, bytes| found.push((epoch, sequence, bytes))).map(|()| found)
    };
    let committed = |appended: Appended| match appended {
        Appended::Committed => {}
        other => panic!("not committed: {other:?}"),
    };
    let fenced = |appended: Appended, by: u64| match appended {
        Appended::Fenced { newer } if newer == by => {}
        other => panic!("not fenced by {by}: {other:?}"),
    };
    let record = |n: u64| Bytes::from(vec![n as u8; (n * n * 40) as usize]);

    let mut one = open();
    assert_eq!(records(&one, 1).expect("an empty log can be read"), []);
    assert_eq!(one.latest_snapshot().expect("there may be no snapshot"), 0);
    // From an empty record to one that is longer than whatever unit the log is kept in.
    for n in 0..20 {
        committed(one.append(1, n + 1, record(n)));
    }
    let expected: Vec<_> = (0..20).map(|n| (1, n + 1, record(n))).collect();
    assert_eq!(records(&one, 1).expect("a log can be read"), expected, "in order, whole");
    assert_eq!(records(&one, 21).expect("a log can be read from its end"), []);
    drop(one);

    let mut two = open();
    assert_eq!(records(&two, 1).expect("a log can be read"), expected, "what was committed is there");
    committed(two.append(3, 21, record(1)));
    fenced(two.append(2, 22, record(2)), 3);
    assert_eq!(records(&two, 21).expect("a log can be read"), [(3, 21, record(1))], "nothing of a stale owner");
    committed(two.append(3, 22, record(3)));
    drop(two);

    let mut three = open();
    fenced(three.append(1, 23, record(4)), 3);
    three.trim(10).expect("a trim without a snapshot trims nothing");
    assert_eq!(records(&three, 1).expect("nothing was trimmed").len(), 22);
    three.put_snapshot(15).expect("a snapshot can be noted");
    three.put_snapshot(12).expect("an older snapshot changes nothing");
    assert_eq!(three.latest_snapshot().expect("there is a snapshot"), 15);
    three.trim(22).expect("a trim stops at the snapshot");
    assert_eq!(records(&three, 16).expect("what no snapshot covers is there").len(), 7);
    drop(three);

    let mut four = open();
    assert_eq!(four.latest_snapshot().expect("there is a snapshot"), 15, "a snapshot is durable");
    assert_eq!(records(&four, 16).expect("what no snapshot covers is there").len(), 7);
    for n in 23..60 {
        committed(four.append(4, n, record(10)));
        four.put_snapshot(n).expect("a snapshot can be noted");
        four.trim(n).expect("a log can be trimmed");
    }
    drop(four);
    assert_eq!(records(&open(), 59).expect("the last record is there"), [(4, 59, record(10))]);

    let mut five = open();
    assert!(matches!(five.append(4, 99, record(1)), Appended::Unknown(_)), "a gap is refused");
}

/// Checks a store over a disk, which must be empty.
pub fn store<D: Disk>(disk: &D) {
    let options = || Options { segment_bytes: 4096, reserve_bytes: 4096, body_cache_bytes: 1000, ..Options::default() };
    let open = || Store::open(disk.clone(), options()).expect("a directory of our own can be opened");
    let (mut store, mut writer, recovery) = open();
    assert_eq!(recovery.sequence, 0);
    assert!(Store::open(disk.clone(), options()).is_err(), "a directory is open once");
    for n in 0..100_u8 {
        store.put(&[1, 1, 1, 1, 1, n], &[n; 60]);
        store.insert_bulk(&[1, 1, 1, 1, 2, n], &[&[n; 300], &[n + 1; 7]]);
        assert_eq!(store.sequence(), u64::from(n) + 1);
        commit(&mut store, &mut writer);
    }
    for n in 0..50_u8 {
        store.delete(&[1, 1, 1, 1, 1, n]);
    }
    commit(&mut store, &mut writer);
    let before = rows(&mut store);
    assert_eq!(before.len(), 150);
    drop((store, writer));

    let (mut store, mut writer, recovery) = open();
    assert_eq!((recovery.sequence, recovery.replayed_groups, recovery.torn), (101, 101, None));
    assert_eq!(rows(&mut store), before);
    let expected = [vec![3; 300], vec![4; 7]].concat();
    assert_eq!(body(&store, &[1, 1, 1, 1, 2, 3]), Some(expected.clone()));
    let checkpoint = store.freeze().expect("there is something to checkpoint");
    assert!(store.freeze().is_none(), "one checkpoint at a time");
    let early = store.body(&[1, 1, 1, 1, 2, 3]);
    store.delete_range(&[1, 1, 1, 1, 1], &[1, 1, 1, 1, 1, 70]);
    store.put(&[1, 1, 1, 1, 1, 60], b"again");
    store.delete(&[1, 1, 1, 1, 2, 3]);
    let changed = rows(&mut store);
    assert_eq!(changed.len(), 130);
    let done = checkpoint.run().expect("a checkpoint can be written");
    store.checkpointed(done);
    assert_eq!(rows(&mut store), changed);
    assert_eq!(body(&store, &[1, 1, 1, 1, 2, 3]), None);
    commit(&mut store, &mut writer);
    if let Some(upkeep) = store.upkeep() {
        upkeep.run().expect("segments can be prepared");
    }
    for n in 0..100_u8 {
        store.put(&[1, 1, 1, 1, 3, n], &[n; 200]);
        commit(&mut store, &mut writer);
    }
    assert_eq!(read(early), Some(expected), "a body asked for before a checkpoint");
    let changed = rows(&mut store);
    drop((store, writer));

    let (mut store, writer, recovery) = open();
    assert_eq!((recovery.checkpoint, recovery.replayed_groups, recovery.clean), (101, 101, false));
    assert_eq!(rows(&mut store), changed);
    drop(writer);
    store.close().expect("a store can be closed");
    let (mut store, _writer, recovery) = open();
    assert_eq!((recovery.sequence, recovery.replayed_groups, recovery.clean), (202, 0, true));
    assert_eq!(rows(&mut store), changed);
}

fn commit<D: Disk>(store: &mut Store<D>, writer: &mut LogWriter<D>) {
    let group = store.seal(Time(1)).expect("something was written");
    writer.append(&group).expect("a group can be appended");
    store.committed(group.sequence());
}

fn rows<D: Disk>(store: &mut Store<D>) -> Vec<(Vec<u8>, Vec<u8>)> {
    loop {
        let mut rows = Vec::new();
        match store.scan(&[], &[0xFF; 4], &mut |key, value| {
            rows.push((key.to_vec(), value.to_vec()));
            ControlFlow::Continue(())
        }) {
            Ok(()) => return rows,
            Err(need) => store.load_now(&need).expect("rows can be loaded"),
        }
    }
}

fn body<D: Disk>(store: &Store<D>, key: &[u8]) -> Option<Vec<u8>> {
    read(store.body(key))
}

fn read<D: Disk>(body: Body<D>) -> Option<Vec<u8>> {
    match body {
        Body::Ready(body) => Some(body.to_vec()),
        Body::Load(load) => load.run().expect("a body can be read").map(|body| body.to_vec()),
        Body::Absent => None,
    }
}
