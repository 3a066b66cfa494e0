//! What a log promises, whoever keeps it.

use bytes::Bytes;

use crate::error::StoreError;

/// How an append ended.
#[derive(Clone, Debug)]
pub enum Appended {
    /// The record is durable.
    Committed,
    /// A newer owner has appended: nothing was written, and nothing ever will be under this epoch.
    Fenced {
        /// The newer owner's epoch.
        newer: u64,
    },
    /// It is not known whether the record is durable. Only reading the log afresh can tell.
    Unknown(StoreError),
}

/// A shard's history: records with consecutive sequences, each atomic. One owner appends, known by its epoch, one
/// record at a time; a newer owner's first append shuts out all older ones.
pub trait Log: Send {
    /// Appends the record `sequence`, the one after the last, under `epoch`.
    fn append(&mut self, epoch: u64, sequence: u64, record: Bytes) -> Appended;

    /// Gives `each` the records from `from` on in order: epoch, sequence, bytes.
    ///
    /// # Errors
    /// What cannot be read, and a record that is missing between `from` and the end.
    fn read(&self, from: u64, each: &mut dyn FnMut(u64, u64, Bytes)) -> Result<(), StoreError>;

    /// Lets go of records before `before`, or of fewer; never of one that no durable snapshot covers.
    fn trim(&mut self, before: u64) -> Result<(), StoreError>;

    /// States that the effect of every record up to `sequence` is durable elsewhere. The statement is durable.
    fn put_snapshot(&mut self, sequence: u64) -> Result<(), StoreError>;

    /// The newest statement of [`Log::put_snapshot`]; 0 if there is none.
    fn latest_snapshot(&self) -> Result<u64, StoreError>;
}
