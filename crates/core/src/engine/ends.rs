//! What finished in a queue, minute by minute: counting it, and telling it.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use super::finish::End;
use super::send::within;
use super::{Answer, Engine, Stop};
use crate::api::{Ends, MINUTES_KEPT, MINUTES_MAX, QueueId, Reply};
use crate::keys;
use crate::kv::{State, View};
use crate::meter::{ROW_MINUTES, begin_of, minute_of, read_row};
use crate::queue::QueueState;
use crate::time::Time;

impl Engine {
    /// A job of a queue is done, or has failed for good.
    pub(super) fn count_end(&mut self, id: QueueId, end: End<'_>) {
        let now = self.now;
        if let Some(queue) = self.queues.get_mut(&id) {
            queue.meter.count(now, matches!(end, End::Completed(_)));
        }
    }

    pub(super) fn queue_ends<S: View>(&self, state: &S, id: QueueId, from: Time, to: Time) -> Result<Answer, Stop> {
        let queue = match self.queue(id) {
            Ok(queue) => queue,
            Err(error) => return Ok(Err(error)),
        };
        let (from, to) = (minute_of(from), minute_of(to.min(self.now)));
        if let Err(error) = within("minutes of a page", MINUTES_MAX, to.saturating_sub(from).saturating_add(1)) {
            return Ok(Err(error));
        }
        let from = from.max(minute_of(self.now).saturating_sub(MINUTES_KEPT));
        let mut minutes = BTreeMap::<u64, Ends>::new();
        if from <= to {
            let namespace = queue.space.namespace;
            let first = keys::minutes(namespace, id.0, from.saturating_sub(ROW_MINUTES - 1));
            let mut outcome = Ok(());
            state.scan(&first, &keys::minutes(namespace, id.0, to + 1), &mut |_, value| {
                match read_row(value) {
                    Ok(row) => minutes.extend(row),
                    Err(error) => outcome = Err(error),
                }
                if outcome.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            })?;
            outcome?;
            minutes.extend(queue.meter.newest());
        }
        let minutes = minutes.into_iter().filter(|(minute, _)| (from..=to).contains(minute));
        let minutes = minutes.map(|(minute, ends)| (begin_of(minute), ends)).collect();
        Ok(Ok(Reply::Ends { total: queue.meter.total(), minutes }))
    }
}

/// Writes what is counted, where it is written by the minute, and drops what is too old.
pub(super) fn write<S: State>(state: &mut S, queue: &mut QueueState) {
    let (namespace, id) = (queue.space.namespace, queue.id().0);
    let written = queue.meter.write_rows();
    for (first, row) in written.rows {
        state.put(&keys::minutes(namespace, id, first), row.finish());
    }
    if let Some(kept_from) = written.kept_from {
        state.delete_range(&keys::minutes(namespace, id, 0), &keys::minutes(namespace, id, kept_from));
    }
}

/// The queue is gone.
pub(super) fn forget<S: State>(state: &mut S, queue: &QueueState) {
    let (from, to) = keys::minutes_of(queue.space.namespace, queue.id().0);
    state.delete_range(&from, &to);
}
