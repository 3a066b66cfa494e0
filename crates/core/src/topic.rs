//! A topic and a subscription in memory, and the two rows that each is stored in: what it is (written when that changes)
//! and its counters (written once for each group of commands that changed them).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::api::topic::{
    Attributes, DeliveryFailure, Endpoint, FilterScope, Subscription, SubscriptionConfig, SubscriptionId, Topic,
    TopicConfig, TopicCounters, TopicId,
};
use crate::api::{DedupScope, Kind, Namespace, QueueId, Tags};
use crate::buckets::Buckets;
use crate::codec::{Reader, Unreadable, Writer};
use crate::keys::Space;
use crate::time::Time;

const VERSION: u8 = 1;
const WHAT: &str = "a topic's configuration";
const COUNTERS_WHAT: &str = "a topic's counters";
const SUBSCRIPTION_WHAT: &str = "a subscription";
const SUBSCRIPTION_COUNTERS_WHAT: &str = "a subscription's counters";

#[derive(Debug)]
pub(crate) struct TopicState {
    pub(crate) public: Arc<Topic>,
    pub(crate) space: Space,
    /// Key of hashes that nobody can make meet.
    pub(crate) secret: [u8; 16],
    pub(crate) counters: TopicCounters,
    /// What may hold deduplication rows.
    pub(crate) dedup_buckets: Buckets,
    /// Whether the counters differ from their row.
    pub(crate) dirty: bool,
    /// Whether it was deleted, and what belonged to it is still to go.
    pub(crate) deleted: bool,
    pub(crate) subscriptions: BTreeSet<SubscriptionId>,
    pub(crate) endpoints: BTreeMap<Endpoint, SubscriptionId>,
    /// How many of them are not confirmed.
    pub(crate) pending: u64,
    /// The archive holds nothing from before.
    pub(crate) archive_from: Time,
    /// When it is looked after next.
    pub(crate) chores_at: Option<Time>,
}

#[derive(Debug)]
pub(crate) struct SubscriptionState {
    pub(crate) public: Arc<Subscription>,
    pub(crate) delivered: u64,
    pub(crate) failed: u64,
    pub(crate) last_failure: Option<(Time, DeliveryFailure)>,
    /// Deliveries, made or failed, of replays.
    pub(crate) replayed: u64,
    /// What the topic had published when it was confirmed.
    pub(crate) published_before: u64,
    /// Whether the counters differ from their row.
    pub(crate) dirty: bool,
}

impl TopicState {
    pub(crate) fn new(public: Arc<Topic>, space: Space, secret: [u8; 16]) -> Self {
        Self {
            public,
            space,
            secret,
            counters: TopicCounters::default(),
            dedup_buckets: Buckets::default(),
            dirty: true,
            deleted: false,
            subscriptions: BTreeSet::new(),
            endpoints: BTreeMap::new(),
            pending: 0,
            archive_from: Time(0),
            chores_at: None,
        }
    }

    pub(crate) fn write(&self) -> Writer {
        let Topic { name, kind, config, version, created_at, modified_at, tags, .. } = &*self.public;
        let mut writer = Writer::new(VERSION);
        writer.number(self.space.id);
        writer.fixed(&self.secret);
        writer.byte(u8::from(self.deleted));
        writer.bytes(name.as_bytes());
        writer.byte(match kind {
            Kind::Standard => 0,
            Kind::Fifo => 1,
        });
        writer.number(*version);
        writer.time(*created_at);
        writer.time(*modified_at);
        writer.byte(u8::from(config.content_deduplication));
        writer.byte(match config.dedup_scope {
            DedupScope::Queue => 0,
            DedupScope::Lane => 1,
        });
        writer.number(config.dedup_window_ms);
        writer.number(config.message_bytes_max);
        // Nothing is kept for no time.
        writer.number(config.archive_ms.unwrap_or(0));
        write_texts(&mut writer, &config.attributes);
        write_texts(&mut writer, tags);
        writer
    }

