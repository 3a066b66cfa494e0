//! What is due when: the ends of delays and leases of a namespace stand in one order, earliest first.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use smallvec::SmallVec;

use super::{Engine, SLICE_ROWS, Stop};
use crate::api::{Namespace, Output};
use crate::gaps::Gaps;
use crate::head::State as Standing;
use crate::keys::{self, Space};
use crate::kv::{State, View};
use crate::time::Time;

/// The order of due rows, and what is known of it without reading.
#[derive(Debug, Default)]
pub(super) struct DueIndex {
    namespaces: BTreeMap<Namespace, NamespaceDue>,
}

#[derive(Debug)]
struct NamespaceDue {
    /// No row is due before; there may be none at it, if it was settled since.
    next: Time,
    /// The earliest row that came since the order was last looked at.
    came: Time,
    gaps: Gaps,
}

impl DueIndex {
    /// A namespace whose rows are not known yet: it is looked at with the next tick.
    pub(super) fn add_namespace(&mut self, namespace: Namespace, next: Time) {
        self.namespaces.entry(namespace).or_insert_with(|| NamespaceDue { next, came: next, gaps: Gaps::default() });
    }

    pub(super) fn next(&self) -> Time {
        self.namespaces.values().map(|due| due.next).min().unwrap_or(Time::NEVER)
    }

    pub(super) fn insert<S: State>(&mut self, state: &mut S, at: Time, space: Space, id: u64) {
        state.insert(&keys::due(at, space, id), &[]);
        self.add_namespace(space.namespace, at);
        if let Some(due) = self.namespaces.get_mut(&space.namespace) {
            due.next = due.next.min(at);
            due.came = due.came.min(at);
            due.gaps.occupy((at.0, 0));
        }
    }
}

/// Takes a row out of the order. What is known of the order stays true: it may name a time at which nothing is due.
pub(super) fn remove<S: State>(state: &mut S, at: Time, space: Space, id: u64) {
    state.delete(&keys::due(at, space, id));
}

/// A time, a space, and a message of it.
pub(super) type Row = (Time, u64, u64);

impl Engine {
    /// Ends the delays and leases whose time has come, up to a slice of them.
    pub(super) fn run_due<S: State>(&mut self, state: &mut S, out: &mut Output) -> Result<(), Stop> {
        if self.due_stalled {
            return Ok(());
        }
        let namespaces: SmallVec<[Namespace; 4]> = self
            .due
            .namespaces
            .iter()
            .filter(|(_, due)| due.next <= self.now)
            .map(|(&namespace, _)| namespace)
            .collect();
        for namespace in namespaces {
            match self.run_due_in(state, namespace) {
                Ok(()) => {}
                Err(Stop::Need(need)) => {
                    self.due_stalled = true;
                    out.needs.extend(need);
                }
                Err(stop) => return Err(stop),
            }
        }
        Ok(())
    }

    fn run_due_in<S: State>(&mut self, state: &mut S, namespace: Namespace) -> Result<(), Stop> {
        let now = self.now;
        let (rows, scanned) = self.due_rows(state, namespace);
        if let Some(due) = self.due.namespaces.get_mut(&namespace) {
            due.came = Time::NEVER;
        }
        for &(at, space, id) in rows.iter().filter(|row| row.0 <= now) {
            self.end_due(state, at, Space { namespace, id: space }, id)?;
        }
        scanned?;
        if let Some(due) = self.due.namespaces.get_mut(&namespace) {
            // All rows before the last one seen are done with; others may share its time, and the end of one thing may
            // have been the beginning of the next.
            due.next = rows.last().map_or(Time::NEVER, |row| row.0).min(due.came);
            due.gaps.clear((0, 0), (due.next.0, 0));
        }
        Ok(())
    }

    /// The first rows of the order: all that are due, up to a slice, and the first that is not.
    fn due_rows<S: View>(&self, state: &S, namespace: Namespace) -> (Vec<Row>, Result<(), Stop>) {
        let mut rows = Vec::new();
        let Some(due) = self.due.namespaces.get(&namespace) else { return (rows, Ok(())) };
        let from = keys::due_from(namespace, Time(due.gaps.skip((0, 0)).0));
        let to = keys::due_end(namespace);
        let scanned = state.scan(&from, &to, &mut |key, _| {
            let Some([at, space, id]) = keys::numbers(key) else { return ControlFlow::Continue(()) };
            rows.push((Time(at), space, id));
            if Time(at) > self.now || rows.len() >= SLICE_ROWS {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        });
        (rows, scanned.map_err(Stop::from))
    }

    /// The rows of a namespace's order that come after `after`, up to `max` of them.
    pub(super) fn due_after<S: View>(
        &self,
        state: &S,
        namespace: Namespace,
        after: Option<Row>,
        max: usize,
    ) -> Result<Vec<Row>, Stop> {
        let mut rows = Vec::new();
        let Some(due) = self.due.namespaces.get(&namespace) else { return Ok(rows) };
        let from = match after {
            Some((at, id, message)) => keys::due(at, Space { namespace, id }, message).byte(0),
            None => keys::due_from(namespace, Time(due.gaps.skip((0, 0)).0)),
        };
        state.scan(&from, &keys::due_end(namespace), &mut |key, _| {
            rows.extend(keys::numbers(key).map(|[at, space, id]| (Time(at), space, id)));
            if rows.len() >= max { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        Ok(rows)
    }

    fn end_due<S: State>(&mut self, state: &mut S, at: Time, space: Space, id: u64) -> Result<(), Stop> {
        let head = match self.spaces.get(&space.id).copied() {
            Some(queue) => self.prepare_message(state, space, id, SLICE_ROWS)?.map(|head| (queue, head)),
            None => None,
        };
        match head {
            Some((queue, head)) if head.due == at && head.state == Standing::Delayed => {
                self.end_delay(state, queue, id, &head)
            }
            Some((queue, head)) if head.due == at && head.state == Standing::Leased && head.worker => {
                self.end_worker_lease(state, queue, id, &head)
            }
            Some((queue, head)) if head.due == at && head.state == Standing::Leased => {
                self.release(state, queue, id, &head)
            }
            Some((queue, head)) if head.has_own_end() && head.expires_at == Some(at) => {
                self.forget(state, queue, id, &head)
            }
            Some((queue, head)) if head.is_expired(self.now) => self.expire(state, queue, id, &head),
            // The end of a permit, or the row of a space left behind.
            None => self.expire_permit(state, at, space, id),
            _ => {
                remove(state, at, space, id);
                Ok(())
            }
        }
    }
}
