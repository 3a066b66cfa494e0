//! A file that only takes up room, to be given up when something that must be written finds the disk full.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::disk::{Disk, DiskFile};

/// The ballast of one purpose. It is made again, as part of the upkeep, once it was given up and there is room.
#[derive(Debug)]
pub(crate) struct Ballast<D: Disk> {
    disk: D,
    name: String,
    len: u64,
    state: Mutex<State>,
    /// It was never tried to make it.
    due: AtomicBool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Not needed yet.
    Unwanted,
    /// It should be there and is not.
    Missing,
    There,
}

impl<D: Disk> Ballast<D> {
    pub(crate) fn new(disk: D, name: String, len: u64) -> Self {
        Self { disk, name, len, state: Mutex::new(State::Unwanted), due: AtomicBool::new(false) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on it should be there.
    pub(crate) fn want(&self) {
        let mut state = self.state();
        if *state == State::Unwanted && self.len > 0 {
            *state = State::Missing;
            self.due.store(true, Ordering::Release);
        }
    }

    /// Whether it should be there and [`Ballast::keep`] was not called since that is so.
    pub(crate) fn is_due(&self) -> bool {
        self.due.load(Ordering::Acquire)
    }

    /// Whether it was given up, or found no room.
    pub(crate) fn is_missing(&self) -> bool {
        !self.is_due() && *self.state() == State::Missing
    }

    /// Makes it if it should be there and is not.
    ///
    /// # Errors
    /// A disk without room for it goes without.
    pub(crate) fn keep(&self) -> io::Result<()> {
        let mut state = self.state();
        self.due.store(false, Ordering::Release);
        if *state != State::Missing {
            return Ok(());
        }
        match self.fill() {
            Ok(()) => *state = State::There,
            Err(error) => {
                // What was written of it takes the room that others need.
                let _ = self.disk.remove(&self.name);
                return Err(error);
            }
        }
        Ok(())
    }

    /// Removes it, for the sake of something that needs its room. Says whether it was there.
    pub(crate) fn give_up(&self) -> io::Result<bool> {
        let mut state = self.state();
        if *state != State::There {
            return Ok(false);
        }
        *state = State::Missing;
        self.disk.remove(&self.name)?;
        Ok(true)
    }

    fn fill(&self) -> io::Result<()> {
        let file = self.disk.open(&self.name, true)?;
        let mut at = 0;
        if file.len()? >= self.len {
            return Ok(());
        }
        let zeros = vec![0; usize::try_from(self.len.min(1 << 20)).unwrap_or(1 << 20)];
        while at < self.len {
            let part = (self.len - at).min(zeros.len() as u64);
            file.write_at(zeros.get(..part as usize).unwrap_or_default(), at)?;
            at += part;
        }
        file.sync()
    }
}
