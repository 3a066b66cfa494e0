//! A log in memory: the contract in its simplest form.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

use super::contract::{Appended, Log};
use crate::error::StoreError;

/// A log that lives as long as its clones, each of which may be an owner.
#[derive(Clone, Debug, Default)]
pub struct MemoryLog {
    kept: Arc<Mutex<Kept>>,
}

#[derive(Debug, Default)]
struct Kept {
    records: BTreeMap<u64, (u64, Bytes)>,
    last: u64,
    epoch: u64,
    snapshot: u64,
}

impl MemoryLog {
    /// An empty log.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Log for MemoryLog {
    fn append(&mut self, epoch: u64, sequence: u64, record: Bytes) -> Appended {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if epoch < kept.epoch {
            return Appended::Fenced { newer: kept.epoch };
        }
        if sequence != kept.last + 1 {
            return Appended::Unknown(StoreError::Poisoned {
                reason: format!("record {sequence} appended behind {}", kept.last),
            });
        }
        kept.epoch = epoch;
        kept.last = sequence;
        kept.records.insert(sequence, (epoch, record));
        Appended::Committed
    }

    fn read(&self, from: u64, each: &mut dyn FnMut(u64, u64, Bytes)) -> Result<(), StoreError> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let first = kept.records.keys().next().copied().unwrap_or(kept.last + 1);
        if from < first {
            return Err(StoreError::broken(format!("record {from} was trimmed, the first is {first}")));
        }
        for (sequence, (epoch, record)) in kept.records.range(from..) {
            each(*epoch, *sequence, record.clone());
        }
        Ok(())
    }

    fn trim(&mut self, before: u64) -> Result<(), StoreError> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let before = before.min(kept.snapshot + 1);
        kept.records = kept.records.split_off(&before);
        Ok(())
    }

    fn put_snapshot(&mut self, sequence: u64) -> Result<(), StoreError> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.snapshot = kept.snapshot.max(sequence);
        Ok(())
    }

    fn latest_snapshot(&self) -> Result<u64, StoreError> {
        Ok(self.kept.lock().unwrap_or_else(PoisonError::into_inner).snapshot)
    }
}
