//! What a worker and the server say to each other.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// What a worker wants, and what became of what it had.
#[derive(Debug, Serialize)]
pub(super) struct LeaseRequest<'a> {
    pub(super) max: usize,
    pub(super) wait_ms: u64,
    pub(super) lease_ms: u64,
    #[serde(skip_serializing_if = "is_zero")]
    pub(super) linger_ms: u64,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) one_group: bool,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub(super) settle: &'a [Settlement],
}

/// Settlements without a wish for more.
#[derive(Debug, Serialize)]
pub(super) struct SettleRequest<'a> {
    pub(super) settle: &'a [Settlement],
}

/// A lease and what becomes of it.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Settlement {
    pub(super) lease: Arc<str>,
    #[serde(flatten)]
    pub(super) action: Action,
}

/// What becomes of a lease.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "action", rename_all = "snake_case")]
pub(super) enum Action {
    Complete {
        #[serde(skip_serializing_if = "Option::is_none")]
        result: Option<Box<RawValue>>,
    },
    Fail {
        error: Value,
        #[serde(skip_serializing_if = "Option::is_none")]
        retry: Option<bool>,
        #[serde(skip_serializing_if = "Option::is_none")]
        delay_ms: Option<u64>,
    },
    Release {
        #[serde(skip_serializing_if = "is_zero")]
        delay_ms: u64,
        #[serde(skip_serializing_if = "Option::is_none")]
        pause: Option<Pause>,
    },
    WaitForChildren {},
    Extend {
        lease_ms: u64,
        #[serde(skip_serializing_if = "Option::is_none")]
        progress: Option<Box<RawValue>>,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        logs: Vec<String>,
    },
}

/// Who is to be left alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Pause {
    pub(super) for_ms: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) limiter: Option<String>,
}

/// What a lease request is answered with.
#[derive(Debug, Deserialize)]
pub(super) struct LeasedJobs {
    pub(super) jobs: Vec<LeasedJob>,
    #[serde(default)]
    pub(super) settled: Vec<Settled>,
}

/// What became of settlements.
#[derive(Debug, Deserialize)]
pub(super) struct SettledJobs {
    pub(super) settled: Vec<Settled>,
}

/// What became of one: a code where nothing was changed.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Settled {
    #[serde(default)]
    pub(super) code: Option<String>,
    #[serde(default)]
    pub(super) detail: Option<String>,
    #[serde(default)]
    pub(super) cancel_requested: bool,
}

/// A job under a lease.
#[derive(Debug, Deserialize)]
pub(super) struct LeasedJob {
    pub(super) id: String,
    pub(super) lease: Arc<str>,
    pub(super) data: Box<RawValue>,
    pub(super) attempt: u32,
    pub(super) leases: u32,
    pub(super) priority: u32,
    pub(super) added_at_ms: u64,
    #[serde(default)]
    pub(super) stalls: u32,
    #[serde(default)]
    pub(super) name: Option<String>,
    #[serde(default)]
    pub(super) custom_id: Option<String>,
    #[serde(default)]
    pub(super) group: Option<String>,
    #[serde(default)]
    pub(super) attributes: Map<String, Value>,
    #[serde(default)]
    pub(super) dead_letter_of: Option<String>,
    #[serde(default)]
    pub(super) timeout_at_ms: Option<u64>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}
