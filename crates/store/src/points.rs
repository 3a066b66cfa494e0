//! Single keys of the tables that are in memory: their rows, and keys that have none.
//!
//! Keys that are hashes are asked for one by one, so a window for each would be mostly overhead. Points come and go by
//! generations: when the young one is full it becomes the old one, which is dropped whole.

use rustc_hash::FxHashMap;
use weir_core::kv::Key;

use crate::layer::Value;

/// A generation is kept until it has so many points, whatever its bytes: a command may need several thousand at once.
const GENERATION_MIN: usize = 4096;

/// What the tables have for a key: `None` for nothing, an empty value for a body.
type Point = Option<Value>;

/// Keys with what the tables have for them.
#[derive(Debug, Default)]
pub(crate) struct Points {
    young: Generation,
    old: Generation,
    pub(crate) evicted: u64,
}

/// Points of about the same age.
#[derive(Debug, Default)]
pub(crate) struct Generation {
    points: FxHashMap<Key, Point>,
    bytes: usize,
}

impl Points {
    /// What the tables have for `key`, where that is known.
    pub(crate) fn get(&self, key: &[u8]) -> Option<&Point> {
        self.young.points.get(key).or_else(|| self.old.points.get(key))
    }

    pub(crate) fn insert(&mut self, key: Key, point: Point, bytes_max: usize) {
        if self.young.bytes > bytes_max / 2 && self.young.points.len() >= GENERATION_MIN {
            self.evicted += self.old.points.len() as u64;
            self.old = std::mem::take(&mut self.young);
        }
        self.young.bytes += point_bytes(&key, &point);
        self.young.points.insert(key, point);
    }

    /// Forgets everything, and gives it to whoever has time to free it.
    pub(crate) fn take_all(&mut self) -> [Generation; 2] {
        [std::mem::take(&mut self.young), std::mem::take(&mut self.old)]
    }

    pub(crate) fn bytes(&self) -> usize {
        self.young.bytes + self.old.bytes
    }
}

/// About what a point takes, its part in the table included, which is on average two thirds full.
fn point_bytes(key: &Key, point: &Point) -> usize {
    let spilled = point.as_ref().filter(|value| value.spilled()).map_or(0, |value| value.capacity() + 16);
    size_of::<(Key, Point)>() * 3 / 2 + spilled + if key.spilled() { key.capacity() + 16 } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(n: u32) -> Key {
        Key::from_slice(&n.to_be_bytes())
    }

    #[test]
    fn what_was_loaded_last_stays_and_the_rest_goes_by_generations() {
        let mut points = Points::default();
        let count = 5 * GENERATION_MIN as u32;
        for n in 0..count {
            let point = (n % 2 == 0).then(|| Value::from_slice(&n.to_be_bytes()));
            points.insert(key(n), point, 1);
        }
        let known = (0..count).filter(|&n| points.get(&key(n)).is_some()).count();
        assert!((GENERATION_MIN..=2 * GENERATION_MIN).contains(&known), "{known} points are known");
        assert_eq!(points.evicted as usize, count as usize - known);
        assert_eq!(points.get(&key(count - 1)), Some(&None), "known to be absent");
        assert_eq!(points.get(&key(count - 2)), Some(&Some(Value::from_slice(&(count - 2).to_be_bytes()))));
        assert_eq!(points.get(&key(0)), None, "forgotten");
    }

    #[test]
    fn points_stay_while_their_bytes_fit() {
        let mut points = Points::default();
        for n in 0..3 * GENERATION_MIN as u32 {
            points.insert(key(n), None, 64 << 20);
        }
        assert!((0..3 * GENERATION_MIN as u32).all(|n| points.get(&key(n)).is_some()));
    }
}
