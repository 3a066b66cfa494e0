//! Reading and writing the state.

use std::cmp::Ordering;
use std::iter::Peekable;
use std::ops::ControlFlow;

use bytes::Bytes;
use weir_core::kv::{Key, Need, State, View};

use crate::disk::Disk;
use crate::layer::{Born, Entries, Entry, Layer, Position, Value};
use crate::ranges::Ranges;
use crate::store::Store;
use crate::tables::successor;
use crate::windows::{Row, Window};

/// Longest body that is kept in the overlay itself.
pub(crate) const SHORT_MAX: usize = 128;

/// Rows asked for when a scan comes to what is not in memory.
const SCAN_ROWS: usize = 1024;

/// What the tables hold can only be told by reading them.
struct NotInMemory;

impl<D: Disk> View for Store<D> {
    fn get(&self, key: &[u8], ahead: usize) -> Result<Option<&[u8]>, Need> {
        if let Some(entry) = self.overlay(key) {
            return Ok(entry.seen());
        }
        if !self.snapshot.may_hold(key) {
            return Ok(None);
        }
        match self.known(key) {
            Ok(row) => Ok(row),
            Err(NotInMemory) => Err(self.need(key, ahead)),
        }
    }

    fn scan(&self, from: &[u8], to: &[u8], row: &mut dyn FnMut(&[u8], &[u8]) -> ControlFlow<()>) -> Result<(), Need> {
        if from >= to {
            return Ok(());
        }
        let frozen = self.frozen.as_ref().map(|frozen| &*frozen.layer);
        if frozen.is_none() && !self.snapshot.may_hold_in(from, to) {
            for (key, entry) in self.active.range(from, Some(to)) {
                if let Some(value) = entry.seen()
                    && row(key, value).is_break()
                {
                    break;
                }
            }
            return Ok(());
        }
        let mut merge = Merge::new(&self.active, frozen, from, to);
        let mut at = Key::from_slice(from);
        while at.as_slice() < to {
            let (end, window) = match self.stretch(&at, to) {
                Ok(stretch) => stretch,
                Err(until) => {
                    self.misses.set(self.misses.get() + 1);
                    return Err(Need { from: at, to: until, rows: SCAN_ROWS });
                }
            };
            let rows = window.map_or(&[][..], |window| window.rows_from(&at));
            if merge.run(rows, &end, row).is_break() {
                return Ok(());
            }
            at = end;
        }
        Ok(())
    }
}

impl<D: Disk> Store<D> {
    /// What both layers of the overlay know of `key`; `None` where only the tables can tell.
    pub(crate) fn overlay(&self, key: &[u8]) -> Option<&Entry> {
        if let Some(entry) = self.active.get(key) {
            return Some(entry);
        }
        if self.active.masks.contains(key) {
            return Some(&Entry::Tombstone);
        }
        let frozen = &self.frozen.as_ref()?.layer;
        match frozen.get(key) {
            None if frozen.masks.contains(key) => Some(&Entry::Tombstone),
            found => found,
        }
    }

    /// What the tables hold for `key`, where that is in memory.
    fn known(&self, key: &[u8]) -> Result<Option<&[u8]>, NotInMemory> {
        match self.windows.around(key) {
            Some(window) => Ok(window.row(key).map(Row::seen)),
            None => self.points.get(key).map(Option::as_deref).ok_or(NotInMemory),
        }
    }

    /// How far from `at` on it is known what the tables hold that counts: nothing, or the rows of a window.
    ///
    /// # Errors
    /// Where the stretch ends that must be loaded.
    fn stretch(&self, at: &[u8], to: &[u8]) -> Result<(Key, Option<&Window>), Key> {
        let to = Key::from_slice(to);
        let Some((min, max)) = self.snapshot.next_rows(at) else { return Ok((to, None)) };
        if min.as_slice() > at {
            return Ok((min.clone().min(to), None));
        }
        let masked = self.active.masks.end_around(at);
        let masked = masked.max(self.frozen.as_ref().and_then(|frozen| frozen.layer.masks.end_around(at)));
        if let Some(end) = masked {
            return Ok((end.clone().min(to), None));
        }
        let end = successor(max).min(to);
        match self.windows.around(at) {
            Some(window) => Ok((window.to.clone().min(end), Some(window))),
            None => Err(end),
        }
    }

    /// Whether a layer below the active one, or the tables, may hold `key`.
    fn older_may_hold(&self, key: &[u8]) -> bool {
        if self.frozen.is_none() && self.snapshot.families.is_empty() {
            return false;
        }
        if self.active.masks.contains(key) {
            return false;
        }
        if let Some(frozen) = &self.frozen {
            match frozen.layer.get(key) {
                Some(Entry::Tombstone) => return false,
                Some(_) => return true,
                None if frozen.layer.masks.contains(key) => return false,
                None => {}
            }
        }
        self.snapshot.may_hold(key) && self.known(key).map_or(true, |row| row.is_some())
    }

    fn older_may_hold_in(&self, from: &[u8], to: &[u8]) -> bool {
        let frozen = self.frozen.as_ref().is_some_and(|frozen| frozen.layer.range(from, Some(to)).next().is_some());
        frozen || self.snapshot.may_hold_in(from, to)
    }

    /// Applies a write to the overlay.
    pub(crate) fn apply_put(&mut self, key: &[u8], value: &[u8], born: Born) {
        self.active.put(key, Entry::Inline(Value::from_slice(value), born));
    }

