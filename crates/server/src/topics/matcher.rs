//! The policies of one topic: to which subscriptions a message goes.

use std::collections::BTreeMap;
use std::sync::Arc;

use weir_aws::sqs::payload::{Payload, Value};
use weir_core::api::topic::{FilterScope, Subscription, SubscriptionConfig, SubscriptionId};
use weir_filter_policy::{Event, Index, Policy, PolicyError, Scope};
use weir_shard::TopicView;

/// The policies of a topic, as of one revision.
#[derive(Debug)]
pub(crate) struct Matcher {
    view: Arc<TopicView>,
    subscriptions: BTreeMap<SubscriptionId, Arc<Subscription>>,
    /// Those that take everything.
    all: Vec<SubscriptionId>,
    attributes: Index<SubscriptionId>,
    bodies: Index<SubscriptionId>,
    /// What was read of each, and for which version.
    read: BTreeMap<SubscriptionId, (u64, Read)>,
}

/// A policy that was read.
#[derive(Clone, Debug)]
enum Read {
    All,
    Some(FilterScope, Arc<Policy>),
    /// It was stored by a door that read it otherwise. Nothing passes.
    None,
}

/// Reads the filter of a subscription, if it has one.
pub(crate) fn policy(config: &SubscriptionConfig) -> Result<Option<Policy>, PolicyError> {
    let scope = match config.filter_scope {
        FilterScope::Attributes => Scope::Attributes,
        FilterScope::Body => Scope::Body,
    };
    config.filter.as_deref().map(|filter| Policy::parse(filter, scope)).transpose()
}

fn read(subscription: &Subscription) -> Read {
    match policy(&subscription.config) {
        Ok(None) => Read::All,
        Ok(Some(policy)) => Read::Some(subscription.config.filter_scope, Arc::new(policy)),
        Err(error) => {
            let id = subscription.id.0;
            tracing::error!(subscription = id, %error, "a stored filter policy cannot be read: nothing passes it");
            Read::None
        }
    }
}

impl Matcher {
    /// Takes over from `before` what is still so.
    pub(super) fn new(view: Arc<TopicView>, before: Option<&Matcher>) -> Self {
        let confirmed = view.subscriptions.iter().filter(|subscription| subscription.pending_until.is_none());
        let subscriptions: BTreeMap<_, _> =
            confirmed.map(|subscription| (subscription.id, Arc::clone(subscription))).collect();
        let (mut attributes, mut bodies, mut known) = match before {
            Some(before) => (before.attributes.clone(), before.bodies.clone(), before.read.clone()),
            None => (Index::new(), Index::new(), BTreeMap::new()),
        };
        let is_current = |id: &SubscriptionId, version: u64| {
            subscriptions.get(id).is_some_and(|subscription| subscription.version == version)
        };
        known.retain(|id, (version, _)| {
            let stays = is_current(id, *version);
            if !stays {
                attributes.remove(*id);
                bodies.remove(*id);
            }
            stays
        });
        for (id, subscription) in &subscriptions {
            if known.contains_key(id) {
                continue;
            }
            let policy = read(subscription);
            match &policy {
                Read::Some(FilterScope::Attributes, policy) => attributes.insert(*id, Arc::clone(policy)),
                Read::Some(FilterScope::Body, policy) => bodies.insert(*id, Arc::clone(policy)),
                Read::All | Read::None => {}
            }
            known.insert(*id, (subscription.version, policy));
        }
        let all = known.iter().filter(|(_, (_, read))| matches!(read, Read::All)).map(|(id, _)| *id).collect();
        Self { view, subscriptions, all, attributes, bodies, read: known }
    }

    pub(super) fn revision(&self) -> u64 {
        self.view.topic.revision
    }

    /// The subscriptions that a message is for.
    pub(super) fn matches(&self, payload: &Payload<'_>) -> Vec<&Arc<Subscription>> {
        let mut found = self.all.clone();
        if !self.attributes.is_empty() {
            found.extend(self.attributes.matches(&attributes(payload)));
        }
        if !self.bodies.is_empty()
            && let Ok(event) = Event::from_json(payload.body)
        {
            found.extend(self.bodies.matches(&event));
        }
        found.iter().filter_map(|id| self.subscriptions.get(id)).collect()
    }

    /// Whether one subscription takes a message.
    pub(super) fn lets_through(&self, subscription: SubscriptionId, payload: &Payload<'_>) -> bool {
        match self.read.get(&subscription) {
            Some((_, Read::All)) => true,
            Some((_, Read::Some(FilterScope::Attributes, policy))) => policy.matches(&attributes(payload)),
            Some((_, Read::Some(FilterScope::Body, policy))) => {
                Event::from_json(payload.body).is_ok_and(|event| policy.matches(&event))
            }
            Some((_, Read::None)) | None => false,
        }
    }

    /// A subscription that is confirmed.
    pub(super) fn subscription(&self, id: SubscriptionId) -> Option<&Arc<Subscription>> {
        self.subscriptions.get(&id)
    }
}

/// What policies see of a message's attributes: those of bytes are ignored, as SNS does.
fn attributes<'a>(payload: &'a Payload<'_>) -> Event<'a> {
    let mut event = Event::new();
    for attribute in &payload.attributes {
        if let Value::Text(text) = &attribute.value {
            event.set_attribute(attribute.name, attribute.data_type, text);
        }
    }
    event
}
