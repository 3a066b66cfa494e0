//! Recovery: a small data directory is damaged wherever the fuzzer likes. It opens whole, or with its last group cut off
//! and that said, or it is refused; never with less in silence.
#![no_main]

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use weir_core::Time;
use weir_core::kv::{State, View};
use weir_store::disk::{Disk, DiskFile};
use weir_store::{MemoryDisk, Options, Store};

type Content = BTreeMap<Vec<u8>, Vec<u8>>;

/// How many bytes of damage one input may do.
const PATCHES_MAX: usize = 64;

fn options() -> Options {
    Options { segment_bytes: 1024, reserve_bytes: 0, body_cache_bytes: 0, table_cache_bytes: 0, ..Options::default() }
}

/// A directory with a checkpoint and some groups after it; and the states after the last groups.
fn history() -> &'static (MemoryDisk, Vec<Content>) {
    static HISTORY: OnceLock<(MemoryDisk, Vec<Content>)> = OnceLock::new();
    HISTORY.get_or_init(|| {
        let disk = MemoryDisk::new();
        let (mut store, mut writer, _) = Store::open(disk.clone(), options()).expect("a new directory opens");
        let mut content = Content::new();
        let mut states = Vec::new();
        for n in 0..12_u8 {
            let key = vec![1, 1, 1, 1, 1, 1, n];
            store.insert(&key, &[n; 50]);
            content.insert(key, vec![n; 50]);
            if n > 6 {
                store.delete(&[1, 1, 1, 1, 1, 1, n - 6]);
                content.remove(&vec![1, 1, 1, 1, 1, 1, n - 6]);
            }
            let group = store.seal(Time(1)).expect("something was written");
            writer.append(&group).expect("memory takes it");
            store.committed(group.sequence());
            if n == 6 {
                let done = store.freeze().expect("there is something").run().expect("memory takes it");
                store.checkpointed(done);
            }
            if n >= 6 {
                states.push(content.clone());
            }
        }
        (disk, states)
    })
}

fuzz_target!(|bytes: &[u8]| {
    let (disk, states) = history();
    let disk = disk.copy();
    let names = disk.names();
    for patch in bytes.chunks_exact(5).take(PATCHES_MAX) {
        let &[file, high, middle, low, value] = patch else { continue };
        let Some(name) = names.get(usize::from(file & 0x7F) % names.len()) else { continue };
        let file_bytes = disk.open(name, false).expect("it was listed");
        let len = file_bytes.len().expect("it is in memory");
        if len == 0 {
            continue;
        }
        let at = u64::from(u32::from_be_bytes([0, high, middle, low])) % len;
        if file & 0x80 == 0 {
            file_bytes.write_at(&[value], at).expect("it is in memory");
        } else {
            let end = (at + 16 * (1 + u64::from(value))).min(len);
            file_bytes.write_at(&vec![0; (end - at) as usize], at).expect("it is in memory");
        }
    }
    let Ok((mut store, _writer, recovery)) = Store::open(disk, options()) else { return };
    let mut found = Content::new();
    loop {
        found.clear();
        let walked = store.scan(&[], &[255], &mut |key, value| {
            found.insert(key.to_vec(), value.to_vec());
            ControlFlow::Continue(())
        });
        match walked {
            Ok(()) => break,
            Err(need) if store.load_now(&need).is_ok() => {}
            Err(_) => return,
        }
    }
    let allowed = if recovery.torn.is_some() { states.len() } else { 1 };
    assert!(states.iter().rev().take(allowed).any(|state| *state == found), "silently other than what was written");
});
