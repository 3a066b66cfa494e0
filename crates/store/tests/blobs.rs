//! Bodies in blob segments: written before the groups that refer to them, counted, moved and removed.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test stops at what it does not expect")]

use weir_core::Time;
use weir_core::kv::State;
use weir_store::disk::{Disk, DiskFile};
use weir_store::{
    Body, Cut, LogWriter, MemoryDisk, OpenError, Options, Pressure, Recovery, Store, StoreError, Upkeep, check, repair,
};

const BODY: usize = 1000;

fn options() -> Options {
    Options {
        segment_bytes: 4096,
        reserve_bytes: 64 << 10,
        body_cache_bytes: 0,
        table_cache_bytes: 0,
        blob_bytes_min: 500,
        blob_segment_bytes: 8 << 10,
        ..Options::default()
    }
}

fn open(disk: &MemoryDisk) -> (Store<MemoryDisk>, LogWriter<MemoryDisk>, Recovery) {
    Store::open(disk.clone(), options()).unwrap()
}

fn commit(store: &mut Store<MemoryDisk>, writer: &mut LogWriter<MemoryDisk>) -> Result<(), StoreError> {
    let group = store.seal(Time(1)).unwrap();
    writer.append(&group)?;
    store.committed(group.sequence());
    Ok(())
}

fn checkpoint(store: &mut Store<MemoryDisk>) {
    let done = store.freeze().expect("there is something to write").run().unwrap();
    store.checkpointed(done);
    store.upkeep().map_or(Ok(()), Upkeep::run).unwrap();
}

fn key(n: u32) -> Vec<u8> {
    [&[1, 1, 1, 1, 1, 4][..], &n.to_be_bytes()].concat()
}

fn fill(store: &mut Store<MemoryDisk>, writer: &mut LogWriter<MemoryDisk>, keys: std::ops::Range<u32>) {
    for n in keys {
        store.insert_bulk(&key(n), &[&[n as u8; BODY / 2], &[n as u8; BODY / 2]]);
        commit(store, writer).unwrap();
    }
}

fn body(store: &Store<MemoryDisk>, n: u32) -> Result<Option<Vec<u8>>, StoreError> {
    match store.body(&key(n)) {
        Body::Ready(body) => Ok(Some(body.to_vec())),
        Body::Load(load) => load.run().map(|body| body.map(|body| body.to_vec())),
        Body::Absent => Ok(None),
    }
}

fn has(store: &Store<MemoryDisk>, keys: impl IntoIterator<Item = u32>) {
    for n in keys {
        assert_eq!(body(store, n).unwrap(), Some(vec![n as u8; BODY]), "{n}");
    }
}

fn blobs(disk: &MemoryDisk) -> Vec<String> {
    disk.names().into_iter().filter(|name| name.contains("/blobs/0")).collect()
}

fn len(disk: &MemoryDisk, name: &str) -> u64 {
    disk.open(name, false).unwrap().len().unwrap()
}

#[test]
fn a_long_body_is_in_a_blob_segment_alone_and_is_there_at_every_stage() {
    let disk = MemoryDisk::new();
    let (mut store, mut writer, _) = open(&disk);
    store.insert_bulk(&key(0), &[&[0; BODY]]);
    has(&store, [0]);
    let group = store.seal(Time(1)).unwrap();
    assert!(group.len() < BODY / 2, "the log holds a reference");
    has(&store, [0]);
    writer.append(&group).unwrap();
    store.committed(group.sequence());
    has(&store, [0]);
    fill(&mut store, &mut writer, 1..30);
    // Longer than a segment.
    store.insert_bulk(&[9], &[&vec![9; 20_000]]);
    commit(&mut store, &mut writer).unwrap();
    drop((store, writer));
    let (mut store, writer, recovery) = open(&disk);
    assert_eq!(recovery.blob_bytes_cut, 0);
    has(&store, 0..30);
    checkpoint(&mut store);
    has(&store, 0..30);
    drop((store, writer));
    let (store, mut writer, recovery) = open(&disk);
    assert_eq!((recovery.replayed_groups, recovery.blob_bytes_cut), (0, 0));
    has(&store, 0..30);
    let mut store = store;
    fill(&mut store, &mut writer, 30..31);
    let report = {
        drop((store, writer));
        check(&disk, &options()).unwrap()
    };
    assert_eq!((report.blobs, report.blob_bytes, report.damage), (32, 31 * BODY as u64 + 20_000, vec![]));
}

