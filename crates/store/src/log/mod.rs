//! The log: what a shard's history is kept in, and the first implementation of it, segments on a disk.

mod contract;
mod frame;
mod memory;
mod reader;
mod segment;
mod segment_log;
mod segments;
mod writer;

pub use contract::{Appended, Log};
pub use memory::MemoryLog;
pub use reader::{Damage, Torn};
pub use segment_log::SegmentLog;

pub(crate) use reader::{End, Floor, Record, read, read_leniently};
pub(crate) use segment::{Segment, name as segment_name};
pub(crate) use segments::{Piece, Segments};
pub(crate) use writer::Writer;
