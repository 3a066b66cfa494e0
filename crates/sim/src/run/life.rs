//! The shard between one opening and its end.

use std::collections::VecDeque;

use weir_core::Time;
use weir_shard::{Done, Driver, Work};
use weir_store::{Backup, Durability, LogWriter};

use crate::disk::SimDisk;
use crate::inbox::Responder;
use crate::model::Checked;
use crate::rng::Rng;

/// An open shard, the work that it gave out, and the results that it was not told yet.
#[derive(Debug)]
pub(crate) struct Life {
    pub(crate) driver: Driver<SimDisk, Responder>,
    pub(crate) writer: LogWriter<SimDisk>,
    pub(crate) work: Vec<Work<SimDisk>>,
    pub(crate) done: Vec<Done>,
    /// Loads that are not finished.
    pub(crate) loads: usize,
    /// Syncs that are not finished.
    syncs: usize,
    /// Groups that may be acknowledged and are not known to be synced, and since when.
    unsynced: VecDeque<(u64, u64)>,
    /// The copy that was asked for.
    pub(crate) copy: Option<Backup>,
}

impl Life {
    pub(crate) fn new(driver: Driver<SimDisk, Responder>, writer: LogWriter<SimDisk>) -> Self {
        Self {
            driver,
            writer,
            work: Vec::new(),
            done: Vec::new(),
            loads: 0,
            syncs: 0,
            unsynced: VecDeque::new(),
            copy: None,
        }
    }

    /// Takes all the work that there is.
    pub(crate) fn gather(&mut self, now: u64) {
        self.copy = self.driver.take_backup().or(self.copy.take());
        while let Some(work) = self.driver.poll_work(Time(now)) {
            self.loads += usize::from(matches!(work, Work::Load(_)));
            self.syncs += usize::from(matches!(work, Work::Sync(_)));
            self.work.push(work);
        }
    }

    /// Does one piece of work, any one. Says whether there was one.
    pub(crate) fn work(&mut self, rng: &mut Rng) -> bool {
        if self.work.is_empty() {
            return false;
        }
        let work = self.work.swap_remove(rng.index(self.work.len()));
        let done = work.run(Some(&mut self.writer));
        self.done.push(done);
        true
    }

    /// Tells the shard one result, any one. Says whether there was one.
    pub(crate) fn tell(&mut self, now: u64, rng: &mut Rng) -> bool {
        if self.done.is_empty() {
            return false;
        }
        let done = self.done.swap_remove(rng.index(self.done.len()));
        self.loads -= usize::from(matches!(done, Done::Loaded(..)));
        self.syncs -= usize::from(matches!(done, Done::Synced(..)));
        if let Done::Appended(group, Ok(())) = &done {
            self.unsynced.push_back((group.sequence(), now));
        }
        self.driver.done(Time(now), done);
        true
    }

    /// No group that may be acknowledged waits longer for its sync than it may.
    pub(crate) fn check_syncs(&mut self, now: u64, durability: Durability) -> Checked {
        self.gather(now);
        let synced = self.driver.synced();
        while self.unsynced.pop_front_if(|(sequence, _)| *sequence <= synced).is_some() {}
        let longest = match durability {
            Durability::Fsync => 0,
            Durability::Interval(interval) => interval.as_millis() as u64,
        };
        match self.unsynced.front() {
            Some((sequence, since)) if self.syncs == 0 && since + longest <= now => {
                Err(format!("group {sequence} was to be synced {} ms ago", now - since - longest))
            }
            _ => Ok(()),
        }
    }
}
