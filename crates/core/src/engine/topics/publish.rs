//! Publishing: a message comes to every queue whose subscription lets it through, all of them in one commit.
//!
//! A queue takes the message by its own settings: delay, retention, limiters, order. One that cannot take it keeps it away
//! from nobody else. Several that take it share one payload, unless it is shorter than what sharing costs.

use std::sync::Arc;
use std::time::Duration;

use super::super::dedup::{self, Compared, Verdict};
use super::super::send::within;
use super::super::{Answer, Engine, Stop, prepare_each, shared};
use super::archive::{self, Row};
use crate::api::job::{JobEventKind, SameId};
use crate::api::limit::Limits;
use crate::api::topic::{
    ArchiveMark, DELIVERIES_MAX, DeliveryFailure, Origin, Publication, Published, Subscription, SubscriptionId, Target,
    TopicId,
};
use crate::api::{BATCH_MAX, Error, Kind, Lane, MESSAGE_BYTES_DEFAULT, Namespace, QueueId, Reply};
use crate::head::{Head, State as Standing};
use crate::keys;
use crate::kv::{State, View};
use crate::queue::QueueState;
use crate::topic::TopicState;

/// A payload up to this length is copied for each queue: counting who shares it would write more.
const COPIED_BYTES_MAX: usize = 64;

/// Where a publication goes for one subscription.
#[derive(Clone, Copy, Debug)]
pub(super) struct Way<'a> {
    subscription: SubscriptionId,
    pub(super) raw: bool,
    /// The queue that takes it: its own, or, where that one cannot, the one of its dead letters.
    pub(super) to: Option<QueueId>,
    pub(super) failure: Option<DeliveryFailure>,
    pub(super) limits: Option<&'a Limits>,
}

/// What comes into a queue.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parcel<'a> {
    pub(super) uuid: [u8; 16],
    /// Its payload; `None` where that is stored already, and shared.
    pub(super) payload: Option<&'a [u8]>,
    pub(super) len: u64,
    pub(super) priority: u32,
    pub(super) lane: Option<Lane>,
    pub(super) dedup: Option<[u8; 16]>,
}

