//! Publishing: a message comes to every queue whose subscription lets it through, all of them in one commit.
//!
//! A queue takes the message by its own settings: delay, retention, limiters, order. One that cannot take it keeps it away
//! from nobody else. Several that take it share one payload, unless it is shorter than what sharing costs.

use std::sync::Arc;
use std::time::Duration;

use super::super::dedup::{self, Compared, Verdict};
use super::super::send::within;
use super::super::{Answer, Engine, Stop, prepare_each, shared};
use crate::api::job::JobEventKind;
use crate::api::limit::Limits;
use crate::api::topic::{
    DELIVERIES_MAX, DeliveryFailure, Endpoint, Origin, Publication, Published, Subscription, SubscriptionId, Target,
    TopicId,
};
use crate::api::{BATCH_MAX, Error, Kind, Namespace, QueueId, Reply};
use crate::head::{Head, State as Standing};
use crate::keys;
use crate::kv::{State, View};
use crate::queue::QueueState;
use crate::topic::TopicState;

/// A payload up to this length is copied for each queue: counting who shares it would write more.
const COPIED_BYTES_MAX: usize = 64;

/// Where a publication goes for one subscription.
#[derive(Clone, Copy, Debug)]
struct Way<'a> {
    subscription: SubscriptionId,
    raw: bool,
    /// The queue that takes it: its own, or, where that one cannot, the one of its dead letters.
    to: Option<QueueId>,
    failure: Option<DeliveryFailure>,
    limits: Option<&'a Limits>,
}

impl TopicState {
    fn compared(&self) -> Compared<'_> {
        let config = &self.public.config;
        let (kind, buckets) = (self.public.kind, &self.dedup_buckets);
        let (window_ms, scope) = (config.dedup_window_ms, config.dedup_scope);
        Compared { kind, space: self.space, secret: &self.secret, buckets, window_ms, scope }
    }
}

impl Engine {
    pub(in crate::engine) fn publish<S: State>(
        &mut self,
        state: &mut S,
        id: TopicId,
        revision: u64,
        publications: &[Publication],
    ) -> Result<Answer, Stop> {
        let ways = match self.ways(id, revision, publications) {
            Ok(ways) => ways,
            Err(error) => return Ok(Err(error)),
        };
        let Some(topic) = self.topics.by_id.get(&id) else { return Ok(Err(Error::TopicNotFound)) };
        prepare_each(publications.iter().zip(&ways), |(publication, ways)| {
            let duplicate = dedup::compare(state, self.now, &topic.compared(), publication.dedup, publication.lane);
            let entries = prepare_each(ways.iter(), |way| self.prepare_way(state, publication, way));
            prepare_each([duplicate.map(|_| ()), entries].into_iter(), |prepared| prepared)
        })?;
        let mut published = Vec::with_capacity(publications.len());
        for (publication, ways) in publications.iter().zip(&ways) {
            published.push(self.publish_one(state, id, publication, ways)?);
        }
        Ok(Ok(Reply::Published(published)))
    }

