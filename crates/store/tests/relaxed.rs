//! Groups that are acknowledged before they are synced: what a loss of power takes of them, and what not.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test stops at what it does not expect")]

use std::ops::ControlFlow;
use std::time::Duration;

use weir_core::Time;
use weir_core::kv::{State, View};
use weir_store::disk::{Disk, DiskFile};
use weir_store::{Durability, LogWriter, MemoryDisk, OpenError, Options, Recovery, Store, StoreError, check, repair};

fn strict() -> Options {
    Options {
        segment_bytes: 4096,
        reserve_bytes: 0,
        body_cache_bytes: 0,
        table_cache_bytes: 0,
        blob_bytes_min: 1000,
        blob_segment_bytes: 3000,
        ..Options::default()
    }
}

fn relaxed() -> Options {
    Options { durability: Durability::Interval(Duration::from_millis(100)), ..strict() }
}

type Opened = (Store<MemoryDisk>, LogWriter<MemoryDisk>, Recovery);

fn open(disk: &MemoryDisk) -> Opened {
    Store::open(disk.clone(), relaxed()).unwrap()
}

fn key(n: u8) -> Vec<u8> {
    vec![1, 1, 1, 1, 1, 1, n]
}

/// Appends groups, each with one row of `len` bytes.
fn fill(store: &mut Store<MemoryDisk>, writer: &mut LogWriter<MemoryDisk>, keys: std::ops::Range<u8>, len: usize) {
    for n in keys {
        store.insert_bulk(&key(n), &[&vec![n; len]]);
        let group = store.seal(Time(1)).unwrap();
        writer.append(&group).unwrap();
        store.committed(group.sequence());
    }
}

fn sync(store: &Store<MemoryDisk>) {
    store.sync().expect("there is something to sync").run().unwrap();
}

fn keys(store: &mut Store<MemoryDisk>) -> Vec<u8> {
    loop {
        let mut found = Vec::new();
        match store.scan(&[], &[255], &mut |key, _| {
            found.push(*key.last().unwrap());
            ControlFlow::Continue(())
        }) {
            Ok(()) => return found,
            Err(need) => store.load_now(&need).unwrap(),
        }
    }
}

fn bytes(disk: &MemoryDisk, name: &str) -> Vec<u8> {
    let Ok(file) = disk.open(name, false) else { return Vec::new() };
    let mut bytes = vec![0; file.len().unwrap() as usize];
    file.read_at(&mut bytes, 0).unwrap();
    bytes
}

/// What one group changed: file, offset, bytes.
type Changes = Vec<(String, u64, Vec<u8>)>;

/// What is different in a later copy, as one stretch for each file.
fn changes(before: &MemoryDisk, after: &MemoryDisk, of: &str) -> Changes {
    let mut changes = Vec::new();
    for name in after.names().into_iter().filter(|name| name.contains(of)) {
        let (mut old, new) = (bytes(before, &name), bytes(after, &name));
        old.resize(new.len(), 0);
        let Some(first) = (0..new.len()).find(|&at| old[at] != new[at]) else { continue };
        // A frame starts with the same five bytes as the marker that it overwrites.
        let first = first.saturating_sub(5);
        let last = (0..new.len()).rfind(|&at| old[at] != new[at]).unwrap();
        changes.push((name, first as u64, new[first..=last].to_vec()));
    }
    changes
}

fn apply(disk: &MemoryDisk, changes: &Changes) {
    for (name, offset, bytes) in changes {
        disk.open(name, true).unwrap().write_at(bytes, *offset).unwrap();
    }
}

const SYNCED: u8 = 4;
const UNSYNCED: u8 = 7;

/// Groups up to `SYNCED` in a copy of the disk, and what each of the later ones changed.
fn unsynced_groups() -> (MemoryDisk, Vec<Changes>) {
    let disk = MemoryDisk::new();
    let (mut store, mut writer, _) = open(&disk);
    fill(&mut store, &mut writer, 1..SYNCED + 1, 600);
    sync(&store);
    assert_eq!(store.synced(), u64::from(SYNCED));
    // New segments are in place at once, whatever becomes of the groups in them: they are blank and durable by then.
    let mut copies = vec![disk.copy()];
    for n in 0..UNSYNCED {
        fill(&mut store, &mut writer, SYNCED + 1 + n..SYNCED + 2 + n, 600);
        copies.push(disk.copy());
    }
    assert_eq!((store.synced(), store.stats().unsynced_groups), (u64::from(SYNCED), u64::from(UNSYNCED)));
    let groups = copies.windows(2).map(|pair| changes(&pair[0], &pair[1], "/log/")).collect();
    (copies.swap_remove(0), groups)
}