impl<'a> Parcel<'a> {
    fn of(publication: &'a Publication) -> Self {
        let Publication { uuid, ref payload, priority, lane, dedup, .. } = *publication;
        Self { uuid, payload: Some(payload), len: payload.len() as u64, priority, lane, dedup }
    }
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
        self.subscription_way(topic, subscription, publication.bytes, target.limits.as_ref()).map(Some)
    }

    /// The same for a subscription that is confirmed, and so many bytes.
    pub(super) fn subscription_way<'a>(
        &self,
        topic: &TopicState,
        subscription: &Subscription,
        bytes: u64,
        found: Option<&'a (u64, Box<Limits>)>,
    ) -> Result<Way<'a>, Error> {
        let (id, raw) = (subscription.id, subscription.config.raw);
        let queue = self.fed(subscription);
        let failure = match queue {
            None => Some(DeliveryFailure::QueueGone),
            Some(queue) => takes(topic, queue, bytes).err(),
        };
        if failure.is_some() {
            let to = self.dead_letters(topic, subscription, bytes);
            return Ok(Way { subscription: id, raw, to, failure, limits: None });
        }
        let mut limits = None;
        if let Some(queue) = queue.filter(|queue| !queue.config().limiters.is_empty()) {
            let version = queue.public.version;
            match found {
                Some((made_for, found)) if *made_for == version => limits = Some(&**found),
                _ => return Err(Error::Stale { version }),
            }
        }
        Ok(Way { subscription: id, raw, to: queue.map(QueueState::id), failure: None, limits })
    }

    /// The queue that takes what cannot be delivered to a subscription.
    fn dead_letters(&self, topic: &TopicState, subscription: &Subscription, bytes: u64) -> Option<QueueId> {
        let name = subscription.config.dead_letter.as_deref()?;
        let queue = self.named(subscription.namespace, name)?;
        takes(topic, queue, bytes).is_ok().then(|| queue.id())
    }

    /// A way that was found for no bytes, for so many.
    pub(super) fn bounded<'a>(&self, topic: TopicId, way: &Way<'a>, bytes: u64) -> Way<'a> {
        let queue = way.to.and_then(|id| self.queues.get(&id));
        let (Some(queue), Some(topic)) = (queue, self.topics.by_id.get(&topic)) else { return *way };
        let Err(failure) = takes(topic, queue, bytes) else { return *way };
        // What is too long for the queue may yet do for that of the dead letters, unless that is the one.
        let subscription = self.topics.subscriptions.get(&way.subscription).filter(|_| way.failure.is_none());
        let to = subscription.and_then(|subscription| self.dead_letters(topic, &subscription.public, bytes));
        Way { to, failure: way.failure.or(Some(failure)), limits: None, ..*way }
    }

    /// The queue that a subscription feeds: while it is paused the one in which deliveries are held, and until that is
    /// empty where they keep an order.
    fn fed(&self, subscription: &Subscription) -> Option<&QueueState> {
        if let Some(own) = subscription.queue {
            return self.queues.get(&own);
        }
        let held = subscription.held.and_then(|held| self.queues.get(&held));
        let held = held.filter(|held| subscription.paused || held.public.kind == Kind::Fifo);
        held.or_else(|| self.named(subscription.namespace, subscription.endpoint.text()))
    }

    pub(super) fn named(&self, namespace: Namespace, name: &str) -> Option<&QueueState> {
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
        let (space, namespace) = (topic.space, topic.public.namespace);
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
        let archives = self.topics.topic(id).is_ok_and(|topic| topic.public.config.archive_ms.is_some());
        let takers = ways.iter().filter(|way| way.to.is_some()).count() + usize::from(archives);
        let shares = takers > 1 && publication.payload.len() > COPIED_BYTES_MAX;
        let parcel = Parcel::of(publication);
        let (mut sharing, mut failed) = (0, 0);
        for way in ways {
            if let Some(to) = way.to {
                let (subscription, raw) = (way.subscription, way.raw);
                let origin = Origin { publication: number, subscription, raw, replayed: false };
                sharing += u64::from(self.deliver(state, to, &parcel, (origin, shares), way.limits)?);
            }
            failed += u64::from(way.failure.is_some());
            self.delivered(way);
        }
        if archives {
            sharing += 1;
            let row = Row::new(publication, shares);
            state.insert(&archive::key(space, ArchiveMark { at: now, id: number }), row.write().finish());
            if !shares {
                state.insert_bulk(&keys::body(namespace, number), &[&publication.payload]);
            }
            self.topics.archived(id, now);
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

    /// Counts a delivery of a replay, or that there was none.
    pub(super) fn delivered_again(&mut self, topic: TopicId, way: &Way<'_>) {
        // Its filter lets it through as if it had been published once more.
        if let Some(subscription) = self.topics.subscriptions.get_mut(&way.subscription) {
            subscription.replayed += 1;
        }
        self.delivered(way);
        let failed = u64::from(way.failure.is_some());
        self.count(topic, |topic| {
            topic.counters.delivered += 1 - failed;
            topic.counters.failed += failed;
        });
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
    pub(super) fn deliver<S: State>(
        &mut self,
        state: &mut S,
        id: QueueId,
        parcel: &Parcel<'_>,
        (origin, shares): (Origin, bool),
        limits: Option<&Limits>,
    ) -> Result<bool, Stop> {
        let now = self.now;
        let Some(queue) = self.queues.get(&id) else { return Ok(false) };
        let namespace = queue.space.namespace;
        let original = match dedup::compare(state, now, &queue.compared(), parcel.dedup, parcel.lane)? {
            Verdict::Original(original) => original,
            Verdict::Duplicate(first) => {
                self.happened(id, first.id, || JobEventKind::Deduplicated(SameId::Deduplication, None));
                return Ok(false);
            }
        };
        let (lane, limits) = queue.limits_of(parcel.lane, limits);
        let due = match queue.config().delay_ms {
            0 => now,
            delay_ms => now.after(Duration::from_millis(delay_ms)),
        };
        let message = self.new_id();
        if let Some(original) = original {
            let row = dedup::Row { at: now, id: message, uuid: parcel.uuid, lane: parcel.lane };
            self.remember(state, id, &original, row);
        }
        if let Some(payload) = parcel.payload.filter(|_| !shares) {
            state.insert_bulk(&keys::body(namespace, message), &[payload]);
        }
        let head = Head {
            priority: parcel.priority,
            bytes: parcel.len,
            due,
            lane,
            in_lane: lane.is_some(),
            limits,
            origin: Some(origin),
            shares,
            ..Head::new(if due == now { Standing::Ready } else { Standing::Delayed }, now)
        };
        self.enter(state, id, message, &head)?;
        self.happened(id, message, || JobEventKind::Added(head.state.of_job(), parcel.payload.map(Arc::from)));
        Ok(true)
    }
}

/// Whether a queue can take a publication of a topic.
fn takes(topic: &TopicState, queue: &QueueState, bytes: u64) -> Result<(), DeliveryFailure> {
    if topic.public.kind == Kind::Standard && queue.public.kind == Kind::Fifo {
        return Err(DeliveryFailure::KindDiffers);
    }
    let most = queue.config().message_bytes_max;
    if bytes > most && most != MESSAGE_BYTES_DEFAULT {
        return Err(DeliveryFailure::TooLarge);
    }
    Ok(())
}
