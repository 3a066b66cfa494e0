//! The life of a queue: creating, configuring, purging, deleting, and looking at it.

use std::sync::Arc;

use super::limits::check_uses;
use super::oldest::{self, First};
use super::send::within;
use super::{Answer, Engine, Stop, Which, ends};
use crate::api::{
    Config, DEDUP_WINDOW_MS_MAX, Error, Event, Kind, NAME_BYTES_MAX, Namespace, Output, Queue, QueueId, Reply, Tags,
};
use crate::keys::{self, Space};
use crate::kv::State;
use crate::queue::{Finished, QueueState};

/// Most queues of a shard.
pub(super) const QUEUES_MAX: u64 = 1_000_000;

impl Engine {
    #[expect(clippy::too_many_arguments, reason = "the fields of one command")]
    pub(super) fn create_queue<S: State>(
        &mut self,
        state: &mut S,
        namespace: Namespace,
        name: &str,
        kind: Kind,
        config: &Config,
        tags: &Tags,
        seed: [u8; 16],
        out: &mut Output,
    ) -> Answer {
        if let Some(id) = self.names.get(&namespace).and_then(|names| names.get(name)) {
            let queue = Arc::clone(&self.queue(*id)?.public);
            return match difference(&queue, kind, config) {
                None => Ok(Reply::Queue { queue, created: false }),
                Some(field) => Err(Error::QueueExists { field }),
            };
        }
        within("bytes of a queue's name", NAME_BYTES_MAX as u64, name.len() as u64)?;
        within("queues of a shard", QUEUES_MAX, self.queues.len() as u64 + 1)?;
        check_window(config)?;
        check_uses(config)?;
        self.allowed(namespace, name, None, config)?;
        let queue = Queue {
            id: QueueId(self.new_id()),
            namespace,
            name: name.to_owned(),
            kind,
            config: config.clone(),
            version: 1,
            created_at: self.now,
            modified_at: self.now,
            tags: tags.clone(),
            paused_until: None,
            subscription: None,
        };
        Ok(Reply::Queue { queue: self.new_queue(state, queue, seed, out), created: true })
    }

    /// Makes a queue of which everything was checked.
    pub(super) fn new_queue<S: State>(
        &mut self,
        state: &mut S,
        queue: Queue,
        seed: [u8; 16],
        out: &mut Output,
    ) -> Arc<Queue> {
        let (id, namespace) = (queue.id, queue.namespace);
        let space = Space { namespace, id: self.new_id() };
        let public = Arc::new(queue);
        let queue = QueueState::new(Arc::clone(&public), space, seed);
        state.insert(&keys::queue(namespace, id.0), queue.write().finish());
        self.add_queue(queue);
        self.find_limiters(id);
        self.dirty.push(id);
        out.events.push(Event::QueueChanged(Arc::clone(&public)));
        public
    }

    /// Takes a queue, new or read from the store, among the entities.
    pub(super) fn add_queue(&mut self, queue: QueueState) {
        let (id, space) = (queue.id(), queue.space);
        self.names.entry(space.namespace).or_default().insert(queue.public.name.clone(), id);
        self.spaces.insert(space.id, id);
        self.sources.add(&queue.public);
        self.limits.add_user(space.namespace, id, queue.config());
        self.end_pause_at(id, queue.public.paused_until);
        self.queues.insert(id, queue);
    }

    pub(super) fn configure_queue<S: State>(
        &mut self,
        state: &mut S,
        id: QueueId,
        version: u64,
        config: &Config,
        out: &mut Output,
    ) -> Answer {
        let now = self.now;
        let queue = self.queue(id)?;
        if queue.public.version != version {
            return Err(Error::Stale { version: queue.public.version });
        }
        check_window(config)?;
        check_uses(config)?;
        self.allowed(queue.space.namespace, &queue.public.name, queue.config().redrive.as_ref(), config)?;
        let queue = self.queues.get_mut(&id).ok_or(Error::QueueNotFound)?;
        self.sources.remove(&queue.public);
        self.limits.remove_user(queue.space.namespace, id, queue.config());
        let before = std::mem::take(&mut queue.uses);
        let public =
            Queue { config: config.clone(), version: version + 1, modified_at: now, ..(*queue.public).clone() };
        queue.public = Arc::new(public);
        self.sources.add(&queue.public);
        state.put(&keys::queue(queue.space.namespace, id.0), queue.write().finish());
        self.limits.add_user(queue.space.namespace, id, queue.config());
        let public = Arc::clone(&queue.public);
        self.find_limiters(id);
        self.left_limiters(state, id, &before);
        // A shorter retention applies to the messages that are there already.
        self.look_soon(id);
        for finished in Finished::BOTH {
            self.keep_at_most(id, finished, public.config.keep(finished).count, 0);
        }
        out.events.push(Event::QueueChanged(Arc::clone(&public)));
        Ok(Reply::Queue { queue: public, created: false })
    }

