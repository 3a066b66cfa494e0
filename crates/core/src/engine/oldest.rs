//! The first message of a queue that is of some kind, by id: that which waits longest, that which retention looks at.
//!
//! Finished jobs stand among the others in the order of ids. Where a walk has passed them is remembered, so that each is
//! passed once.

use std::ops::ControlFlow;

use super::Stop;
use crate::head::{Head, State as Standing};
use crate::keys;
use crate::kv::View;
use crate::queue::QueueState;

/// So many rows are passed in one go.
const ROWS_MAX: usize = 4_096;

/// Which messages count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    /// Those that are not finished.
    Unfinished,
    /// Those that the queue's retention takes: nobody has begun to work on them, and they wait for no children.
    Retained,
}

impl Which {
    pub(crate) const ALL: [Which; 2] = [Which::Unfinished, Which::Retained];

    pub(crate) fn counts(self, head: &Head) -> bool {
        let is_finished = matches!(head.state, Standing::Completed | Standing::Failed);
        match self {
            Which::Unfinished => !is_finished,
            // What has begun ends by its attempts, its timeout or its deadline.
            Which::Retained => !is_finished && head.started_at.is_none() && !head.has_children,
        }
    }
}

/// What a walk came to.
pub(super) enum First {
    /// This one is the first.
    Is(u64, Box<Head>),
    /// There is none.
    None,
    /// Many rows were passed, and it is not known yet.
    More,
}

pub(super) fn first<S: View>(state: &S, queue: &mut QueueState, which: Which) -> Result<First, Stop> {
    let from = queue.message_gaps.skip((queue.first(which), 0)).0;
    let (mut seen, mut found, mut last, mut rows) = (None, None, None, 0);
    let mut outcome = Ok(());
    let scanned = state.scan(&queue.space.message(from), &queue.space.kind(keys::MESSAGE + 1), &mut |key, value| {
        let Some([id]) = keys::numbers(key) else { return ControlFlow::Continue(()) };
        seen.get_or_insert(id);
        match Head::read(value) {
            Ok(head) if which.counts(&head) => found = Some((id, head)),
            Ok(_) => {
                last = Some(id);
                rows += 1;
            }
            Err(error) => outcome = Err(error),
        }
        if found.is_some() || outcome.is_err() || rows >= ROWS_MAX {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    });
    outcome?;
    if let Some(seen) = seen {
        queue.message_gaps.clear((from, 0), (seen, 0));
    }
    if let Some((id, head)) = found {
        queue.passed(which, id);
        return Ok(First::Is(id, Box::new(head)));
    }
    if let Some(last) = last {
        queue.passed(which, last + 1);
    }
    scanned?;
    if rows >= ROWS_MAX {
        return Ok(First::More);
    }
    queue.passed(which, u64::MAX);
    Ok(First::None)
}
