//! The SNS door: decode, call, encode.

mod confirm;
mod deliver;
mod ended;
mod list;
mod permissions;
mod publish;
mod refusal;
mod replays;
mod signer;
mod subscribe;
mod tags;
mod topics;

use std::sync::Arc;

use hyper::StatusCode;
use weir_aws::sns::arn::{SubscriptionArn, TopicArn};
use weir_aws::sns::fault::{self, invalid, missing, no_subscription, no_topic};
use weir_aws::sns::{self, Answer, Operation, Request};
use weir_aws::{Fault, query};
use weir_core::api::topic::{Subscription, Topic};
use weir_core::api::{Command, Reply as EngineReply};
use weir_shard::Directory;

use crate::access::{Caller, Role};
use crate::app::App;
use crate::engine::{Engine, call};
use crate::http::{Content, Reply};
use crate::sqs::Refusal;

pub(crate) use confirm::Asking;
pub(crate) use deliver::{envelopes, function_event, notification};
pub(crate) use ended::Ended;
pub(crate) use signer::Signer;
pub(crate) use subscribe::unsubscribe;

/// How often a change is tried anew when another one comes between. Of those that meet one wins each time.
const TRIES: usize = 256;

/// A request on its way through the door.
struct Door<'a, E> {
    app: &'a Arc<App<E>>,
    call: &'a Call<'a>,
}

/// What is asked for beside the request's own fields.
#[derive(Debug)]
pub(crate) struct Call<'a> {
    /// What is asked for.
    pub(crate) operation: Operation,
    /// The id of the request.
    pub(crate) request_id: &'a str,
    /// The host that the caller knows this server by.
    pub(crate) host: Option<&'a str>,
    /// Who asks; nobody in particular where a link of a message was followed.
    pub(crate) caller: Option<Caller>,
}

/// Whether a path is that of a certificate.
pub(crate) fn is_certificate(path: &str) -> bool {
    path.starts_with(signer::PATH)
}

/// Answers who asks for the certificate that notifications are verified with. Anybody may.
pub(crate) async fn certificate<E: Engine>(app: &App<E>, path: &str) -> Reply {
    match app.signer.certificate_at(path).await {
        Some(pem) => Reply::new(StatusCode::OK, "application/x-pem-file", pem),
        None => Reply::text(StatusCode::NOT_FOUND, "no such certificate\n"),
    }
}

/// The response to a request that was refused.
pub(crate) fn refuse(refusal: &Refusal, request_id: &str) -> Reply {
    let status = fault::status(&refusal.fault);
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut reply = Reply::new(status, query::CONTENT_TYPE, sns::error(&refusal.fault, request_id));
    reply.retry_after_s = refusal.retry_after_s;
    reply.closes = refusal.closes;
    reply
}

/// Whether an operation needs no signature: what links in messages ask for is proven by what stands in them.
pub(crate) fn is_link(operation: Operation) -> bool {
    matches!(operation, Operation::ConfirmSubscription | Operation::Unsubscribe)
}

/// Carries out a request and returns the body of its answer.
pub(crate) async fn serve<E: Engine>(
    app: &Arc<App<E>>,
    call: &Call<'_>,
    request: Request<'_>,
) -> Result<Content, Refusal> {
    if let Some(caller) = call.caller {
        caller.check_role(call.operation.name(), needed(call.operation))?;
    }
    let door = Door { app, call };
    match request {
        Request::CreateTopic(request) => door.create_topic(request).await,
        Request::DeleteTopic(request) => door.delete_topic(&request).await,
        Request::GetTopicAttributes(request) => door.topic_attributes(&request).await,
        Request::SetTopicAttributes(request) => door.set_topic_attribute(&request).await,
        Request::ListTopics(request) => door.list_topics(&request),
        Request::Subscribe(request) => door.subscribe(request).await,
        Request::ConfirmSubscription(request) => door.confirm(&request).await,
        Request::Unsubscribe(request) => door.unsubscribe(&request).await,
        Request::GetSubscriptionAttributes(request) => door.subscription_attributes(&request).await,
        Request::SetSubscriptionAttributes(request) => door.set_subscription_attribute(&request).await,
        Request::ListSubscriptions(request) => door.list_subscriptions(&request),
        Request::ListSubscriptionsByTopic(request) => door.list_subscriptions_of(&request),
        Request::Publish(request) => door.publish(request).await,
        Request::PublishBatch(request) => door.publish_batch(request).await,
        Request::TagResource(request) => door.tag(&request).await,
        Request::UntagResource(request) => door.untag(&request).await,
        Request::ListTagsForResource(request) => door.tags(&request),
        Request::AddPermission(request) => door.add_permission(&request).await,
        Request::RemovePermission(request) => door.remove_permission(&request).await,
        Request::GetDataProtectionPolicy(request) => door.data_protection(&request),
        Request::PutDataProtectionPolicy(request) => door.set_data_protection(&request).await,
    }
}

