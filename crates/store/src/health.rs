//! What a handle of the tables has come through: the B-tree does nothing more after the first failure that it meets.

use std::io;
use std::sync::atomic::{AtomicU8, Ordering};

/// How often a read of the tables is tried: a disk that fails it so often is not going to serve it.
pub(crate) const READS_TRIED: usize = 3;

/// The worst failure under one handle so far.
#[derive(Debug, Default)]
pub(crate) struct Health(AtomicU8);

/// What failed, from what changes nothing to what leaves the file in doubt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// A read. All that was written was written well.
    Read,
    /// A write, for want of room.
    Full,
    /// A write or a sync, otherwise: what the file holds is not known.
    Write,
}

impl Health {
    /// Takes note of a failure. Before the B-tree is told of it: who hears from the B-tree that it has failed finds here why.
    pub(crate) fn note(&self, failure: Failure) {
        self.0.fetch_max(failure as u8 + 1, Ordering::SeqCst);
    }

    /// What failed, if anything did.
    pub(crate) fn failure(&self) -> Option<Failure> {
        match self.0.load(Ordering::SeqCst) {
            0 => None,
            1 => Some(Failure::Read),
            2 => Some(Failure::Full),
            _ => Some(Failure::Write),
        }
    }

    /// An error once anything has failed.
    pub(crate) fn check(&self) -> io::Result<()> {
        match self.failure() {
            None => Ok(()),
            Some(Failure::Full) => Err(io::ErrorKind::StorageFull.into()),
            Some(Failure::Read | Failure::Write) => Err(io::Error::other("an earlier call for the tables failed")),
        }
    }
}
