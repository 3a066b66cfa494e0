//! The filters of a snapshot: one for each family of keys that are hashes.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use redb::{ReadableTable, Table};
use weir_core::kv::{Key, family, is_hashed, prefix_end};

use crate::error::StoreError;
use crate::filter::Filter;
use crate::layer::{Entry, Layer};

/// Most bytes of all filters of a shard. Past that, families go without: their absent keys are read for.
const BYTES_MAX: usize = 64 << 20;
/// Most rows that are read to make a filter for a family that is there already.
const READ_MAX: usize = 4 << 20;
/// A filter that was added so many keys since it was made, and as many times what it held then, is made anew, so that
/// what was removed goes out of it.
const ADDED_MIN: usize = 1 << 16;
const ADDED_TIMES: usize = 4;

/// By family. A family of hashes that is not here has too many rows, or was not looked at since opening.
#[derive(Clone, Debug, Default)]
pub(crate) struct Filters {
    families: BTreeMap<Key, Kept>,
}

#[derive(Clone, Debug)]
struct Kept {
    /// `None`: not worth its memory.
    filter: Option<Filter>,
    /// Keys in it when it was made.
    made_with: usize,
}

impl Filters {
    /// Whether there may be a row of `key`.
    pub(crate) fn may_hold(&self, key: &[u8]) -> bool {
        let family = family(key);
        if self.families.is_empty() || !is_hashed(family) {
            return true;
        }
        let filter = self.families.get(family).and_then(|kept| kept.filter.as_ref());
        filter.is_none_or(|filter| filter.may_hold(key))
    }

    /// Takes in what a layer writes. `rows` are those after it; `is_new` says of a family that it had none before.
    pub(crate) fn take(
        &mut self,
        layer: &Layer,
        touched: &BTreeSet<Key>,
        rows: &Table<'_, &'static [u8], &'static [u8]>,
        is_new: impl Fn(&[u8]) -> bool,
    ) -> Result<(), StoreError> {
        for prefix in touched.iter().filter(|prefix| is_hashed(prefix)) {
            let bytes: usize = self.families.values().filter_map(|kept| kept.filter.as_ref()).map(Filter::bytes).sum();
            if is_new(prefix) {
                self.families.insert(prefix.clone(), Kept { filter: Some(Filter::default()), made_with: 0 });
            }
            let kept = self.families.get_mut(prefix);
            let is_stale = |kept: &Kept| {
                let added = kept.filter.as_ref().map_or(0, Filter::added);
                added > ADDED_TIMES * kept.made_with.max(ADDED_MIN)
            };
            match kept {
                Some(kept) if !is_stale(kept) => {
                    let Some(filter) = &mut kept.filter else { continue };
                    for (key, entry) in of_family(layer, prefix) {
                        if !matches!(entry, Entry::Tombstone) {
                            filter.add(key);
                        }
                    }
                    if bytes > BYTES_MAX {
                        kept.filter = None;
                    }
                }
                _ => {
                    let filter = if bytes > BYTES_MAX { None } else { read(rows, prefix)? };
                    let made_with = filter.as_ref().map_or(0, Filter::added);
                    self.families.insert(prefix.clone(), Kept { filter, made_with });
                }
            }
        }
        Ok(())
    }

    /// Forgets the families that are no more.
    pub(crate) fn retain(&mut self, is_there: impl Fn(&[u8]) -> bool) {
        self.families.retain(|family, _| is_there(family));
    }
}

fn of_family<'a>(layer: &'a Layer, prefix: &[u8]) -> impl Iterator<Item = (&'a [u8], &'a Entry)> {
    layer.range(prefix, prefix_end(prefix).as_deref())
}

/// A filter of the rows that a family has; `None` if there are too many.
fn read(rows: &Table<'_, &'static [u8], &'static [u8]>, prefix: &[u8]) -> Result<Option<Filter>, StoreError> {
    let end = prefix_end(prefix);
    let to = end.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
    let mut filter = Filter::default();
    for (count, row) in rows.range::<&[u8]>((Bound::Included(prefix), to)).map_err(StoreError::tables)?.enumerate() {
        if count >= READ_MAX {
            return Ok(None);
        }
        filter.add(row.map_err(StoreError::tables)?.0.value());
    }
    Ok(Some(filter))
}
