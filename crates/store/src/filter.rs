//! What the tables certainly do not hold: for keys that are hashes, which are mostly asked for and not there.
//!
//! A filter is a chain of Bloom filters, each longer than all before it, of which the last takes new keys. It is shared by
//! the thread that adds keys, before they are committed, and the one that asks: a bit too many only costs a read. Keys
//! that are removed stay in it until it is made anew.

use std::hash::Hasher;
use std::sync::atomic::{AtomicU64, Ordering};

use rustc_hash::FxHasher;

/// Keys of the first link: most families are small, and there may be many.
const FIRST_KEYS: usize = 1 << 8;
/// How much longer a link is than the one before.
const GROWTH: usize = 4;
/// Bits for a key, and how many of them it sets: of the keys that are absent, about one in a hundred is read for.
const BITS_A_KEY: usize = 10;
const PROBES: u64 = 5;

/// Keys that may be there.
#[derive(Clone, Debug, Default)]
pub(crate) struct Filter {
    links: Vec<std::sync::Arc<Link>>,
    added: usize,
    /// Those of the last link.
    last_added: usize,
}

/// One Bloom filter.
#[derive(Debug)]
struct Link {
    words: Box<[AtomicU64]>,
    keys_max: usize,
}

impl Filter {
    /// Adds a key.
    pub(crate) fn add(&mut self, key: &[u8]) {
        let hash = hash(key);
        if self.holds(hash) {
            return;
        }
        if self.last_added >= self.links.last().map_or(0, |link| link.keys_max) {
            let keys = self.links.last().map_or(FIRST_KEYS, |link| link.keys_max * GROWTH);
            self.links.push(Link::new(keys).into());
            self.last_added = 0;
        }
        self.added += 1;
        self.last_added += 1;
        if let Some(link) = self.links.last() {
            link.add(hash);
        }
    }

    pub(crate) fn may_hold(&self, key: &[u8]) -> bool {
        self.holds(hash(key))
    }

    fn holds(&self, hash: u64) -> bool {
        self.links.iter().rev().any(|link| link.may_hold(hash))
    }

    /// Keys added, those included that were removed since.
    pub(crate) fn added(&self) -> usize {
        self.added
    }

    pub(crate) fn bytes(&self) -> usize {
        self.links.iter().map(|link| link.words.len() * 8).sum()
    }
}

impl Link {
    fn new(keys_max: usize) -> Self {
        let words = (keys_max * BITS_A_KEY).div_ceil(64);
        Self { words: std::iter::repeat_with(AtomicU64::default).take(words).collect(), keys_max }
    }

    /// The words and bits of a hash.
    fn places(&self, hash: u64) -> impl Iterator<Item = (&AtomicU64, u64)> {
        let bits = self.words.len() as u64 * 64;
        let step = hash.rotate_left(32) | 1;
        (0..PROBES).filter_map(move |probe| {
            // The upper half of the product spreads the hash over the bits without a division.
            let spread = u128::from(hash.wrapping_add(step.wrapping_mul(probe))) * u128::from(bits);
            let bit = (spread >> 64) as u64;
            Some((self.words.get(usize::try_from(bit / 64).ok()?)?, 1 << (bit % 64)))
        })
    }

    fn add(&self, hash: u64) {
        for (word, bit) in self.places(hash) {
            word.fetch_or(bit, Ordering::Relaxed);
        }
    }

    fn may_hold(&self, hash: u64) -> bool {
        self.places(hash).all(|(word, bit)| word.load(Ordering::Relaxed) & bit != 0)
    }
}

fn hash(key: &[u8]) -> u64 {
    let mut hasher = FxHasher::default();
    hasher.write(key);
    // Keys of one family differ in part of their bytes only: every bit of the hash is to depend on them.
    let mut hash = hasher.finish();
    hash = (hash ^ (hash >> 32)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    hash ^ (hash >> 29)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_knows_every_key_and_few_others_over_several_links() {
        let key = |n: u64| n.wrapping_mul(0x1234_5678_9ABC_DEF1).to_be_bytes();
        let count = 100 * FIRST_KEYS as u64;
        let mut filter = Filter::default();
        for n in 0..count {
            filter.add(&key(n));
        }
        assert_eq!(filter.links.len(), 5);
        assert!((0..count).all(|n| filter.may_hold(&key(n))), "a key is forgotten");
        let wrong = (count..2 * count).filter(|&n| filter.may_hold(&key(n))).count() as u64;
        assert!(wrong * 20 < count, "{wrong} of {count} keys that were never added");
    }
}
