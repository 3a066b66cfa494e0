//! AWS's bound on calls to a FIFO queue, where it is enforced: so many of each operation in a second of the clock.

use std::collections::HashMap;
use std::time::Instant;

use parking_lot::Mutex;
use weir_aws::sqs::Operation;
use weir_core::api::QueueId;

use crate::access::{Role, needed};

/// How many queues and operations are remembered before those of past seconds are forgotten.
const REMEMBERED: usize = 10_000;

/// Counts calls.
#[derive(Debug)]
pub(crate) struct Throttle {
    started: Instant,
    /// The second of the last call, and how many there were in it.
    calls: Mutex<HashMap<(QueueId, Operation), (u64, u64)>>,
}

impl Throttle {
    pub(crate) fn new(started: Instant) -> Self {
        Self { started, calls: Mutex::default() }
    }

    /// Whether one more call may be made at `now`; if so, it is counted.
    pub(crate) fn takes(&self, max: u64, now: Instant, queue: QueueId, operation: Operation) -> bool {
        let second = now.duration_since(self.started).as_secs();
        let mut calls = self.calls.lock();
        if calls.len() >= REMEMBERED {
            calls.retain(|_, (last, _)| *last == second);
        }
        let (last, count) = calls.entry((queue, operation)).or_insert((second, 0));
        if *last != second {
            (*last, *count) = (second, 0);
        }
        if *count >= max {
            return false;
        }
        *count += 1;
        true
    }
}

/// Whether calls of an operation are counted: those that send, receive and settle messages are.
pub(crate) fn counts(operation: Operation) -> bool {
    needed(operation) == Role::Write
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn so_many_calls_of_each_kind_pass_in_a_second() {
        let started = Instant::now();
        let throttle = Throttle::new(started);
        let takes =
            |ms, queue, operation| throttle.takes(2, started + Duration::from_millis(ms), QueueId(queue), operation);
        let send = Operation::SendMessage;
        assert_eq!([takes(0, 1, send), takes(500, 1, send), takes(999, 1, send)], [true, true, false]);
        assert!(takes(999, 2, send), "another queue");
        assert!(takes(999, 1, Operation::DeleteMessage), "another operation");
        assert_eq!([takes(1_000, 1, send), takes(1_001, 1, send), takes(1_002, 1, send)], [true, true, false]);
    }
}
