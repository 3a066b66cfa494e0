//! A store whose disk fails it.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test stops at what it does not expect"
)]

use std::ops::ControlFlow;

use weir_core::Time;
use weir_core::kv::{State, View};
use weir_store::disk::{Disk, DiskFile};
use weir_store::{
    Body, Cut, LogWriter, MemoryDisk, OpenError, Options, Pressure, Store, StoreError, Upkeep, check, plan_repair,
    repair,
};

fn options() -> Options {
    Options {
        segment_bytes: 4096,
        reserve_bytes: 8 << 20,
        body_cache_bytes: 0,
        table_cache_bytes: 0,
        ..Options::default()
    }
}

fn open(disk: &MemoryDisk) -> (Store<MemoryDisk>, LogWriter<MemoryDisk>) {
    let (store, writer, _) = Store::open(disk.clone(), options()).unwrap();
    (store, writer)
}

fn commit(store: &mut Store<MemoryDisk>, writer: &mut LogWriter<MemoryDisk>) -> Result<(), StoreError> {
    let group = store.seal(Time(1)).unwrap();
    writer.append(&group)?;
    store.committed(group.sequence());
    Ok(())
}

fn upkeep(store: &mut Store<MemoryDisk>) -> Result<(), StoreError> {
    store.upkeep().map_or(Ok(()), Upkeep::run)
}

fn key(n: u32) -> Vec<u8> {
    [&[1, 1, 1, 1, 1, 4][..], &n.to_be_bytes()].concat()
}

fn count(store: &mut Store<MemoryDisk>) -> usize {
    loop {
        let mut rows = 0;
        match store.scan(&[], &[255], &mut |_, _| {
            rows += 1;
            ControlFlow::Continue(())
        }) {
            Ok(()) => return rows,
            Err(need) => store.load_now(&need).unwrap(),
        }
    }
}

fn fill(store: &mut Store<MemoryDisk>, writer: &mut LogWriter<MemoryDisk>, keys: std::ops::Range<u32>) {
    for n in keys {
        store.insert_bulk(&key(n), &[&[n as u8; 500]]);
        commit(store, writer).unwrap();
    }
}

fn checkpoint(store: &mut Store<MemoryDisk>) -> Result<(), StoreError> {
    let done = store.freeze().expect("there is something to write").run()?;
    store.checkpointed(done);
    Ok(())
}

#[test]
fn a_full_disk_refuses_producers_while_consumers_go_on_and_a_checkpoint_makes_room() {
    let disk = MemoryDisk::new();
    let (mut store, mut writer) = open(&disk);
    upkeep(&mut store).unwrap();
    fill(&mut store, &mut writer, 0..50);
    disk.set_room(disk.used());
    let mut n = 50;
    while store.pressure() == Pressure::None {
        fill(&mut store, &mut writer, n..n + 1);
        n += 1;
        let _ = upkeep(&mut store);
    }
    assert_eq!(store.pressure(), Pressure::DiskFull);
    for n in 0..20 {
        store.delete(&key(n));
        commit(&mut store, &mut writer).expect("what is reserved lets deletes through");
    }
    let used = disk.used();
    checkpoint(&mut store).expect("the ballast gives the checkpoint room");
    assert!(disk.used() <= used);
    upkeep(&mut store).expect("what the checkpoint let go is recycled");
    assert_eq!(store.pressure(), Pressure::None);
    assert!(store.stats().segments_retired > 0);
    fill(&mut store, &mut writer, n..n + 40);
    assert!(store.stats().recycles > 0);
    assert_eq!(count(&mut store), n as usize + 20);
    drop((store, writer));
    disk.set_room(u64::MAX);
    assert_eq!(count(&mut open(&disk).0), n as usize + 20);
}