    /// `revision` is the first one since the opening.
    pub(crate) fn read(namespace: Namespace, id: TopicId, revision: u64, bytes: &[u8]) -> Result<Self, Unreadable> {
        let mut reader = Reader::new(WHAT, bytes, VERSION)?;
        let space = Space { namespace, id: reader.number()? };
        let secret = reader.fixed()?;
        let deleted = reader.byte()? != 0;
        let name = reader.text()?.to_owned();
        let kind = match reader.byte()? {
            0 => Kind::Standard,
            1 => Kind::Fifo,
            _ => return Err(reader.damaged()),
        };
        let (version, created_at, modified_at) = (reader.number()?, reader.time()?, reader.time()?);
        let config = TopicConfig {
            content_deduplication: reader.byte()? != 0,
            dedup_scope: match reader.byte()? {
                0 => DedupScope::Queue,
                1 => DedupScope::Lane,
                _ => return Err(reader.damaged()),
            },
            dedup_window_ms: reader.number()?,
            message_bytes_max: reader.number()?,
            archive_ms: Some(reader.number()?).filter(|&ms| ms > 0),
            attributes: read_texts(&mut reader)?,
        };
        let tags: Tags = read_texts(&mut reader)?;
        reader.end()?;
        let public = Topic { id, namespace, name, kind, config, version, revision, created_at, modified_at, tags };
        Ok(Self { deleted, dirty: false, ..Self::new(Arc::new(public), space, secret) })
    }

    pub(crate) fn write_counters(&self) -> Writer {
        let TopicCounters { published, duplicates, delivered, failed, archived } = self.counters;
        let mut writer = Writer::new(VERSION);
        for count in [published, duplicates, delivered, failed, archived] {
            writer.number(count);
        }
        self.dedup_buckets.write(&mut writer);
        writer
    }

    pub(crate) fn read_counters(&mut self, bytes: &[u8]) -> Result<(), Unreadable> {
        let mut reader = Reader::new(COUNTERS_WHAT, bytes, VERSION)?;
        self.counters = TopicCounters {
            published: reader.number()?,
            duplicates: reader.number()?,
            delivered: reader.number()?,
            failed: reader.number()?,
            archived: reader.number()?,
        };
        self.dedup_buckets = Buckets::read(&mut reader)?;
        reader.end()
    }

    /// Takes a subscription among the topic's.
    pub(crate) fn add(&mut self, subscription: &Subscription) {
        self.subscriptions.insert(subscription.id);
        self.endpoints.insert(subscription.endpoint.clone(), subscription.id);
        self.pending += u64::from(subscription.pending_until.is_some());
    }

    pub(crate) fn remove(&mut self, subscription: &Subscription) {
        self.subscriptions.remove(&subscription.id);
        self.endpoints.remove(&subscription.endpoint);
        self.pending -= u64::from(subscription.pending_until.is_some());
    }
}

impl SubscriptionState {
    pub(crate) fn new(public: Arc<Subscription>, published_before: u64) -> Self {
        Self { public, delivered: 0, failed: 0, last_failure: None, replayed: 0, published_before, dirty: true }
    }

    pub(crate) fn write(&self) -> Writer {
        let Subscription {
            uuid,
            topic,
            endpoint,
            owner,
            config,
            version,
            token,
            pending_until,
            queue,
            paused,
            held,
            created_at,
            modified_at,
            ..
        } = &*self.public;
        let SubscriptionConfig { raw, filter, filter_scope, dead_letter, attributes } = config;
        let mut writer = Writer::new(VERSION);
        writer.fixed(uuid);
        writer.number(topic.0);
        writer.byte(match endpoint {
            Endpoint::Queue(_) => 0,
            Endpoint::Url(_) => 1,
            Endpoint::Function(_) => 2,
        });
        writer.bytes(endpoint.text().as_bytes());
        writer.bytes(owner.as_bytes());
        writer.byte(u8::from(*raw));
        write_text(&mut writer, filter.as_deref());
        writer.byte(match filter_scope {
            FilterScope::Attributes => 0,
            FilterScope::Body => 1,
        });
        write_text(&mut writer, dead_letter.as_deref());
        write_texts(&mut writer, attributes);
        writer.number(*version);
        write_text(&mut writer, token.as_deref());
        writer.time(pending_until.unwrap_or(Time(0)));
        // Ids start from 1.
        writer.number(queue.map_or(0, |queue| queue.0));
        writer.byte(u8::from(*paused));
        writer.number(held.map_or(0, |queue| queue.0));
        writer.time(*created_at);
        writer.time(*modified_at);
        writer
    }

