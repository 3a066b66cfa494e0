//! Sending: a message enters its queue, unless one with the same deduplication id did so lately.

use std::sync::Arc;

use smallvec::SmallVec;

use super::add::{check_options, due};
use super::dedup::{self, Verdict};
use super::flows::Membership;
use super::message::prepare_lane;
use super::{Answer, Engine, Stop, prepare_each};
use crate::api::job::{JobEventKind, SameId};
use crate::api::limit::Limits;
use crate::api::{BATCH_MAX, Error, Kind, Lane, NewMessage, QueueId, Reply, Sent};
use crate::head::{Head, State as Standing};
use crate::keys;
use crate::kv::{State, View};
use crate::queue::QueueState;
use crate::spec::Spec;

impl Engine {
    pub(super) fn send<S: State>(
        &mut self,
        state: &mut S,
        id: QueueId,
        version: u64,
        messages: &[NewMessage],
    ) -> Result<Answer, Stop> {
        let queue = match self.queue(id) {
            Ok(queue) => queue,
            Err(error) => return Ok(Err(error)),
        };
        if queue.public.version != version {
            return Ok(Err(Error::Stale { version: queue.public.version }));
        }
        if let Err(error) = within("messages of a command", BATCH_MAX as u64, messages.len() as u64) {
            return Ok(Err(error));
        }
        let reads =
            |message: &NewMessage| message.lane.is_some() || message.options.is_some() || message.limits.is_some();
        if queue.public.kind == Kind::Fifo || messages.iter().any(reads) {
            prepare_each(messages.iter(), |message| self.prepare_new(state, queue, message))?;
            self.prepare_duplicates(state, &messages.iter().map(|message| (id, message)))?;
        }
        let mut sent = SmallVec::new();
        for message in messages {
            let in_flow = message.options.as_ref().is_some_and(|options| options.parent.is_some());
            sent.push(if in_flow {
                Err(Error::Invalid { field: "parent", reason: "a child is added as a job" })
            } else {
                self.send_one(state, id, message, Membership::default())?
            });
        }
        Ok(Ok(Reply::Sent(sent)))
    }

    /// Brings a message, or a job, into its queue.
    pub(super) fn send_one<S: State>(
        &mut self,
        state: &mut S,
        id: QueueId,
        message: &NewMessage,
        membership: Membership,
    ) -> Result<Result<Sent, Error>, Stop> {
        let now = self.now;
        let queue = match self.queue(id) {
            Ok(queue) => queue,
            Err(error) => return Ok(Err(error)),
        };
        let space = queue.space;
        if queue.public.kind == Kind::Fifo && message.lane.is_none() {
            return Ok(Err(Error::LaneRequired));
        }
        let options = message.options.as_deref();
        if let Some(Err(error)) = options.map(|options| check_options(queue, options)) {
            return Ok(Err(error));
        }
        if let Some(Known { id: known }) = self.known_already(state, queue, message)? {
            self.kept_away(id, known, SameId::Custom, message);
            return Ok(Ok(Sent { uuid: message.uuid, id: known, duplicate: true }));
        }
        let due = due(queue, message, now);
        let original = match dedup::compare(state, self.now, &queue.compared(), message.dedup, message.lane)? {
            Verdict::Duplicate(first) => {
                self.kept_away(id, first.id, SameId::Deduplication, message);
                return Ok(Ok(first));
            }
            Verdict::Original(original) => original,
        };
        let (lane, limits) = queue.limits_of(message.lane, message.limits.as_deref());
        let mut spec = options.map(|options| Spec::new(options, membership.parent)).unwrap_or_default();
        let state_first = if due == now { Standing::Ready } else { Standing::Delayed };
        let state_first = if membership.is_parent { Standing::Waiting } else { state_first };
        spec.children = membership.is_parent.then_some((0, 0));
        let spec = Some(spec).filter(|spec| !spec.is_default());
        let head = Head {
            priority: message.priority,
            bytes: message.payload.len() as u64,
            due,
            lane,
            in_lane: lane.is_some(),
            lifo: options.is_some_and(|options| options.lifo),
            has_spec: spec.is_some(),
            has_children: membership.is_parent,
            expires_at: options.and_then(|options| options.expires_at),
            limits,
            ..Head::new(state_first, now)
        };
        let dedup = options.and_then(|options| options.dedup);
        if let (Some(dedup), Some(queue)) = (&dedup, self.queues.get(&id))
            && let Some(duplicate) = self.find_duplicate(state, queue, dedup)?
        {
            let first = duplicate.of();
            self.kept_away(id, first, SameId::Deduplication, message);
            self.pass_duplicate(state, id, duplicate, dedup, (message, head, spec.unwrap_or_default()))?;
            return Ok(Ok(Sent { uuid: message.uuid, id: first, duplicate: true }));
        }
        let message_id = self.new_id();
        if let Some(original) = original {
            let row = dedup::Row { at: now, id: message_id, uuid: message.uuid, lane: message.lane };
            self.remember(state, id, &original, row);
        }
        if let Some(dedup) = &dedup {
            self.remember_job(state, id, dedup, message_id)?;
        }
        state.insert_bulk(&keys::body(space.namespace, message_id), &[&message.payload]);
        self.enter(state, id, message_id, &head)?;
        if let Some(spec) = spec {
            self.put_spec(state, id, message_id, &spec);
        }
        self.happened(id, message_id, || {
            JobEventKind::Added(head.state.of_job(), Some(Arc::from(message.payload.as_slice())))
        });
        Ok(Ok(Sent { uuid: message.uuid, id: message_id, duplicate: false }))
    }

    /// A message was not added, since `first` has its id.
    fn kept_away(&mut self, id: QueueId, first: u64, by: SameId, message: &NewMessage) {
        self.happened(id, first, || JobEventKind::Deduplicated(by, Some(Arc::from(message.payload.as_slice()))));
    }

    /// Reads what a message reads that comes into a queue.
    pub(super) fn prepare_entry<S: View>(
        &self,
        state: &S,
        queue: &QueueState,
        dedup: Option<[u8; 16]>,
        (lane, limits): (Option<Lane>, Option<&Limits>),
    ) -> Result<(), Stop> {
        let duplicate = dedup::compare(state, self.now, &queue.compared(), dedup, lane).map(|_| ());
        // A message that joins a lane at its end reads the lane's record only.
        let (lane, _) = queue.limits_of(lane, limits);
        let lane = lane.map_or(Ok(()), |lane| prepare_lane(state, queue, lane, 0));
        prepare_each([duplicate, lane].into_iter(), |prepared| prepared)
    }

    /// Reads all that sending a message reads.
    pub(super) fn prepare_send<S: View>(
        &self,
        state: &S,
        queue: &QueueState,
        message: &NewMessage,
    ) -> Result<(), Stop> {
        self.prepare_entry(state, queue, message.dedup, (message.lane, message.limits.as_deref()))
    }
}

/// A job that is there already under the id that its sender chose.
pub(super) struct Known {
    pub(super) id: u64,
}

/// Refuses more than a bound allows.
pub(super) fn within(what: &'static str, allowed: u64, found: u64) -> Result<(), Error> {
    if found > allowed { Err(Error::LimitExceeded { what, allowed, found }) } else { Ok(()) }
}
