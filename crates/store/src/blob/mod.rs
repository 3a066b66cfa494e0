//! Blob segments: files of long bodies, which neither the log nor the tables carry through their own pages.
//!
//! A body is appended to the newest blob segment and synced before the group that refers to it is written, so a group in
//! the log vouches for its blobs. The tables count how much of each segment is still referred to: one that is
//! referred to no more is removed, one that mostly is not is rewritten.

mod counts;
mod frame;
mod output;
mod segment;
mod segments;

pub(crate) use counts::{Count, Counts};
pub(crate) use frame::Reference;
pub(crate) use output::Output;
pub(crate) use segment::{BlobFile, Segment};
pub(crate) use segments::{Blob, Blobs};
