//! How much of each blob segment is referred to.

use std::collections::BTreeMap;

use super::frame::Reference;

/// What the tables know of a segment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Count {
    /// Bytes of the bodies that rows refer to.
    pub(crate) live: u64,
    /// Where the last body known to a checkpoint ends.
    pub(crate) end: u64,
}

/// The segments that the tables know of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) segments: BTreeMap<u64, Count>,
}

impl Counts {
    /// A row refers to a body.
    pub(crate) fn add(&mut self, reference: &Reference) {
        let count = self.segments.entry(reference.segment).or_default();
        count.live += u64::from(reference.len);
        count.end = count.end.max(reference.end());
    }

    /// A row refers to a body no more.
    pub(crate) fn remove(&mut self, reference: &Reference) {
        if let Some(count) = self.segments.get_mut(&reference.segment) {
            debug_assert!(count.live >= u64::from(reference.len), "a body is let go once");
            count.live = count.live.saturating_sub(u64::from(reference.len));
        }
    }

    /// Takes note of how far segments were written.
    pub(crate) fn extend(&mut self, ends: &[(u64, u64)]) {
        for &(segment, end) in ends {
            let count = self.segments.entry(segment).or_default();
            count.end = count.end.max(end);
        }
    }
}
