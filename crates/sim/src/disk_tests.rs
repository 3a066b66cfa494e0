use weir_store::disk::{Disk, DiskFile};

use super::{Faults, SimDisk};
use crate::rng::Rng;

fn disk() -> SimDisk {
    SimDisk::new(Rng::new(1, "faults"))
}

fn content(disk: &SimDisk, name: &str) -> Option<Vec<u8>> {
    let file = disk.open(name, false).ok()?;
    let mut bytes = vec![0; file.len().unwrap() as usize];
    file.read_at(&mut bytes, 0).unwrap();
    Some(bytes)
}

#[test]
fn synced_bytes_under_a_synced_name_survive_every_crash() {
    for seed in 0..100 {
        let disk = disk();
        let file = disk.open("a/b", true).unwrap();
        file.write_at(b"kept", 0).unwrap();
        file.sync().unwrap();
        disk.sync_names("a").unwrap();
        file.write_at(b"more", 4).unwrap();
        let after = disk.crash(&mut Rng::new(seed, "crash"));
        assert!(content(&after, "a/b").unwrap().starts_with(b"kept"));
        assert!(file.read_at(&mut [0], 0).is_err(), "a file of the old life is dead");
    }
}

#[test]
fn unsynced_writes_are_sometimes_kept_lost_torn_and_reordered() {
    let (mut kept, mut lost, mut torn, mut reordered) = (0, 0, 0, 0);
    for seed in 0..200 {
        let disk = disk();
        let file = disk.open("f", true).unwrap();
        disk.sync_names("").unwrap();
        file.write_at(&[1; 2048], 0).unwrap();
        file.write_at(&[2; 2048], 2048).unwrap();
        let bytes = content(&disk.crash(&mut Rng::new(seed, "crash")), "f").unwrap();
        let count = |of: u8| bytes.iter().map(|&byte| usize::from(byte == of)).sum::<usize>();
        let (first, second) = (count(1), count(2));
        kept += usize::from(first == 2048);
        lost += usize::from(first == 0);
        torn += usize::from(first > 0 && first < 2048);
        reordered += usize::from(first == 0 && second == 2048);
    }
    assert!(kept > 20 && lost > 20 && torn > 20 && reordered > 5, "{kept} {lost} {torn} {reordered}");
}

#[test]
fn names_and_renames_that_were_not_synced_may_be_lost() {
    let (mut old, mut new) = (0, 0);
    for seed in 0..50 {
        let disk = disk();
        for (name, byte) in [("x", 1), ("y", 2)] {
            let file = disk.open(name, true).unwrap();
            file.write_at(&[byte], 0).unwrap();
            file.sync().unwrap();
        }
        disk.sync_names("").unwrap();
        disk.rename("y", "x").unwrap();
        let after = disk.crash(&mut Rng::new(seed, "crash"));
        match (content(&after, "x"), content(&after, "y")) {
            (Some(x), Some(y)) if x == [1] && y == [2] => old += 1,
            (Some(x), None) if x == [2] => new += 1,
            other => panic!("a rename is whole or not at all: {other:?}"),
        }
    }
    assert!(old > 0 && new > 0);
}

#[test]
fn what_a_failed_sync_did_not_write_is_not_written_by_the_next() {
    let mut lost = 0;
    for seed in 0..50 {
        let disk = SimDisk::new(Rng::new(seed, "faults"));
        let file = disk.open("f", true).unwrap();
        disk.sync_names("").unwrap();
        file.write_at(b"x", 0).unwrap();
        disk.set_faults(Faults { syncs: 1_000_000, ..Faults::default() });
        assert!(file.sync().is_err());
        disk.set_faults(Faults::default());
        file.sync().unwrap();
        lost += usize::from(content(&disk.crash(&mut Rng::new(seed, "crash")), "f").unwrap().is_empty());
    }
    assert!(lost > 0 && lost < 50, "{lost}");
}

#[test]
fn a_full_disk_refuses_growth_and_allows_overwriting() {
    let disk = disk();
    let file = disk.open("f", true).unwrap();
    file.set_len(100).unwrap();
    disk.set_quota(Some(120));
    file.write_at(&[1; 100], 0).unwrap();
    assert_eq!(file.write_at(&[1; 100], 50).unwrap_err().kind(), std::io::ErrorKind::StorageFull);
    assert_eq!(file.set_len(121).unwrap_err().kind(), std::io::ErrorKind::StorageFull);
    disk.set_quota(None);
    file.set_len(121).unwrap();
}

#[test]
fn the_lock_is_exclusive_and_ends_with_its_guard_or_a_crash() {
    let disk = disk();
    let guard = disk.lock().unwrap();
    assert_eq!(disk.lock().unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    drop(guard);
    let stale = disk.lock().unwrap();
    let after = disk.crash(&mut Rng::new(1, "crash"));
    let guard = after.lock().unwrap();
    drop(stale);
    assert!(after.lock().is_err(), "the guard of a dead process frees nothing");
    drop(guard);
}

#[test]
fn a_machine_that_dies_leaves_the_last_write_half_done_and_answers_nothing_after() {
    let disk = disk();
    let file = disk.open("f", true).unwrap();
    disk.die_after(Some(2));
    file.write_at(b"a", 0).unwrap();
    assert!(!disk.is_dead());
    assert!(file.write_at(b"b", 1).is_err());
    assert!(disk.is_dead());
    assert!(file.sync().is_err() && file.len().is_err());
    let after = disk.crash(&mut Rng::new(3, "crash"));
    assert!(after.open("f", true).is_ok());
}