    pub(super) fn purge_queue<S: State>(&mut self, state: &mut S, id: QueueId) -> Answer {
        let space = self.new_id();
        let queue = self.queues.get_mut(&id).ok_or(Error::QueueNotFound)?;
        let left = queue.space;
        let space = Space { namespace: left.namespace, id: space };
        queue.move_to(space);
        state.put(&keys::queue(space.namespace, id.0), queue.write().finish());
        self.dirty.push(id);
        self.spaces.insert(space.id, id);
        let uses = queue.uses.clone();
        self.all_ended(id);
        self.leave_behind(state, left);
        self.left_behind(state, &uses);
        Ok(Reply::Done)
    }

    pub(super) fn delete_queue<S: State>(&mut self, state: &mut S, id: QueueId, out: &mut Output) -> Answer {
        if self.queue(id)?.public.subscription.is_some() {
            return Err(Error::QueueOwned);
        }
        self.drop_queue(state, id, out);
        Ok(Reply::Done)
    }

    /// Deletes a queue, whoever it belongs to.
    pub(super) fn drop_queue<S: State>(&mut self, state: &mut S, id: QueueId, out: &mut Output) {
        let Some(queue) = self.queues.remove(&id) else { return };
        let space = queue.space;
        if let Some(names) = self.names.get_mut(&space.namespace) {
            names.remove(&queue.public.name);
        }
        self.sources.remove(&queue.public);
        self.limits.remove_user(space.namespace, id, queue.config());
        self.left_behind(state, &queue.uses);
        self.forget_moves(state, id, space.namespace);
        state.delete(&keys::queue(space.namespace, id.0));
        state.delete(&keys::counters(space.namespace, id.0));
        ends::forget(state, &queue);
        if let Some(at) = queue.chores_at {
            self.chores.remove(&(at, id));
        }
        if let Some(at) = queue.public.paused_until {
            self.pauses.remove(&(at, id));
        }
        for waiter in &queue.waiters {
            self.forget_waiter(waiter.token);
            out.replies.push((waiter.token, Err(Error::QueueNotFound)));
        }
        self.refuse_awaiting(id, out);
        self.leave_behind(state, space);
        out.events.push(Event::QueueDeleted(queue.public));
    }

    fn leave_behind<S: State>(&mut self, state: &mut S, space: Space) {
        self.spaces.remove(&space.id);
        state.insert(&keys::garbage(space), &[]);
        self.garbage.push_back((space, 0));
    }

    pub(super) fn queue_stats<S: State>(&mut self, state: &S, id: QueueId) -> Result<Answer, Stop> {
        let Some(queue) = self.queues.get_mut(&id) else { return Ok(Err(Error::QueueNotFound)) };
        let (counters, queue_public) = (queue.counters, Arc::clone(&queue.public));
        let (priorities, ends) = (queue.priorities.counts().map(<[_]>::to_vec), queue.meter.total());
        let mut oldest = None;
        while queue.unfinished() > 0 {
            match oldest::first(state, queue, Which::Unfinished)? {
                First::Is(_, head) => {
                    oldest = Some(head.sent_at);
                    break;
                }
                First::None => break,
                First::More => {}
            }
        }
        Ok(Ok(Reply::Stats { queue: queue_public, counters, priorities, ends, oldest }))
    }
}

fn check_window(config: &Config) -> Result<(), Error> {
    within("milliseconds of a deduplication window", DEDUP_WINDOW_MS_MAX, config.dedup_window_ms)
}

/// The first field in which a queue differs from what a command would create.
fn difference(queue: &Queue, kind: Kind, config: &Config) -> Option<String> {
    let have = &queue.config;
    let field = if queue.kind != kind {
        "kind"
    } else if have.visibility_ms != config.visibility_ms {
        "visibility timeout"
    } else if have.delay_ms != config.delay_ms {
        "delay"
    } else if have.message_bytes_max != config.message_bytes_max {
        "maximum message size"
    } else if have.retention_ms != config.retention_ms {
        "retention"
    } else if have.receive_wait_ms != config.receive_wait_ms {
        "receive wait time"
    } else if have.redrive != config.redrive {
        "redrive policy"
    } else if have.redrive_allow != config.redrive_allow {
        "redrive allow policy"
    } else if have.content_deduplication != config.content_deduplication {
        "content-based deduplication"
    } else if have.dedup_scope != config.dedup_scope {
        "deduplication scope"
    } else if have.dedup_window_ms != config.dedup_window_ms {
        "deduplication window"
    } else if have.notes != config.notes {
        "further attributes"
    } else if have.retry != config.retry {
        "retry policy"
    } else if have.stalls_max != config.stalls_max {
        "limit of stalls"
    } else if have.timeout_ms != config.timeout_ms {
        "timeout"
    } else if have.keep_completed != config.keep_completed {
        "retention of completed jobs"
    } else if have.keep_failed != config.keep_failed {
        "retention of failed jobs"
    } else if have.limiters != config.limiters {
        "limiters"
    } else {
        return None;
    };
    Some(field.to_owned())
}
