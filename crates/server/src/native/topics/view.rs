//! Topics and subscriptions as answers tell them.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::value::RawValue;
use weir_core::api::Kind;
use weir_core::api::topic::{
    DeliveryFailure, Endpoint as Target, FilterScope, Subscription, SubscriptionCounters, Topic, TopicCounters,
};

use super::settings::TopicSettings;
use super::subscribe::ScopeView;
use crate::native::jobs::raw;

/// A topic.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Topic")]
pub(crate) struct TopicView {
    /// Its name.
    name: String,
    /// Whether it is a FIFO topic.
    fifo: bool,
    /// What is set of it.
    settings: TopicSettings,
    /// Counts the changes of the settings, from 1.
    version: u64,
    /// When it was created.
    created_at_ms: u64,
    /// When it was changed last.
    modified_at_ms: u64,
}

impl TopicView {
    pub(super) fn of(topic: &Topic) -> Self {
        Self {
            name: topic.name.clone(),
            fifo: topic.kind == Kind::Fifo,
            settings: TopicSettings::of(topic),
            version: topic.version,
            created_at_ms: topic.created_at.0,
            modified_at_ms: topic.modified_at.0,
        }
    }
}

/// What a topic did.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "TopicCounters")]
pub(crate) struct TopicCountersView {
    /// Messages published.
    published: u64,
    /// Duplicates kept away.
    duplicates: u64,
    /// Deliveries to all subscriptions.
    delivered: u64,
    /// Deliveries that failed.
    failed: u64,
    /// Messages in the archive.
    archived: u64,
    /// Subscriptions.
    subscriptions: u64,
    /// Those of them that are not confirmed.
    pending: u64,
}

impl TopicCountersView {
    pub(super) fn of(counters: &TopicCounters, (subscriptions, pending): (u64, u64)) -> Self {
        let TopicCounters { published, duplicates, delivered, failed, archived } = *counters;
        Self { published, duplicates, delivered, failed, archived, subscriptions, pending }
    }
}

/// A subscription.
#[expect(clippy::struct_excessive_bools, reason = "each is a member of the answer")]
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Subscription")]
pub(crate) struct SubscriptionView {
    /// Its id.
    id: String,
    /// The queue that it feeds.
    #[serde(skip_serializing_if = "Option::is_none")]
    queue: Option<String>,
    /// The URL that it feeds.
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    /// The function that it feeds.
    #[serde(skip_serializing_if = "Option::is_none")]
    function: Option<String>,
    /// Whether deliveries are the message itself and not an envelope around it.
    raw: bool,
    /// Which messages are delivered; absent for all.
    #[serde(skip_serializing_if = "Option::is_none")]
    filter: Option<Box<RawValue>>,
    /// What the filter looks at.
    filter_scope: ScopeView,
    /// The queue that takes what cannot be delivered.
    #[serde(skip_serializing_if = "Option::is_none")]
    dead_letter_queue: Option<String>,
    /// Whether it was confirmed. Nothing is delivered before.
    confirmed: bool,
    /// Whether deliveries are held.
    paused: bool,
    /// Whether deliveries that were held are still to follow.
    holding: bool,
    /// Counts the changes of its settings, from 1.
    version: u64,
    /// When it was made.
    created_at_ms: u64,
    /// When it was changed last.
    modified_at_ms: u64,
}

impl SubscriptionView {
    pub(super) fn of(subscription: &Subscription) -> Self {
        let mut view = Self {
            id: subscription.id.0.to_string(),
            queue: None,
            url: None,
            function: None,
            raw: subscription.config.raw,
            filter: subscription.config.filter.as_deref().map(|filter| raw(filter.as_bytes())),
            filter_scope: match subscription.config.filter_scope {
                FilterScope::Attributes => ScopeView::Attributes,
                FilterScope::Body => ScopeView::Data,
            },
            dead_letter_queue: subscription.config.dead_letter.clone(),
            confirmed: subscription.pending_until.is_none(),
            paused: subscription.paused,
            holding: subscription.held.is_some(),
            version: subscription.version,
            created_at_ms: subscription.created_at.0,
            modified_at_ms: subscription.modified_at.0,
        };
        match &subscription.endpoint {
            Target::Queue(name) => view.queue = Some(name.clone()),
            Target::Url(url) => view.url = Some(url.clone()),
            Target::Function(name) => view.function = Some(name.clone()),
        }
        view
    }
}

/// What a subscription did.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "SubscriptionCounters")]
pub(crate) struct SubscriptionCountersView {
    /// Messages delivered, held ones included.
    delivered: u64,
    /// Messages that its filter kept away.
    filtered: u64,
    /// Messages that could not be delivered.
    failed: u64,
    /// Why the last one could not be.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_failure: Option<LastFailure>,
}

/// Why a message could not be delivered.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "DeliveryFailure")]
struct LastFailure {
    /// When.
    at_ms: u64,
    /// Why.
    reason: FailureView,
}

/// Why a message could not be delivered.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
#[schemars(rename = "DeliveryFailureReason")]
#[serde(rename_all = "snake_case")]
enum FailureView {
    /// There is no queue of that name.
    QueueGone,
    /// The queue takes no message of that length.
    TooLarge,
    /// A standard topic does not feed a FIFO queue.
    KindDiffers,
}

impl SubscriptionCountersView {
    pub(super) fn of(counters: &SubscriptionCounters) -> Self {
        let last_failure = counters.last_failure.map(|(at, failure)| LastFailure {
            at_ms: at.0,
            reason: match failure {
                DeliveryFailure::QueueGone => FailureView::QueueGone,
                DeliveryFailure::TooLarge => FailureView::TooLarge,
                DeliveryFailure::KindDiffers => FailureView::KindDiffers,
            },
        });
        let SubscriptionCounters { delivered, failed, filtered, .. } = *counters;
        Self { delivered, filtered, failed, last_failure }
    }
}
