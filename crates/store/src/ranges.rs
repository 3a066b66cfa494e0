//! Sets of key ranges.

use std::collections::BTreeMap;
use std::ops::Bound;

use weir_core::kv::Key;

/// Disjoint ranges of keys, from inclusive to exclusive.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ranges {
    ends: BTreeMap<Key, Key>,
}

impl Ranges {
    /// Adds a range, joining it with those that it meets.
    pub(crate) fn insert(&mut self, from: &[u8], to: &[u8]) {
        if from >= to {
            return;
        }
        let (mut start, mut end) = (Key::from_slice(from), Key::from_slice(to));
        while let Some((at, reaches)) =
            self.ends.range::<[u8], _>((Bound::Unbounded, Bound::Included(&*end))).next_back()
            && *reaches >= start
        {
            let at = at.clone();
            if let Some(reaches) = self.ends.remove(&at) {
                end = end.max(reaches);
            }
            start = start.min(at);
        }
        self.ends.insert(start, end);
    }

    /// The end of the range that holds `key`.
    pub(crate) fn end_around(&self, key: &[u8]) -> Option<&Key> {
        if self.ends.is_empty() {
            return None;
        }
        let (_, end) = self.ends.range::<[u8], _>((Bound::Unbounded, Bound::Included(key))).next_back()?;
        (end.as_slice() > key).then_some(end)
    }

    pub(crate) fn contains(&self, key: &[u8]) -> bool {
        self.end_around(key).is_some()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Key, &Key)> {
        self.ends.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_that_meet_become_one() {
        let mut ranges = Ranges::default();
        ranges.insert(b"b", b"d");
        ranges.insert(b"f", b"h");
        ranges.insert(b"x", b"x");
        assert!(ranges.contains(b"b") && ranges.contains(b"cz") && !ranges.contains(b"d") && !ranges.contains(b"x"));
        ranges.insert(b"c", b"f");
        assert_eq!(ranges.iter().count(), 1);
        assert_eq!(ranges.end_around(b"d").map(Key::as_slice), Some(&b"h"[..]));
        ranges.insert(b"a", b"z");
        assert_eq!(ranges.iter().count(), 1);
        assert!(ranges.contains(b"a") && !ranges.contains(b"z"));
    }
}
