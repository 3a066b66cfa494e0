//! How a job is tried again, and what remains of it: in queues' settings and in jobs alike.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use weir_core::api::job::{ATTEMPTS_MAX, BACKOFFS_MAX, Backoff, Keep, Retry};

use super::super::Problem;
use super::super::bounds::LONGEST_MS;
use super::super::endpoint::within;

/// How a job that failed is tried again. What is absent has its default.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Retry")]
#[serde(deny_unknown_fields)]
pub(crate) struct RetrySettings {
    /// Failures after which it is not tried again, from 1. Only failures that a worker reports, and timeouts, count.
    /// Default 3.
    #[serde(skip_serializing_if = "Option::is_none")]
    attempts_max: Option<u32>,
    /// How long it waits before it is tried again. Default: a second, twice as long each time.
    #[serde(skip_serializing_if = "Option::is_none")]
    backoff: Option<BackoffSettings>,
    /// So many percent of the wait are taken off at random, from 0 to 100. Default 20.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100))]
    jitter_percent: Option<f64>,
    /// No wait is longer. Default an hour, or the longest wait that `backoff` names if that is more.
    #[serde(skip_serializing_if = "Option::is_none")]
    backoff_ms_max: Option<u64>,
}

/// How long a job waits between two attempts.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Backoff")]
#[serde(deny_unknown_fields)]
pub(crate) enum BackoffSettings {
    /// Milliseconds, the same after each failure; 0 for none.
    #[serde(rename = "fixed_ms")]
    Fixed(u64),
    /// Milliseconds after the first failure, twice as long after each further one.
    #[serde(rename = "exponential_ms")]
    Exponential(u64),
    /// Milliseconds after the first, second, … failure; the last one for all after it.
    #[serde(rename = "list_ms")]
    List(Vec<u64>),
}

impl RetrySettings {
    /// No second attempt.
    pub(crate) fn once() -> Self {
        Self { attempts_max: Some(1), ..Self::default() }
    }

    pub(crate) fn of(retry: &Retry) -> Self {
        Self {
            attempts_max: Some(retry.attempts_max),
            backoff: Some(match &retry.backoff {
                Backoff::Fixed { delay_ms } => BackoffSettings::Fixed(*delay_ms),
                Backoff::Exponential { delay_ms } => BackoffSettings::Exponential(*delay_ms),
                Backoff::List { delays_ms } => BackoffSettings::List(delays_ms.clone()),
            }),
            jitter_percent: Some(f64::from(retry.jitter_permille) / 10.0),
            backoff_ms_max: Some(retry.cap_ms),
        }
    }

    /// Changes `retry` as asked. `field` is what the settings stand under.
    pub(crate) fn apply(&self, retry: &mut Retry, field: &str) -> Result<(), Problem> {
        if let Some(attempts) = self.attempts_max {
            within(format!("{field}.attempts_max"), u64::from(attempts), 1, u64::from(ATTEMPTS_MAX))?;
            retry.attempts_max = attempts;
        }
        if let Some(backoff) = &self.backoff {
            retry.backoff = backoff.checked(&format!("{field}.backoff"))?;
            // What was asked for is not cut short by what was not.
            retry.cap_ms = retry.cap_ms.max(backoff.longest_ms());
        }
        if let Some(percent) = self.jitter_percent {
            if !(0.0..=100.0).contains(&percent) {
                let text = format!("must be from 0 to 100, found {percent}");
                return Err(Problem::field(&format!("{field}.jitter_percent"), &text));
            }
            #[expect(clippy::cast_sign_loss, reason = "it was just found to be from 0 to 100")]
            let permille = (percent * 10.0).round() as u32;
            retry.jitter_permille = permille;
        }
        if let Some(cap_ms) = self.backoff_ms_max {
            retry.cap_ms = within(format!("{field}.backoff_ms_max"), cap_ms, 0, LONGEST_MS)?;
        }
        Ok(())
    }
}

impl BackoffSettings {
    fn checked(&self, field: &str) -> Result<Backoff, Problem> {
        Ok(match self {
            Self::Fixed(ms) => Backoff::Fixed { delay_ms: within(format!("{field}.fixed_ms"), *ms, 0, LONGEST_MS)? },
            Self::Exponential(ms) => {
                Backoff::Exponential { delay_ms: within(format!("{field}.exponential_ms"), *ms, 0, LONGEST_MS)? }
            }
            Self::List(delays_ms) => {
                if delays_ms.is_empty() || delays_ms.len() > BACKOFFS_MAX {
                    let text = format!("must have from 1 to {BACKOFFS_MAX} entries, found {}", delays_ms.len());
                    return Err(Problem::field(&format!("{field}.list_ms"), &text));
                }
                for (at, ms) in delays_ms.iter().enumerate() {
                    within(format!("{field}.list_ms[{at}]"), *ms, 0, LONGEST_MS)?;
                }
                Backoff::List { delays_ms: delays_ms.clone() }
            }
        })
    }

    /// The longest wait that is named.
    fn longest_ms(&self) -> u64 {
        match self {
            Self::Fixed(ms) | Self::Exponential(ms) => *ms,
            Self::List(delays_ms) => delays_ms.iter().copied().max().unwrap_or_default(),
        }
    }
}

/// What remains of finished jobs: those that are not older than `age_ms` and among the last `count`. What is absent is
/// not bounded.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Keep")]
#[serde(deny_unknown_fields)]
pub(crate) struct KeepSettings {
    /// Milliseconds since they finished.
    #[serde(skip_serializing_if = "Option::is_none")]
    age_ms: Option<u64>,
    /// How many of the queue; 0 keeps none.
    #[serde(skip_serializing_if = "Option::is_none")]
    count: Option<u64>,
}

impl KeepSettings {
    pub(crate) fn of(keep: Keep) -> Self {
        let bound = |value| (value != u64::MAX).then_some(value);
        Self { age_ms: bound(keep.age_ms), count: bound(keep.count) }
    }

    pub(crate) fn keep(self) -> Keep {
        Keep { age_ms: self.age_ms.unwrap_or(u64::MAX), count: self.count.unwrap_or(u64::MAX) }
    }
}