    /// Applies the writing of a body, which stands at offset `at` of the record `sequence`, to the overlay.
    pub(crate) fn apply_body(&mut self, key: &[u8], body: &[u8], sequence: u64, at: usize, born: Born) {
        self.active.put(key, body_entry(body, sequence, at, born));
    }

    pub(crate) fn apply_delete(&mut self, key: &[u8]) {
        if self.active.remove_born(key) {
            return;
        }
        if self.older_may_hold(key) {
            self.active.put(key, Entry::Tombstone);
        } else {
            self.active.remove(key);
        }
    }

    pub(crate) fn apply_delete_range(&mut self, from: &[u8], to: &[u8]) {
        if from >= to {
            return;
        }
        self.active.remove_range(from, to);
        if self.older_may_hold_in(from, to) {
            self.active.mask(from, to);
        }
    }
}

impl<D: Disk> State for Store<D> {
    fn put(&mut self, key: &[u8], value: &[u8]) {
        self.batch.put(key, value);
        self.apply_put(key, value, false);
    }

    fn insert(&mut self, key: &[u8], value: &[u8]) {
        self.batch.put(key, value);
        self.apply_put(key, value, true);
    }

    fn insert_bulk(&mut self, key: &[u8], parts: &[&[u8]]) {
        let len: usize = parts.iter().map(|part| part.len()).sum();
        if len > self.options.blob_bytes_min {
            return self.insert_blob(key, parts.concat().into());
        }
        self.batch.put_bulk(key, parts);
        let at = self.batch.len() - len;
        let body = self.batch.bytes().get(at..).expect("the body was just written there");
        self.active.put(key, body_entry(body, self.sealed + 1, at, true));
    }

    fn delete(&mut self, key: &[u8]) {
        self.batch.delete(key);
        self.apply_delete(key);
    }

    fn delete_range(&mut self, from: &[u8], to: &[u8]) {
        if from < to {
            self.batch.delete_range(from, to);
            self.apply_delete_range(from, to);
        }
    }
}

impl<D: Disk> Store<D> {
    /// A body for a blob segment. The batch only refers to it.
    fn insert_blob(&mut self, key: &[u8], body: Bytes) {
        let blob = self.shared.blobs.place(self.sealed + 1, key, body);
        let reference = blob.reference;
        self.batch.put_reference(key, &reference.encode());
        self.blob_bytes += blob.body.len();
        self.unsynced_blobs.insert((reference.segment, reference.offset), (blob.sequence, blob.body.clone()));
        self.blobs.push(blob);
        self.active.put(key, Entry::Blob(reference, true));
    }
}

fn body_entry(body: &[u8], sequence: u64, at: usize, born: Born) -> Entry {
    if body.len() <= SHORT_MAX {
        Entry::Short(Value::from_slice(body), born)
    } else {
        let (at, len, checksum) = (at as u32, body.len() as u32, crc32c::crc32c(body));
        Entry::Bulk(Position { sequence, at, len, checksum }, born)
    }
}

type Each<'a> = &'a mut dyn FnMut(&[u8], &[u8]) -> ControlFlow<()>;

/// The two layers of the overlay, walked together.
struct Merge<'a> {
    active: Peekable<Entries<'a>>,
    frozen: Option<Peekable<Entries<'a>>>,
    active_masks: &'a Ranges,
    frozen_masks: Option<&'a Ranges>,
}

impl<'a> Merge<'a> {
    fn new(active: &'a Layer, frozen: Option<&'a Layer>, from: &[u8], to: &[u8]) -> Self {
        Self {
            active: active.range(from, Some(to)).peekable(),
            frozen: frozen.map(|layer| layer.range(from, Some(to)).peekable()),
            active_masks: &active.masks,
            frozen_masks: frozen.map(|layer| &layer.masks),
        }
    }

    /// Whether the rows of the tables do not count at `key`.
    fn masked(&self, key: &[u8]) -> bool {
        self.active_masks.contains(key) || self.frozen_masks.is_some_and(|masks| masks.contains(key))
    }

    /// Calls `row` for what is below `end`: the newest of both layers and the tables' `rows`.
    fn run(&mut self, rows: &[Row], end: &[u8], row: Each<'_>) -> ControlFlow<()> {
        let mut rows = rows.iter().take_while(|row| row.key.as_slice() < end).peekable();
        loop {
            let active = self.active.peek().map(|(key, _)| *key).filter(|key| *key < end);
            let frozen = self.frozen.as_mut().and_then(Peekable::peek).map(|(key, _)| *key);
            let frozen = frozen.filter(|key| *key < end);
            let table = rows.peek().map(|row| row.key.as_slice());
            let Some(next) = [active, frozen, table].into_iter().flatten().min() else {
                return ControlFlow::Continue(());
            };
            let (is_active, is_frozen) = (active == Some(next), frozen == Some(next));
            let is_table = table.is_some_and(|key| key.cmp(next) == Ordering::Equal);
            let from_table = if is_table { rows.next() } else { None };
            let from_frozen = if is_frozen { self.frozen.as_mut().and_then(Iterator::next) } else { None };
            let from_active = if is_active { self.active.next() } else { None };
            let seen = match (from_active, from_frozen, from_table) {
                (Some((key, entry)), _, _) => entry.seen().map(|value| (key, value)),
                (None, Some((key, entry)), _) if !self.active_masks.contains(key) => {
                    entry.seen().map(|value| (key, value))
                }
                (None, None, Some(row)) if !self.masked(&row.key) => Some((row.key.as_slice(), row.seen())),
                _ => None,
            };
            if let Some((key, value)) = seen
                && row(key, value).is_break()
            {
                return ControlFlow::Break(());
            }
        }
    }
}
