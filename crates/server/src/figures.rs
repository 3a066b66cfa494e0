//! A shard's own measurements as figures of `/metrics`.

use std::time::Duration;

use weir_shard::{BUCKETS_US, Metrics};
use weir_store::Durability;

use crate::engine::{Figure, Figures, HistogramFigure};

/// What `metrics` says.
#[expect(clippy::cast_precision_loss, reason = "a figure of 2^53 and more may lose its last digit")]
pub(crate) fn of(metrics: &Metrics) -> Figures {
    let store = &metrics.store;
    let counter = |name, help, value: u64| Figure { name, help, is_counter: true, value: value as f64 };
    let gauge = |name, help, value: u64| Figure { name, help, is_counter: false, value: value as f64 };
    let bytes = |n: usize| n as u64;
    let values = vec![
        counter("commands", "Commands that the engine applied", metrics.figures.commands),
        counter("commits", "Groups of commands that were committed", metrics.figures.groups),
        Figure {
            name: "sync_interval_seconds",
            help: "How long what was acknowledged may wait for its fsync; 0: it is acknowledged after that",
            is_counter: false,
            value: match metrics.durability {
                Durability::Fsync => 0.0,
                Durability::Interval(interval) => interval.as_secs_f64(),
            },
        },
        gauge("unsynced_groups", "Groups that are acknowledged and not synced", store.unsynced_groups),
        counter("syncs", "Syncs of groups that were acknowledged before", store.syncs),
        counter("parked_commands", "Commands that had to wait for rows from the tables", metrics.figures.parked),
        gauge("unanswered_commands", "Commands that wait for their answer", bytes(metrics.unanswered)),
        gauge("engine_waiting_receives", "Receives that wait in the engine", bytes(metrics.waiting_receives)),
        gauge("overlay_bytes", "Bytes of state in memory that the tables do not hold yet", bytes(store.overlay_bytes)),
        gauge("overlay_keys", "Keys in memory that the tables do not hold yet", bytes(store.overlay_keys)),
        gauge("log_bytes", "Bytes of the log since the last checkpoint", store.log_bytes),
        gauge("log_segments_live", "Segments of the log that hold records", bytes(store.segments_live)),
        gauge("log_segments_ready", "Prepared segments of the log", bytes(store.segments_ready)),
        gauge("window_bytes", "Bytes of rows that were read from the tables", bytes(store.window_bytes)),
        counter("checkpoints", "Checkpoints finished", store.checkpoints),
        counter(
            "checkpoints_unread",
            "Checkpoints that could not read what they had to, and were tried again",
            metrics.figures.checkpoints_unread,
        ),
        counter("checkpoint_rows", "Rows that checkpoints moved to the tables", store.spills),
        counter("log_segments_recycled", "Segments of the log that were used again", store.recycles),
        counter("table_loads", "Reads of rows from the tables", store.table_loads),
        counter("body_loads", "Bodies that had to be read from the disk", store.body_loads),
        counter(
            "payloads_lost",
            "Messages that were to be delivered and given up, because a repair had cut their payload",
            metrics.figures.payloads_lost,
        ),
        gauge("disk_full", "Whether the disk was last found full", u64::from(store.disk_full)),
        gauge(
            "poisoned",
            "Whether storage failed: nothing is acknowledged until a restart",
            u64::from(metrics.poisoned.is_some()),
        ),
    ];
    let bounds = BUCKETS_US.iter().map(|&us| Duration::from_micros(us).as_secs_f64()).chain([f64::MAX]);
    let commits = HistogramFigure {
        name: "commit_seconds",
        help: "Time from handing a group of commands to the log until it was committed",
        sum: metrics.commit_seconds.sum.as_secs_f64(),
        buckets: bounds.zip(metrics.commit_seconds.counts).collect(),
    };
    Figures { serving: metrics.poisoned.is_none(), values, histograms: vec![commits] }
}
