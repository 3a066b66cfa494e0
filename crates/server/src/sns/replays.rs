//! Replays of a topic's archive, as a subscription's `ReplayPolicy` asks for them.

use weir_aws::Fault;
use weir_aws::sns::replay_policy::ReplayPolicy;
use weir_aws::sns::subscription;
use weir_core::Time;
use weir_core::api::topic::{Replay, ReplayStatus, Subscription, SubscriptionId, Topic};
use weir_core::api::{Command, Error, Reply};
use weir_shard::Refused;

use super::Door;
use super::refusal;
use crate::engine::{Engine, call};
use crate::sqs::Refusal;
use crate::topics::carry_on;

impl<E: Engine> Door<'_, E> {
    /// Replays what a policy says, in the place of what is replayed to the subscription now.
    pub(super) async fn replay(&self, to: SubscriptionId, policy: Option<ReplayPolicy>) -> Result<(), Refusal> {
        for running in self.replays(to).await?.iter().filter(|replay| replay.status == ReplayStatus::Running) {
            match call(&self.app.engine, Command::CancelReplay { replay: running.id }).await {
                Ok(_) | Err(Refused::Engine(Error::ReplayEnded | Error::ReplayNotFound)) => {}
                Err(refused) => return Err(refusal::of(refused)),
            }
        }
        let Some(ReplayPolicy { from_ms, until_ms }) = policy else { return Ok(()) };
        let until = Time(until_ms.unwrap_or(u64::MAX));
        let start = Command::StartReplay { subscription: to, from: Time(from_ms), until };
        let Reply::Replay(replay) = self.call(start).await? else { return Err(Fault::internal().into()) };
        carry_on(self.app, replay);
        Ok(())
    }

    /// Starts what a new subscription asks for. Of one that is there already, that has begun.
    pub(super) async fn replay_to_new(&self, found: &Subscription) -> Result<(), Refusal> {
        match subscription::replay_policy(&found.config) {
            Some(policy) if self.replays(found.id).await?.is_empty() => self.replay(found.id, Some(policy)).await,
            _ => Ok(()),
        }
    }

    /// How the replay stands that the subscription's policy asked for.
    pub(super) async fn replay_status(&self, found: &Subscription) -> Result<Option<&'static str>, Refusal> {
        if subscription::replay_policy(&found.config).is_none() {
            return Ok(None);
        }
        let replays = self.replays(found.id).await?;
        Ok(Some(match replays.first().map(|replay| replay.status) {
            None => "Pending",
            Some(ReplayStatus::Running) => "In progress",
            Some(ReplayStatus::Completed) => "Completed",
            Some(ReplayStatus::Cancelled) => "Failed",
        }))
    }

    /// The replays of a subscription, newest first.
    async fn replays(&self, subscription: SubscriptionId) -> Result<Vec<Replay>, Refusal> {
        match self.call(Command::Replays { subscription }).await? {
            Reply::Replays(replays) => Ok(replays),
            _ => Err(Fault::internal().into()),
        }
    }
}

/// Refuses a policy that this topic, or this subscription, cannot do.
pub(super) fn check(policy: Option<ReplayPolicy>, topic: &Topic, is_confirmed: bool) -> Result<(), Fault> {
    if policy.is_some() && topic.config.archive_ms.is_none() {
        return Err(subscription::refused_replay("the topic has no ArchivePolicy"));
    }
    if policy.is_some() && !is_confirmed {
        return Err(subscription::refused_replay("the subscription has to be confirmed first"));
    }
    Ok(())
}
