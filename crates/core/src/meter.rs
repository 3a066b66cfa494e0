//! What finished in a queue: ever, and minute by minute.
//!
//! The newest minute in which anything finished stands in the row of the queue's counters, which is written with each group
//! of commands anyhow. When another minute begins it joins those before it in a row of up to an hour, which is written then.
//! Nothing is read to count, and nothing happens while nothing finishes: a row begins anew after each start of the server,
//! and rows that are too old go when a new one begins.

use smallvec::SmallVec;

use crate::api::{Ends, MINUTES_KEPT};
use crate::codec::{Reader, Unreadable, Writer};
use crate::time::Time;

const VERSION: u8 = 1;
const WHAT: &str = "the minutes of a queue";
const MINUTE_MS: u64 = 60_000;
/// A row has no minute that is so much later than its first one.
pub(crate) const ROW_MINUTES: u64 = 60;

/// A minute, counted since 1970, and what finished in it.
pub(crate) type Minute = (u64, Ends);

/// Minutes in the order of time, under the first of them.
type Row = Vec<Minute>;

/// Counts what finishes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Meter {
    total: Ends,
    /// The newest minute in which anything finished.
    minute: u64,
    current: Ends,
    /// The minutes before it since the server started, as far as they are not in rows that are full.
    row: Row,
    /// Whether that differs from what is stored.
    is_changed: bool,
    /// Rows that are full, and still to be written.
    full: SmallVec<[Row; 1]>,
}

/// What is to be written.
#[derive(Debug, Default)]
pub(crate) struct Written {
    /// Rows, by their first minutes.
    pub(crate) rows: SmallVec<[(u64, Writer); 1]>,
    /// Rows that begin before this minute are not kept any more.
    pub(crate) kept_from: Option<u64>,
}

pub(crate) fn minute_of(at: Time) -> u64 {
    at.0 / MINUTE_MS
}

pub(crate) fn begin_of(minute: u64) -> Time {
    Time(minute.saturating_mul(MINUTE_MS))
}

impl Meter {
    /// A job was completed, or has failed.
    pub(crate) fn count(&mut self, now: Time, is_completed: bool) {
        let minute = minute_of(now);
        if minute != self.minute {
            self.close();
            self.minute = minute;
        }
        for ends in [&mut self.total, &mut self.current] {
            *(if is_completed { &mut ends.completed } else { &mut ends.failed }) += 1;
        }
    }

    /// The newest minute is over.
    fn close(&mut self) {
        let current = std::mem::take(&mut self.current);
        if current == Ends::default() {
            return;
        }
        if self.row.first().is_some_and(|(first, _)| self.minute >= first + ROW_MINUTES) {
            let row = std::mem::take(&mut self.row);
            self.full.extend(self.is_changed.then_some(row));
        }
        self.row.push((self.minute, current));
        self.is_changed = true;
    }

    pub(crate) fn total(&self) -> Ends {
        self.total
    }

    /// The minutes that may not be stored.
    pub(crate) fn newest(&self) -> impl Iterator<Item = Minute> {
        let current = Some((self.minute, self.current)).filter(|(_, ends)| *ends != Ends::default());
        self.full.iter().flatten().chain(&self.row).copied().chain(current)
    }

    /// What is to be written besides the counters.
    pub(crate) fn write_rows(&mut self) -> Written {
        let mut written = Written::default();
        if !std::mem::take(&mut self.is_changed) {
            return written;
        }
        for row in self.full.drain(..).chain([self.row.clone()]) {
            if let Some(&(first, _)) = row.first() {
                if row.len() == 1 {
                    written.kept_from = Some(first.saturating_sub(MINUTES_KEPT + ROW_MINUTES));
                }
                written.rows.push((first, write_row(&row)));
            }
        }
        written
    }

    /// What stands with the counters.
    pub(crate) fn write(&self, writer: &mut Writer) {
        write_ends(writer, self.total);
        writer.number(self.minute);
        write_ends(writer, self.current);
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, Unreadable> {
        let total = read_ends(reader)?;
        Ok(Self { total, minute: reader.number()?, current: read_ends(reader)?, ..Self::default() })
    }
}

fn write_ends(writer: &mut Writer, Ends { completed, failed }: Ends) {
    writer.number(completed);
    writer.number(failed);
}

fn read_ends(reader: &mut Reader<'_>) -> Result<Ends, Unreadable> {
    Ok(Ends { completed: reader.number()?, failed: reader.number()? })
}

fn write_row(row: &[Minute]) -> Writer {
    let mut writer = Writer::new(VERSION);
    writer.number(row.len() as u64);
    for &(minute, ends) in row {
        writer.number(minute);
        write_ends(&mut writer, ends);
    }
    writer
}

pub(crate) fn read_row(bytes: &[u8]) -> Result<Vec<Minute>, Unreadable> {
    let mut reader = Reader::new(WHAT, bytes, VERSION)?;
    let mut row = Row::new();
    for _ in 0..reader.number()? {
        row.push((reader.number()?, read_ends(&mut reader)?));
    }
    reader.end()?;
    Ok(row)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minute: u64) -> Time {
        Time(minute * MINUTE_MS + 7)
    }

    #[test]
    fn minutes_join_rows_of_an_hour_and_each_row_is_written_when_it_changes() {
        let mut meter = Meter::default();
        let mut rows = std::collections::BTreeMap::new();
        let mut write = |meter: &mut Meter| {
            let written = meter.write_rows();
            let count = written.rows.len();
            rows.extend(written.rows.into_iter().map(|(first, row)| (first, read_row(row.finish()).unwrap())));
            (count, written.kept_from)
        };
        meter.count(at(100_000), true);
        assert_eq!(write(&mut meter), (0, None), "the minute goes on");
        meter.count(at(100_001), false);
        meter.count(at(100_001), true);
        assert_eq!(write(&mut meter), (1, Some(100_000 - MINUTES_KEPT - ROW_MINUTES)));
        assert_eq!(write(&mut meter), (0, None), "nothing has changed");
        meter.count(at(100_059), true);
        assert_eq!(write(&mut meter), (1, None), "the row grows");
        meter.count(at(100_060), true);
        meter.count(at(100_500), true);
        assert_eq!(write(&mut meter).0, 2, "one row is full, and the next one begins");
        let ends = |completed, failed| Ends { completed, failed };
        let first = vec![(100_000, ends(1, 0)), (100_001, ends(1, 1)), (100_059, ends(1, 0))];
        assert_eq!(rows, [(100_000, first), (100_060, vec![(100_060, ends(1, 0))])].into());
        assert_eq!(meter.total(), ends(5, 1));
        assert_eq!(meter.newest().collect::<Vec<_>>(), [(100_060, ends(1, 0)), (100_500, ends(1, 0))]);
    }
}