#[test]
fn the_ballast_that_a_checkpoint_needed_is_made_again_once_there_is_room() {
    let disk = MemoryDisk::new();
    let has_ballast = || disk.names().iter().any(|name| name == "shards/0000/ballast");
    let (mut store, mut writer) = open(&disk);
    upkeep(&mut store).unwrap();
    for round in 0..2 {
        assert!(has_ballast(), "{round}");
        fill(&mut store, &mut writer, round * 6000..(round + 1) * 6000);
        disk.set_room(disk.used());
        checkpoint(&mut store).unwrap();
        assert!(!has_ballast(), "{round}");
        disk.set_room(u64::MAX);
        upkeep(&mut store).unwrap();
    }
    assert!(has_ballast());
}

#[test]
fn a_checkpoint_without_room_is_tried_again_and_reads_go_on_meanwhile() {
    let disk = MemoryDisk::new();
    let options = Options { reserve_bytes: 0, ..options() };
    let (mut store, mut writer, _) = Store::open(disk.clone(), options).unwrap();
    upkeep(&mut store).unwrap();
    fill(&mut store, &mut writer, 0..100);
    checkpoint(&mut store).unwrap();
    let early = store.body(&key(1));
    fill(&mut store, &mut writer, 100..6000);
    disk.set_room(disk.used());
    assert!(matches!(checkpoint(&mut store), Err(StoreError::DiskFull { .. })));
    assert_eq!(store.pressure(), Pressure::DiskFull);
    assert!(store.checkpoint_due());
    assert_eq!(count(&mut store), 6000);
    for body in [early, store.body(&key(2)), store.body(&key(3000))] {
        match body {
            Body::Load(load) => assert_eq!(load.run().unwrap().unwrap().len(), 500),
            other => panic!("{other:?}"),
        }
    }
    disk.set_room(u64::MAX);
    checkpoint(&mut store).unwrap();
    assert_eq!(store.pressure(), Pressure::None);
    assert_eq!(count(&mut store), 6000);
    drop((store, writer));
    assert_eq!(count(&mut open(&disk).0), 6000);
}

#[test]
fn a_group_that_finds_no_room_can_be_tried_again() {
    let disk = MemoryDisk::new();
    let (mut store, mut writer) = open(&disk);
    fill(&mut store, &mut writer, 0..3);
    disk.set_room(disk.used());
    store.insert_bulk(&key(9), &[&vec![9; 20_000]]);
    let group = store.seal(Time(1)).unwrap();
    assert!(matches!(writer.append(&group), Err(StoreError::DiskFull { .. })));
    disk.set_room(u64::MAX);
    writer.append(&group).unwrap();
    drop((store, writer));
    assert_eq!(count(&mut open(&disk).0), 4);
}

#[test]
fn after_a_failed_write_nothing_is_accepted_until_the_store_is_opened_anew() {
    let disk = MemoryDisk::new();
    let (mut store, mut writer) = open(&disk);
    fill(&mut store, &mut writer, 0..3);
    disk.set_failing(true);
    store.put(&key(7), b"lost or not");
    assert!(matches!(commit(&mut store, &mut writer), Err(StoreError::Poisoned { .. })));
    disk.set_failing(false);
    store.put(&key(8), b"refused");
    assert!(matches!(commit(&mut store, &mut writer), Err(StoreError::Poisoned { .. })));
    assert!(store.freeze().is_none());
    assert!(!store.checkpoint_due());
    drop((store, writer));
    assert_eq!(count(&mut open(&disk).0), 3);
}

#[test]
fn a_failed_checkpoint_poisons_the_log_too() {
    let disk = MemoryDisk::new();
    let (mut store, mut writer) = open(&disk);
    fill(&mut store, &mut writer, 0..3);
    let checkpoint = store.freeze().unwrap();
    disk.set_failing(true);
    checkpoint.run().unwrap_err();
    disk.set_failing(false);
    store.put(&key(7), b"refused");
    assert!(matches!(commit(&mut store, &mut writer), Err(StoreError::Poisoned { .. })));
    drop((store, writer));
    assert_eq!(count(&mut open(&disk).0), 3);
}

