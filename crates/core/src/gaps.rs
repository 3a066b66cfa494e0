//! Stretches of an order that are known to be empty, so that a walk to its first row never visits what is gone.
//!
//! A consumed row may leave a tombstone in the store until the next checkpoint. Walking an order from its start would
//! visit all of them, again and again; a walk that jumps over the known gaps visits each once.

/// A position in an order: a number, and the rank behind it, see `place`.
pub(crate) type Position = (u64, u128);

/// So many gaps are remembered; past that the one latest in the order is forgotten, which costs time, not truth.
const GAPS_MAX: usize = 64;

/// The known gaps, each from its first position (inclusive) to its last (exclusive); sorted, apart from each other.
#[derive(Clone, Debug, Default)]
pub(crate) struct Gaps(Vec<(Position, Position)>);

impl Gaps {
    /// The first position from `at` on that may be occupied.
    pub(crate) fn skip(&self, at: Position) -> Position {
        let after = self.0.partition_point(|&(from, _)| from <= at);
        match after.checked_sub(1).and_then(|index| self.0.get(index)) {
            Some(&(_, to)) if at < to => to,
            _ => at,
        }
    }

    /// Where the walk from `at`, which is no gap, has to stop and skip again: the start of the next gap.
    pub(crate) fn next_gap(&self, at: Position) -> Option<Position> {
        let after = self.0.partition_point(|&(from, _)| from <= at);
        self.0.get(after).map(|&(from, _)| from)
    }

    /// A row now stands at `at`.
    pub(crate) fn occupy(&mut self, at: Position) {
        let after = self.0.partition_point(|&(from, _)| from <= at);
        let Some(index) = after.checked_sub(1) else { return };
        let Some(gap) = self.0.get_mut(index) else { return };
        let (from, to) = *gap;
        if at >= to {
            return;
        }
        let next = following(at);
        gap.1 = at;
        if next < to {
            self.0.insert(after, (next, to));
        }
        if from == at {
            self.0.remove(index);
        }
        self.0.truncate(GAPS_MAX);
    }

    /// Nothing stands from `from` (inclusive) to `to` (exclusive).
    pub(crate) fn clear(&mut self, from: Position, to: Position) {
        if from >= to {
            return;
        }
        let first = self.0.partition_point(|&(_, end)| end < from);
        let last = self.0.partition_point(|&(start, _)| start <= to);
        let merged = self
            .0
            .get(first..last)
            .unwrap_or_default()
            .iter()
            .fold((from, to), |all, gap| (all.0.min(gap.0), all.1.max(gap.1)));
        self.0.splice(first..last.max(first), [merged]);
        self.0.truncate(GAPS_MAX);
    }
}

/// The position right after `at`.
pub(crate) fn following(at: Position) -> Position {
    match at.1.checked_add(1) {
        Some(second) => (at.0, second),
        None => (at.0.saturating_add(1), 0),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_walk_over_gaps_finds_every_row_and_nothing_else() {
        // A small linear congruential generator: the same numbers every time.
        let mut seed = 7_u64;
        let mut draw = |bound: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) % bound
        };
        let mut gaps = Gaps::default();
        let mut rows = BTreeSet::new();
        for _ in 0..20_000 {
            let at = (draw(3), u128::from(draw(40)));
            if draw(2) == 0 {
                rows.insert(at);
                gaps.occupy(at);
            } else {
                let to = (at.0, at.1 + u128::from(draw(6)));
                rows.retain(|&row| row < at || row >= to);
                gaps.clear(at, to);
            }
            for &row in &rows {
                assert_eq!(gaps.skip(row), row, "a row stands in a gap");
            }
            assert!(gaps.0.windows(2).all(|pair| pair[0].1 < pair[1].0), "{:?}", gaps.0);
        }
    }

    #[test]
    fn adjoining_gaps_become_one() {
        let mut gaps = Gaps::default();
        gaps.clear((0, 0), (0, 5));
        gaps.clear((0, 5), (0, 9));
        assert_eq!(gaps.0, [((0, 0), (0, 9))]);
        gaps.occupy((0, 4));
        assert_eq!(gaps.skip((0, 0)), (0, 4));
        assert_eq!(gaps.next_gap((0, 4)), Some((0, 5)));
        gaps.clear((0, 4), (0, 5));
        assert_eq!(gaps.skip((0, 0)), (0, 9));
    }
}
