//! A key as the overlay holds it: compared word by word, without a call. Nearly all that the overlay does is finding
//! keys, and most keys of a tree begin alike.

use std::cmp::Ordering;

use weir_core::kv::Key;

/// Longest key that is held in place.
const IN_PLACE_MAX: usize = 31;

/// A key in an order of bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RowKey {
    /// The first bytes, then zeros; at the end the length, or one more than the longest that is held in place. Where two
    /// keys begin alike up to the zeros of one of them, the shorter one is the first, as its length says.
    start: [u8; IN_PLACE_MAX + 1],
    /// The whole of a longer one.
    long: Option<Box<Key>>,
}

impl RowKey {
    #[inline]
    pub(crate) fn new(key: &[u8]) -> Self {
        let mut start = [0; IN_PLACE_MAX + 1];
        let long = if let Some(into) = start.get_mut(..key.len()).filter(|into| into.len() <= IN_PLACE_MAX) {
            into.copy_from_slice(key);
            None
        } else {
            for (into, byte) in start.iter_mut().zip(key) {
                *into = *byte;
            }
            Some(Box::new(Key::from_slice(key)))
        };
        let [.., len] = &mut start;
        *len = key.len().min(IN_PLACE_MAX + 1) as u8;
        Self { start, long }
    }

    #[inline]
    pub(crate) fn as_slice(&self) -> &[u8] {
        match &self.long {
            None => {
                let [.., len] = self.start;
                self.start.get(..usize::from(len)).unwrap_or_default()
            }
            Some(long) => long,
        }
    }

    /// What it takes beside itself.
    pub(crate) fn heap_bytes(&self) -> usize {
        self.long.as_ref().map_or(0, |long| size_of::<Key>() + if long.spilled() { long.capacity() } else { 0 })
    }

    #[inline]
    fn words(&self) -> [u64; 4] {
        let [a, b, c, d] = self.start.as_chunks().0 else {
            unreachable!("four times eight are the bytes of the start")
        };
        [u64::from_be_bytes(*a), u64::from_be_bytes(*b), u64::from_be_bytes(*c), u64::from_be_bytes(*d)]
    }
}

impl Ord for RowKey {
    #[inline]
    fn cmp(&self, other: &Self) -> Ordering {
        let ([a1, a2, a3, a4], [b1, b2, b3, b4]) = (self.words(), other.words());
        let words = a1.cmp(&b1).then(a2.cmp(&b2)).then(a3.cmp(&b3)).then(a4.cmp(&b4));
        words.then_with(|| self.long.cmp(&other.long))
    }
}

impl PartialOrd for RowKey {
    #[inline]
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn keys_sort_as_their_bytes_do(
            keys in prop::collection::vec(prop::collection::vec(0_u8..3, 0..40), 2..20),
            repeated in prop::collection::vec((0_u8..2, 0_usize..70), 2..20),
        ) {
            let repeated = repeated.into_iter().map(|(byte, len)| vec![byte; len]);
            let keys: Vec<Vec<u8>> = keys.into_iter().chain(repeated).collect();
            for a in &keys {
                let held = RowKey::new(a);
                prop_assert_eq!(held.as_slice(), a.as_slice());
                for b in &keys {
                    prop_assert_eq!(held.cmp(&RowKey::new(b)), a.cmp(b), "{:?} {:?}", a, b);
                }
            }
        }
    }
}
