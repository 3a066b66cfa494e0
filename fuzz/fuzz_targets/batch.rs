//! The writes of a log record: whatever the bytes, reading them ends, and what was read can be written again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use weir_core::kv::{Batch, Op, Ops};

fuzz_target!(|bytes: &[u8]| {
    let mut again = Batch::new();
    let mut whole = true;
    for op in Ops::new(bytes) {
        match op {
            Ok(Op::Put { key, value }) => again.put(key, value),
            Ok(Op::PutBulk { key, value, at }) => {
                assert_eq!(bytes.get(at..at + value.len()), Some(value));
                again.put_bulk(key, &[value]);
            }
            Ok(Op::PutReference { key, reference }) => again.put_reference(key, reference),
            Ok(Op::Delete { key }) => again.delete(key),
            Ok(Op::DeleteRange { from, to }) => again.delete_range(from, to),
            Err(malformed) => {
                assert!(malformed.at < bytes.len());
                whole = false;
            }
        }
    }
    let count = Ops::new(bytes).filter(Result::is_ok).count();
    assert_eq!(again.ops().filter(Result::is_ok).count(), count);
    assert!(again.ops().all(|op| op.is_ok()));
    // A length may be written longer than it needs to be, so bytes may shrink, and never grow.
    assert!(!whole || again.len() <= bytes.len());
});
