//! Reclaiming what a purge or a deletion left behind, in slices.

use std::ops::ControlFlow;

use super::children::forget_children;
use super::extras::Rows;
use super::flow_tasks::How;
use super::job_dedup::forget_kept;
use super::message::due_times;
use super::spec_row;
use super::{Engine, SLICE_ROWS, Stop, due, prepare_each, shared};
use crate::api::Output;
use crate::head::Head;
use crate::keys::{self, Space};
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
        let prepared = prepare_each(messages.iter(), |(id, head)| match head {
            Ok(head) => {
                let permits = self.prepare_permits(state, head);
                let body = shared::prepare(state, space.namespace, head);
                let spec = spec_row::read(state, space, *id, head).map(|_| ());
                prepare_each([permits, body, spec].into_iter(), |prepared| prepared)
            }
            Err(_) => Ok(()),
        });
        if let Err(Stop::Need(needs)) = prepared {
            self.garbage_stalled = true;
            out.needs.extend(needs);
            return Ok(());
        }
        prepared?;
        for (id, head) in messages {
            let head = head?;
            self.tell_left(state, space, id, &head)?;
            state.delete(&space.message(id));
            shared::drop_body(state, space.namespace, id, &head)?;
            Rows { namespace: space.namespace, job: id }.remove(state, &head.extras);
            self.lease_ended(state, id, &head)?;
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
            match forget_kept(state, space) {
                Ok(true) => {}
                Ok(false) => return Ok(()),
                Err(Stop::Need(needs)) => {
                    self.garbage_stalled = true;
                    out.needs.extend(needs);
                    return Ok(());
                }
                Err(stop) => return Err(stop),
            }
            // Nothing is left but orders and lanes.
            let (first, end) = space.range();
            state.delete_range(&first, &end);
            state.delete(&keys::garbage(space));
            self.garbage.pop_front();
        }
        Ok(())
    }

    /// A job that was left behind has ended, for its parent; its own children are nobody's.
    fn tell_left<S: State>(&mut self, state: &mut S, space: Space, id: u64, head: &Head) -> Result<(), Stop> {
        if head.has_children {
            forget_children(state, space.namespace, id);
        }
        let Some(spec) = spec_row::read(state, space, id, head)? else { return Ok(()) };
        self.tell_parent(state, space.namespace, &spec, id, (How::Removed, None));
        Ok(())
    }
}
