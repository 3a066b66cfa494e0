//! What a request says of a queue's configuration.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use weir_aws::sqs::request::{Pairs, Text};
use weir_aws::sqs::{Limits, tags};
use weir_core::api::limit::{LIMITER_NAME_BYTES_MAX, LimiterUse, USES_MAX};
use weir_core::api::{Config, DEDUP_WINDOW_MS_MAX, DedupScope, Kind, Redrive, RedriveAllow, Tags};

use super::Problem;
use crate::limits;
use crate::native::bounds::{LONGEST_MS, WAIT_MS_MAX};
use crate::native::endpoint::within;
use crate::native::jobs::options::{KeepSettings, RetrySettings};

/// The configuration of a queue. What is absent has its default where the queue is new or replaced, and stays where it is
/// changed.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[schemars(rename = "QueueSettings")]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    /// Delay of a job that names none. Default 0.
    pub(crate) delay_ms: Option<u64>,
    /// Length of a lease where the worker names none. Default 30 000.
    pub(crate) lease_ms: Option<u64>,
    /// How long a receive over SQS waits where it says nothing. Default 0.
    pub(crate) receive_wait_ms: Option<u64>,
    /// How long a job is kept that nobody finishes, from its adding; at least 60 000. Default: for ever, or
    /// rather a thousand years; four days for a queue that was created over SQS.
    pub(crate) retention_ms: Option<u64>,
    /// Longest job in bytes: data, name and attributes. 1 048 576, which is SQS's default, stands for what the server
    /// takes.
    pub(crate) message_bytes_max: Option<u64>,
    /// Where jobs go after too many leases; `null` for nowhere.
    #[serde(default)]
    #[schemars(with = "Option<DeadLetters>")]
    pub(crate) dead_letters: Nullable<DeadLetters>,
    /// Which queues may send their dead letters here. Default all.
    pub(crate) dead_letters_from: Option<Sources>,
    /// How duplicates are told on a FIFO queue.
    pub(crate) deduplication: Option<Deduplication>,
    /// How its jobs are tried again where they say nothing of it. In force for the next failure of any job at once.
    pub(crate) retry: Option<RetrySettings>,
    /// How often a job may lose its worker; once more and it has failed. Default 3.
    pub(crate) stalls_max: Option<u32>,
    /// How long one attempt may take, however often its lease is extended; `null`, the default, for ever.
    #[serde(default)]
    #[schemars(with = "Option<u64>")]
    pub(crate) timeout_ms: Nullable<u64>,
    /// What remains of completed jobs. Default: an hour's, and the last 10 000. Messages that are deleted over SQS leave
    /// nothing.
    pub(crate) keep_completed: Option<KeepSettings>,
    /// What remains of failed jobs. Default: 30 days', and the last 100 000. While the queue has a dead-letter queue they
    /// go there instead.
    pub(crate) keep_failed: Option<KeepSettings>,
    /// All limiters that its jobs run under; at most 8.
    pub(crate) limiters: Option<Vec<LimiterUseSettings>>,
    /// All tags of the queue: to group and find it by.
    pub(crate) tags: Option<BTreeMap<String, String>>,
}

/// A limiter that jobs run under.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "LimiterUse")]
#[serde(deny_unknown_fields)]
pub(crate) struct LimiterUseSettings {
    /// Its name. While there is no such limiter, it limits nothing.
    pub(crate) limiter: String,
    /// Where a job's key stands: `attributes.NAME`, `data.PATH`, `group` or `name`. Each key has the whole of the limiter
    /// for itself. Default: all jobs share one key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) key: Option<String>,
    /// Where stands what a job costs, in the same form. Default: each costs 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cost: Option<String>,
}

impl LimiterUseSettings {
    /// As it is set.
    pub(crate) fn of(used: &LimiterUse) -> Self {
        Self { limiter: used.limiter.clone(), key: used.key.clone(), cost: used.cost.clone() }
    }
}

/// Where jobs go after too many leases.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeadLetters {
    /// Name of the dead-letter queue, which is of the same kind.
    pub(crate) queue: String,
    /// Leases after which a job moves instead of being leased once more: 1 or more.
    pub(crate) leases_max: u32,
}

/// Which queues may send their dead letters.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "DeadLetterSources")]
#[serde(rename_all = "snake_case")]
pub(crate) enum Sources {
    /// Every queue.
    All,
    /// None.
    None,
    /// Those of these names.
    Queues(Vec<String>),
}

/// How duplicates are told on a FIFO queue.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Deduplication {
    /// Whether a job without an id of its own for this is told by its data. Default no.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) by_content: Option<bool>,
    /// Among which jobs an id counts. Default those of the queue.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) scope: Option<Scope>,
    /// How long an id keeps later jobs away, from 1 to 30 days. Default five minutes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) window_ms: Option<u64>,
}

/// Among which jobs a deduplication id counts.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "DeduplicationScope")]
#[serde(rename_all = "snake_case")]
pub(crate) enum Scope {
    /// Among all jobs of the queue.
    Queue,
    /// Among those of the same group.
    Group,
}

/// A member that may be absent, `null`, or a value.
#[derive(Clone, Debug, Default)]
pub(crate) enum Nullable<T> {
    #[default]
    Absent,
    Null,
    Value(T),
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Nullable<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Option::deserialize(deserializer)?.map_or(Self::Null, Self::Value))
    }
}

