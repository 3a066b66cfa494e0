//! Rows of the tables that are in memory: ranges, each known in full.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::ops::Bound;

use weir_core::kv::Key;

use crate::layer::{Entry, Layer, Value};

/// A row of the tables. A body is not kept.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) key: Key,
    /// `None` for a body.
    pub(crate) value: Option<Value>,
}

impl Row {
    pub(crate) fn seen(&self) -> &[u8] {
        self.value.as_deref().unwrap_or_default()
    }
}

/// A range of keys with all rows that the tables have in it.
#[derive(Debug)]
pub(crate) struct Window {
    pub(crate) to: Key,
    pub(crate) rows: Vec<Row>,
    bytes: usize,
    used: Cell<u64>,
}

impl Window {
    fn new(to: Key, mut rows: Vec<Row>, used: u64) -> Self {
        // A window that was cut would keep the room of what it lost, which nobody counts.
        rows.shrink_to_fit();
        let bytes = size_of::<Window>() + rows.iter().map(row_bytes).sum::<usize>();
        Self { to, rows, bytes, used: Cell::new(used) }
    }

    /// The row of `key`.
    pub(crate) fn row(&self, key: &[u8]) -> Option<&Row> {
        let at = self.rows.binary_search_by(|row| row.key.as_slice().cmp(key)).ok()?;
        self.rows.get(at)
    }

    /// The rows from `from` on.
    pub(crate) fn rows_from(&self, from: &[u8]) -> &[Row] {
        let at = self.rows.partition_point(|row| row.key.as_slice() < from);
        self.rows.get(at..).unwrap_or_default()
    }
}

/// How many windows stay whatever their bytes: a command may need several at once.
const KEPT_MIN: usize = 32;

/// Disjoint windows.
#[derive(Debug, Default)]
pub(crate) struct Windows {
    map: BTreeMap<Key, Window>,
    bytes: usize,
    clock: Cell<u64>,
    pub(crate) evicted: u64,
}

