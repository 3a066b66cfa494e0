//! Topics as the doors see them: what is published once, and comes to everybody who subscribed.

use std::collections::BTreeMap;

use super::limit::Limits;
use super::message::Lane;
use super::queue::{DedupScope, Kind, Namespace, QueueId, Tags};
use super::{DEDUP_WINDOW_MS, Error};
use crate::kv::Key;
use crate::time::Time;

/// Most subscriptions of a topic: ours. So many deliveries are one commit.
pub const SUBSCRIPTIONS_MAX: usize = 10_000;
/// Most deliveries of one command: a batch of publications that is to reach more goes as several commands.
pub const DELIVERIES_MAX: usize = 20_000;
/// Most topics of a shard: ours.
pub const TOPICS_MAX: usize = 1_000_000;
/// Longest endpoint, and longest owner, of a subscription in bytes: ours.
pub const ENDPOINT_BYTES_MAX: usize = 2_048;
/// How long a subscription that was not confirmed is kept, at most: 30 days, ours.
pub const CONFIRM_WITHIN_MS_MAX: u64 = 30 * 86_400_000;

/// How many replays of a subscription are kept, with the one that runs.
pub const REPLAYS_KEPT: usize = 10;

/// A topic of a shard. Never used again after the topic's deletion.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicId(pub u64);

/// A subscription of a shard. Never used again after its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubscriptionId(pub u64);

/// What a door keeps with a topic or a subscription, by name: stored and returned, without meaning to the engine.
pub type Attributes = BTreeMap<String, String>;

/// A topic's configuration. Every change counts up [`Topic::version`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicConfig {
    /// Whether a publication without a deduplication id is identified by its content. The doors hash. FIFO topics only.
    pub content_deduplication: bool,
    /// Among which publications a deduplication id counts: all of the topic, or those of the same group.
    pub dedup_scope: DedupScope,
    /// How long a deduplication id keeps later publications away, in milliseconds; at most
    /// [`super::DEDUP_WINDOW_MS_MAX`].
    pub dedup_window_ms: u64,
    /// Largest payload (body and attributes) in bytes. The doors enforce it.
    pub message_bytes_max: u64,
    /// How long publications are kept to be replayed, in milliseconds; `None` where they are not.
    pub archive_ms: Option<u64>,
    /// What else a door keeps with the topic.
    pub attributes: Attributes,
}

impl Default for TopicConfig {
    fn default() -> Self {
        Self {
            content_deduplication: false,
            dedup_scope: DedupScope::Queue,
            dedup_window_ms: DEDUP_WINDOW_MS,
            message_bytes_max: 262_144,
            archive_ms: None,
            attributes: Attributes::new(),
        }
    }
}

/// A topic as the doors see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topic {
    /// Its id.
    pub id: TopicId,
    /// Its namespace.
    pub namespace: Namespace,
    /// Its name, unique among the topics of the namespace.
    pub name: String,
    /// Whether it keeps the order within message groups. Fixed at creation.
    pub kind: Kind,
    /// Its configuration.
    pub config: TopicConfig,
    /// Counts the changes of the configuration, from 1.
    pub version: u64,
    /// Changes with the configuration and with every change to the topic's subscriptions: what a publication was
    /// prepared for.
    pub revision: u64,
    /// When it was created.
    pub created_at: Time,
    /// When its configuration was last changed.
    pub modified_at: Time,
    /// Its tags. They change without a new version.
    pub tags: Tags,
}

/// Where the deliveries of a subscription go.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Endpoint {
    /// Into the queue of this name, of the same namespace. While there is no such queue deliveries fail.
    Queue(String),
    /// To a URL, by way of a queue of the subscription's own.
    Url(String),
    /// To the function of this name, by way of a queue of the subscription's own.
    Function(String),
}

/// What a filter policy looks at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FilterScope {
    /// The attributes of a publication.
    #[default]
    Attributes,
    /// Its body, a JSON document.
    Body,
}

/// What may be set of a subscription. Every change counts up [`Subscription::version`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SubscriptionConfig {
    /// Whether what is delivered is the publication itself, and not an envelope around it. The doors wrap.
    pub raw: bool,
    /// Which publications are delivered; `None` for all. The doors read it.
    pub filter: Option<String>,
    /// What the filter looks at.
    pub filter_scope: FilterScope,
    /// Name of the queue that takes what cannot be delivered.
    pub dead_letter: Option<String>,
    /// What else a door keeps with the subscription.
    pub attributes: Attributes,
}

/// A subscription as the doors see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// Its id.
    pub id: SubscriptionId,
    /// Its public id, drawn by the door.
    pub uuid: [u8; 16],
    /// Its namespace.
    pub namespace: Namespace,
    /// Its topic.
    pub topic: TopicId,
    /// Where its deliveries go.
    pub endpoint: Endpoint,
    /// Who subscribed, as the door says.
    pub owner: String,
    /// What may be set of it.
    pub config: SubscriptionConfig,
    /// Counts the changes of the configuration, from 1.
    pub version: u64,
    /// What confirms it, or did; `None` where nobody had to.
    pub token: Option<String>,
    /// When it goes unless it is confirmed: nothing is delivered before. `None` once it is.
    pub pending_until: Option<Time>,
    /// Its own queue, where its endpoint is a URL or a function.
    pub queue: Option<QueueId>,
    /// Whether its deliveries are held back.
    pub paused: bool,
    /// The queue in which deliveries to a queue are held while the subscription is paused, and until all of them have
    /// followed.
    pub held: Option<QueueId>,
    /// When it was created.
    pub created_at: Time,
    /// When it was last changed.
    pub modified_at: Time,
}