#[test]
fn a_blob_segment_goes_once_nothing_refers_to_it_and_nobody_reads_it() {
    let disk = MemoryDisk::new();
    let (mut store, mut writer, _) = open(&disk);
    fill(&mut store, &mut writer, 0..40);
    checkpoint(&mut store);
    let before = blobs(&disk);
    let early = store.body(&key(1));
    store.delete_range(&key(0), &key(20));
    (20..40).for_each(|n| store.delete(&key(n)));
    commit(&mut store, &mut writer).unwrap();
    checkpoint(&mut store);
    let Body::Load(load) = early else { panic!("{early:?}") };
    assert_eq!(load.run().unwrap().unwrap(), vec![1; BODY], "a body asked for before");
    fill(&mut store, &mut writer, 100..101);
    checkpoint(&mut store);
    assert!(store.stats().blob_segments_removed >= 4, "{:?}", store.stats());
    let left: Vec<_> = blobs(&disk).into_iter().filter(|name| before.contains(name)).collect();
    assert!(left.len() <= 1, "{left:?}: no more than the one that is written to");
    has(&store, 100..101);
    drop((store, writer));
    has(&open(&disk).0, 100..101);
    assert_eq!(check(&disk, &options()).unwrap().damage, []);
}

#[test]
fn bodies_that_lived_between_two_checkpoints_leave_no_segment_behind() {
    let disk = MemoryDisk::new();
    let (mut store, mut writer, _) = open(&disk);
    for round in 0..10 {
        fill(&mut store, &mut writer, round * 20..round * 20 + 20);
        (round * 20..round * 20 + 20).for_each(|n| store.delete(&key(n)));
        commit(&mut store, &mut writer).unwrap();
        checkpoint(&mut store);
        assert!(blobs(&disk).len() <= 2, "{:?}", blobs(&disk));
    }
}

#[test]
fn what_is_alive_in_a_mostly_dead_segment_is_moved_out_of_it() {
    let disk = MemoryDisk::new();
    let (mut store, mut writer, _) = open(&disk);
    fill(&mut store, &mut writer, 0..70);
    checkpoint(&mut store);
    let full: u64 = blobs(&disk).iter().map(|name| len(&disk, name)).sum();
    for n in 0..70 {
        if n % 7 != 0 {
            store.delete(&key(n));
        }
    }
    commit(&mut store, &mut writer).unwrap();
    for n in 1000..1020 {
        // One segment for each checkpoint.
        store.put(&key(n), b"x");
        commit(&mut store, &mut writer).unwrap();
        checkpoint(&mut store);
        has(&store, (0..70).step_by(7));
    }
    let stats = store.stats();
    assert!(stats.blobs_moved >= 7 && stats.blob_segments_removed >= 7, "{stats:?}");
    let now: u64 = blobs(&disk).iter().map(|name| len(&disk, name)).sum();
    assert!(now * 2 < full, "{now} of {full}");
    drop((store, writer));
    has(&open(&disk).0, (0..70).step_by(7));
    assert_eq!(check(&disk, &options()).unwrap().damage, []);
}

#[test]
fn a_blob_that_no_group_refers_to_is_cut_and_reported() {
    let disk = MemoryDisk::new();
    let (mut store, mut writer, _) = open(&disk);
    fill(&mut store, &mut writer, 0..3);
    let before = disk.copy();
    store.insert_bulk(&key(3), &[&[3; BODY]]);
    commit(&mut store, &mut writer).unwrap();
    drop((store, writer));
    // The machine went down after the blob was synced and before its group was.
    let segment = blobs(&disk).remove(0);
    let whole = len(&disk, &segment);
    let mut bytes = vec![0; whole as usize];
    disk.open(&segment, false).unwrap().read_at(&mut bytes, 0).unwrap();
    before.open(&segment, false).unwrap().write_at(&bytes, 0).unwrap();
    let (mut store, mut writer, recovery) = open(&before);
    assert!(recovery.blob_bytes_cut > BODY as u64 && recovery.torn.is_none(), "{recovery:?}");
    fill(&mut store, &mut writer, 5..6);
    drop((store, writer));
    let (store, _, recovery) = open(&before);
    assert_eq!(recovery.blob_bytes_cut, 0);
    has(&store, [0, 1, 2, 5]);
    assert_eq!(body(&store, 3).unwrap(), None);
}

