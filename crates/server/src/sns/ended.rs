//! Subscriptions that have ended lately: whoever was told of the end may make one of them anew, with the token that stands
//! in what was told. They are known to this life of the server only.

use std::collections::VecDeque;

use parking_lot::Mutex;
use weir_aws::sns::CONFIRM_WITHIN_MS;
use weir_core::api::topic::Subscription;

/// Most that are known.
const KNOWN_MAX: usize = 1_000;

/// Subscriptions that have ended lately.
#[derive(Debug, Default)]
pub(crate) struct Ended(Mutex<VecDeque<One>>);

#[derive(Debug)]
struct One {
    token: String,
    at_ms: u64,
    base: String,
    subscription: Subscription,
}

impl Ended {
    /// Remembers one, and by what name its endpoint knows this server.
    pub(super) fn remember(&self, token: String, now_ms: u64, base: String, subscription: Subscription) {
        let mut known = self.0.lock();
        if known.len() == KNOWN_MAX {
            known.pop_front();
        }
        known.push_back(One { token, at_ms: now_ms, base, subscription });
    }

    /// The one of this token, unless it ended too long ago.
    pub(super) fn find(&self, token: &str, now_ms: u64) -> Option<(Subscription, String)> {
        let known = self.0.lock();
        let found = known.iter().find(|one| one.token == token)?;
        let is_late = now_ms.saturating_sub(found.at_ms) > CONFIRM_WITHIN_MS;
        (!is_late).then(|| (found.subscription.clone(), found.base.clone()))
    }
}
