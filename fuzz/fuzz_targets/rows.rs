//! Stored rows: the engine opens over whatever the rows hold, or says which of them it cannot read.
#![no_main]

use std::collections::BTreeMap;

use libfuzzer_sys::fuzz_target;
use weir_core::kv::{Need, RowVisitor, View};
use weir_core::{Engine, Stop, Time};

/// Rows that are all in memory.
struct Rows(BTreeMap<Vec<u8>, Vec<u8>>);

impl View for Rows {
    fn get(&self, key: &[u8], _ahead: usize) -> Result<Option<&[u8]>, Need> {
        Ok(self.0.get(key).map(Vec::as_slice))
    }

    fn scan(&self, from: &[u8], to: &[u8], row: RowVisitor<'_>) -> Result<(), Need> {
        if from < to {
            for (key, value) in self.0.range(from.to_vec()..to.to_vec()) {
                if row(key, value).is_break() {
                    break;
                }
            }
        }
        Ok(())
    }
}

fuzz_target!(|bytes: &[u8]| {
    let mut rows = BTreeMap::new();
    let mut rest = bytes;
    // Namespace, space, kind, length of the rest of the key, length of the value; then these.
    while let [namespace, space, kind, key_len, value_len, tail @ ..] = rest {
        let (key_len, value_len) = (usize::from(key_len & 0x1F), usize::from(*value_len));
        let Some((key_end, tail)) = tail.split_at_checked(key_len) else { break };
        let Some((value, tail)) = tail.split_at_checked(value_len) else { break };
        let mut key = Vec::new();
        for number in [*namespace, *space] {
            // An ordered number: its length, then its digits.
            key.extend(if number == 0 { vec![0] } else { vec![1, number] });
        }
        key.push(*kind);
        key.extend_from_slice(key_end);
        rows.insert(key, value.to_vec());
        rest = tail;
    }
    match Engine::new().open(Time(1), &Rows(rows)) {
        Ok(()) | Err(Stop::Unreadable(_)) => {}
        Err(Stop::Need(needs)) => panic!("nothing is cold: {needs:?}"),
    }
});