    /// Where each publication goes.
    fn ways<'a>(
        &self,
        id: TopicId,
        revision: u64,
        publications: &'a [Publication],
    ) -> Result<Vec<Vec<Way<'a>>>, Error> {
        let topic = self.topics.topic(id)?;
        if topic.public.revision != revision {
            return Err(Error::TopicStale { version: topic.public.revision });
        }
        within("messages of a command", BATCH_MAX as u64, publications.len() as u64)?;
        let deliveries: usize = publications.iter().map(|publication| publication.targets.len()).sum();
        within("deliveries of a command", DELIVERIES_MAX as u64, deliveries as u64)?;
        let ways = publications.iter().map(|publication| {
            let targets = publication.targets.iter();
            targets.filter_map(|target| self.target_way(topic, publication, target).transpose()).collect()
        });
        ways.collect()
    }

    /// Where a publication goes for a subscription: nowhere where that is not confirmed.
    fn target_way<'a>(
        &self,
        topic: &TopicState,
        publication: &Publication,
        target: &'a Target,
    ) -> Result<Option<Way<'a>>, Error> {
        let id = target.subscription;
        let Some(subscription) = self.topics.subscriptions.get(&id).map(|subscription| &*subscription.public) else {
            return Err(Error::SubscriptionNotFound);
        };
        if subscription.topic != topic.public.id {
            return Err(Error::SubscriptionNotFound);
        }
        if subscription.pending_until.is_some() {
            return Ok(None);
        }
        let raw = subscription.config.raw;
        let queue = self.fed(subscription);
        let failure = match queue {
            None => Some(DeliveryFailure::QueueGone),
            Some(queue) => takes(topic, queue, publication).err(),
        };
        if failure.is_some() {
            let dead_letters = subscription.config.dead_letter.as_deref();
            let queue = dead_letters.and_then(|name| self.named(subscription.namespace, name));
            let to = queue.filter(|queue| takes(topic, queue, publication).is_ok()).map(QueueState::id);
            return Ok(Some(Way { subscription: id, raw, to, failure, limits: None }));
        }
        let mut limits = None;
        if let Some(queue) = queue.filter(|queue| !queue.config().limiters.is_empty()) {
            let version = queue.public.version;
            match &target.limits {
                Some((made_for, found)) if *made_for == version => limits = Some(&**found),
                _ => return Err(Error::Stale { version }),
            }
        }
        Ok(Some(Way { subscription: id, raw, to: queue.map(QueueState::id), failure: None, limits }))
    }

    /// The queue that a subscription feeds.
    fn fed(&self, subscription: &Subscription) -> Option<&QueueState> {
        match (&subscription.endpoint, subscription.held.or(subscription.queue)) {
            (_, Some(own)) => self.queues.get(&own),
            (Endpoint::Queue(name), None) => self.named(subscription.namespace, name),
            (Endpoint::Url(_) | Endpoint::Function(_), None) => None,
        }
    }

    fn named(&self, namespace: Namespace, name: &str) -> Option<&QueueState> {
        self.queues.get(self.names.get(&namespace)?.get(name)?)
    }

    fn prepare_way<S: View>(&self, state: &S, publication: &Publication, way: &Way<'_>) -> Result<(), Stop> {
        let Some(queue) = way.to.and_then(|id| self.queues.get(&id)) else { return Ok(()) };
        self.prepare_entry(state, queue, publication.dedup, (publication.lane, way.limits))
    }

    fn publish_one<S: State>(
        &mut self,
        state: &mut S,
        id: TopicId,
        publication: &Publication,
        ways: &[Way<'_>],
    ) -> Result<Result<Published, Error>, Stop> {
        let now = self.now;
        let Some(topic) = self.topics.by_id.get(&id) else { return Ok(Err(Error::TopicNotFound)) };
        let namespace = topic.public.namespace;
        if topic.public.kind == Kind::Fifo && publication.lane.is_none() {
            return Ok(Err(Error::LaneRequired));
        }
        let original = match dedup::compare(state, now, &topic.compared(), publication.dedup, publication.lane)? {
            Verdict::Original(original) => original,
            Verdict::Duplicate(first) => {
                self.count(id, |topic| topic.counters.duplicates += 1);
                let (uuid, id) = (first.uuid, first.id);
                return Ok(Ok(Published { uuid, id, duplicate: true, delivered: 0, failed: 0 }));
            }
        };
        let number = self.new_id();
        if let (Some(original), Some(topic)) = (original, self.topics.by_id.get_mut(&id)) {
            let bucket = topic.dedup_buckets.open(now, topic.public.config.dedup_window_ms);
            let row = dedup::Row { at: now, id: number, uuid: publication.uuid, lane: publication.lane };
            dedup::remember(state, &topic.compared(), bucket, &original, row);
            self.topics.look_at(id);
        }
        let takers = ways.iter().filter(|way| way.to.is_some()).count();
        let shares = takers > 1 && publication.payload.len() > COPIED_BYTES_MAX;
        let (mut sharing, mut failed) = (0, 0);
        for way in ways {
            if let Some(to) = way.to {
                let origin = Origin { publication: number, subscription: way.subscription, raw: way.raw };
                sharing += u64::from(self.deliver(state, to, publication, (origin, shares), way.limits)?);
            }
            failed += u64::from(way.failure.is_some());
            self.delivered(way);
        }
        if shares && sharing > 0 {
            shared::share(state, namespace, number, &publication.payload, sharing);
        }
        let delivered = ways.len() as u64 - failed;
        self.count(id, |topic| {
            topic.counters.published += 1;
            topic.counters.delivered += delivered;
            topic.counters.failed += failed;
        });
        Ok(Ok(Published { uuid: publication.uuid, id: number, duplicate: false, delivered, failed }))
    }

    fn count(&mut self, id: TopicId, change: impl FnOnce(&mut TopicState)) {
        if let Some(topic) = self.topics.by_id.get_mut(&id) {
            change(topic);
        }
        self.topics.touch(id);
    }

    /// Counts a delivery, or that there was none.
    fn delivered(&mut self, way: &Way<'_>) {
        let now = self.now;
        if let Some(subscription) = self.topics.subscriptions.get_mut(&way.subscription) {
            match way.failure {
                None => subscription.delivered += 1,
                Some(failure) => {
                    subscription.failed += 1;
                    subscription.last_failure = Some((now, failure));
                }
            }
        }
        self.topics.touch_subscription(way.subscription);
    }

    /// Brings a publication into a queue, unless one with the same deduplication id came to that one lately. Says whether
    /// it did.
    fn deliver<S: State>(
        &mut self,
        state: &mut S,
        id: QueueId,
        publication: &Publication,
        (origin, shares): (Origin, bool),
        limits: Option<&Limits>,
    ) -> Result<bool, Stop> {
        let now = self.now;
        let Some(queue) = self.queues.get(&id) else { return Ok(false) };
        let namespace = queue.space.namespace;
        let original = match dedup::compare(state, now, &queue.compared(), publication.dedup, publication.lane)? {
            Verdict::Original(original) => original,
            Verdict::Duplicate(first) => {
                self.happened(id, first.id, || JobEventKind::Deduplicated);
                return Ok(false);
            }
        };
        let (lane, limits) = queue.limits_of(publication.lane, limits);
        let due = match queue.config().delay_ms {
            0 => now,
            delay_ms => now.after(Duration::from_millis(delay_ms)),
        };
        let message = self.new_id();
        if let Some(original) = original {
            let row = dedup::Row { at: now, id: message, uuid: publication.uuid, lane: publication.lane };
            self.remember(state, id, &original, row);
        }
        if !shares {
            state.insert_bulk(&keys::body(namespace, message), &[&publication.payload]);
        }
        let head = Head {
            priority: publication.priority,
            bytes: publication.payload.len() as u64,
            due,
            lane,
            in_lane: lane.is_some(),
            limits,
            origin: Some(origin),
            shares,
            ..Head::new(if due == now { Standing::Ready } else { Standing::Delayed }, now)
        };
        self.enter(state, id, message, &head)?;
        self.happened(id, message, || {
            JobEventKind::Added(head.state.of_job(), Some(Arc::from(publication.payload.as_slice())))
        });
        Ok(true)
    }
}

/// Whether a queue can take a publication of a topic.
fn takes(topic: &TopicState, queue: &QueueState, publication: &Publication) -> Result<(), DeliveryFailure> {
    if topic.public.kind == Kind::Standard && queue.public.kind == Kind::Fifo {
        return Err(DeliveryFailure::KindDiffers);
    }
    if publication.bytes > queue.config().message_bytes_max {
        return Err(DeliveryFailure::TooLarge);
    }
    Ok(())
}
