//! What AWS does not let a client repeat within a minute: purging a queue, and creating one under the name of a queue that
//! was just deleted. Known in memory only: a restart forgets it, and permits more.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use weir_core::api::Namespace;

/// When something was last done to queues, by their names.
#[derive(Debug, Default)]
pub(crate) struct Recently {
    done: Mutex<HashMap<(Namespace, String), Instant>>,
}

impl Recently {
    /// Whether it was done to the queue within the `interval` before `now`.
    pub(crate) fn within(&self, interval: Duration, now: Instant, namespace: Namespace, name: &str) -> bool {
        let done = self.done.lock();
        done.get(&(namespace, name.to_owned())).is_some_and(|&at| now.duration_since(at) < interval)
    }

    /// Notes that it was done now, and forgets what is longer ago than `interval`.
    pub(crate) fn note(&self, interval: Duration, now: Instant, namespace: Namespace, name: &str) {
        let mut done = self.done.lock();
        done.retain(|_, at| now.duration_since(*at) < interval);
        done.insert((namespace, name.to_owned()), now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_passes() {
        let (recently, minute, now) = (Recently::default(), Duration::from_mins(1), Instant::now());
        recently.note(minute, now, Namespace(1), "orders");
        let later = now + Duration::from_millis(59_999);
        assert!(recently.within(minute, later, Namespace(1), "orders"));
        assert!(!recently.within(minute, later, Namespace(2), "orders"));
        assert!(!recently.within(minute, later, Namespace(1), "others"));
        assert!(!recently.within(minute, now + minute, Namespace(1), "orders"));
        recently.note(minute, now + minute, Namespace(1), "others");
        assert_eq!(recently.done.lock().len(), 1);
    }
}
