//! Storage of Weir: a segment log, an overlay in memory, tables on disk, and recovery.

pub mod disk;