    pub(crate) fn read(namespace: Namespace, id: SubscriptionId, bytes: &[u8]) -> Result<Self, Unreadable> {
        let mut reader = Reader::new(SUBSCRIPTION_WHAT, bytes, VERSION)?;
        let (uuid, topic, which) = (reader.fixed()?, TopicId(reader.number()?), reader.byte()?);
        let address = reader.text()?.to_owned();
        let endpoint = match which {
            0 => Endpoint::Queue(address),
            1 => Endpoint::Url(address),
            2 => Endpoint::Function(address),
            _ => return Err(reader.damaged()),
        };
        let owner = reader.text()?.to_owned();
        let config = SubscriptionConfig {
            raw: reader.byte()? != 0,
            filter: read_text(&mut reader)?,
            filter_scope: match reader.byte()? {
                0 => FilterScope::Attributes,
                1 => FilterScope::Body,
                _ => return Err(reader.damaged()),
            },
            dead_letter: read_text(&mut reader)?,
            attributes: read_texts(&mut reader)?,
        };
        let version = reader.number()?;
        let (token, until) = (read_text(&mut reader)?, reader.time()?);
        let pending_until = Some(until).filter(|&until| until > Time(0));
        let mut queue = || reader.number().map(|id| Some(id).filter(|&id| id > 0).map(QueueId));
        let own = queue()?;
        let paused = reader.byte()? != 0;
        let held = Some(reader.number()?).filter(|&id| id > 0).map(QueueId);
        let (created_at, modified_at) = (reader.time()?, reader.time()?);
        reader.end()?;
        let public = Subscription {
            id,
            uuid,
            namespace,
            topic,
            endpoint,
            owner,
            config,
            version,
            token,
            pending_until,
            queue: own,
            paused,
            held,
            created_at,
            modified_at,
        };
        Ok(Self { dirty: false, ..Self::new(Arc::new(public), 0) })
    }

    pub(crate) fn write_counters(&self) -> Writer {
        let mut writer = Writer::new(VERSION);
        writer.number(self.published_before);
        writer.number(self.delivered);
        writer.number(self.failed);
        writer.number(self.replayed);
        let (at, failure) = self.last_failure.map_or((Time(0), 0), |(at, failure)| (at, failure_byte(failure)));
        writer.byte(failure);
        writer.time(at);
        writer
    }

    pub(crate) fn read_counters(&mut self, bytes: &[u8]) -> Result<(), Unreadable> {
        let mut reader = Reader::new(SUBSCRIPTION_COUNTERS_WHAT, bytes, VERSION)?;
        self.published_before = reader.number()?;
        self.delivered = reader.number()?;
        self.failed = reader.number()?;
        self.replayed = reader.number()?;
        let (failure, at) = (reader.byte()?, reader.time()?);
        self.last_failure = match failure {
            0 => None,
            byte => Some((at, read_failure(byte).ok_or_else(|| reader.damaged())?)),
        };
        reader.end()
    }
}

const FAILURES: [DeliveryFailure; 3] =
    [DeliveryFailure::QueueGone, DeliveryFailure::TooLarge, DeliveryFailure::KindDiffers];

fn failure_byte(failure: DeliveryFailure) -> u8 {
    match failure {
        DeliveryFailure::QueueGone => 1,
        DeliveryFailure::TooLarge => 2,
        DeliveryFailure::KindDiffers => 3,
    }
}

fn read_failure(byte: u8) -> Option<DeliveryFailure> {
    FAILURES.into_iter().find(|&failure| failure_byte(failure) == byte)
}

fn write_text(writer: &mut Writer, text: Option<&str>) {
    writer.byte(u8::from(text.is_some()));
    if let Some(text) = text {
        writer.bytes(text.as_bytes());
    }
}

fn read_text(reader: &mut Reader<'_>) -> Result<Option<String>, Unreadable> {
    match reader.byte()? {
        0 => Ok(None),
        1 => Ok(Some(reader.text()?.to_owned())),
        _ => Err(reader.damaged()),
    }
}

