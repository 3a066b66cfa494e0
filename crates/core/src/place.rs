//! The place of a message in an order of delivery: its priority, then its rank among those of the same priority.
//!
//! Most stand by their id, first come first served. Those that were sent to be first stand before all of them, the
//! newest first: behind a zero, which is nobody's id, by the complement of their id.

use crate::gaps::Position;
use crate::kv::{KeyBuf, split_ordered};

/// A message's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) priority: u32,
    rank: u128,
}

impl Place {
    /// No place is before this one.
    pub(crate) const FIRST: Place = Place { priority: 0, rank: 0 };

    pub(crate) fn new(priority: u32, id: u64, lifo: bool) -> Self {
        let rank = if lifo { u128::from(!id) } else { u128::from(id) << 64 };
        Self { priority, rank }
    }

    /// Whose place it is.
    pub(crate) fn id(self) -> u64 {
        match (self.rank >> 64) as u64 {
            0 => !(self.rank as u64),
            id => id,
        }
    }

    pub(crate) fn is_lifo(self) -> bool {
        self.rank >> 64 == 0
    }

    pub(crate) fn position(self) -> Position {
        (u64::from(self.priority), self.rank)
    }

    /// Appends it to a key: two numbers, three where the second is zero.
    pub(crate) fn append(self, key: KeyBuf) -> KeyBuf {
        append(key, self.position())
    }

    /// The place that the bytes start with, and what follows it.
    pub(crate) fn split(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let (priority, rest) = split_ordered(bytes)?;
        let (id, rest) = split_ordered(rest)?;
        let priority = u32::try_from(priority).ok()?;
        if id > 0 {
            return Some((Self::new(priority, id, false), rest));
        }
        let (complement, rest) = split_ordered(rest)?;
        Some((Self::new(priority, !complement, true), rest))
    }
}

/// Appends a position to a key: the first that a row at it, or behind it, can have.
pub(crate) fn append(key: KeyBuf, (priority, rank): Position) -> KeyBuf {
    let key = key.number(priority);
    match ((rank >> 64) as u64, rank as u64) {
        (0, complement) => key.number(0).number(complement),
        (id, 0) => key.number(id),
        // Right behind an id, and behind whatever its key ends with, stands the next one.
        (id, _) => key.number(id.saturating_add(1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gaps::following;

    #[test]
    fn the_last_one_sent_to_be_first_comes_before_all_others_of_its_priority() {
        let mut places = Vec::new();
        for priority in [0, 1, 300] {
            let lifo = [u64::MAX - 1, 70_000, 256, 1].map(|id| Place::new(priority, id, true));
            let others = [1, 255, 256, 70_000, u64::MAX - 1].map(|id| Place::new(priority, id, false));
            places.extend(lifo.into_iter().chain(others));
        }
        assert!(places.is_sorted());
        let keys: Vec<KeyBuf> = places.iter().map(|place| place.append(KeyBuf::new())).collect();
        assert!(keys.is_sorted_by(|a, b| a.as_ref() as &[u8] < b.as_ref() as &[u8]));
        for (place, key) in places.iter().zip(&keys) {
            assert_eq!(Place::split(key), Some((*place, &[][..])));
            assert_eq!(place.is_lifo(), Place::new(place.priority, place.id(), true) == *place);
        }
        // What follows a place stands behind it, whatever its key ends with, and not behind the next one.
        for (pair, keys) in places.windows(2).zip(keys.windows(2)) {
            let next = append(KeyBuf::new(), following(pair[0].position()));
            assert!(keys[0].hash([u8::MAX; 16])[..] < next[..] && next[..] <= keys[1][..], "{pair:?}");
        }
    }
}
