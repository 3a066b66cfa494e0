//! Figures of a store.

/// Whether producers should be refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pressure {
    /// All is well.
    None,
    /// The overlay is over its bound: checkpoints lag behind. Refuse producers for a while.
    Lagging,
    /// No room for another segment. Refuse producers; receiving and deleting go on in what is reserved.
    DiskFull,
}

/// Figures of a store, as they are now or since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Bytes of both layers of the overlay, about.
    pub overlay_bytes: usize,
    /// Keys and tombstones in both layers of the overlay.
    pub overlay_keys: usize,
    /// Bytes of the log since the last checkpoint.
    pub log_bytes: u64,
    /// Segments that hold records not yet trimmed.
    pub segments_live: usize,
    /// Segments to be recycled.
    pub segments_retired: usize,
    /// Prepared segments.
    pub segments_ready: usize,
    /// Windows of table rows in memory.
    pub windows: usize,
    /// Bytes of these.
    pub window_bytes: usize,
    /// Bytes of recent groups kept for their bodies.
    pub body_cache_bytes: usize,
    /// Stretches of keys that the tables hold rows in.
    pub families: usize,
    /// Groups sealed since opening.
    pub groups: u64,
    /// Groups that are acknowledged and not synced.
    pub unsynced_groups: u64,
    /// Syncs of acknowledged groups since opening.
    pub syncs: u64,
    /// Checkpoints finished since opening.
    pub checkpoints: u64,
    /// Entries that checkpoints moved to the tables since opening.
    pub spills: u64,
    /// Segments recycled since opening.
    pub recycles: u64,
    /// Bodies written to blob segments since opening.
    pub blobs: u64,
    /// Bodies moved to other blob segments since opening.
    pub blobs_moved: u64,
    /// Blob segments removed since opening.
    pub blob_segments_removed: u64,
    /// Groups replayed at opening.
    pub replays: u64,
    /// Loads taken in since opening.
    pub table_loads: u64,
    /// Loads since opening that came too late, after a checkpoint.
    pub stale_loads: u64,
    /// Loads of several rows taken in since opening.
    pub window_refills: u64,
    /// Windows dropped for want of room since opening.
    pub window_evictions: u64,
    /// Reads since opening that found their rows not in memory.
    pub misses: u64,
    /// Bodies since opening that had to be read from the log or the tables.
    pub body_loads: u64,
    /// Whether the disk was last found full.
    pub disk_full: bool,
}