impl Windows {
    pub(crate) fn len(&self) -> usize {
        self.map.len()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The window that covers `key`.
    pub(crate) fn around(&self, key: &[u8]) -> Option<&Window> {
        if self.map.is_empty() {
            return None;
        }
        let (_, window) = self.map.range::<[u8], _>((Bound::Unbounded, Bound::Included(key))).next_back()?;
        if window.to.as_slice() <= key {
            return None;
        }
        self.clock.set(self.clock.get() + 1);
        window.used.set(self.clock.get());
        Some(window)
    }

    /// Takes a range in; what was known of it before is replaced.
    pub(crate) fn insert(&mut self, from: Key, to: Key, rows: Vec<Row>, bytes_max: usize) {
        if from >= to {
            return;
        }
        self.clear(&from, &to);
        self.clock.set(self.clock.get() + 1);
        self.add(from, Window::new(to, rows, self.clock.get()));
        if self.bytes > bytes_max {
            self.evict(bytes_max);
        }
    }

    fn add(&mut self, from: Key, window: Window) {
        self.bytes += window.bytes;
        self.map.insert(from, window);
    }

    fn take(&mut self, from: &[u8]) -> Option<(Key, Window)> {
        let (from, window) = self.map.remove_entry(from)?;
        self.bytes -= window.bytes;
        Some((from, window))
    }

    /// Forgets what is known between `from` and `to`.
    fn clear(&mut self, from: &[u8], to: &[u8]) {
        while let Some((start, window)) = self.map.range::<[u8], _>((Bound::Unbounded, Bound::Excluded(to))).next_back()
            && window.to.as_slice() > from
        {
            let start = start.clone();
            let Some((start, window)) = self.take(&start) else { return };
            let Window { to: end, mut rows, used, .. } = window;
            let after = rows.split_off(rows.partition_point(|row| row.key.as_slice() < to));
            rows.truncate(rows.partition_point(|row| row.key.as_slice() < from));
            if end.as_slice() > to {
                self.add(Key::from_slice(to), Window::new(end, after, used.get()));
            }
            if start.as_slice() < from {
                self.add(start, Window::new(Key::from_slice(from), rows, used.get()));
            }
        }
    }

    /// Drops the windows that were not used for longest, down to three quarters of the bound.
    fn evict(&mut self, bytes_max: usize) {
        let mut by_use: Vec<(u64, Key)> =
            self.map.iter().map(|(from, window)| (window.used.get(), from.clone())).collect();
        by_use.sort_unstable_by(|a, b| b.cmp(a));
        while self.bytes > bytes_max / 4 * 3
            && by_use.len() > KEPT_MIN
            && let Some((_, from)) = by_use.pop()
        {
            self.take(&from);
            self.evicted += 1;
        }
    }

    /// Brings the windows up to date with a layer that has become part of the tables. A window in which more than a
    /// few rows changed is cut short instead: it is loaded again where it is used.
    pub(crate) fn apply(&mut self, layer: &Layer) {
        let mut budget = 4096_usize;
        let starts: Vec<Key> = self.map.keys().cloned().collect();
        for from in starts {
            let Some((from, window)) = self.take(&from) else { continue };
            let Window { mut to, rows, used, .. } = window;
            let mut changed = layer.range(&from, Some(&to));
            let mut fresh: Vec<(&[u8], &Entry)> = Vec::new();
            for (key, entry) in changed.by_ref().take(budget.min(1024)) {
                fresh.push((key, entry));
            }
            budget -= fresh.len();
            if let Some((beyond, _)) = changed.next() {
                to = Key::from_slice(beyond);
            }
            if from >= to {
                continue;
            }
            self.add(from, Window::new(to.clone(), merged(rows, &fresh, layer, &to), used.get()));
        }
    }
}

/// The rows below `to` with the changes of a layer applied.
fn merged(rows: Vec<Row>, fresh: &[(&[u8], &Entry)], layer: &Layer, to: &Key) -> Vec<Row> {
    let mut result = Vec::with_capacity(rows.len() + fresh.len());
    let mut fresh = fresh.iter().peekable();
    let push_fresh = |result: &mut Vec<Row>, key: &[u8], entry: &Entry| match entry {
        Entry::Tombstone => {}
        Entry::Inline(value, _) => result.push(Row { key: Key::from_slice(key), value: Some(value.clone()) }),
        Entry::Short(..) | Entry::Bulk(..) | Entry::Blob(..) => {
            result.push(Row { key: Key::from_slice(key), value: None });
        }
    };
    for row in rows {
        if row.key >= *to {
            break;
        }
        while let Some((key, entry)) = fresh.next_if(|(key, _)| *key < row.key.as_slice()) {
            push_fresh(&mut result, key, entry);
        }
        if let Some((key, entry)) = fresh.next_if(|(key, _)| *key == row.key.as_slice()) {
            push_fresh(&mut result, key, entry);
        } else if !layer.masks.contains(&row.key) {
            result.push(row);
        }
    }
    for (key, entry) in fresh {
        push_fresh(&mut result, key, entry);
    }
    result
}

fn row_bytes(row: &Row) -> usize {
    let spilled = row.value.as_ref().filter(|value| value.spilled()).map_or(0, |value| value.capacity() + 16);
    size_of::<Row>() + spilled + if row.key.spilled() { row.key.capacity() + 16 } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(n: u32) -> Key {
        Key::from_slice(&n.to_be_bytes())
    }

    #[test]
    fn a_window_that_is_cut_keeps_no_room_for_what_it_lost() {
        let rows = (0..4096).map(|n| Row { key: key(n), value: None }).collect();
        let mut windows = Windows::default();
        windows.insert(key(0), key(4096), rows, usize::MAX);
        windows.insert(key(10), key(4090), Vec::new(), usize::MAX);
        let kept: Vec<_> = windows.map.values().map(|window| window.rows.len()).collect();
        assert_eq!(kept, [10, 0, 6]);
        for window in windows.map.values() {
            assert!(window.rows.capacity() <= 2 * window.rows.len(), "room for {}", window.rows.capacity());
        }
    }
}
