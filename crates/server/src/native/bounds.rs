//! Bounds that several operations share.

/// A thousand years in milliseconds: no longer time makes sense, and sums stay far from overflow.
pub(super) const LONGEST_MS: u64 = 1_000 * 366 * 86_400_000;
/// How long a request may wait, in milliseconds.
pub(super) const WAIT_MS_MAX: u64 = 3_600_000;
