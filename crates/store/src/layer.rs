//! A layer of the overlay: what was written since the layer below.

use std::collections::{BTreeMap, btree_map};
use std::ops::Bound;

use smallvec::SmallVec;

use crate::blob::Reference;
use crate::ranges::Ranges;
use crate::row_key::RowKey;

/// A value in memory. Small ones allocate nothing.
pub(crate) type Value = SmallVec<[u8; 40]>;

/// A body in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    /// The record.
    pub(crate) sequence: u64,
    /// Offset in the record.
    pub(crate) at: u32,
    pub(crate) len: u32,
    /// CRC-32C of the body.
    pub(crate) checksum: u32,
}

/// What a layer holds for a key.
#[derive(Clone, Debug)]
pub(crate) enum Entry {
    /// The key is gone, whatever the layers below hold.
    Tombstone,
    /// A value that the engine reads.
    Inline(Value, Born),
    /// A body short enough to be kept.
    Short(Value, Born),
    /// A body.
    Bulk(Position, Born),
    /// A body in a blob segment.
    Blob(Reference, Born),
}

/// Whether a key is known to be absent from all layers below: its deletion then leaves no trace.
pub(crate) type Born = bool;

impl Entry {
    /// What the engine sees: `None` where the key is gone.
    pub(crate) fn seen(&self) -> Option<&[u8]> {
        match self {
            Entry::Tombstone => None,
            Entry::Inline(value, _) => Some(value),
            Entry::Short(..) | Entry::Bulk(..) | Entry::Blob(..) => Some(&[]),
        }
    }

    pub(crate) fn born(&self) -> Born {
        match self {
            Entry::Tombstone => false,
            Entry::Inline(_, born) | Entry::Short(_, born) | Entry::Bulk(_, born) | Entry::Blob(_, born) => *born,
        }
    }

    fn with_born(mut self, is: Born) -> Self {
        match &mut self {
            Entry::Tombstone => {}
            Entry::Inline(_, born) | Entry::Short(_, born) | Entry::Bulk(_, born) | Entry::Blob(_, born) => *born = is,
        }
        self
    }

    fn heap_bytes(&self) -> usize {
        match self {
            Entry::Inline(value, _) | Entry::Short(value, _) if value.spilled() => value.capacity() + MALLOC,
            _ => 0,
        }
    }
}

/// What the allocator adds to a block, about.
const MALLOC: usize = 16;
/// An entry's part in the nodes of the map. Keys that come in ascending order, as those of a backlog do, leave nodes behind
/// that are little more than half full.
const SLOT: usize = (size_of::<RowKey>() + size_of::<Entry>()) * 19 / 10;

/// Keys written, and ranges deleted, since the layer below.
#[derive(Debug, Default)]
pub(crate) struct Layer {
    map: BTreeMap<RowKey, Entry>,
    /// Ranges in which the layers below count as empty. Entries of the map are newer.
    pub(crate) masks: Ranges,
    pub(crate) bytes: usize,
}

impl Layer {
    pub(crate) fn len(&self) -> usize {
        self.map.len()
    }

    pub(crate) fn get(&self, key: &[u8]) -> Option<&Entry> {
        self.map.get(&RowKey::new(key))
    }

    /// The entries in the order of their keys.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&[u8], &Entry)> {
        self.map.iter().map(|(key, entry)| (key.as_slice(), entry))
    }

    /// Those from `from` (inclusive) to `to` (exclusive), which is not before it; all that follow where there is no end.
    pub(crate) fn range(&self, from: &[u8], to: Option<&[u8]>) -> Entries<'_> {
        let to = to.map_or(Bound::Unbounded, |to| Bound::Excluded(RowKey::new(to)));
        Entries(self.map.range((Bound::Included(RowKey::new(from)), to)))
    }

    /// Sets an entry. A key that was here before is as much born here as it was.
    pub(crate) fn put(&mut self, key: &[u8], entry: Entry) {
        self.bytes += entry.heap_bytes();
        match self.map.entry(RowKey::new(key)) {
            btree_map::Entry::Occupied(mut slot) => {
                let born = slot.get().born();
                let old = slot.insert(entry.with_born(born));
                self.bytes -= old.heap_bytes();
            }
            btree_map::Entry::Vacant(slot) => {
                self.bytes += SLOT + slot.key().heap_bytes();
                slot.insert(entry);
            }
        }
    }

    /// Removes an entry if the key was born here; says whether it was.
    pub(crate) fn remove_born(&mut self, key: &[u8]) -> bool {
        let btree_map::Entry::Occupied(slot) = self.map.entry(RowKey::new(key)) else { return false };
        if !slot.get().born() {
            return false;
        }
        let (key, old) = slot.remove_entry();
        self.bytes -= SLOT + old.heap_bytes() + key.heap_bytes();
        true
    }

    pub(crate) fn remove(&mut self, key: &[u8]) {
        self.remove_row(&RowKey::new(key));
    }

    fn remove_row(&mut self, key: &RowKey) {
        if let Some((key, old)) = self.map.remove_entry(key) {
            self.bytes -= SLOT + old.heap_bytes() + key.heap_bytes();
        }
    }

    pub(crate) fn remove_range(&mut self, from: &[u8], to: &[u8]) {
        let (from, to) = (RowKey::new(from), RowKey::new(to));
        while let Some((key, _)) = self.map.range(&from..&to).next() {
            let key = key.clone();
            self.remove_row(&key);
        }
    }

    /// Adds a mask.
    pub(crate) fn mask(&mut self, from: &[u8], to: &[u8]) {
        self.bytes += SLOT;
        self.masks.insert(from, to);
    }
}

/// The entries of a range, in the order of their keys.
#[derive(Debug)]
pub(crate) struct Entries<'a>(btree_map::Range<'a, RowKey, Entry>);

impl<'a> Iterator for Entries<'a> {
    type Item = (&'a [u8], &'a Entry);

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next().map(|(key, entry)| (key.as_slice(), entry))
    }
}