#[test]
fn a_directory_is_open_once() {
    let disk = MemoryDisk::new();
    let opened = open(&disk);
    assert!(matches!(Store::open(disk.clone(), options()), Err(OpenError::Locked)));
    assert!(matches!(check(&disk, &options()), Err(OpenError::Locked)));
    drop(opened);
    open(&disk);
}

#[test]
fn an_unknown_format_is_refused_with_what_was_found_and_what_is_known() {
    let disk = MemoryDisk::new();
    drop(open(&disk));
    let file = disk.open("format", false).unwrap();
    let mut bytes = [0; 16];
    file.read_at(&mut bytes, 0).unwrap();
    bytes[4] = 7;
    let checksum = crc32c::crc32c(&bytes).to_le_bytes();
    file.write_at(&[&bytes[..], &checksum].concat(), 0).unwrap();
    let error = Store::open(disk, options()).unwrap_err();
    assert_eq!(error.to_string(), "format has format version 7; this program knows up to 1");
    assert_eq!(error.code(), "store.version_unknown");
}

#[test]
fn a_directory_whose_format_is_gone_is_not_taken_for_a_new_one() {
    let disk = MemoryDisk::new();
    drop(open(&disk));
    disk.remove("format").unwrap();
    assert!(matches!(Store::open(disk, options()), Err(OpenError::Damaged(_))));
}

/// Cuts the writing of the last group short at every byte, over segments that are new and such that are recycled.
#[test]
fn a_torn_group_is_cut_and_reported_and_the_log_goes_on_behind_it() {
    let disk = MemoryDisk::new();
    let (mut store, mut writer) = open(&disk);
    for n in 0..30 {
        fill(&mut store, &mut writer, n..n + 1);
        if n % 10 == 9 {
            checkpoint(&mut store).unwrap();
        }
    }
    assert!(store.stats().recycles > 0);
    let before = disk.copy();
    store.insert_bulk(&key(100), &[&[1; 6000]]);
    store.put(&key(101), b"x");
    commit(&mut store, &mut writer).unwrap();
    let after = disk.copy();
    drop((store, writer));

    let mut torn = 0;
    for name in after.names().into_iter().filter(|name| name.contains("/log/")) {
        let length = after.open(&name, false).unwrap().len().unwrap();
        for cut in (0..length).step_by(97) {
            let disk = after.copy();
            let file = disk.open(&name, false).unwrap();
            // From the cut on, the segment is as it was before the last group, or as recycled bytes are.
            let mut old = vec![0xA5; (length - cut) as usize];
            if let Ok(file) = before.open(&name, false) {
                file.read_at(&mut old, cut).unwrap();
            }
            file.write_at(&old, cut).unwrap();
            let (mut store, mut writer, recovery) = Store::open(disk.clone(), options()).unwrap();
            let whole = recovery.sequence == 31;
            assert_eq!(count(&mut store), if whole { 32 } else { 30 }, "{name} {cut}");
            assert!(whole || recovery.torn.is_some(), "{name} {cut}: silently");
            torn += usize::from(recovery.torn.is_some());
            fill(&mut store, &mut writer, 200..204);
            drop((store, writer));
            let (mut store, _writer, recovery) = Store::open(disk, options()).unwrap();
            assert_eq!((count(&mut store), recovery.torn), (if whole { 36 } else { 34 }, None), "{name} {cut}");
        }
    }
    assert!(torn > 20, "{torn}");
}

#[test]
fn a_backup_taken_while_serving_opens_as_the_state_of_its_checkpoint() {
    let disk = MemoryDisk::new();
    let (mut store, mut writer) = open(&disk);
    fill(&mut store, &mut writer, 0..40);
    checkpoint(&mut store).unwrap();
    let backup = store.backup();
    store.delete_range(&key(0), &key(30));
    commit(&mut store, &mut writer).unwrap();
    checkpoint(&mut store).unwrap();
    let target = MemoryDisk::new();
    let copied = backup.run(&target).unwrap();
    assert_eq!((copied.sequence, copied.rows), (40, 40));
    assert_eq!(check(&target, &options()).unwrap().damage, []);
    let (mut copy, mut copy_writer, recovery) = Store::open(target.clone(), options()).unwrap();
    assert!(recovery.clean);
    assert_eq!(count(&mut copy), 40);
    assert_eq!(count(&mut store), 10);
    fill(&mut copy, &mut copy_writer, 100..101);
    drop((copy, copy_writer));
    assert_eq!(count(&mut open(&target).0), 41);
    assert!(store.backup().run(&target).is_err(), "nothing is overwritten");
}

