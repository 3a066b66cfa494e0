//! How many ready messages of a queue have which priority, while these are few: counted as they come and go.

use smallvec::SmallVec;

use crate::codec::{Reader, Unreadable, Writer};

/// Different priorities that are counted. A queue that has more counts none of them until it has no ready message.
const COUNTED_MAX: usize = 64;

/// The counts, in the order of priorities.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Priorities {
    counts: SmallVec<[(u32, u64); 2]>,
    is_complete: bool,
}

impl Default for Priorities {
    fn default() -> Self {
        Self { counts: SmallVec::new(), is_complete: true }
    }
}

impl Priorities {
    /// What is not known.
    pub(crate) fn unknown() -> Self {
        Self { is_complete: false, ..Self::default() }
    }

    pub(crate) fn add(&mut self, priority: u32) {
        if !self.is_complete {
            return;
        }
        let is_full = self.counts.len() == COUNTED_MAX;
        match self.find(priority) {
            Ok((_, count)) => *count += 1,
            Err(_) if is_full => *self = Self::unknown(),
            Err(at) => self.counts.insert(at, (priority, 1)),
        }
    }

    /// One less has this priority, and so many are left of all.
    pub(crate) fn remove(&mut self, priority: u32, left: u64) {
        if left == 0 {
            *self = Self::default();
        } else if let Ok((at, count)) = self.find(priority) {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(at);
            }
        }
    }

    /// The count of a priority and where it stands, or where it would.
    fn find(&mut self, priority: u32) -> Result<(usize, &mut u64), usize> {
        let at = self.counts.partition_point(|&(counted, _)| counted < priority);
        match self.counts.get_mut(at) {
            Some((counted, count)) if *counted == priority => Ok((at, count)),
            _ => Err(at),
        }
    }

    /// The counts, if they are known.
    pub(crate) fn counts(&self) -> Option<&[(u32, u64)]> {
        self.is_complete.then_some(&*self.counts)
    }

    pub(crate) fn write(&self, writer: &mut Writer) {
        writer.byte(u8::from(self.is_complete));
        writer.number(self.counts.len() as u64);
        for &(priority, count) in &self.counts {
            writer.number(u64::from(priority));
            writer.number(count);
        }
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, Unreadable> {
        let mut priorities = Self { is_complete: reader.byte()? != 0, ..Self::default() };
        for _ in 0..reader.number()? {
            priorities.counts.push((reader.small()?, reader.number()?));
        }
        Ok(priorities)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn priorities_are_counted_while_they_are_few_and_again_when_none_is_left() {
        let mut priorities = Priorities::default();
        for priority in [7, 0, 7] {
            priorities.add(priority);
        }
        assert_eq!(priorities.counts(), Some(&[(0, 1), (7, 2)][..]));
        priorities.remove(0, 2);
        assert_eq!(priorities.counts(), Some(&[(7, 2)][..]));
        let mut writer = Writer::new(1);
        priorities.write(&mut writer);
        let mut reader = Reader::new("counts", writer.finish(), 1).unwrap();
        assert_eq!(Priorities::read(&mut reader).as_ref(), Ok(&priorities));
        for priority in 0..COUNTED_MAX as u32 {
            priorities.add(priority);
            priorities.add(priority);
        }
        assert_eq!(priorities.counts().unwrap().len(), COUNTED_MAX);
        priorities.add(1_000);
        assert_eq!(priorities.counts(), None);
        priorities.remove(1_000, 1);
        assert_eq!(priorities.counts(), None);
        priorities.remove(3, 0);
        priorities.add(5);
        assert_eq!(priorities.counts(), Some(&[(5, 1)][..]));
    }
}