/// The least role that may carry out an operation.
fn needed(operation: Operation) -> Role {
    match operation {
        Operation::GetDataProtectionPolicy
        | Operation::GetSubscriptionAttributes
        | Operation::GetTopicAttributes
        | Operation::ListSubscriptions
        | Operation::ListSubscriptionsByTopic
        | Operation::ListTagsForResource
        | Operation::ListTopics => Role::Read,
        Operation::Publish | Operation::PublishBatch => Role::Write,
        Operation::AddPermission
        | Operation::ConfirmSubscription
        | Operation::CreateTopic
        | Operation::DeleteTopic
        | Operation::PutDataProtectionPolicy
        | Operation::RemovePermission
        | Operation::SetSubscriptionAttributes
        | Operation::SetTopicAttributes
        | Operation::Subscribe
        | Operation::TagResource
        | Operation::Unsubscribe
        | Operation::UntagResource => Role::Admin,
    }
}

impl<E: Engine> Door<'_, E> {
    fn directory(&self) -> &Directory {
        self.app.engine.directory()
    }

    fn region(&self) -> &str {
        &self.app.config.region
    }

    /// The topic that an ARN names, and its ARN.
    fn topic<'t>(&self, parameter: &str, arn: Option<&'t str>) -> Result<(Arc<Topic>, TopicArn<'t>), Fault> {
        let arn = arn.filter(|arn| !arn.is_empty()).ok_or_else(|| missing(parameter))?;
        let arn = TopicArn::parse(parameter, arn, self.region())?;
        if let Some(caller) = self.call.caller {
            caller.check_namespace(arn.namespace)?;
        }
        let topic = self.directory().topic(arn.namespace, arn.name).ok_or_else(no_topic)?;
        Ok((topic, arn))
    }

    /// The ARN of a topic.
    fn topic_arn(&self, topic: &Topic) -> String {
        TopicArn { region: self.region(), namespace: topic.namespace, name: &topic.name }.to_string()
    }

    /// The subscription that an ARN names, and its topic.
    fn subscription(&self, arn: Option<&str>) -> Result<(Arc<Subscription>, Arc<Topic>), Fault> {
        let arn = arn.filter(|arn| !arn.is_empty()).ok_or_else(|| missing("SubscriptionArn"))?;
        let parsed = SubscriptionArn::parse(arn).filter(|arn| arn.topic.region == self.region());
        let arn = parsed.ok_or_else(|| {
            let quoted: String = arn.chars().take(256).collect();
            invalid(
                "SubscriptionArn",
                &format!("An ARN must have at least 7 elements, and be of this region: {quoted}"),
            )
        })?;
        if let Some(caller) = self.call.caller {
            caller.check_namespace(arn.topic.namespace)?;
        }
        let found = self.directory().subscription_by_uuid(arn.topic.namespace, arn.uuid).ok_or_else(no_subscription)?;
        let topic = self.directory().topic_by_id(found.topic).filter(|topic| topic.name == arn.topic.name);
        Ok((found, topic.ok_or_else(no_subscription)?))
    }

    /// The ARN of a subscription.
    fn subscription_arn(&self, subscription: &Subscription, topic: &Topic) -> String {
        let topic = TopicArn { region: self.region(), namespace: topic.namespace, name: &topic.name };
        SubscriptionArn { topic, uuid: subscription.uuid }.to_string()
    }

    /// The body of an answer.
    fn answer(&self, answer: &Answer<'_>) -> Content {
        sns::answer(self.call.operation, answer, self.call.request_id).into()
    }

    /// Carries out a command that fails or succeeds as a whole.
    async fn call(&self, command: Command) -> Result<EngineReply, Refusal> {
        match call(&self.app.engine, command).await {
            Ok(answered) => Ok(answered.reply),
            Err(refused) => Err(refusal::of(refused)),
        }
    }
}
