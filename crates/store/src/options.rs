//! What an operator or a simulation may set.

use std::time::Duration;

/// When a written group may be acknowledged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// Once it is synced.
    #[default]
    Fsync,
    /// Once it is written. A sync begins at most so much later: a loss of power takes what was acknowledged since the
    /// last one, the end of a process nothing.
    Interval(Duration),
}

impl Durability {
    /// Whether groups are acknowledged before they are synced.
    pub fn is_relaxed(self) -> bool {
        self != Durability::Fsync
    }
}

/// Sizes and bounds of a store.
#[derive(Clone, Debug)]
pub struct Options {
    /// Folder of the shard inside the disk.
    pub folder: String,
    /// Length of a log segment in bytes. 64 MiB. A changed value holds for segments made from then on.
    pub segment_bytes: u64,
    /// How many prepared segments are kept ready, so that deletes still have room when the disk is full. 1.
    pub reserve_segments: usize,
    /// Largest overlay before producers are refused, in bytes. 256 MiB.
    pub overlay_bytes_max: usize,
    /// Page cache of the tables in bytes. 128 MiB.
    pub table_cache_bytes: usize,
    /// How many bytes of recent groups are kept to read bodies from. 64 MiB.
    pub body_cache_bytes: usize,
    /// A checkpoint is due when the log has grown by so many bytes since the last. 512 MiB.
    pub checkpoint_log_bytes: u64,
    /// A checkpoint is due when the overlay has so many bytes. Half of `overlay_bytes_max`.
    pub checkpoint_overlay_bytes: usize,
    /// How many bytes of rows read from the tables are kept, half of them as ranges and half as single rows. Some
    /// thousand single rows and some dozen ranges are kept in any case. 32 MiB.
    pub window_bytes_max: usize,
    /// Length of the ballast file that is given up when the tables find the disk full, in bytes. 16 MiB.
    pub reserve_bytes: u64,
    /// Bodies of more than so many bytes go to blob segments. 64 KiB.
    pub blob_bytes_min: usize,
    /// Length of a blob segment in bytes; a longer body has one of its own. 64 MiB.
    pub blob_segment_bytes: u64,
    /// When a written group may be acknowledged. After its sync.
    pub durability: Durability,
    /// Goes into every checksum of the log, so that the content of a message cannot pass for a record. Used when the
    /// directory is created and kept in it; should be random, and fixed in a simulation. 0.
    pub salt: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            folder: "shards/0000".to_owned(),
            segment_bytes: 64 << 20,
            reserve_segments: 1,
            overlay_bytes_max: 256 << 20,
            table_cache_bytes: 128 << 20,
            body_cache_bytes: 64 << 20,
            checkpoint_log_bytes: 512 << 20,
            checkpoint_overlay_bytes: 128 << 20,
            window_bytes_max: 32 << 20,
            reserve_bytes: 16 << 20,
            blob_bytes_min: 64 << 10,
            blob_segment_bytes: 64 << 20,
            durability: Durability::Fsync,
            salt: 0,
        }
    }
}