const RETENTION_MS_MIN: u64 = 60_000;

impl Settings {
    /// Changes `config` as asked.
    pub(crate) fn apply(&self, config: &mut Config, kind: Kind, limits: &Limits) -> Result<(), Problem> {
        set(&mut config.delay_ms, "delay_ms", self.delay_ms, 0, LONGEST_MS)?;
        set(&mut config.visibility_ms, "lease_ms", self.lease_ms, 0, LONGEST_MS)?;
        set(&mut config.receive_wait_ms, "receive_wait_ms", self.receive_wait_ms, 0, WAIT_MS_MAX)?;
        set(&mut config.retention_ms, "retention_ms", self.retention_ms, RETENTION_MS_MIN, LONGEST_MS)?;
        let bytes = self.message_bytes_max;
        set(&mut config.message_bytes_max, "message_bytes_max", bytes, 1_024, limits.message_bytes_max)?;
        match &self.dead_letters {
            Nullable::Absent => {}
            Nullable::Null => config.redrive = None,
            Nullable::Value(dead_letters) => config.redrive = Some(dead_letters.to_redrive()?),
        }
        self.apply_jobs(config)?;
        if let Some(sources) = &self.dead_letters_from {
            config.redrive_allow = match sources {
                Sources::All => RedriveAllow::All,
                Sources::None => RedriveAllow::None,
                Sources::Queues(names) => RedriveAllow::Queues(names.clone()),
            };
        }
        if let Some(Deduplication { by_content, scope, window_ms }) = &self.deduplication {
            if kind == Kind::Standard {
                return Err(Problem::field("deduplication", "only a FIFO queue tells duplicates"));
            }
            config.content_deduplication = by_content.unwrap_or(config.content_deduplication);
            set(&mut config.dedup_window_ms, "deduplication.window_ms", *window_ms, 1, DEDUP_WINDOW_MS_MAX)?;
            match scope {
                Some(Scope::Queue) => config.dedup_scope = DedupScope::Queue,
                Some(Scope::Group) => config.dedup_scope = DedupScope::Lane,
                None => {}
            }
        }
        Ok(())
    }

    /// What concerns jobs.
    fn apply_jobs(&self, config: &mut Config) -> Result<(), Problem> {
        if let Some(retry) = &self.retry {
            retry.apply(&mut config.retry, "retry")?;
        }
        config.stalls_max = self.stalls_max.unwrap_or(config.stalls_max);
        match self.timeout_ms {
            Nullable::Absent => {}
            Nullable::Null => config.timeout_ms = None,
            Nullable::Value(ms) => config.timeout_ms = Some(within("timeout_ms", ms, 1, LONGEST_MS)?),
        }
        config.keep_completed = self.keep_completed.map_or(config.keep_completed, KeepSettings::keep);
        config.keep_failed = self.keep_failed.map_or(config.keep_failed, KeepSettings::keep);
        let Some(limiters) = &self.limiters else { return Ok(()) };
        if limiters.len() > USES_MAX {
            let text = format!("may have {USES_MAX} entries, found {}", limiters.len());
            return Err(Problem::field("limiters", &text));
        }
        for (at, LimiterUseSettings { limiter, key, cost }) in limiters.iter().enumerate() {
            if limiter.is_empty() || limiter.len() > LIMITER_NAME_BYTES_MAX {
                let text = format!("must have from 1 to {LIMITER_NAME_BYTES_MAX} bytes, found {}", limiter.len());
                return Err(Problem::field(&format!("limiters[{at}].limiter"), &text));
            }
            for (name, expression) in [("key", key), ("cost", cost)] {
                if let Some(found) = expression.as_deref().filter(|text| !limits::is_expression(text)) {
                    let text = format!("must be attributes.NAME, data.PATH, group or name, found {found:?}");
                    return Err(Problem::field(&format!("limiters[{at}].{name}"), &text));
                }
            }
        }
        let uses = limiters.iter().map(|LimiterUseSettings { limiter, key, cost }| LimiterUse {
            limiter: limiter.clone(),
            key: key.clone(),
            cost: cost.clone(),
        });
        config.limiters = uses.collect();
        Ok(())
    }

    /// The tags that the queue is to have, if the request names any.
    pub(crate) fn tags(&self) -> Result<Option<Tags>, Problem> {
        let Some(asked) = &self.tags else { return Ok(None) };
        checked_tags(asked.iter().map(|(key, value)| (key.as_str(), value.as_str()))).map(Some)
    }
}

/// Tags, if their keys and values are such as a queue can have.
pub(super) fn checked_tags<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> Result<Tags, Problem> {
    let pairs = pairs.map(|(key, value)| (Text::from(key.to_owned()), Text::from(value.to_owned())));
    tags::of(&Pairs(pairs.collect())).map_err(|fault| Problem::field("tags", &fault.message))
}

impl DeadLetters {
    fn to_redrive(&self) -> Result<Redrive, Problem> {
        let most = u64::from(u32::MAX);
        within("dead_letters.leases_max", u64::from(self.leases_max), 1, most)?;
        Ok(Redrive { target: self.queue.clone(), receives_max: self.leases_max })
    }
}

fn set(place: &mut u64, field: &'static str, value: Option<u64>, least: u64, most: u64) -> Result<(), Problem> {
    if let Some(value) = value {
        *place = within(field, value, least, most)?;
    }
    Ok(())
}