fn flip(disk: &MemoryDisk, file: &str, at: u64) {
    let file = disk.open(file, false).unwrap();
    let mut byte = [0];
    file.read_at(&mut byte, at).unwrap();
    file.write_at(&[byte[0] ^ 4], at).unwrap();
}

#[test]
fn a_repair_says_what_a_damaged_log_costs_before_it_cuts_it() {
    let disk = MemoryDisk::new();
    let (mut store, mut writer) = open(&disk);
    fill(&mut store, &mut writer, 0..20);
    drop((store, writer));
    assert_eq!(check(&disk, &options()).unwrap().groups, 20);
    let segment = disk.names().into_iter().find(|name| name.contains("/log/")).unwrap();
    flip(&disk, &segment, 1500);
    let error = Store::open(disk.clone(), options()).unwrap_err();
    let OpenError::Damaged(damage) = error else { panic!("{error}") };
    assert_eq!(damage.file, segment);
    assert_eq!(check(&disk, &options()).unwrap().damage, std::slice::from_ref(&damage));
    let plan = plan_repair(&disk, &options()).unwrap();
    assert_eq!(plan, [Cut::Log { damage, last_kept: 2, last_lost: 20, readable: 17 }]);
    assert!(Store::open(disk.clone(), options()).is_err(), "a plan changes nothing");
    assert_eq!(repair(&disk, &options()).unwrap(), plan);
    let (mut store, mut writer) = open(&disk);
    assert_eq!(count(&mut store), 2);
    fill(&mut store, &mut writer, 50..60);
    drop((store, writer));
    assert_eq!(count(&mut open(&disk).0), 12);
}

#[test]
fn a_repair_of_damaged_tables_keeps_every_row_that_can_be_read_from_either_end() {
    let disk = MemoryDisk::new();
    let (mut store, mut writer) = open(&disk);
    fill(&mut store, &mut writer, 0..400);
    store.close().unwrap();
    drop(writer);
    let tables = "shards/0000/tables";
    let length = disk.open(tables, false).unwrap().len().unwrap();
    let mut repaired = 0;
    for at in (12_300..length).step_by(9_001) {
        let disk = disk.copy();
        flip(&disk, tables, at);
        let plan = plan_repair(&disk, &options()).unwrap();
        match plan.as_slice() {
            [] => assert_eq!(count(&mut open(&disk).0), 400),
            [Cut::Tables { kept, .. }] => {
                assert!(*kept > 200, "{kept}");
                repair(&disk, &options()).unwrap();
                assert_eq!(count(&mut open(&disk).0) as u64, *kept);
                repaired += 1;
            }
            [Cut::Impossible { .. }, ..] => {}
            other => panic!("{other:?}"),
        }
    }
    // The B-tree reads every block at opening where its own assertions are compiled in, and finds the damage there.
    assert!(repaired > 0 || cfg!(debug_assertions));
}

#[test]
fn a_damaged_format_and_a_damaged_mark_are_repaired_at_no_cost() {
    let disk = MemoryDisk::new();
    let (mut store, mut writer) = open(&disk);
    fill(&mut store, &mut writer, 0..4);
    store.close().unwrap();
    drop(writer);
    flip(&disk, "format", 9);
    flip(&disk, "shards/0000/closed", 9);
    assert!(Store::open(disk.clone(), options()).is_err());
    let cuts = repair(&disk, &options()).unwrap();
    assert!(matches!(cuts.as_slice(), [Cut::Format { .. }, Cut::Mark { .. }]), "{cuts:?}");
    assert_eq!(count(&mut open(&disk).0), 4);
}
