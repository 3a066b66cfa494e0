//! Opening: one record is read for each entity, none for a message.

use std::ops::ControlFlow;

use super::{Engine, META_VERSION, META_WHAT, Stop};
use crate::api::{Namespace, QueueId};
use crate::codec::{Reader, Unreadable};
use crate::keys::{self, Space};
use crate::kv::{KeyBuf, View};
use crate::queue::QueueState;
use crate::time::Time;

/// How far the opening has come.
#[derive(Debug)]
pub(super) struct Progress {
    namespace: Namespace,
    stage: Stage,
    /// The next key to read of the stage.
    from: Option<KeyBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Meta,
    FindNamespace,
    Queues,
    Counters,
    Garbage,
    Moves,
    Idempotency,
    Limiters,
    Topics,
    TopicCounters,
    Subscriptions,
    SubscriptionCounters,
    Replays,
    Done,
}

impl Default for Progress {
    fn default() -> Self {
        Self { namespace: Namespace(0), stage: Stage::Meta, from: None }
    }
}

impl Progress {
    pub(super) fn is_done(&self) -> bool {
        self.stage == Stage::Done
    }
}

impl Engine {
    /// Reads the entities. `now` is the latest time that the store knows of.
    ///
    /// # Errors
    /// [`Stop::Need`]: load the rows and call again, it goes on where it stood. [`Stop::Unreadable`]: the state was not
    /// written by this program, or by a later one.
    pub fn open<V: View>(&mut self, now: Time, state: &V) -> Result<(), Stop> {
        self.advance(now);
        loop {
            let namespace = self.opening.namespace;
            self.opening.stage = match self.opening.stage {
                Stage::Meta => {
                    self.read_meta(state)?;
                    Stage::FindNamespace
                }
                Stage::FindNamespace => match find_namespace(state, namespace)? {
                    Some(found) => {
                        self.opening.namespace = found;
                        // What is due first is found with the first tick.
                        self.due.add_namespace(found, Time(0));
                        self.flow_tasks.add_namespace(found);
                        self.limits.add_namespace(found);
                        Stage::Queues
                    }
                    None => Stage::Done,
                },
                Stage::Queues => {
                    self.each(state, keys::QUEUE, |engine, id, value| {
                        engine.add_queue(QueueState::read(namespace, QueueId(id), value)?);
                        engine.look_soon(QueueId(id));
                        Ok(())
                    })?;
                    Stage::Counters
                }
                Stage::Counters => {
                    self.each(state, keys::COUNTERS, |engine, id, value| match engine.queues.get_mut(&QueueId(id)) {
                        Some(queue) => queue.read_counters(value),
                        None => Err(Unreadable::Damaged { what: "counters without a queue" }),
                    })?;
                    Stage::Garbage
                }
                Stage::Garbage => {
                    self.each(state, keys::GARBAGE, |engine, id, _| {
                        engine.garbage.push_back((Space { namespace, id }, 0));
                        Ok(())
                    })?;
                    Stage::Moves
                }
                Stage::Moves => {
                    self.each(state, keys::MOVE, Engine::add_move)?;
                    Stage::Idempotency
                }
                Stage::Idempotency => {
                    self.idempotency.open(state, namespace)?;
                    Stage::Limiters
                }
                Stage::Limiters => {
                    self.each(state, keys::LIMITER, |engine, id, value| engine.add_limiter(namespace, id, value))?;
                    Stage::Topics
                }
                Stage::Topics => {
                    self.each(state, keys::TOPIC, |engine, id, value| engine.read_topic(namespace, id, value))?;
                    Stage::TopicCounters
                }
                Stage::TopicCounters => {
                    self.each(state, keys::TOPIC_COUNTERS, |engine, id, value| engine.topics.read_counters(id, value))?;
                    Stage::Subscriptions
                }
                Stage::Subscriptions => {
                    self.each(state, keys::SUBSCRIPTION, |engine, id, value| {
                        engine.topics.read_subscription(namespace, id, value)
                    })?;
                    Stage::SubscriptionCounters
                }
                Stage::SubscriptionCounters => {
                    self.each(state, keys::SUBSCRIPTION_COUNTERS, |engine, id, value| {
                        engine.topics.read_subscription_counters(id, value)
                    })?;
                    Stage::Replays
                }
                Stage::Replays => {
                    self.each(state, keys::REPLAY, Engine::read_replay)?;
                    self.opening.namespace = Namespace(namespace.0.saturating_add(1));
                    Stage::FindNamespace
                }
                Stage::Done => {
                    for queue in self.queues() {
                        self.find_limiters(queue.id);
                    }
                    return Ok(());
                }
            }
        }
    }

    /// Leaves ids out that may have been handed out already, in writes that a loss of power took: whoever still holds the
    /// handle of a message that is gone must not meet another one under it.
    pub fn skip_ids(&mut self, count: u64) {
        self.last_id = self.last_id.saturating_add(count);
    }

    fn read_meta<V: View>(&mut self, state: &V) -> Result<(), Stop> {
        if let Some(bytes) = state.get(&keys::meta(), 0)? {
            let mut reader = Reader::new(META_WHAT, bytes, META_VERSION)?;
            self.last_id = reader.number()?;
            self.last_id_written = self.last_id;
            if reader.version() >= 2 {
                self.limits.opening = reader.number()?;
            }
            reader.end()?;
        }
        self.limits.opening += 1;
        Ok(())
    }

    /// Calls `row` for each row of a kind of entity, from where the opening stands.
    fn each<V: View>(
        &mut self,
        state: &V,
        kind: u8,
        mut row: impl FnMut(&mut Engine, u64, &[u8]) -> Result<(), Unreadable>,
    ) -> Result<(), Stop> {
        let entities = keys::entities(self.opening.namespace);
        let from = self.opening.from.take().unwrap_or_else(|| entities.kind(kind));
        let mut outcome = Ok(());
        let mut last = None;
        let scanned = state.scan(&from, &entities.kind(kind + 1), &mut |key, value| {
            let id = keys::numbers(key).map(|[id]| id);
            outcome = match id {
                Some(id) => row(self, id, value),
                None => Err(Unreadable::Damaged { what: "an entity's key" }),
            };
            last = id;
            if outcome.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        outcome?;
        if let Err(need) = scanned {
            let next = last.map(|id| entities.kind(kind).number(id + 1));
            self.opening.from = Some(next.unwrap_or(from));
            return Err(need.into());
        }
        Ok(())
    }
}

/// The first namespace from `from` on that has rows.
fn find_namespace<V: View>(state: &V, from: Namespace) -> Result<Option<Namespace>, Stop> {
    let mut found = None;
    let end = [u8::MAX];
    state.scan(&keys::entities(from).kind(0), &end, &mut |key, _| {
        found = keys::namespace(key);
        ControlFlow::Break(())
    })?;
    Ok(found)
}
