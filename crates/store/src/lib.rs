//! Storage of Weir: a segment log, an overlay in memory, tables on disk, and recovery.
//!
//! Writes go to the overlay and, in groups, to the log; a checkpoint moves what is still alive into the tables. Nothing
//! here starts a thread or looks at a clock: every step that needs the disk is a value with a `run`, so that simulation
//! runs the very code that production does.

pub mod conformance;
pub mod disk;

mod backup;
mod ballast;
mod blob;
mod body;
mod checkpoint;
mod close;
mod compaction;
mod error;
mod file_disk;
mod filter;
mod filters;
mod format;
mod group;
mod health;
mod layer;
mod load;
mod log;
mod memory_disk;
mod note;
mod open;
mod options;
mod packing;
mod pages;
mod points;
mod poison;
mod ranges;
mod repair;
mod row_key;
mod shared;
mod snapshot;
mod stats;
mod store;
mod sync;
mod tables;
mod unchanging;
mod unsynced;
mod upkeep;
mod view;
mod windows;

pub use backup::{BackedUp, Backup};
pub use body::{Body, BodyLoad};
pub use checkpoint::{Checkpoint, CheckpointDone};
pub use error::{OpenError, StoreError};
pub use file_disk::{FileDisk, OsFile};
pub use group::{Group, LogWriter};
pub use load::{Load, Loaded};
pub use log::{Appended, Damage, Log, MemoryLog, SegmentLog, Torn};
pub use memory_disk::{MemoryDisk, MemoryFile};
pub use open::Recovery;
pub use options::{Durability, Options};
pub use repair::{Cut, Report, check, plan_repair, repair};
pub use stats::{Pressure, Stats};
pub use store::Store;
pub use sync::LogSync;
pub use upkeep::Upkeep;