fn write_texts(writer: &mut Writer, texts: &Attributes) {
    writer.number(texts.len() as u64);
    for (name, value) in texts {
        writer.bytes(name.as_bytes());
        writer.bytes(value.as_bytes());
    }
}

fn read_texts(reader: &mut Reader<'_>) -> Result<Attributes, Unreadable> {
    let mut texts = Attributes::new();
    for _ in 0..reader.number()? {
        texts.insert(reader.text()?.to_owned(), reader.text()?.to_owned());
    }
    Ok(texts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts() -> Attributes {
        [("a".to_owned(), "1".to_owned()), ("b".to_owned(), String::new())].into()
    }

    #[test]
    fn a_topic_is_read_as_it_was_written() {
        let config = TopicConfig {
            content_deduplication: true,
            dedup_scope: DedupScope::Lane,
            dedup_window_ms: 7,
            message_bytes_max: 8,
            archive_ms: Some(9),
            attributes: texts(),
        };
        for (kind, config) in [(Kind::Standard, TopicConfig::default()), (Kind::Fifo, config)] {
            let public = Topic {
                id: TopicId(3),
                namespace: Namespace(4),
                name: "news".to_owned(),
                kind,
                config,
                version: 5,
                revision: 6,
                created_at: Time(1),
                modified_at: Time(2),
                tags: texts(),
            };
            let space = Space { namespace: Namespace(4), id: 70_000 };
            let mut topic = TopicState::new(Arc::new(public), space, [7; 16]);
            topic.deleted = kind == Kind::Fifo;
            topic.counters = TopicCounters { published: 1, duplicates: 2, delivered: 300, failed: 4, archived: 5 };
            topic.dedup_buckets.open(Time(5_000_000), 300_000);
            let mut read = TopicState::read(Namespace(4), TopicId(3), 6, topic.write().finish()).unwrap();
            read.read_counters(topic.write_counters().finish()).unwrap();
            assert_eq!((read.public, read.space, read.secret), (topic.public, topic.space, topic.secret));
            assert_eq!((read.deleted, read.counters), (topic.deleted, topic.counters));
            assert_eq!(read.dedup_buckets, topic.dedup_buckets);
        }
    }

    #[test]
    fn a_subscription_is_read_as_it_was_written() {
        let endpoints = [
            Endpoint::Queue("q".to_owned()),
            Endpoint::Url("https://example.com/a".to_owned()),
            Endpoint::Function("f".to_owned()),
        ];
        for endpoint in endpoints {
            let is_full = matches!(endpoint, Endpoint::Url(_));
            let config = SubscriptionConfig {
                raw: is_full,
                filter: is_full.then(|| "{}".to_owned()),
                filter_scope: if is_full { FilterScope::Body } else { FilterScope::Attributes },
                dead_letter: is_full.then(|| "dead".to_owned()),
                attributes: texts(),
            };
            let public = Subscription {
                id: SubscriptionId(3),
                uuid: [1; 16],
                namespace: Namespace(4),
                topic: TopicId(9),
                endpoint,
                owner: "me".to_owned(),
                config,
                version: 2,
                token: is_full.then(|| "t".to_owned()),
                pending_until: is_full.then_some(Time(5)),
                queue: is_full.then_some(QueueId(7)),
                paused: is_full,
                held: is_full.then_some(QueueId(8)),
                created_at: Time(1),
                modified_at: Time(2),
            };
            let mut one = SubscriptionState::new(Arc::new(public), 12);
            (one.delivered, one.failed) = (300, 1);
            one.last_failure = is_full.then_some((Time(4), DeliveryFailure::TooLarge));
            let mut read = SubscriptionState::read(Namespace(4), SubscriptionId(3), one.write().finish()).unwrap();
            read.read_counters(one.write_counters().finish()).unwrap();
            assert_eq!(read.public, one.public);
            assert_eq!((read.delivered, read.failed, read.last_failure), (one.delivered, one.failed, one.last_failure));
            assert_eq!(read.published_before, one.published_before);
        }
    }
}
