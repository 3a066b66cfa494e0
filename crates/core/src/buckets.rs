//! Rows that are forgotten together: those of deduplication and of attempts stand in buckets by the time at which they
//! were written, and a bucket goes as a whole once none of its rows counts any more.
//!
//! A bucket takes rows for as long as one counts, its *window*, and a minute at least. So a look-up has two or three
//! buckets to look in whatever the window, and the window may change: a longer one keeps what there is for longer, a
//! shorter one closes the open bucket early.

use smallvec::SmallVec;

use crate::codec::{Reader, Unreadable, Writer};
use crate::time::Time;

const MINUTE_MS: u64 = 60_000;
/// So many buckets at most, however often the window changes: past that the newest stays open.
const BUCKETS_MAX: usize = 8;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Bucket {
    id: u64,
    /// When its first row may have been written.
    from: Time,
    /// When its last row was written.
    last: Time,
}

/// The buckets that may hold rows, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Buckets(Vec<Bucket>);

impl Buckets {
    /// The bucket that takes a row written at `now`.
    pub(crate) fn open(&mut self, now: Time, window_ms: u64) -> u64 {
        let id = self.would_open(now, window_ms);
        match self.0.last_mut() {
            Some(bucket) if bucket.id == id => bucket.last = now,
            _ => self.0.push(Bucket { id, from: now, last: now }),
        }
        id
    }

    /// Where rows that count at `now` may stand, newest bucket first. The bucket of the next row is among them, so that
    /// looking before a row is written and looking after it are the same.
    pub(crate) fn lookups(&self, now: Time, window_ms: u64) -> SmallVec<[u64; 4]> {
        let mut ids = SmallVec::from_iter([self.would_open(now, window_ms)]);
        for bucket in self.0.iter().rev().filter(|bucket| bucket.over(window_ms) > now) {
            if !ids.contains(&bucket.id) {
                ids.push(bucket.id);
            }
        }
        ids
    }

    /// When the first bucket is over; never if there is none.
    pub(crate) fn over(&self, window_ms: u64) -> Time {
        self.0.first().map_or(Time::NEVER, |bucket| bucket.over(window_ms))
    }

    /// Forgets the buckets that are over, and says which: from the first id up to and with the last.
    pub(crate) fn drop_over(&mut self, now: Time, window_ms: u64) -> Option<(u64, u64)> {
        let count = self.0.iter().take_while(|bucket| bucket.over(window_ms) <= now).count();
        let over: SmallVec<[Bucket; BUCKETS_MAX]> = self.0.drain(..count).collect();
        Some((over.first()?.id, over.last()?.id))
    }

    fn would_open(&self, now: Time, window_ms: u64) -> u64 {
        match self.0.last() {
            Some(last) if now.0 < last.from.0.saturating_add(length_ms(window_ms)) => last.id,
            Some(last) if self.0.len() >= BUCKETS_MAX => last.id,
            // No bucket is shorter than a minute, so none has the id of another.
            _ => now.0 / MINUTE_MS,
        }
    }

    pub(crate) fn write(&self, writer: &mut Writer) {
        writer.number(self.0.len() as u64);
        for bucket in &self.0 {
            writer.number(bucket.id);
            writer.time(bucket.from);
            writer.time(bucket.last);
        }
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, Unreadable> {
        let mut buckets = Vec::new();
        for _ in 0..reader.number()? {
            buckets.push(Bucket { id: reader.number()?, from: reader.time()?, last: reader.time()? });
        }
        Ok(Self(buckets))
    }

    /// The first form: the oldest and the newest of buckets of five minutes.
    pub(crate) fn read_v1(reader: &mut Reader<'_>) -> Result<Self, Unreadable> {
        const LENGTH_MS: u64 = 300_000;
        if reader.byte()? == 0 {
            return Ok(Self::default());
        }
        let (oldest, newest) = (reader.number()?, reader.number()?);
        let edge = |id: u64| Time(id.saturating_mul(LENGTH_MS));
        let bucket = |id: u64| Bucket { id, from: edge(id), last: edge(id.saturating_add(1)) };
        // Of those between, rows count in the newest two only; what is dropped is dropped as one range.
        let ids = SmallVec::<[u64; 3]>::from_iter([oldest, newest.saturating_sub(1).max(oldest), newest]);
        let mut buckets: Vec<Bucket> = ids.into_iter().map(bucket).collect();
        buckets.dedup();
        Ok(Self(buckets))
    }
}

impl Bucket {
    /// When none of its rows counts any more.
    fn over(&self, window_ms: u64) -> Time {
        Time(self.last.0.saturating_add(window_ms))
    }
}

/// For how long a bucket takes rows.
fn length_ms(window_ms: u64) -> u64 {
    window_ms.max(MINUTE_MS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_found_as_long_as_it_counts_and_its_bucket_goes_soon_after() {
        for window_ms in [1_000, 60_000, 300_000, 86_400_000] {
            let mut buckets = Buckets::default();
            let mut rows: Vec<(u64, u64)> = Vec::new();
            let mut at = 1_700_000_000_000;
            for step in 0..400_u64 {
                at += (step * 7_919 % 97) * window_ms / 200;
                buckets.drop_over(Time(at), window_ms);
                let found = buckets.lookups(Time(at), window_ms);
                for &(written, id) in rows.iter().filter(|(written, _)| at < written + window_ms) {
                    assert!(found.contains(&id), "a row of {written} is not found at {at}");
                }
                assert!(found.len() <= 3, "{found:?}");
                let id = buckets.open(Time(at), window_ms);
                assert_eq!(found[0], id);
                rows.push((at, id));
            }
        }
    }

    #[test]
    fn however_often_the_window_changes_there_are_few_buckets_and_nothing_that_counts_is_dropped() {
        let mut buckets = Buckets::default();
        let mut at = 1_700_000_000_000;
        let mut rows: Vec<(u64, u64)> = Vec::new();
        for step in 0..200_u64 {
            at += 61_000;
            let long = 30 * 86_400_000;
            let window_ms = if step % 2 == 0 { long } else { 1_000 };
            rows.push((at, buckets.open(Time(at), window_ms)));
            if step % 2 == 0 {
                buckets.drop_over(Time(at), long);
                let found = buckets.lookups(Time(at), long);
                assert!(rows.iter().all(|(_, id)| found.contains(id)));
            }
        }
        assert!(buckets.0.len() <= BUCKETS_MAX);
    }
}
