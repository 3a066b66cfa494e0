//! Reclaiming what a purge or a deletion left behind, in slices.

use std::ops::ControlFlow;

use super::extras::Rows;
use super::message::due_times;
use super::{Engine, SLICE_ROWS, Stop, due};
use crate::api::Output;
use crate::head::{Head, State as Standing};
use crate::keys;
use crate::kv::State;

impl Engine {
    /// Reclaims a slice of the space that was left behind first.
    pub(super) fn reclaim<S: State>(&mut self, state: &mut S, out: &mut Output) -> Result<(), Stop> {
        if self.garbage_stalled {
            return Ok(());
        }
        let Some(&(space, from)) = self.garbage.front() else { return Ok(()) };
        let mut messages = Vec::new();
        let end = space.kind(keys::MESSAGE + 1);
        let scanned = state.scan(&space.message(from), &end, &mut |key, value| {
            messages.extend(keys::numbers(key).map(|[id]| (id, Head::read(value))));
            if messages.len() >= SLICE_ROWS { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        let full = messages.len() >= SLICE_ROWS;
        for (id, head) in messages {
            let head = head?;
            state.delete(&space.message(id));
            state.delete(&keys::body(space.namespace, id));
            Rows { namespace: space.namespace, job: id }.remove(state, &head.extras);
            if head.state == Standing::Leased {
                self.lease_ended(state, &head);
            }
            for at in due_times(&head) {
                due::remove(state, at, space, id);
            }
            if let Some(front) = self.garbage.front_mut() {
                front.1 = id + 1;
            }
        }
        if let Err(need) = scanned {
            self.garbage_stalled = true;
            out.needs.push(need);
        } else if !full {
            // Nothing is left but orders and lanes.
            let (first, end) = space.range();
            state.delete_range(&first, &end);
            state.delete(&keys::garbage(space));
            self.garbage.pop_front();
        }
        Ok(())
    }
}