#[test]
fn of_groups_that_were_not_synced_any_may_be_missing_and_what_is_whole_before_the_first_stays() {
    let (base, groups) = unsynced_groups();
    assert!(groups.iter().any(|group| group.len() > 1), "a group spans two segments");
    for mask in 0..1_u32 << UNSYNCED {
        let disk = base.copy();
        for (n, group) in groups.iter().enumerate() {
            // A segment put into use is there in any case, since its name was synced.
            for (name, _, _) in group {
                let file = disk.open(name, true).unwrap();
                if file.is_empty().unwrap() {
                    file.set_len(4096).unwrap();
                }
            }
            if mask & (1 << n) != 0 {
                apply(&disk, group);
            }
        }
        let whole = mask.trailing_ones() as u8;
        let report = check(&disk, &strict()).unwrap();
        assert_eq!((report.damage.as_slice(), report.sequence), (&[][..], u64::from(SYNCED + whole)), "{mask:b}");
        let (mut store, mut writer, recovery) = open(&disk);
        assert_eq!(recovery.sequence, u64::from(SYNCED + whole), "{mask:b}");
        assert_eq!(recovery.lives_lost, 1, "{mask:b}");
        let behind = mask >> whole;
        assert_eq!(recovery.torn.as_ref().map_or(0, |torn| torn.groups), u64::from(behind.count_ones()), "{mask:b}");
        assert_eq!(keys(&mut store), (1..=SYNCED + whole).collect::<Vec<_>>(), "{mask:b}");
        // What comes next is not mixed up with what was left behind.
        fill(&mut store, &mut writer, 100..102, 500);
        drop((store, writer));
        let (mut store, _, recovery) = open(&disk);
        assert_eq!(recovery.torn, None, "{mask:b}");
        let expected: Vec<_> = (1..=SYNCED + whole).chain(100..102).collect();
        assert_eq!(keys(&mut store), expected, "{mask:b}");
    }
}

#[test]
fn a_group_that_a_later_one_says_was_synced_is_damage_when_it_is_missing() {
    let disk = MemoryDisk::new();
    let (mut store, mut writer, _) = open(&disk);
    fill(&mut store, &mut writer, 1..4, 200);
    let before = disk.copy();
    fill(&mut store, &mut writer, 4..5, 200);
    let lost = changes(&before, &disk, "/log/");
    sync(&store);
    fill(&mut store, &mut writer, 5..6, 200);
    drop((store, writer));
    let (name, offset, bytes) = &lost[0];
    disk.open(name, false).unwrap().write_at(&[bytes[60] ^ 1], *offset + 60).unwrap();
    let Err(OpenError::Damaged(damage)) = Store::open(disk.clone(), relaxed()) else { panic!("it opens") };
    assert_eq!(&damage.file, name);
    assert!((*offset - 8..=*offset).contains(&damage.offset), "{damage}");
    repair(&disk, &strict()).unwrap();
    assert_eq!(keys(&mut open(&disk).0), [1, 2, 3]);
}

#[test]
fn a_group_whose_long_body_is_missing_is_cut_with_all_behind_it_unless_it_was_synced() {
    for synced in [false, true] {
        let disk = MemoryDisk::new();
        let (mut store, mut writer, _) = open(&disk);
        fill(&mut store, &mut writer, 1..2, 1500);
        sync(&store);
        let before = disk.copy();
        fill(&mut store, &mut writer, 2..3, 1500);
        let blob = changes(&before, &disk, "/blobs/");
        if synced {
            sync(&store);
        }
        fill(&mut store, &mut writer, 3..4, 10);
        drop((store, writer));
        for (name, offset, bytes) in &blob {
            // The key in front of the body: nothing refers to it, and it is needed when the body is moved.
            disk.open(name, false).unwrap().write_at(&vec![0; bytes.len().min(32)], *offset).unwrap();
        }
        if synced {
            let damage = check(&disk, &strict()).unwrap().damage;
            assert_eq!(damage, [], "the body itself is there");
            continue;
        }
        let (mut store, _, recovery) = open(&disk);
        assert_eq!((recovery.sequence, recovery.torn.unwrap().groups), (1, 1));
        assert_eq!(keys(&mut store), [1]);
    }
}

