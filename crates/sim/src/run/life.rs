//! The shard between one opening and its end.

use weir_core::Time;
use weir_shard::{Done, Driver, Work};
use weir_store::{Backup, LogWriter};

use crate::disk::SimDisk;
use crate::inbox::Responder;
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
    /// The copy that was asked for.
    pub(crate) copy: Option<Backup>,
}

impl Life {
    pub(crate) fn new(driver: Driver<SimDisk, Responder>, writer: LogWriter<SimDisk>) -> Self {
        Self { driver, writer, work: Vec::new(), done: Vec::new(), loads: 0, copy: None }
    }

    /// Takes all the work that there is.
    pub(crate) fn gather(&mut self, now: u64) {
        self.copy = self.driver.take_backup().or(self.copy.take());
        while let Some(work) = self.driver.poll_work(Time(now)) {
            self.loads += usize::from(matches!(work, Work::Load(_)));
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
        self.driver.done(Time(now), done);
        true
    }
}
