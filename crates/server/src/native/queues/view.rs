//! A queue as it is shown.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;
use weir_aws::sqs::Limits;
use weir_core::Time;
use weir_core::api::{Counters, DedupScope, Kind, Queue, RedriveAllow};

use super::settings::{DeadLetters, Deduplication, LimiterUseSettings, Scope, Sources};
use crate::native::jobs::options::{KeepSettings, RetrySettings};

/// A queue with its configuration and its counters.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Queue")]
pub(crate) struct QueueView {
    /// Its name.
    name: String,
    /// Whether it keeps the order within groups.
    kind: QueueKind,
    /// Its exact counters.
    counters: CountersView,
    /// How many ready jobs have which priority, the first to run first. Absent where they have, or had since none was
    /// ready, more than 64 different ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    ready_priorities: Option<Vec<PriorityView>>,
    /// Whether nothing of it is given out.
    paused: bool,
    /// When it goes on by itself, if it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    paused_until_ms: Option<u64>,
    /// When the oldest job was added.
    #[serde(skip_serializing_if = "Option::is_none")]
    oldest_at_ms: Option<u64>,
    /// When it was created.
    created_at_ms: u64,
    /// When its configuration was last changed.
    modified_at_ms: u64,
    /// Counts the changes of the configuration, from 1.
    version: u64,
    /// Delay of a job that names none.
    delay_ms: u64,
    /// Length of a lease where the worker names none.
    lease_ms: u64,
    /// How long a receive over SQS waits where it says nothing.
    receive_wait_ms: u64,
    /// How long a job is kept that nobody finishes.
    retention_ms: u64,
    /// Longest job in bytes.
    message_bytes_max: u64,
    /// Where jobs go after too many leases.
    #[serde(skip_serializing_if = "Option::is_none")]
    dead_letters: Option<DeadLetters>,
    /// Which queues may send their dead letters here.
    dead_letters_from: Sources,
    /// How duplicates are told; on a FIFO queue.
    #[serde(skip_serializing_if = "Option::is_none")]
    deduplication: Option<Deduplication>,
    /// How its jobs are tried again where they say nothing of it.
    retry: RetrySettings,
    /// How often a job may lose its worker; once more and it has failed.
    stalls_max: u32,
    /// How long one attempt may take.
    #[serde(skip_serializing_if = "Option::is_none")]
    timeout_ms: Option<u64>,
    /// What remains of completed jobs.
    keep_completed: KeepSettings,
    /// What remains of failed jobs.
    keep_failed: KeepSettings,
    /// The limiters that its jobs run under.
    limiters: Vec<LimiterUseSettings>,
    /// Its tags.
    tags: BTreeMap<String, String>,
}

/// Whether a queue keeps the order within groups.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum QueueKind {
    /// Any job may run beside any other.
    Standard,
    /// Within a group, in order, one after the other.
    Fifo,
}

/// How many jobs stand where.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
#[schemars(rename = "Counters")]
pub(crate) struct CountersView {
    /// Those that could run now, or are held only by a limit or by others of their group.
    ready: u64,
    /// Those whose delay has not ended.
    delayed: u64,
    /// Those that a worker holds.
    leased: u64,
    /// Those that wait for their children.
    waiting: u64,
    /// Completed ones that are kept.
    completed: u64,
    /// Failed ones that are kept.
    failed: u64,
}

/// How many ready jobs have a priority.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
#[schemars(rename = "PriorityCount")]
pub(crate) struct PriorityView {
    /// The priority.
    priority: u32,
    /// How many.
    count: u64,
}

impl QueueView {
    pub(crate) fn new(
        queue: &Queue,
        counters: Counters,
        priorities: Option<Vec<(u32, u64)>>,
        oldest: Option<Time>,
        limits: &Limits,
    ) -> Self {
        let config = &queue.config;
        let deduplication = (queue.kind == Kind::Fifo).then_some(Deduplication {
            by_content: Some(config.content_deduplication),
            scope: Some(match config.dedup_scope {
                DedupScope::Queue => Scope::Queue,
                DedupScope::Lane => Scope::Group,
            }),
            window_ms: Some(config.dedup_window_ms),
        });
        Self {
            name: queue.name.clone(),
            kind: match queue.kind {
                Kind::Standard => QueueKind::Standard,
                Kind::Fifo => QueueKind::Fifo,
            },
            counters: CountersView {
                ready: counters.ready,
                delayed: counters.delayed,
                leased: counters.leased,
                waiting: counters.waiting,
                completed: counters.completed,
                failed: counters.failed,
            },
            ready_priorities: priorities
                .map(|counts| counts.into_iter().map(|(priority, count)| PriorityView { priority, count }).collect()),
            paused: queue.paused_until.is_some(),
            paused_until_ms: queue.paused_until.filter(|at| *at != Time::NEVER).map(|at| at.0),
            oldest_at_ms: oldest.map(|at| at.0),
            created_at_ms: queue.created_at.0,
            modified_at_ms: queue.modified_at.0,
            version: queue.version,
            delay_ms: config.delay_ms,
            lease_ms: config.visibility_ms,
            receive_wait_ms: config.receive_wait_ms,
            retention_ms: config.retention_ms,
            message_bytes_max: limits.message_bytes(config.message_bytes_max),
            dead_letters: config
                .redrive
                .as_ref()
                .map(|redrive| DeadLetters { queue: redrive.target.clone(), leases_max: redrive.receives_max }),
            dead_letters_from: match &config.redrive_allow {
                RedriveAllow::All => Sources::All,
                RedriveAllow::None => Sources::None,
                RedriveAllow::Queues(names) => Sources::Queues(names.clone()),
            },
            deduplication,
            retry: RetrySettings::of(&config.retry),
            stalls_max: config.stalls_max,
            timeout_ms: config.timeout_ms,
            keep_completed: KeepSettings::of(config.keep_completed),
            keep_failed: KeepSettings::of(config.keep_failed),
            limiters: config.limiters.iter().map(LimiterUseSettings::of).collect(),
            tags: queue.tags.clone(),
        }
    }
}
