//! Pausing a subscription: its deliveries are held, and follow when it is resumed.
//!
//! What goes to a URL or a function waits in the subscription's own queue, which is paused. What goes to a queue of
//! somebody else is held in another queue of the subscription's own, made when it is paused; on resuming, all of it moves
//! over in the background, in order. A FIFO queue goes on to be fed by way of that queue until it is empty, so that
//! nothing overtakes; a standard queue is fed directly at once.

use std::sync::Arc;

use super::super::queues::QUEUES_MAX;
use super::super::send::within;
use super::super::{Answer, Engine};
use super::subscribe::queue_name;
use crate::api::topic::{Subscription, SubscriptionId};
use crate::api::{Config, Error, MoveStatus, Output, Queue, QueueId, Reply, Tags};
use crate::kv::State;
use crate::queue::QueueState;
use crate::time::Time;

impl Engine {
    pub(in crate::engine) fn pause_subscription<S: State>(
        &mut self,
        state: &mut S,
        id: SubscriptionId,
        paused: bool,
        seed: [u8; 16],
        out: &mut Output,
    ) -> Answer {
        let public = Arc::clone(&self.topics.subscription(id)?.public);
        if public.paused == paused {
            return Ok(Reply::Subscription { subscription: public, created: false });
        }
        let mut held = public.held;
        if let Some(queue) = public.queue {
            self.set_pause(state, queue, paused.then_some(Time::NEVER), out);
        } else if paused {
            match held {
                Some(queue) => self.stop_move(state, queue),
                None => held = Some(self.new_held_queue(state, &public, seed, out)?),
            }
        } else if let Some(queue) = held {
            self.follow(state, &public, queue)?;
        }
        let changed = Subscription { paused, held, modified_at: self.now, ..(*public).clone() };
        let subscription = self.topics.put_subscription(state, id, changed, out);
        Ok(Reply::Subscription { subscription, created: false })
    }

    /// The queue in which the deliveries of a subscription to a queue are held.
    fn new_held_queue<S: State>(
        &mut self,
        state: &mut S,
        subscription: &Subscription,
        seed: [u8; 16],
        out: &mut Output,
    ) -> Result<QueueId, Error> {
        within("queues of a shard", QUEUES_MAX, self.queues.len() as u64 + 1)?;
        let fed = self.named(subscription.namespace, subscription.endpoint.text()).map(|queue| &queue.public);
        let kind = match fed {
            Some(queue) => queue.kind,
            None => self.topics.topic(subscription.topic)?.public.kind,
        };
        // What is held is kept for as long, and is the same to limiters, as in the queue that it is for.
        let config = fed.map(|queue| queue.config.clone()).unwrap_or_default();
        let id = QueueId(self.new_id());
        let queue = Queue {
            id,
            namespace: subscription.namespace,
            name: queue_name("held", subscription.uuid),
            kind,
            config: Config { redrive: None, ..config },
            version: 1,
            created_at: self.now,
            modified_at: self.now,
            tags: Tags::new(),
            paused_until: Some(Time::NEVER),
            subscription: Some(subscription.id),
        };
        self.new_queue(state, queue, seed, out);
        Ok(id)
    }

    /// Has what is held follow to the queue that it is for.
    fn follow<S: State>(&mut self, state: &mut S, subscription: &Subscription, held: QueueId) -> Result<(), Error> {
        let to = self.named(subscription.namespace, subscription.endpoint.text());
        let to = to.map(QueueState::id).ok_or(Error::QueueNotFound)?;
        self.can_move(held, to)?;
        match self.start_move(state, held, Some(to), None) {
            // It goes on already.
            Ok(_) | Err(Error::MoveActive { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// A move out of a queue of a subscription's own has ended, however it did.
    pub(in crate::engine) fn held_moved(&mut self, queue: QueueId) {
        let subscription = self.queues.get(&queue).and_then(|queue| queue.public.subscription);
        self.topics.followed.extend(subscription);
    }

    /// Looks whether all that subscriptions held has followed; what has not goes on, or is held anew.
    pub(super) fn end_held<S: State>(&mut self, state: &mut S, out: &mut Output) {
        for id in std::mem::take(&mut self.topics.followed) {
            let Ok(public) = self.topics.subscription(id).map(|subscription| Arc::clone(&subscription.public)) else {
                continue;
            };
            let (Some(held), false) = (public.held, public.paused) else { continue };
            let (changed, modified_at) = ((*public).clone(), self.now);
            if self.queues.get(&held).is_none_or(|queue| queue.messages() == 0) {
                self.drop_queue(state, held, out);
                self.topics.put_subscription(state, id, Subscription { held: None, modified_at, ..changed }, out);
                continue;
            }
            let goes_on = match self.last_move(held) {
                Some(MoveStatus::Running) => true,
                // What came meanwhile follows.
                Some(MoveStatus::Completed) | None => self.follow(state, &public, held).is_ok(),
                Some(MoveStatus::Cancelled | MoveStatus::Failed) => false,
            };
            if !goes_on {
                // The queue is gone, or somebody ended the move: nothing is lost, and nothing goes on by itself.
                self.topics.put_subscription(state, id, Subscription { paused: true, modified_at, ..changed }, out);
            }
        }
    }
}
