//! Listing the messages of a queue, slice by slice.

use std::ops::ControlFlow;

use super::send::within;
use super::{Answer, Engine, SLICE_ROWS, Stop, shared};
use crate::api::job::JobState;
use crate::api::{LIST_MAX, Listed, MessageState, QueueId, Reply, States};
use crate::codec::Unreadable;
use crate::head::{Head, State as Standing};
use crate::keys;
use crate::kv::View;
use crate::queue::QueueState;

/// Rows of a walk over messages, in the order of their ids.
pub(super) struct Slice {
    pub(super) messages: Vec<(u64, Head)>,
    /// After which id the walk goes on; nothing where it came to the end.
    pub(super) next: Option<u64>,
}

impl Slice {
    /// Cuts it off where its payloads come to more than `bytes_max`, behind the first message at the earliest.
    fn bound(&mut self, bytes_max: u64) {
        let mut bytes = 0_u64;
        let fitting = self.messages.iter().take_while(|(_, head)| {
            bytes = bytes.saturating_add(head.bytes);
            bytes <= bytes_max
        });
        let kept = fitting.count().max(1);
        if kept < self.messages.len() {
            self.messages.truncate(kept);
            self.next = self.messages.last().map(|&(id, _)| id);
        }
    }
}

impl Engine {
    pub(super) fn list<S: View>(
        &self,
        state: &S,
        id: QueueId,
        states: States,
        (after, max): (u64, u32),
        payload_bytes_max: Option<u64>,
    ) -> Result<Answer, Stop> {
        let queue = match self.queue(id) {
            Ok(queue) => queue,
            Err(error) => return Ok(Err(error)),
        };
        if let Err(error) = within("messages of a slice", LIST_MAX as u64, u64::from(max)) {
            return Ok(Err(error));
        }
        let states = if states == States::default() { States::ALL } else { states };
        let mut slice = walk(state, queue, after, max.max(1) as usize, |head| states.contains(head.state.public()))?;
        if let Some(bytes_max) = payload_bytes_max {
            slice.bound(bytes_max);
        }
        let messages = slice.messages.into_iter().map(|(id, head)| listed(queue, id, head)).collect();
        Ok(Ok(Reply::Listed { messages, payloads: payload_bytes_max.is_some(), next: slice.next }))
    }
}

/// The messages after `after` that `wanted` asks for, up to `max` of them, out of at most a slice of rows. Rows that are
/// not in memory end the slice, if it has come any way.
pub(super) fn walk<S: View>(
    state: &S,
    queue: &QueueState,
    after: u64,
    max: usize,
    wanted: impl Fn(&Head) -> bool,
) -> Result<Slice, Stop> {
    let first = queue.message_gaps.skip((after.saturating_add(1), 0)).0;
    let mut slice = Slice { messages: Vec::new(), next: None };
    let mut rows = 0;
    let mut last = after;
    let mut outcome: Result<(), Unreadable> = Ok(());
    let end = queue.space.kind(keys::MESSAGE + 1);
    let scanned = state.scan(&queue.space.message(first), &end, &mut |key, value| {
        let (Some([id]), head) = (keys::numbers(key), Head::read(value)) else { return ControlFlow::Continue(()) };
        match head {
            Ok(head) if wanted(&head) => slice.messages.push((id, head)),
            Ok(_) => {}
            Err(error) => {
                outcome = Err(error);
                return ControlFlow::Break(());
            }
        }
        last = id;
        rows += 1;
        if rows >= SLICE_ROWS || slice.messages.len() >= max {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    });
    outcome?;
    match scanned {
        Err(need) if rows == 0 => return Err(need.into()),
        Ok(()) if rows < SLICE_ROWS && slice.messages.len() < max => {}
        _ => slice.next = Some(last),
    }
    Ok(slice)
}

pub(super) fn listed(queue: &QueueState, id: u64, head: Head) -> Listed {
    let state = head.state.public();
    Listed {
        id,
        body: shared::body(queue.space.namespace, id, &head).to_key(),
        bytes: head.bytes,
        state,
        priority: head.priority,
        lane: head.lane,
        sent_at: head.sent_at,
        due: (state != MessageState::Ready).then_some(head.due),
        receives: head.receives,
        first_received_at: head.first_received_at,
        started_at: head.started_at,
        failures: head.failures,
        dead_letter_source: head.source,
        origin: head.origin,
    }
}

impl Standing {
    pub(super) fn public(self) -> MessageState {
        match self {
            Standing::Ready => MessageState::Ready,
            Standing::Delayed => MessageState::Delayed,
            Standing::Leased => MessageState::Leased,
            Standing::Waiting => MessageState::Waiting,
            Standing::Completed => MessageState::Completed,
            Standing::Failed => MessageState::Failed,
        }
    }

    pub(super) fn of_job(self) -> JobState {
        match self {
            Standing::Ready => JobState::Ready,
            Standing::Delayed => JobState::Delayed,
            Standing::Leased => JobState::Leased,
            Standing::Waiting => JobState::Waiting,
            Standing::Completed => JobState::Completed,
            Standing::Failed => JobState::Failed,
        }
    }
}
