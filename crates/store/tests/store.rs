//! A store against its promises.

use std::ops::ControlFlow;

use weir_core::Time;
use weir_core::kv::{State, View};
use weir_store::disk::Disk;
use weir_store::{Body, FileDisk, LogWriter, MemoryDisk, Options, Store};

fn small() -> Options {
    Options { segment_bytes: 4096, reserve_bytes: 4096, body_cache_bytes: 1000, ..Options::default() }
}

fn commit<D: Disk>(store: &mut Store<D>, writer: &mut LogWriter<D>) {
    if let Some(group) = store.seal(Time(1)) {
        writer.append(&group).unwrap();
        store.committed(group.sequence());
    }
}

fn all<D: Disk>(store: &mut Store<D>) -> Vec<(Vec<u8>, Vec<u8>)> {
    loop {
        let mut rows = Vec::new();
        match store.scan(&[], &[0xFF; 4], &mut |key, value| {
            rows.push((key.to_vec(), value.to_vec()));
            ControlFlow::Continue(())
        }) {
            Ok(()) => return rows,
            Err(need) => store.load_now(&need).unwrap(),
        }
    }
}

fn body<D: Disk>(store: &Store<D>, key: &[u8]) -> Option<Vec<u8>> {
    match store.body(key) {
        Body::Ready(body) => Some(body.to_vec()),
        Body::Load(load) => load.run().unwrap().map(|body| body.to_vec()),
        Body::Absent => None,
    }
}

fn survives<D: Disk>(disk: D) {
    let (mut store, mut writer, recovery) = Store::open(disk.clone(), small()).unwrap();
    assert_eq!(recovery.sequence, 0);
    for n in 0..100_u8 {
        store.put(&[1, 1, 1, 1, 1, n], &[n; 60]);
        store.insert_bulk(&[1, 1, 1, 1, 2, n], &[&[n; 300], &[n + 1; 7]]);
        commit(&mut store, &mut writer);
    }
    for n in 0..50_u8 {
        store.delete(&[1, 1, 1, 1, 1, n]);
    }
    commit(&mut store, &mut writer);
    let before = all(&mut store);
    assert_eq!(before.len(), 150);
    drop((store, writer));

    let (mut store, mut writer, recovery) = Store::open(disk.clone(), small()).unwrap();
    assert_eq!((recovery.replayed_groups, recovery.torn), (101, None));
    assert_eq!(all(&mut store), before);
    assert_eq!(body(&store, &[1, 1, 1, 1, 2, 3]).unwrap()[299..301], [3, 4]);
    let checkpoint = store.freeze().unwrap();
    store.delete_range(&[1, 1, 1, 1, 1], &[1, 1, 1, 1, 1, 70]);
    store.put(&[1, 1, 1, 1, 1, 60], b"again");
    let changed = all(&mut store);
    assert_eq!(changed.len(), 131);
    let done = checkpoint.run().unwrap();
    store.checkpointed(done);
    assert_eq!(all(&mut store), changed);
    assert_eq!(body(&store, &[1, 1, 1, 1, 2, 3]).unwrap()[299..301], [3, 4]);
    commit(&mut store, &mut writer);
    drop((store, writer));

    let (mut store, writer, recovery) = Store::open(disk.clone(), small()).unwrap();
    assert_eq!((recovery.checkpoint, recovery.replayed_groups), (101, 1));
    assert_eq!(all(&mut store), changed);
    store.close().unwrap();
    drop(writer);
    let (mut store, _, recovery) = Store::open(disk, small()).unwrap();
    assert!(recovery.clean);
    assert_eq!(all(&mut store), changed);
}

#[test]
fn what_was_committed_is_there_after_reopening_in_memory() {
    survives(MemoryDisk::new());
}

#[test]
fn what_was_committed_is_there_after_reopening_files() {
    let folder = tempfile::tempdir().unwrap();
    survives(FileDisk::new(folder.path()).unwrap());
}
