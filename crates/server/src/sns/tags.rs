//! Tags of topics.

use std::sync::Arc;
use weir_aws::request::{Pairs, Text};
use weir_aws::sns::Answer;
use weir_aws::sns::fault::{missing, no_resource};
use weir_aws::sns::request::{OnTopic, TagResource, UntagResource};
use weir_aws::sqs::tags;
use weir_aws::{Code, Fault};
use weir_core::api::topic::Topic;
use weir_core::api::{Command, Error, Tags};
use weir_shard::Refused;

use super::{Door, refusal};
use crate::engine::{Engine, call};
use crate::http::Content;
use crate::sqs::Refusal;

/// The tags that a request names.
pub(super) fn of(tags: Option<&Pairs<'_, Text<'_>>>) -> Result<Tags, Fault> {
    tags.map_or_else(|| Ok(Tags::new()), |tags| tags::of(tags).map_err(|fault| of_sns(&fault)))
}

impl<E: Engine> Door<'_, E> {
    pub(super) async fn tag(&self, request: &TagResource<'_>) -> Result<Content, Refusal> {
        let topic = self.resource(request.resource_arn.as_deref())?;
        let add = of(Some(request.tags.as_ref().ok_or_else(|| missing("Tags"))?))?;
        self.change_tags(&topic, Vec::new(), add).await
    }

    pub(super) async fn untag(&self, request: &UntagResource<'_>) -> Result<Content, Refusal> {
        let topic = self.resource(request.resource_arn.as_deref())?;
        let keys = request.tag_keys.as_deref().ok_or_else(|| missing("TagKeys"))?;
        let remove = tags::keys(keys).map_err(|fault| of_sns(&fault))?;
        self.change_tags(&topic, remove, Tags::new()).await
    }

    pub(super) fn tags(&self, request: &OnTopic<'_>) -> Result<Content, Refusal> {
        let topic = self.resource(request.topic_arn.as_deref())?;
        Ok(self.answer(&Answer::Tags(&topic.tags)))
    }

    fn resource(&self, arn: Option<&str>) -> Result<Arc<Topic>, Fault> {
        match self.topic("ResourceArn", arn) {
            Ok((topic, _)) => Ok(topic),
            Err(fault) if fault.code == Code::NotFound => Err(no_resource()),
            Err(fault) => Err(fault),
        }
    }

    async fn change_tags(&self, topic: &Topic, remove: Vec<String>, add: Tags) -> Result<Content, Refusal> {
        let command = Command::TagTopic { topic: topic.id, remove, add, max: tags::TAGS_MAX as u64 };
        match call(&self.app.engine, command).await {
            Ok(_) => Ok(self.answer(&Answer::Done)),
            Err(Refused::Engine(Error::LimitExceeded { found, .. })) => {
                let message = format!("A topic has at most {} tags, and this would be {found}.", tags::TAGS_MAX);
                Err(Fault::new(Code::TagLimitExceeded, message).into())
            }
            Err(Refused::Engine(Error::TopicNotFound)) => Err(no_resource().into()),
            Err(refused) => Err(refusal::of(refused)),
        }
    }
}

fn of_sns(fault: &Fault) -> Fault {
    Fault::new(Code::InvalidParameter, format!("Invalid parameter: {}", fault.message))
}