#[test]
fn a_missing_or_damaged_blob_is_damage_and_a_repair_says_which_body_it_costs() {
    for checkpointed in [false, true] {
        let disk = MemoryDisk::new();
        let (mut store, mut writer, _) = open(&disk);
        fill(&mut store, &mut writer, 0..3);
        if checkpointed {
            checkpoint(&mut store);
        }
        drop((store, writer));
        let segment = blobs(&disk).remove(0);
        disk.open(&segment, false).unwrap().write_at(&[77], 1500).unwrap();
        let damage = match Store::open(disk.clone(), options()) {
            Err(OpenError::Damaged(damage)) => damage,
            Ok((store, _, _)) if checkpointed => match body(&store, 1) {
                Err(StoreError::Damaged(damage)) => damage,
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        };
        assert!(damage.file == segment && (1000..1500).contains(&damage.offset), "{damage}");
        let cuts = repair(&disk, &options()).unwrap();
        assert_eq!(cuts, [Cut::Blob { damage, key: key(1) }]);
        assert_eq!(check(&disk, &options()).unwrap().damage, []);
        let (store, writer, _) = open(&disk);
        has(&store, [0, 2]);
        assert_eq!(body(&store, 1).unwrap(), None);
        drop((store, writer));

        disk.remove(&segment).unwrap();
        assert!(matches!(Store::open(disk.clone(), options()), Err(OpenError::Damaged(_))));
        assert_eq!(repair(&disk, &options()).unwrap().len(), 2);
        let (store, _, _) = open(&disk);
        assert_eq!(body(&store, 0).unwrap(), None);
    }
}

#[test]
fn after_a_blob_that_could_not_be_written_nothing_is_accepted() {
    let disk = MemoryDisk::new();
    let (mut store, mut writer, _) = open(&disk);
    fill(&mut store, &mut writer, 0..3);
    disk.set_failing(true);
    store.insert_bulk(&key(3), &[&[3; BODY]]);
    assert!(matches!(commit(&mut store, &mut writer), Err(StoreError::Poisoned { .. })));
    disk.set_failing(false);
    store.put(&key(8), b"refused");
    assert!(matches!(commit(&mut store, &mut writer), Err(StoreError::Poisoned { .. })));
    drop((store, writer));
    has(&open(&disk).0, 0..3);
}

#[test]
fn a_full_disk_lets_the_blobs_under_way_through_and_refuses_more_until_there_is_room() {
    let disk = MemoryDisk::new();
    let (mut store, mut writer, _) = open(&disk);
    fill(&mut store, &mut writer, 0..20);
    store.upkeep().map_or(Ok(()), Upkeep::run).unwrap();
    disk.set_room(disk.used());
    fill(&mut store, &mut writer, 20..24);
    assert_eq!(store.pressure(), Pressure::DiskFull);
    for n in 0..20 {
        store.delete(&key(n));
        commit(&mut store, &mut writer).expect("deletes go on");
    }
    disk.set_room(u64::MAX);
    store.upkeep().map_or(Ok(()), Upkeep::run).unwrap();
    assert_eq!(store.pressure(), Pressure::None);
    disk.set_room(disk.used());
    fill(&mut store, &mut writer, 30..32);
    assert_eq!(store.pressure(), Pressure::DiskFull, "the ballast was there again");
    has(&store, (20..24).chain(30..32));
}

#[test]
fn a_group_whose_blob_finds_no_room_can_be_tried_again_and_its_file_keeps_its_name() {
    let disk = MemoryDisk::new();
    let options = Options { reserve_bytes: 0, ..options() };
    let (mut store, mut writer, _) = Store::open(disk.clone(), options.clone()).unwrap();
    disk.set_room(disk.used());
    store.insert_bulk(&key(1), &[&[1; BODY]]);
    let group = store.seal(Time(1)).unwrap();
    assert!(matches!(writer.append(&group), Err(StoreError::DiskFull { .. })));
    assert_eq!(store.pressure(), Pressure::DiskFull);
    disk.set_room(u64::MAX);
    writer.append(&group).unwrap();
    store.committed(group.sequence());
    assert_eq!(store.pressure(), Pressure::None);
    drop((store, writer));
    has(&Store::open(disk, options).unwrap().0, [1]);
}

#[test]
fn a_backup_has_the_blobs_too() {
    let disk = MemoryDisk::new();
    let (mut store, mut writer, _) = open(&disk);
    fill(&mut store, &mut writer, 0..40);
    checkpoint(&mut store);
    let backup = store.backup();
    store.delete_range(&key(0), &key(40));
    commit(&mut store, &mut writer).unwrap();
    checkpoint(&mut store);
    checkpoint_again(&mut store, &mut writer);
    let target = MemoryDisk::new();
    backup.run(&target).unwrap();
    let report = check(&target, &options()).unwrap();
    assert_eq!((report.blobs, report.damage), (40, vec![]));
    has(&open(&target).0, 0..40);
}

fn checkpoint_again(store: &mut Store<MemoryDisk>, writer: &mut LogWriter<MemoryDisk>) {
    store.put(&[9], b"x");
    commit(store, writer).unwrap();
    checkpoint(store);
}
