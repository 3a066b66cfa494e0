//! The handshake with endpoints that have to want deliveries.

use smallvec::smallvec;
use weir_aws::sns::arn::{SubscriptionArn, TopicArn};
use weir_aws::sns::envelope::{Handshake, Links, Signature};
use weir_aws::sns::fault::missing;
use weir_aws::sns::request::ConfirmSubscription;
use weir_aws::sns::subscription::set_authenticated;
use weir_aws::sns::{Answer, topic};
use weir_aws::sqs::payload::Payload;
use weir_aws::{Code, Fault};
use weir_core::api::topic::{NewSubscription, Subscription, TopicId};
use weir_core::api::{Command, Error, NewMessage, Reply};
use weir_shard::Refused;

use super::subscribe::{link, own_queue};
use super::{Door, refusal};
use crate::app::App;
use crate::engine::{Engine, call};
use crate::fresh::{now_ms, uuid};
use crate::http::Content;
use crate::sqs::Refusal;

impl<E: Engine> Door<'_, E> {
    /// Sends the message that asks an endpoint to confirm its subscription, where it has to: by the way that its
    /// deliveries go.
    pub(super) async fn ask_to_confirm(
        &self,
        subscription: &Subscription,
        topic: &TopicArn<'_>,
    ) -> Result<(), Refusal> {
        let (Some(_), Some(token), Some(queue)) =
            (subscription.pending_until, subscription.token.as_deref(), subscription.queue)
        else {
            return Ok(());
        };
        let base = self.app.base_url(self.call.host);
        let Asking { uuid, body } = asking(self.app, &base, topic, token, false).await?;
        let payload = Payload {
            uuid,
            group_id: None,
            deduplication: None,
            trace_header: None,
            attributes: Vec::new(),
            body: &body,
            is_json: true,
            publication: None,
        };
        let message = NewMessage { uuid, payload: payload.encode(), ..NewMessage::default() };
        let mut version = 1;
        loop {
            let messages = smallvec![message.clone()];
            match call(&self.app.engine, Command::Send { queue, version, messages }).await {
                Err(Refused::Engine(Error::Stale { version: now })) => version = now,
                // Without a queue it has ended meanwhile.
                Ok(_) | Err(Refused::Engine(Error::QueueNotFound)) => return Ok(()),
                Err(refused) => return Err(refusal::of(refused)),
            }
        }
    }

    pub(super) async fn confirm(&self, request: &ConfirmSubscription<'_>) -> Result<Content, Refusal> {
        let (topic, arn) = self.topic("TopicArn", request.topic_arn.as_deref())?;
        let token = request.token.as_deref().filter(|token| !token.is_empty()).ok_or_else(|| missing("Token"))?;
        let authenticated = request.authenticate_on_unsubscribe.as_deref();
        let authenticated = authenticated.is_some_and(|text| text.eq_ignore_ascii_case("true"));
        if authenticated && self.call.caller.is_none() {
            let message = "AuthenticateOnUnsubscribe needs a request that is signed.";
            return Err(Fault::new(Code::AccessDenied, message).into());
        }
        let command = Command::ConfirmSubscription { topic: topic.id, token: token.to_owned() };
        let reply = match call(&self.app.engine, command).await {
            Ok(answered) => answered.reply,
            Err(Refused::Engine(Error::TokenInvalid)) => self.restore(topic.id, token).await?,
            Err(refused) => return Err(refusal::of(refused)),
        };
        let Reply::Subscription { subscription, .. } = reply else { return Err(Fault::internal().into()) };
        let arn = SubscriptionArn { topic: arn, uuid: subscription.uuid }.to_string();
        if authenticated {
            self.configure(Some(&arn), |_, config| {
                set_authenticated(config);
                Ok(())
            })
            .await?;
        }
        Ok(self.answer(&Answer::Subscription(&arn)))
    }

    /// Makes a subscription anew that has ended lately: its endpoint was told how.
    async fn restore(&self, topic: TopicId, token: &str) -> Result<Reply, Refusal> {
        let found = self.app.ended.find(token, now_ms()).filter(|(subscription, _)| subscription.topic == topic);
        let (before, base) = found.ok_or_else(|| refusal::of(Error::TokenInvalid.into()))?;
        let Subscription { endpoint, owner, config, .. } = before;
        let new = NewSubscription { uuid: uuid(), endpoint, owner, config, confirm: None };
        let queue = Box::new(own_queue(&base));
        let command = Command::Subscribe { topic, subscription: Box::new(new), queue, seed: rand::random() };
        self.call(command).await
    }
}

/// A message about a subscription itself.
pub(crate) struct Asking {
    pub(crate) uuid: [u8; 16],
    pub(crate) body: String,
}

/// The signed message that asks to confirm a subscription, or tells of its end. Its links lead to this server at `base`.
pub(super) async fn asking<E: Engine>(
    app: &App<E>,
    base: &str,
    topic: &TopicArn<'_>,
    token: &str,
    unsubscribes: bool,
) -> Result<Asking, Fault> {
    let (uuid, topic_arn) = (uuid(), topic.to_string());
    let version = app.engine.directory().topic(topic.namespace, topic.name);
    let version = version.map_or(1, |topic| topic::signature_version(&topic));
    let handshake = Handshake {
        unsubscribes,
        uuid,
        token,
        topic_arn: &topic_arn,
        subscribe_url: &link(base, topic, token),
        at_ms: now_ms(),
    };
    let keys = app.signer.keys().await?;
    let signature = Signature { version, base64: app.signer.sign(&keys, version, &handshake.signed_text())? };
    let links = Links { certificate: format!("{base}{}", keys.path()), unsubscribe: None };
    let body = handshake.json(Some(&signature), &links).ok_or_else(Fault::internal)?;
    Ok(Asking { uuid, body })
}
