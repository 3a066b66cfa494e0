//! Writing entries to the tables so that their pages are full.
//!
//! A page into which one row too many is inserted is cut in the middle, so rows that come in ascending order, as those
//! of new messages do, leave half of every page empty for good. A run of new rows between two rows that are there is
//! therefore written through a cursor, which packs it into whole pages.

use std::iter::Peekable;
use std::ops::Bound;

use redb::{CursorError, CursorMut, ReadableTable, Table};
use weir_core::kv::Key;

use crate::error::StoreError;
use crate::layer::Entry;

type Rows<'txn> = Table<'txn, &'static [u8], &'static [u8]>;

/// What entries become in the tables.
pub(crate) trait Render {
    /// Makes the value of an entry; says `false` where there is none, because the key is gone.
    fn value(&mut self, entry: &Entry, value: &mut Vec<u8>) -> Result<bool, StoreError>;

    /// Takes note of a value that is no more.
    fn replaced(&mut self, old: &[u8]) -> Result<(), StoreError>;
}

/// Applies entries, which come in the order of their keys.
pub(crate) fn apply<'a>(
    rows: &mut Rows<'_>,
    entries: impl Iterator<Item = (&'a [u8], &'a Entry)>,
    render: &mut dyn Render,
) -> Result<(), StoreError> {
    let mut entries = entries.peekable();
    let mut value = Vec::new();
    while let Some((key, entry)) = entries.peek() {
        let next = first_from(rows, key)?;
        if next.as_deref() == Some(*key) {
            let old = if render.value(entry, &mut value)? {
                rows.insert(*key, value.as_slice()).map_err(StoreError::tables)?
            } else {
                rows.remove(*key).map_err(StoreError::tables)?
            };
            if let Some(old) = old {
                render.replaced(old.value())?;
            }
            entries.next();
        } else {
            fill_gap(rows, &mut entries, next.as_deref(), render)?;
        }
    }
    Ok(())
}

/// The first row from `key` on.
fn first_from(rows: &Rows<'_>, key: &[u8]) -> Result<Option<Key>, StoreError> {
    let from = (Bound::Included(key), Bound::Unbounded);
    let row = rows.range::<&[u8]>(from).map_err(StoreError::tables)?.next();
    Ok(row.transpose().map_err(StoreError::tables)?.map(|(key, _)| Key::from_slice(key.value())))
}

/// Writes the entries before the row `next`, none of which has a row.
fn fill_gap<'a>(
    rows: &mut Rows<'_>,
    entries: &mut Peekable<impl Iterator<Item = (&'a [u8], &'a Entry)>>,
    next: Option<&[u8]>,
    render: &mut dyn Render,
) -> Result<(), StoreError> {
    let Some((first, _)) = entries.peek() else { return Ok(()) };
    let mut cursor = rows.lower_bound_mut(Bound::Included(*first)).map_err(StoreError::tables)?;
    let mut value = Vec::new();
    while let Some((key, entry)) = entries.next_if(|(key, _)| next.is_none_or(|next| *key < next)) {
        if render.value(entry, &mut value)? {
            push(&mut cursor, key, &value)?;
        }
    }
    cursor.close().map_err(StoreError::tables)
}

/// Inserts a row at a cursor, behind all that were inserted there.
pub(crate) fn push(
    cursor: &mut CursorMut<'_, &'static [u8], &'static [u8]>,
    key: &[u8],
    value: &[u8],
) -> Result<(), StoreError> {
    cursor.insert_before(key, value).map_err(|error| match error {
        CursorError::Storage(error) => StoreError::tables(error),
        other => StoreError::broken(other.to_string()),
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use redb::backends::InMemoryBackend;
    use redb::{Database, ReadableTableMetadata, TableDefinition};

    use super::*;
    use crate::layer::Value;

    struct Plain;

    impl Render for Plain {
        fn value(&mut self, entry: &Entry, value: &mut Vec<u8>) -> Result<bool, StoreError> {
            value.clear();
            Ok(entry.seen().map(|seen| value.extend_from_slice(seen)).is_some())
        }

        fn replaced(&mut self, _old: &[u8]) -> Result<(), StoreError> {
            panic!("every row is new")
        }
    }

    #[test]
    fn rows_that_come_in_order_in_several_families_fill_their_pages() {
        let db = Database::builder().create_with_backend(InMemoryBackend::new()).unwrap();
        let txn = db.begin_write().unwrap();
        let mut rows = txn.open_table(TableDefinition::<&[u8], &[u8]>::new("rows")).unwrap();
        let key = |family: u8, n: u32| Key::from_slice(&[&[family][..], &n.to_be_bytes()].concat());
        let mut bytes = 0;
        for round in 0..5 {
            let mut entries = BTreeMap::new();
            for n in round * 1000..(round + 1) * 1000 {
                for (family, len) in [(1, 50), (2, 0), (3, 260)] {
                    bytes += 13 + len;
                    entries.insert(key(family, n), Entry::Inline(Value::from_elem(7, len), true));
                }
            }
            // What is deleted here was never in the tables.
            entries.insert(key(2, 1_000_000), Entry::Tombstone);
            apply(&mut rows, entries.iter().map(|(key, entry)| (key.as_slice(), entry)), &mut Plain).unwrap();
        }
        assert_eq!(rows.len().unwrap(), 15_000);
        let (pages, full) = (rows.stats().unwrap().leaf_pages(), bytes as u64 / 4096);
        assert!(pages * 100 < full * 115, "{pages} pages for the content of {full}");
    }
}
