//! Limiters as the doors see them: objects with a name, used by queues and by programs outside.

use super::Namespace;
use crate::limiter::{Blocked, Terms};
use crate::time::Time;

/// A limiter of a shard. Never used again after its deletion.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LimiterId(pub u64);

/// A key of a limiter: the 128-bit hash of a customer, a host, ….
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LimitKey(pub [u8; 16]);

/// A limiter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limiter {
    /// Its id.
    pub id: LimiterId,
    /// Its namespace.
    pub namespace: Namespace,
    /// Its name, unique in the namespace.
    pub name: String,
    /// What it allows.
    pub terms: Terms,
    /// Counts the changes, from 1.
    pub version: u64,
    /// When it was created.
    pub created_at: Time,
    /// When it was changed last.
    pub modified_at: Time,
}

/// That a queue's messages run under a limiter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LimiterUse {
    /// Name of the limiter, in the queue's namespace. While there is none, it limits nothing.
    pub limiter: String,
    /// Where the doors find a message's key: opaque to the engine. `None`: all messages share one.
    pub key: Option<String>,
    /// Where the doors find what a message costs: opaque to the engine. `None`: each costs 1.
    pub cost: Option<String>,
}

/// What a message is to the limiters of its queue, as its door found out. Messages that a door knows nothing of (sent
/// before the queue had the limiter) share one key and cost 1.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// For each of the queue's [`LimiterUse`]s in order: the key, and the cost (0 counts as 1).
    pub uses: Vec<(Option<LimitKey>, u32)>,
}

/// A permit that a program outside holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PermitId(pub u64);

/// What came of asking for a permit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acquired {
    /// It is granted, until then.
    Granted {
        /// The permit.
        permit: PermitId,
        /// When it ends by itself.
        until: Time,
    },
    /// It is not, for this reason.
    Blocked(Blocked),
}

/// How a key of a limiter stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyStats {
    /// What each window counts, and its maximum.
    pub windows: Vec<(u64, u32)>,
    /// Starts that are not finished.
    pub running: u64,
    /// Until when it is paused.
    pub paused_until: Option<Time>,
    /// What an ordinary start of cost 1 and priority 0 would wait for.
    pub blocked: Option<Blocked>,
}

/// Most limiters of one queue.
pub const USES_MAX: usize = 8;
/// Longest name of a limiter in bytes.
pub const LIMITER_NAME_BYTES_MAX: usize = 256;
/// Longest lease of a permit: a day.
pub const PERMIT_MS_MAX: u64 = 86_400_000;
