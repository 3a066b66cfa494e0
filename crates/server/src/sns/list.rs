//! Lists of topics and subscriptions, page by page.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use weir_aws::Fault;
use weir_aws::sns::fault::invalid;
use weir_aws::sns::request::List;
use weir_aws::sns::subscription::{Protocol, endpoint_text};
use weir_aws::sns::{Answer, LIST_MAX, Listed};
use weir_core::api::topic::{Subscription, SubscriptionId, TopicId};

use super::Door;
use crate::engine::Engine;
use crate::http::Content;
use crate::sqs::Refusal;

impl<E: Engine> Door<'_, E> {
    pub(super) fn list_topics(&self, request: &List<'_>) -> Result<Content, Refusal> {
        let after = token(request)?;
        let mut topics = self.directory().topics(self.namespace(), "", after.as_deref(), LIST_MAX + 1);
        let more = topics.len() > LIST_MAX;
        topics.truncate(LIST_MAX);
        let next = topics.last().filter(|_| more).map(|topic| URL_SAFE_NO_PAD.encode(&topic.name));
        let arns: Vec<String> = topics.iter().map(|topic| self.topic_arn(topic)).collect();
        Ok(self.answer(&Answer::Topics(&arns, next.as_deref())))
    }

    pub(super) fn list_subscriptions(&self, request: &List<'_>) -> Result<Content, Refusal> {
        self.page_of_subscriptions(None, request)
    }

    pub(super) fn list_subscriptions_of(&self, request: &List<'_>) -> Result<Content, Refusal> {
        let (topic, _) = self.topic("TopicArn", request.topic_arn.as_deref())?;
        self.page_of_subscriptions(Some(topic.id), request)
    }

    fn page_of_subscriptions(&self, topic: Option<TopicId>, request: &List<'_>) -> Result<Content, Refusal> {
        let after = token(request)?.map(|token| token.parse().map(SubscriptionId).map_err(|_| no_token()));
        let after = after.transpose()?;
        let mut found = self.directory().subscriptions(self.namespace(), topic, after, LIST_MAX + 1);
        let more = found.len() > LIST_MAX;
        found.truncate(LIST_MAX);
        let next = found.last().filter(|_| more).map(|last| URL_SAFE_NO_PAD.encode(last.id.0.to_string()));
        // Of a topic that is just being deleted there is no name any more.
        let listed: Vec<Listed> = found.iter().filter_map(|subscription| self.listed(subscription)).collect();
        Ok(self.answer(&Answer::Subscriptions(&listed, next.as_deref())))
    }

    fn listed(&self, subscription: &Subscription) -> Option<Listed> {
        let topic = self.directory().topic_by_id(subscription.topic)?;
        let arn = match subscription.pending_until {
            Some(_) => "PendingConfirmation".to_owned(),
            None => self.subscription_arn(subscription, &topic),
        };
        Some(Listed {
            arn,
            owner: subscription.owner.clone(),
            protocol: Protocol::of(&subscription.endpoint).name(),
            endpoint: endpoint_text(subscription, self.region()),
            topic_arn: self.topic_arn(&topic),
        })
    }

    fn namespace(&self) -> weir_core::api::Namespace {
        self.call.caller.map(|caller| caller.namespace).unwrap_or_default()
    }
}

/// What a token says: after what a page starts.
fn token(request: &List<'_>) -> Result<Option<String>, Fault> {
    let token = request.next_token.as_deref().filter(|token| !token.is_empty());
    let read = |token| URL_SAFE_NO_PAD.decode(token).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    token.map(|token| read(token).ok_or_else(no_token)).transpose()
}

fn no_token() -> Fault {
    invalid("NextToken", "it is not a token of this server")
}