/// A subscription to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewSubscription {
    /// Its public id, drawn by the door.
    pub uuid: [u8; 16],
    /// Where its deliveries go.
    pub endpoint: Endpoint,
    /// Who subscribes.
    pub owner: String,
    /// What is set of it.
    pub config: SubscriptionConfig,
    /// The token that is to confirm it, and within how many milliseconds; `None` where nobody has to.
    pub confirm: Option<(String, u64)>,
}

/// A message to be published.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Publication {
    /// Its public id, drawn by the door.
    pub uuid: [u8; 16],
    /// Attributes and body, in the doors' encoding. Opaque to the engine, and the same for all who subscribed.
    pub payload: Vec<u8>,
    /// How long body and attributes are, as queues bound them.
    pub bytes: u64,
    /// 0 is delivered first, then 1, 2, ….
    pub priority: u32,
    /// The message group. Required on a FIFO topic; on a standard topic it is passed on.
    pub lane: Option<Lane>,
    /// The 128-bit hash of the deduplication id, or of the content. FIFO topics only.
    pub dedup: Option<[u8; 16]>,
    /// The subscriptions whose filters let it through.
    pub targets: Vec<Target>,
}

/// A subscription that a publication is delivered to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The subscription.
    pub subscription: SubscriptionId,
    /// What the publication is to the limiters of the subscription's queue, and the version of the queue that this was
    /// found for. Needed where that has limiters.
    pub limits: Option<(u64, Box<Limits>)>,
}

impl Target {
    /// A subscription whose queue has no limiters.
    pub fn new(subscription: SubscriptionId) -> Self {
        Self { subscription, limits: None }
    }
}

/// A message published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Published {
    /// Public id of the publication: of the first one where this is a duplicate.
    pub uuid: [u8; 16],
    /// Its id, strictly increasing within a shard: a FIFO topic's sequence number. The first one's for a duplicate.
    pub id: u64,
    /// Whether nothing was delivered because an earlier one has the same deduplication id.
    pub duplicate: bool,
    /// How many subscriptions it was delivered to.
    pub delivered: u64,
    /// How many could not take it.
    pub failed: u64,
}

/// A replay of a topic's archive to a subscription. Never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReplayId(pub u64);

/// What a delivered message tells of its publication.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Id of the publication: a FIFO topic's sequence number.
    pub publication: u64,
    /// The subscription that it came by. It may have ended since.
    pub subscription: SubscriptionId,
    /// Whether it is to be given out as it is, without an envelope.
    pub raw: bool,
    /// Whether it came from the archive.
    pub replayed: bool,
}

/// A topic's counters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TopicCounters {
    /// Publications, duplicates not counted.
    pub published: u64,
    /// Duplicates that were kept away.
    pub duplicates: u64,
    /// Deliveries of all subscriptions.
    pub delivered: u64,
    /// Deliveries that failed.
    pub failed: u64,
    /// Publications in the archive.
    pub archived: u64,
}

/// A subscription's counters. Of the publications since it was confirmed, those that are neither delivered nor failed
/// were kept away by its filter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SubscriptionCounters {
    /// What was delivered: came to its queue, or to the one where it is held.
    pub delivered: u64,
    /// What could not be, and went to the dead letters or was dropped.
    pub failed: u64,
    /// What its filter kept away.
    pub filtered: u64,
    /// When a delivery last failed, and why.
    pub last_failure: Option<(Time, DeliveryFailure)>,
}

/// Why a publication could not be delivered to a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DeliveryFailure {
    /// There is no queue of that name.
    QueueGone,
    /// The queue takes no message of that length.
    TooLarge,
    /// A standard topic does not feed a FIFO queue.
    KindDiffers,
}

/// Where a publication stands in an archive: by when it was published, then by its id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ArchiveMark {
    /// When it was published.
    pub at: Time,
    /// Its id.
    pub id: u64,
}

/// A publication in a topic's archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Archived {
    /// Where it stands.
    pub mark: ArchiveMark,
    /// Its public id.
    pub uuid: [u8; 16],
    /// Key of its payload.
    pub body: Key,
    /// Its payload's length.
    pub bytes: u64,
    /// The message group.
    pub lane: Option<Lane>,
}

/// How a replay stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReplayStatus {
    /// It goes on.
    Running,
    /// All that the archive held of its stretch of time was looked at.
    Completed,
    /// It was ended before.
    Cancelled,
}

/// A replay of a topic's archive to a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replay {
    /// Its id.
    pub id: ReplayId,
    /// The subscription.
    pub subscription: SubscriptionId,
    /// What was published from then on is replayed.
    pub from: Time,
    /// And before then.
    pub until: Time,
    /// The last publication that it came by.
    pub after: Option<ArchiveMark>,
    /// How it stands.
    pub status: ReplayStatus,
    /// How many publications were delivered.
    pub replayed: u64,
    /// How many the filter kept away.
    pub passed: u64,
    /// When it was started.
    pub started_at: Time,
    /// When it ended.
    pub ended_at: Option<Time>,
}

/// A publication of an archive that is delivered once more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replayed {
    /// Which one.
    pub mark: ArchiveMark,
    /// As [`Target::limits`].
    pub limits: Option<(u64, Box<Limits>)>,
}

impl Endpoint {
    /// The name or address itself.
    pub fn text(&self) -> &str {
        match self {
            Endpoint::Queue(text) | Endpoint::Url(text) | Endpoint::Function(text) => text,
        }
    }

    /// Refuses what is no endpoint.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let found = self.text().len();
        if found == 0 {
            return Err(Error::Invalid { field: "endpoint", reason: "it is empty" });
        }
        if found > ENDPOINT_BYTES_MAX {
            let (what, allowed) = ("bytes of an endpoint", ENDPOINT_BYTES_MAX as u64);
            return Err(Error::LimitExceeded { what, allowed, found: found as u64 });
        }
        Ok(())
    }
}
