//! Publishing: subscriptions are matched, what messages are to the limiters of their queues is found, and the engine
//! delivers; anew where something has changed meanwhile.

use weir_aws::sqs::payload::Payload;
use weir_core::api::topic::{Publication, Published, Subscription, Target, TopicId};
use weir_core::api::{Command, Error, Lane, Namespace, Reply};
use weir_shard::{Directory, Refused};

use crate::app::App;
use crate::engine::{self, Engine};
use crate::limits::{self, Seen};

/// How often a publish is prepared anew when its topic changes meanwhile. Of those that meet one wins each time.
const TRIES: usize = 64;

/// A message on its way to a topic, as a door made it.
#[derive(Clone, Debug)]
pub(crate) struct Outgoing {
    pub(crate) uuid: [u8; 16],
    /// An encoded [`Payload`].
    pub(crate) payload: Vec<u8>,
    /// How long body and attributes are, as queues bound them.
    pub(crate) bytes: u64,
    pub(crate) priority: u32,
    pub(crate) group: Option<Lane>,
    pub(crate) dedup: Option<[u8; 16]>,
}

impl<E: Engine> App<E> {
    /// Publishes messages to a topic, all deliveries of all of them in one commit; what became of each.
    pub(crate) async fn publish(
        &self,
        topic: TopicId,
        messages: &[Outgoing],
    ) -> Result<Vec<Result<Published, Error>>, Refused> {
        let directory = self.engine.directory();
        for _ in 0..TRIES {
            let view = directory.topic_view(topic).ok_or(Error::TopicNotFound)?;
            let matcher = self.matchers.of(&view);
            let revision = matcher.revision();
            let publications = messages.iter().map(|message| {
                // Only doors write payloads.
                let payload = Payload::decode(&message.payload).ok();
                let found = payload.as_ref().map(|payload| (payload, matcher.matches(payload)));
                let targets = found.map(|(payload, found)| {
                    let target = |subscription: &_| target(directory, subscription, payload);
                    found.into_iter().map(|subscription| target(subscription)).collect()
                });
                let Outgoing { uuid, payload, bytes, priority, group, dedup } = message.clone();
                let targets = targets.unwrap_or_default();
                Publication { uuid, payload, bytes, priority, lane: group, dedup, targets }
            });
            let publications = publications.collect();
            match engine::call(&self.engine, Command::Publish { topic, revision, publications }).await {
                Ok(answered) => match answered.reply {
                    Reply::Published(published) => return Ok(published),
                    other => unreachable!("a publish is answered as one: {other:?}"),
                },
                Err(Refused::Engine(Error::TopicStale { .. } | Error::Stale { .. } | Error::SubscriptionNotFound)) => {}
                Err(refused) => return Err(refused),
            }
        }
        Err(Error::TopicStale { version: 0 }.into())
    }
}

/// A subscription as what a message is delivered to.
fn target(directory: &Directory, subscription: &Subscription, payload: &Payload<'_>) -> Target {
    Target { subscription: subscription.id, limits: limits_of(directory, subscription, payload) }
}

/// What a message is to the limiters of the queue that a subscription feeds now.
pub(super) fn limits_of(
    directory: &Directory,
    subscription: &Subscription,
    payload: &Payload<'_>,
) -> Option<(u64, Box<weir_core::api::limit::Limits>)> {
    let queue = fed(directory, subscription.namespace, subscription)?;
    let seen = Seen { body: payload.body, attributes: &payload.attributes, group: payload.group_id };
    limits::of(&queue.config, &seen).map(|limits| (queue.version, limits))
}

fn fed(
    directory: &Directory,
    namespace: Namespace,
    subscription: &Subscription,
) -> Option<std::sync::Arc<weir_core::api::Queue>> {
    if let Some(own) = subscription.queue {
        return directory.queue(own);
    }
    let held = subscription.held.and_then(|held| directory.queue(held));
    let held = held.filter(|held| subscription.paused || held.kind == weir_core::api::Kind::Fifo);
    held.or_else(|| directory.find(namespace, subscription.endpoint.text()))
}