#[test]
fn the_end_of_the_process_takes_nothing_and_the_next_opening_syncs_it() {
    let disk = MemoryDisk::new();
    let (mut store, mut writer, _) = open(&disk);
    fill(&mut store, &mut writer, 1..20, 1500);
    drop((store, writer));
    let (mut store, _, recovery) = open(&disk);
    assert_eq!((recovery.sequence, recovery.torn, store.synced()), (19, None, 19));
    assert_eq!(keys(&mut store), (1..20).collect::<Vec<_>>());
    assert!(store.sync().is_none());
}

#[test]
fn neither_a_checkpoint_nor_a_clean_end_goes_ahead_of_the_sync() {
    let disk = MemoryDisk::new();
    let (mut store, mut writer, _) = open(&disk);
    fill(&mut store, &mut writer, 1..4, 100);
    let early = store.freeze().unwrap();
    assert_eq!(early.run().unwrap_err().to_string(), "tables: group 3 is not durable yet");
    drop((store, writer));

    let (mut store, mut writer, _) = open(&disk);
    fill(&mut store, &mut writer, 4..5, 100);
    assert!(store.close().is_err());
    drop(writer);
    let (mut store, mut writer, recovery) = open(&disk);
    assert!(!recovery.clean);
    fill(&mut store, &mut writer, 5..6, 100);
    sync(&store);
    store.close().unwrap();
    drop(writer);
    let (mut store, _, recovery) = open(&disk);
    assert_eq!((recovery.clean, recovery.lives_lost), (true, 0));
    assert_eq!(keys(&mut store), [1, 2, 3, 4, 5]);
}

#[test]
fn a_failed_sync_stops_the_store() {
    let disk = MemoryDisk::new();
    let (mut store, mut writer, _) = open(&disk);
    fill(&mut store, &mut writer, 1..4, 100);
    disk.set_failing(true);
    assert!(matches!(store.sync().unwrap().run(), Err(StoreError::Poisoned { .. })));
    disk.set_failing(false);
    store.put(&key(9), b"refused");
    let group = store.seal(Time(1)).unwrap();
    assert!(matches!(writer.append(&group), Err(StoreError::Poisoned { .. })));
    assert!(store.freeze().is_none());
}

#[test]
fn what_is_not_synced_is_bounded_in_bytes() {
    let disk = MemoryDisk::new();
    let options = Options { segment_bytes: 8 << 20, blob_bytes_min: 4 << 20, ..relaxed() };
    let (mut store, mut writer, _) = Store::open(disk.clone(), options).unwrap();
    fill(&mut store, &mut writer, 1..65, 1 << 20);
    assert_eq!(store.stats().syncs, 0);
    fill(&mut store, &mut writer, 65..67, 1 << 20);
    assert_eq!(store.stats().syncs, 1);
}

#[test]
fn each_life_that_may_have_lost_something_is_counted_until_something_is_stored_or_the_end_is_clean() {
    let disk = MemoryDisk::new();
    let (mut store, mut writer, _) = open(&disk);
    fill(&mut store, &mut writer, 1..2, 10);
    sync(&store);
    drop((store, writer));
    for lives in 1..4 {
        let base = disk.copy();
        let (mut store, mut writer, recovery) = open(&disk);
        assert_eq!((recovery.sequence, recovery.lives_lost), (1, lives));
        fill(&mut store, &mut writer, 2..3, 10);
        drop((store, writer));
        // The loss of power left no trace of the group in the log.
        apply(&disk, &changes(&disk, &base, "/log/"));
    }
    let (_, _, recovery) = Store::open(disk.clone(), strict()).unwrap();
    assert_eq!(recovery.lives_lost, 4, "whatever durability the next life has");
}
