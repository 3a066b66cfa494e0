//! Topics: what is published once comes to all who subscribed.

mod manage;
mod publish;
mod replays;
mod settings;
mod subscribe;
mod subscriptions;
mod view;

use std::sync::Arc;

use weir_core::api::topic::{Subscription, SubscriptionId, Topic};

use super::Problem;
use super::endpoint::Call;
use crate::engine::Engine;

pub(crate) use manage::{Delete, Get, List, Put};
pub(crate) use publish::Publish;
pub(crate) use replays::{CancelReplay, ListReplays, StartReplay};
pub(crate) use subscribe::{PutSubscription, Subscribe};
pub(crate) use subscriptions::{
    GetSubscription, ListSubscriptions, PauseSubscription, ResumeSubscription, Unsubscribe,
};

/// How often a change is tried anew when another one comes between. Of those that meet one wins each time.
const TRIES: usize = 64;

impl<E: Engine> Call<'_, E> {
    /// The topic that the address names.
    fn topic(&self) -> Result<Arc<Topic>, Problem> {
        let name = self.params.get("topic");
        let found = self.app.engine.directory().topic(self.caller.namespace, name);
        found.ok_or_else(|| Problem::new("topic.not_found", &format!("there is no topic called {name}")))
    }

    /// The subscription of that topic that the address names.
    fn subscription(&self) -> Result<Arc<Subscription>, Problem> {
        let topic = self.topic()?;
        let text = self.params.get("subscription");
        let id = text.parse().ok().map(SubscriptionId);
        let found = id.and_then(|id| self.app.engine.directory().subscription(id));
        let found = found.filter(|subscription| subscription.topic == topic.id);
        found.ok_or_else(|| {
            let detail = format!("there is no subscription {text} of the topic {}", topic.name);
            Problem::new("subscription.not_found", &detail)
        })
    }
}
